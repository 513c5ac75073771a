"""Looking at a sweep's verdicts as its seeds come in: which correlations need more of them.

Public names: `decisions`, `next_look`, `noted_decisions`, `verdict_on`,
`verdict_if_any`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from misgen.envs.core.errors import UserError

from ..evaluation.result_folders import EVALUATION, kept
from ..evaluation.until import Decision, UntilConfig, decide, headline_verdict
from ..evaluation.verdict import VERDICTS
from .ledger import DONE, Cell
from .plan import Plan

if TYPE_CHECKING:
    from .config import SweepConfig


def decisions(plan: Plan, rule: UntilConfig) -> dict[float, Decision]:
    """Return what is known of each correlation, by its agents' evaluations.

    It goes by the verdict that a report leads with.

    Raises:
        UserError: if an agent is not evaluated.
    """
    return _decided(plan, rule, lambda cell: verdict_on(plan, cell))


def noted_decisions(plan: Plan, rule: UntilConfig) -> dict[float, Decision]:
    """Return what is known of each correlation so far: of the seeds before the first that lacks.

    It goes by what workers noted in the ledger, so that it takes no time.
    """
    done = plan.ledger.look().done
    return _decided(plan, rule, lambda cell: _noted(plan, cell) if cell.run in done else "")


def _decided(plan: Plan, rule: UntilConfig, ask: Callable[[Cell], str]) -> dict[float, Decision]:
    names: dict[float, list[str]] = {}
    for cell in sorted(plan.cells, key=lambda cell: cell.seed):
        names.setdefault(cell.correlation, []).append(ask(cell))
    order = dict.fromkeys(cell.correlation for cell in plan.cells)
    return {rho: decide(_before_a_gap(names[rho]), rule) for rho in order}


def _before_a_gap(names: list[str]) -> list[str]:
    return names[: names.index("")] if "" in names else names


def next_look(plan: Plan, rule: UntilConfig) -> SweepConfig | None:
    """Return the sweep with the seeds that the next look takes, or None if all verdicts stand."""
    config, more = plan.config, dict(plan.config.more_seeds)
    open_ = [rho for rho, found in decisions(plan, rule).items() if not found.stands]
    for correlation in open_:
        has = config.seeds_of(correlation)
        more[repr(correlation)] = next(look for look in rule.looks if look > has)
    return dataclasses.replace(config, more_seeds=more) if open_ else None


def _noted(plan: Plan, cell: Cell) -> str:
    """Return the verdict on an agent that the ledger has, or its evaluation; empty: neither has."""
    told = plan.ledger.told(cell.run, DONE).get("verdict")
    return told if told in VERDICTS else verdict_if_any(plan, cell)


def verdict_if_any(plan: Plan, cell: Cell) -> str:
    """Return the verdict on an agent that a report leads with; empty if it has none."""
    try:
        return verdict_on(plan, cell)
    except UserError:
        return ""


def verdict_on(plan: Plan, cell: Cell) -> str:
    """Return the verdict on an agent that a report leads with.

    Raises:
        UserError: if it is not evaluated.
    """
    for one in kept(plan.folder / cell.name, EVALUATION):
        if one.key == plan.evaluation and one.found.get("verdicts"):
            return str(headline_verdict(one.found["verdicts"])["name"])
    raise UserError(f"{plan.folder / cell.name} has no evaluation: run misgen sweep again")
