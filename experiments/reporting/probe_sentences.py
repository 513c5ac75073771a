"""Findings of a probe for people: two tables, and a sentence for each agent and placement.

Public names: `probe_parts`, `sentences`, `cases`, `Case`, `Who`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..training.terminal import Part

_TRACKED = {
    "goal": "the goal",
    "end": "the end",
    "both": "goal and end",
    "neither": "neither",
    "undetermined": "undetermined",
}
_ACTOR = {
    "goal": "the actor follows the goal",
    "end": "the actor follows the end",
    "undetermined": "which the actor follows is undetermined",
}
_CRITIC = {word: f"the critic tracks {name}" for word, name in _TRACKED.items()} | {
    "undetermined": "what the critic tracks is undetermined"
}
_PAIRS_LEGEND = (
    "goal-driven: reached the goal first, and does not go there on the aligned twin; proxy-driven: "
    "reached the proxy first; both: the goal lay on its way; pull: the goal's cell touched before "
    "the proxy with the goal in it, minus without."
)
_CRITIC_LEGEND = (
    "How much higher the critic's value is with the goal, or the level's end, in view; walking "
    "past: how much it falls as the goal is left behind, and rises towards the end, net of what it "
    "does there without them."
)


class Who(NamedTuple):
    """Whose numbers: how an agent was trained, and where the goal was in the test."""

    train_correlation: float
    train_placement: str
    placement: str
    actions: str

    @property
    def trained(self) -> str:
        """The training setting."""
        return f"ρ = {self.train_correlation:g}, {self.train_placement}"


Case = Mapping[str, Mapping[str, Any]]
"""Rows of one `Who`, by metric."""


def cases(rows: list[dict[str, Any]]) -> dict[Who, Case]:
    """Return the rows of probe.json's `pairs` or `critic` by whose they are, high ρ first."""
    found: dict[Who, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(_who(row), {})[row["metric"]] = row
    return dict(sorted(found.items(), key=lambda item: (-item[0][0], *item[0][1:])))


def paired_cases(found: Mapping[str, Any]) -> dict[Who, Case]:
    """Return the pairs' rows in the action mode that the critic was probed in, else in another."""
    own = cases(found["pairs"])
    modes = {who.actions for who in own}
    mode = found["config"]["actions"]
    shown = mode if mode in modes else min(modes, default=mode)
    return {who: case for who, case in own.items() if who.actions == shown}


def probe_parts(found: Mapping[str, Any]) -> list[Part]:
    """Return a table of the pairs, one of the critic, and the sentences.

    Args:
        found: what probe.json holds.
    """
    paired = paired_cases(found)
    return [
        _pairs_table(paired),
        _PAIRS_LEGEND,
        "",
        _critic_table(cases(found["critic"]), found),
        _CRITIC_LEGEND,
        "",
        *sentences(found),
        _caution(paired),
    ]


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return what the numbers say of actor and critic, a sentence for each agent and placement.

    Args:
        found: what probe.json holds.
    """
    paired = paired_cases(found)
    tracks = {_who(row): row for row in found["tracks"]}
    told = []
    for who, asked in cases(found["critic"]).items():
        case = paired.get(who)
        if case is None:
            continue
        actor, critic = what_actor_follows(case), tracks[who]["in_view"]
        driven = [f"{case[name]['estimate']:.0%}" for name in ("goal_driven", "proxy_driven")]
        goal, end = (_reward(asked[name]) for name in ("goal_in_view", "end_in_view"))
        told.append(
            f"{who.trained}; tested on {who.placement}: {_ACTOR[actor]} (goal-driven on "
            f"{driven[0]} of levels, proxy-driven on {driven[1]}); {_CRITIC[critic]} (value "
            f"{goal} for the goal in view, {end} for the end){agreement(actor, critic)}"
        )
    return told


def what_actor_follows(case: Case) -> str:
    """Return `goal`, `end` or `undetermined`: which drives it more often, by the interval."""
    row = case["goal_minus_proxy_driven"]
    if row["low"] is None or row["low"] <= 0 <= row["high"]:
        return "undetermined"
    return "goal" if row["low"] > 0 else "end"


def agreement(actor: str, critic: str) -> str:
    """Return the end of a sentence: whether actor and critic are after the same."""
    if {actor, critic} == {"goal", "end"}:
        return ". They differ."
    return ". They agree." if actor == critic != "undetermined" else "."


def _pairs_table(paired: Mapping[Who, Case]) -> Any:
    levels = max((case["both"]["n_levels"] for case in paired.values()), default=0)
    mode = next((who.actions for who in paired), "")
    table = _table(
        f"Where it went, % of {levels} conflict levels [95% interval], {mode}",
        ("goal-\ndriven", "proxy-\ndriven", "both", "neither", "pull", "p"),
    )
    for who, heading, case in _by_training(paired):
        if heading:
            table.add_row(who.trained)
        table.add_row(
            f"  {who.placement}",
            *(_percent(case[name]) for name in ("goal_driven", "proxy_driven")),
            *(_percent(case[name], bare=True) for name in ("both", "neither")),
            _percent(case["pull"]),
            _p_value(case["pull_mcnemar_p"]["estimate"]),
        )
    return table


def _critic_table(asked: Mapping[Who, Case], found: Mapping[str, Any]) -> Any:
    table = _table(
        f"What its critic values, reward [95% interval], {found['critic_levels']}",
        ("the goal", "the end", "tracks"),
    )
    tracks = {_who(row): row for row in found["tracks"]}
    for who, heading, case in _by_training(asked):
        if heading:
            table.add_row(who.trained)
        for how, label, goal, end in (
            ("in_view", f"  {who.placement}", "goal_in_view", "end_in_view"),
            ("walking_past", "    walking past", "drop_past_goal_net", "rise_to_end_net"),
        ):
            table.add_row(
                label,
                _reward(case[goal]),
                _reward(case[end]),
                _TRACKED[tracks[who][how]],
            )
    return table


def _caution(paired: Mapping[Who, Case]) -> str:
    """Return what the intervals are over."""
    counts = {case["both"]["n_seeds"] for case in paired.values()}
    if counts == {1}:
        return "One training seed: intervals are over levels, conditional on this agent."
    few = ""
    if min(counts, default=10) < 10:
        few = "; where there is none, the seeds are too few to say"
    return f"Intervals are over training seeds ({min(counts, default=0)} or more) and levels{few}."


def _by_training(of: Mapping[Who, Case]) -> list[tuple[Who, bool, Case]]:
    """Return whose, whether its training setting is a new one, and the rows."""
    rows, last = [], ""
    for who, case in of.items():
        rows.append((who, who.trained != last, case))
        last = who.trained
    return rows


def _who(row: Mapping[str, Any]) -> Who:
    return Who(*(row[name] for name in Who._fields))


def _table(title: str, columns: tuple[str, ...]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), title=title, title_justify="left")
    table.add_column("trained / tested", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _percent(row: Mapping[str, Any], *, bare: bool = False) -> str:
    if row["estimate"] is None:
        return "n/a"
    text = f"{100 * row['estimate']:z.0f}"
    if bare or row["low"] is None:
        return text
    return f"{text} [{100 * row['low']:z.0f}, {100 * row['high']:z.0f}]"


def _reward(row: Mapping[str, Any]) -> str:
    if row["estimate"] is None:
        return "n/a"
    text = f"{row['estimate']:+z.2f}"
    return text if row["low"] is None else f"{text} [{row['low']:+z.2f}, {row['high']:+z.2f}]"


def _p_value(p: float) -> str:
    return f"{p:.2g}" if p >= 1e-4 else "<1e-4"
