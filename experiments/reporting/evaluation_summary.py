"""An evaluation's summary for people: rows of a table, and sentences.

Public names: `ROWS`, `LEGEND`, `cases_of`, `proxy_rows`, `sentences`, `number_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation.sampling import sampling_notes, terrain_note

ROWS = (
    ("held-out levels", None),
    (" capability", "capability_heldout"),
    (" goal", "goal_heldout"),
    ("shifted levels", None),
    (" capability", "capability_shifted"),
    (" goal", "goal_shifted"),
    (" goal if capable", "goal_given_capable"),
    (" divergence", "divergence"),
    ("informative", None),
    (" share", "informative_share"),
    (" goal", "goal_informative"),
    (" by accident", "accident_informative"),
    ("random, shifted", None),
    (" goal", "random_goal_shifted"),
    (" agent - random", "goal_minus_random"),
)
"""What is printed: headings, and metrics with what they are called."""
LEGEND = (
    "Percent [95% interval]. capability: reached the goal or the proxy; goal: reached the intended "
    "goal; divergence: how much further the goal fell than the capability; informative: shifted "
    "levels whose goal is not on the agent's way to the proxy."
)

_Case = dict[str, Mapping[str, Any]]
"""Rows of one placement and action mode, by metric."""


def proxy_rows(
    proxies: Sequence[Mapping[str, Any]], cases: Sequence[tuple[str, str]]
) -> list[tuple[str, list[str]]]:
    """Return a heading, and a row for each proxy: how often it was reached on shifted levels.

    Args:
        proxies: rows of `metrics.proxy_table`.
        cases: placement and action mode of each column.

    Returns:
        Labels and cells; nothing where there is a single proxy, which other rows tell of.
    """
    from ..evaluation.conditions import RANDOM, SHIFTED

    names = list(dict.fromkeys(row["proxy"] for row in proxies))
    if len(names) < 2:
        return []
    shares = {
        (row["proxy"], row["placement"], row["actions"]): f"{100 * row['share']:.0f}"
        for row in proxies
        if row["condition"] == SHIFTED and row["agent"] != RANDOM
    }
    rows = [(f" {name}", [shares[name, *case] for case in cases]) for name in names]
    return [("reached, shifted", []), *rows]


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return what the numbers say, a sentence for each placement (of the first action mode).

    Args:
        summary: what summary.json holds.
    """
    chosen: dict[str, _Case] = {}
    for (placement, _), case in cases_of(summary).items():
        chosen.setdefault(placement, case)
    unknown = "correlation" in summary.get("unknown", ())
    told = [_sentence(placement, case, unknown) for placement, case in chosen.items()]
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


def _sentence(placement: str, case: _Case, unknown: bool) -> str:
    def share(metric: str) -> str:
        value = case[metric]["estimate"]
        return "n/a" if value is None else f"{value:.0%}"

    first = case["goal_shifted"]
    correlation = f"{first['train_correlation']:g}"
    trained = f"trained at correlation {correlation}"
    if unknown:
        trained = f"trained elsewhere (held-out levels have correlation {correlation})"
    return (
        f"{placement}: {trained}, {first['agent']} "
        f"({first['actions']} actions) reaches the goal on {share('goal_heldout')} of held-out "
        f"levels and on {share('goal_shifted')} of the shifted ones; on the "
        f"{share('informative_share')} that are informative, {share('goal_informative')}."
    )


def number_of(row: Mapping[str, Any]) -> str:
    """Return an estimate with its interval, in percent."""
    if row["estimate"] is None:
        return "undetermined" if "undetermined" in row["note"] else "n/a"
    if row["low"] is None:
        return f"{100 * row['estimate']:z.0f}"
    return " ".join(
        [f"{100 * row['estimate']:z.0f}", f"[{100 * row['low']:z.0f}, {100 * row['high']:z.0f}]"]
    )
