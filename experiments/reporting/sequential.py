"""What a sweep with `seeds=until` decided on each correlation, after how many seeds, at what error.

Public names: `until_rule`, `decisions`, `decision_lines`, `rule_line`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluation.until import Decision, UntilConfig, decide, headline_verdict
from ..training.run_folder import SWEEP
from ..training.settings import typed
from .results import Results


def until_rule(results: Results) -> UntilConfig | None:
    """Return by which rule the sweep added seeds; none if it had a number of them.

    The rule goes by the sweep's own evaluation, and says nothing of others.

    Raises:
        UserError: if what the sweep noted is no rule.
    """
    told = results.sweep.get("until")
    if not told or not results.is_own_evaluation:
        return None
    return typed(UntilConfig, told, f"{results.folder / SWEEP}: until.")


def decisions(results: Results) -> dict[float, Decision]:
    """Return what was decided on each correlation, highest first; empty without a rule."""
    rule = until_rule(results)
    if rule is None:
        return {}
    return {rho: decide(list(_verdicts(results, rho)), rule) for rho in results.correlations}


def _verdicts(results: Results, correlation: float) -> Iterator[str]:
    """Yield the verdicts on the seeds of a correlation, up to the first that is not done."""
    runs = {run.seed: run for run in results.runs if run.correlation == correlation}
    seed = 0
    while seed in runs and runs[seed].summary.get("verdicts"):
        yield str(headline_verdict(runs[seed].summary["verdicts"])["name"])
        seed += 1


def rule_line(results: Results) -> str:
    """Return by which rule seeds were added, and what it goes by; empty without a rule."""
    rule = until_rule(results)
    if rule is None:
        return ""
    case = f"goal moved to {results.placements[0]}, {results.modes[0]} actions"
    return f"Seeds were added until the verdict stands ({case}): {rule}."


def decision_lines(results: Results) -> list[str]:
    """Return what was decided on each correlation, a line each; none without a rule."""
    return [f"{results.at(rho)}: {found}" for rho, found in decisions(results).items()]
