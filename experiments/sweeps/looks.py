"""Looking at a sweep's verdicts as its seeds come in: which correlations need more of them.

Public names: `decisions`, `next_look`.
"""

from __future__ import annotations

import dataclasses

from misgen.envs.core.errors import UserError

from ..evaluation.result_folders import EVALUATION, kept
from .config import SweepConfig
from .plan import Plan
from .until import Decision, UntilConfig, decide


def decisions(plan: Plan, rule: UntilConfig) -> dict[float, Decision]:
    """Return what is known of each correlation, by its agents' evaluations.

    It goes by the first placement of the goal and the first action mode, as a report's headline.
    """
    names: dict[float, list[str]] = {}
    for cell in plan.cells:
        names.setdefault(cell.correlation, []).append(_verdict(plan, cell.name))
    return {correlation: decide(own, rule) for correlation, own in names.items()}


def next_look(plan: Plan, rule: UntilConfig) -> SweepConfig | None:
    """Return the sweep with the seeds that the next look takes, or None if all verdicts stand."""
    config, more = plan.config, dict(plan.config.more_seeds)
    open_ = [rho for rho, found in decisions(plan, rule).items() if not found.stands]
    for correlation in open_:
        has = config.seeds_of(correlation)
        more[repr(correlation)] = next(look for look in rule.looks if look > has)
    return dataclasses.replace(config, more_seeds=more) if open_ else None


def _verdict(plan: Plan, name: str) -> str:
    """Return the verdict on an agent.

    Raises:
        UserError: if it is not evaluated.
    """
    for one in kept(plan.folder / name, EVALUATION):
        if one.key == plan.evaluation and one.found.get("verdicts"):
            return str(one.found["verdicts"][0]["name"])
    raise UserError(f"{plan.folder / name} has no evaluation: run misgen sweep again")
