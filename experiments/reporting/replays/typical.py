"""Which episodes are worth watching: typical ones, by a rule that knows nothing of how they look.

On conflict levels, a case is an agent, a placement, and what the agent did first (reached the goal,
reached the proxy, died, ran out of time).  Of each case the episode is taken in which that happened
after the median number of decisions, then those at the quarters, and so on, the largest cases
first.  The first that is shown is of the median training seed at the highest correlation: the
median of the case that its verdict speaks of (the proxy where it misgeneralizes, the goal where it
is aligned, else the largest).  Its level is then shown for every agent.

Public names: `Pick`, `pick`, `pick_levels`, `played`, `median_run`, `DID`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from misgen.envs.core.episode import Outcome

from ...evaluation.conditions import AGENT, CONFLICT
from ...evaluation.verdict import ALIGNED, MISGENERALIZES
from ..pictures.examples import UP_TO_FIRST

if TYPE_CHECKING:
    from ..results import Results, Run

DID = {
    Outcome.GOAL.name: "goal",
    Outcome.PROXY.name: "proxy",
    Outcome.DEATH.name: "death",
    Outcome.TIMEOUT.name: "time",
}
"""What an agent did first, in short."""
_TELLS = {MISGENERALIZES: "proxy", ALIGNED: "goal"}
"""What an agent with a verdict does first in the episodes that the verdict speaks of."""
_ROUNDS = (0.5, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875, 0.0625, 0.3125, 0.5625, 0.8125)
"""Of a case's episodes, by when it happened, which are taken one after the other."""


@dataclass(frozen=True)
class Pick:
    """A conflict level that an agent played, to be watched beside its aligned twin."""

    run: int
    """The agent, as its place in `Results.runs`."""
    placement: str
    level: int
    did: str
    """What it did first: one of `DID`'s values."""
    why: str
    """Why it was taken."""


def pick(results: Results, most: int) -> list[Pick]:
    """Return `most` episodes or fewer, the one to show first at the head.

    Args:
        results: of a sweep.
        most: how many to take.
    """
    cases = _cases(results)
    if not cases or most < 1:
        return []
    chosen: dict[tuple[int, str, int], Pick] = {}
    for one in (*_first(results, cases), *_rounds(cases)):
        chosen.setdefault((one.run, one.placement, one.level), one)
        if len(chosen) == most:
            break
    head, *others = chosen.values()
    places = results.placements
    order = list(DID.values())
    others.sort(key=lambda one: (one.run, places.index(one.placement), order.index(one.did)))
    return [head, *others]


def pick_levels(results: Results, levels: Sequence[int]) -> list[Pick]:
    """Return the episodes of all agents on some levels."""
    return [
        Pick(case.run, case.placement, level, case.did, "asked for by its level")
        for level in levels
        for case in sorted(_cases(results), key=lambda case: (case.run, case.placement))
        if level in case.levels
    ]


@dataclass(frozen=True)
class _Case:
    """Episodes in which one agent did the same, the one in which it did so earliest first."""

    run: int
    placement: str
    did: str
    levels: tuple[int, ...]

    def at(self, part: float) -> Pick:
        """Return the episode that this part of the others are no longer than."""
        row = min(len(self.levels) - 1, max(0, -int(-(part * len(self.levels)) // 1) - 1))
        where = "the median" if part == 0.5 else f"the {100 * part:.0f}th percentile"
        many = len(self.levels)
        why = f"{where} of the {many:,} in which it does, by when" if many > 1 else "the only one"
        return Pick(self.run, self.placement, self.levels[row], self.did, why)


def _cases(results: Results) -> list[_Case]:
    """Return the cases, the largest first."""
    runs = {(run.correlation, run.seed): k for k, run in enumerate(results.runs)}
    rows = played(results).filter(pl.col("condition") == CONFLICT).sort("when", "level_id")
    found = []
    keys = ("train_correlation", "train_seed", "placement", "did")
    for values, table in rows.group_by(keys, maintain_order=True):
        correlation, seed, placement, did = values
        levels = tuple(table["level_id"].to_list())
        key: Any = (correlation, seed)
        found.append(_Case(runs[key], str(placement), DID[str(did)], levels))
    return sorted(found, key=lambda case: (-len(case.levels), case.run, case.placement, case.did))


def played(results: Results, run: Run | None = None) -> pl.DataFrame:
    """Return the first episodes of all agents, or of one: with what it `did` first, and `when`."""
    episodes = results.episodes if run is None else results.episodes_of(run)
    return episodes.filter(
        pl.col("role") == AGENT,
        pl.col("agent") == results.agent,
        pl.col("actions") == results.modes[0],
        pl.col("repeat") == 0,
    ).with_columns(
        UP_TO_FIRST.alias("did"),
        pl.min_horizontal("goal_at", "proxy_at", "steps").alias("when"),
    )


def _first(results: Results, cases: list[_Case]) -> Iterator[Pick]:
    """Yield what is shown first, and the same level for every agent."""
    run, placement = median_run(results), results.placements[0]
    own = [case for case in cases if results.runs[case.run] is run and case.placement == placement]
    verdicts = results.verdicts.get((run.correlation, placement, results.modes[0]), {})
    wanted = _TELLS.get(verdicts[run.seed].name) if run.seed in verdicts else None
    told = [case for case in own if case.did == wanted]
    first = (told or own or cases)[0].at(0.5)
    yield first
    for number, _ in enumerate(results.runs):
        for case in cases:
            if (case.run, case.placement) == (number, first.placement) and (
                first.level in case.levels
            ):
                why = "the level that is shown first, played by every agent"
                yield Pick(number, first.placement, first.level, case.did, why)


def median_run(results: Results) -> Run:
    """Return the agent at the highest correlation that is the median in what it goes for."""
    top = results.correlations[0]
    found = results.seed_intervals(results.goes_for, top, results.placements[0])
    own = [run for run in results.runs if run.correlation == top]
    known = [run for run in own if run.seed in found]
    known = [run for run in known if found[run.seed].estimate == found[run.seed].estimate]
    ranked = sorted(known, key=lambda run: (found[run.seed].estimate, run.seed)) or own
    return ranked[(len(ranked) - 1) // 2]


def _rounds(cases: list[_Case]) -> Iterator[Pick]:
    """Yield the median of every case, then its quarters, and so on."""
    for part in _ROUNDS:
        for case in cases:
            yield case.at(part)
