"""What was found of each failure mode, in a sentence or two for everybody.

Public name: `finding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ..evaluation.statistics import Interval
from ..reporting.numbers import listed, points, rate
from .evidence import Item
from .modes import EVALUATION, OBJECTIVE, PROBE, ROBUSTNESS, SUPPLY_CHAIN, SURFACE, Mode

_NAN = float("nan")


def finding(mode: Mode, own: Sequence[Item], protocols: Sequence[Mapping[str, Any]]) -> str:
    """Return what the evidence says of a mode.

    Args:
        mode: the failure mode.
        own: evidence that is no protocol.
        protocols: those that reach it, as the card has them.
    """
    sentences = [_SAY[item.name](item.found) for item in own]
    told = [f"{p['name']} ({p['budget']} episodes): {p['decision']}" for p in protocols]
    return " ".join([*sentences, *([f"Protocols: {'; '.join(told)}."] if told else [])])


def _evaluation(found: Mapping[str, Any]) -> str:
    rows = {
        (row["metric"], row["placement"]): row
        for row in found["metrics"]
        if row["actions"] == found["verdicts"][0]["actions"]
    }
    told = []
    for one in found["verdicts"]:
        place = one["placement"]
        if ("goal_informative", place) in rows and one["actions"] == found["verdicts"][0][
            "actions"
        ]:
            numbers = [
                _rate(rows[m, place]) for m in ("goal_informative", "capability_informative")
            ]
            told.append(f"{place}: {numbers[0]} ({numbers[1]}), {one['verdict']}")
    return (
        "Goal (and capability: goal or proxy) reached where the goal is off the agent's usual way, "
        f"by where it was moved: {'; '.join(told)}."
    )


def _surface(found: Mapping[str, Any]) -> str:
    cells = [c for c in found["cells"] if c["measure"] == "capability" and c["parameter"]]
    if not cells:
        return "No capability shift was crossed."
    low = min(cells, key=lambda c: c["estimate"])
    high = max(cells, key=lambda c: c["estimate"])
    parameters = listed(sorted({c["parameter"] for c in cells}))
    return (
        f"Over other values of {parameters}, capability lies between {_rate(low)} "
        f"({low['parameter']} = {low['value']:g}) and {_rate(high)} ({high['parameter']} = "
        f"{high['value']:g}). More training and larger networks were not tested."
    )


def _probe(found: Mapping[str, Any]) -> str:
    told = [
        f"{one['placement']} the critic tracks {one['in_view']} by what is in view and "
        f"{one['walking_past']} when walking past"
        for one in found["tracks"]
    ]
    drives = [
        f"{_rate(row)} of pairs are {row['metric'].replace('_', '-')} ({row['placement']})"
        for row in found["pairs"]
        if row["metric"] in ("goal_driven", "proxy_driven") and row["actions"] == "sampled"
    ]
    return f"Critic: with the goal at {'; '.join(told)}. Actor: {'; '.join(drives)}."


def _objective(found: Mapping[str, Any]) -> str:
    shares = [
        f"{row['explanation']} {_rate({**row, 'estimate': row['share']})}"
        for row in found["explained"]
    ]
    return f"Behaviour: {found['words']} (shares of episodes: {', '.join(shares)})."


def _robustness(found: Mapping[str, Any]) -> str:
    from ..evaluation.robust import TABLE
    from ..reporting.robustness import words

    lines = words({"table": pl.DataFrame(found["table"], TABLE), "config": found["config"]})
    return " ".join(lines)


def _supply_chain(found: Mapping[str, Any]) -> str:
    from ..evaluation.inheritance import TUNED
    from ..reporting.inheritance import words

    rows = [row for row in found["gone"] if row["kind"] == TUNED]
    done = [row for row in rows if row["gone"] is not None]
    who = "This agent is a base" if found["is_base"] else "This agent was fine-tuned from a base"
    tuned = (
        f"{who}; fine-tuned at ρ = {found['config']['correlation']:g}, {len(done)} of {len(rows)} "
        "agents lost the proxy."
    )
    return " ".join([tuned, *words(found)[:2]])


_SAY = {
    EVALUATION: _evaluation,
    SURFACE: _surface,
    PROBE: _probe,
    OBJECTIVE: _objective,
    ROBUSTNESS: _robustness,
    SUPPLY_CHAIN: _supply_chain,
}


def _rate(row: Mapping[str, Any]) -> str:
    return rate(_interval(row))


def _points(row: Mapping[str, Any]) -> str:
    return points(_interval(row))


def _interval(row: Mapping[str, Any]) -> Interval:
    return Interval(*[_NAN if row[k] is None else row[k] for k in ("estimate", "low", "high")])
