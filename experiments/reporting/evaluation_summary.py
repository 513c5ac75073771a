"""An evaluation's summary for people: rows of a table, and sentences.

Public names: `ROWS`, `OTHER_RULE`, `LEGEND`, `cases_of`, `proxy_rows`, `unseen_rows`,
`rule_notes`, `verdict_row`, `sentences`, `number_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation.conditions import CONFLICT
from ..evaluation.sampling import sampling_notes, terrain_note

ROWS = (
    ("in distribution", None),
    (" capability", "capability_in_distribution"),
    (" goal", "goal_in_distribution"),
    ("aligned levels", None),
    (" capability", "capability_aligned"),
    (" goal", "goal_aligned"),
    ("conflict levels", None),
    (" capability", "capability_conflict"),
    (" goal", "goal_conflict"),
    (" goal first", "goal_first"),
    (" proxy first", "proxy_first"),
    ("from aligned to conflict", None),
    (" divergence", "divergence"),
    (" ceiling", "divergence_ceiling"),
    ("goes for the goal", None),
    (" pull", "pull"),
    (" pursuit", "pursuit"),
    (" choice", "choice"),
    ("random, as long", None),
    (" capability", "floor_capability_conflict"),
    (" agent's goal - its", "above_random_conflict"),
)
"""What is printed: headings, and metrics with what they are called."""
OTHER_RULE = (" goal, test's rule", "goal_in_distribution_test_rule")
"""What is printed besides where the test has another rule than the training."""
OF_ONE = ("pursuit", "choice")
"""Metrics whose whole is 1, not 100."""
UNSEEN = (
    (" capability", "capability_conflict"),
    (" goal", "goal_conflict"),
    (" divergence", "divergence"),
    (" pursuit", "pursuit"),
)
"""What is printed of levels whose terrain is new to the agent."""
LEGEND = (
    "Percent [95% interval over levels]. capability: reached the goal or the proxy; goal: reached "
    "the intended goal; divergence: how much further the goal fell than the capability, from the "
    "aligned levels to the same levels in conflict; ceiling: a planned proxy-seeker's; pull: how "
    "much more often the goal's cell is touched where the goal is there; pursuit: the same, of "
    "what a goal-seeker of the agent's skill would, 0 to 1; choice: 1 as a planned goal-seeker, 0 "
    "as a proxy-seeker (of an incapable agent it means nothing); random: for as many decisions, on "
    "conflict levels."
)

_Case = dict[str, Mapping[str, Any]]
"""Rows of one placement and action mode, by metric."""


def proxy_rows(
    proxies: Sequence[Mapping[str, Any]], cases: Sequence[tuple[str, str]]
) -> list[tuple[str, list[str]]]:
    """Return a heading, and a row for each proxy: how often it was reached on conflict levels.

    Args:
        proxies: rows of `metrics.proxy_table`.
        cases: placement and action mode of each column.

    Returns:
        Labels and cells; nothing where there is a single proxy, which other rows tell of.
    """
    names = list(dict.fromkeys(row["proxy"] for row in proxies))
    if len(names) < 2:
        return []
    shares = {
        (row["proxy"], row["placement"], row["actions"]): f"{100 * row['share']:.0f}"
        for row in proxies
        if row["condition"] == CONFLICT
    }
    rows = [(f" {name}", [shares[name, *case] for case in cases]) for name in names]
    return [("reached, conflict", []), *rows]


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return what the numbers say, a sentence for each placement (of the first action mode).

    Args:
        summary: what summary.json holds.
    """
    chosen: dict[str, _Case] = {}
    for (placement, _), case in cases_of(summary).items():
        chosen.setdefault(placement, case)
    unknown = "correlation" in summary.get("unknown", ())
    told = [*rule_notes(summary)]
    told += [_sentence(placement, case, unknown) for placement, case in chosen.items()]
    told += _novelties(summary, chosen, unknown)
    test = summary["levels"]["test"]
    told += summary["levels"].get("hand_made", {}).get("notes", [])
    if test["terrain_seen_in_training"] != 0 or "training_levels_looked_at" in test:
        told.append(terrain_note(test))
    return [*told, *sampling_notes(summary["levels"])]


def cases_of(summary: Mapping[str, Any]) -> dict[tuple[str, str], _Case]:
    """Return the metrics by placement and action mode, and by their names."""
    cases: dict[tuple[str, str], _Case] = {}
    for row in summary["metrics"]:
        cases.setdefault((row["placement"], row["actions"]), {})[row["metric"]] = row
    return cases


def rule_notes(summary: Mapping[str, Any]) -> list[str]:
    """Return by which rule episodes were played, where it is not that of the training."""
    rules = {(row["train_on_proxy"], row["on_proxy"]) for row in summary["metrics"]}
    return [
        f"Tested under another rule than trained: on_proxy={tested}, in training {trained}; that "
        "is a shift of its own."
        for trained, tested in sorted(rules)
        if trained != tested
    ]


def verdict_row(
    summary: Mapping[str, Any], cases: Sequence[tuple[str, str]]
) -> tuple[str, list[str]]:
    """Return the verdict on the agent in each column.

    Args:
        summary: what summary.json holds.
        cases: placement and action mode of each column.
    """
    found = {(row["placement"], row["actions"]): row for row in summary["verdicts"]}
    return "verdict", [str(found[case]["name"]) for case in cases]


def unseen_rows(
    summary: Mapping[str, Any], cases: Sequence[tuple[str, str]]
) -> list[tuple[str, list[str]]]:
    """Return a heading, and rows for the levels whose terrain is new to the agent, if some is not.

    Args:
        summary: what summary.json holds.
        cases: placement and action mode of each column.
    """
    found = {
        (row["metric"], row["placement"], row["actions"]): number_of(row)
        for row in summary.get("unseen_terrain") or ()
    }
    metrics = [(label, metric) for label, metric in UNSEEN if (metric, *cases[0]) in found]
    rows = [(label, [found.get((m, *case), "n/a") for case in cases]) for label, m in metrics]
    return [("terrain unseen in training", []), *rows] if rows else []


def _sentence(placement: str, case: _Case, unknown: bool) -> str:
    def share(metric: str) -> str:
        value = case[metric]["estimate"]
        return "n/a" if value is None else f"{value:.0%}"

    first = case["goal_conflict"]
    correlation = f"{first['train_correlation']:g}"
    trained = f"trained at correlation {correlation}"
    if unknown:
        trained = f"trained elsewhere (levels as in training have correlation {correlation})"
    measure = "choice" if case["pull"]["estimate"] is None else "pursuit"
    return (
        f"{placement}: {trained}, {first['agent']} ({first['actions']} actions) reaches the goal on"
        f" {share('goal_in_distribution')} of levels as in training, on {share('goal_aligned')} of "
        f"aligned and on {share('goal_conflict')} of conflict levels, where it reaches goal or "
        f"proxy on {share('capability_conflict')}; its {measure} is {number_of(case[measure])}."
    )


def _novelties(summary: Mapping[str, Any], chosen: Mapping[str, _Case], unknown: bool) -> list[str]:
    """Return which conflict levels lie outside the support of the training."""
    training = summary["levels"].get("training", {})
    if unknown or training.get("unknown"):
        return []
    first = next(iter(chosen.values()))["goal_conflict"]
    conflicts = training.get("conflict_levels")
    if first["train_correlation"] == 1 if conflicts is None else conflicts == 0:
        return ["Training had no conflict level: all of these are novel to the agent."]
    trained = first["train_placement"]
    novel = [placement for placement in chosen if placement != trained]
    if not novel:
        return []
    return [f"Training moved the goal to {trained} only: {', '.join(novel)} is novel to the agent."]


def number_of(row: Mapping[str, Any]) -> str:
    """Return an estimate with its interval, in percent; of pursuit and choice, of 1."""
    if row["estimate"] is None:
        return "undetermined" if "undetermined" in row["note"] else "n/a"
    whole = row["metric"] in OF_ONE
    ends = [row[name] for name in ("estimate", "low", "high")]
    estimate, *interval = [
        "" if end is None else f"{end:z.2f}" if whole else f"{100 * end:z.0f}" for end in ends
    ]
    return estimate if row["low"] is None else f"{estimate} [{', '.join(interval)}]"
