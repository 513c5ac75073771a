"""The finding on each failure mode, in a sentence or two for every reader.

Public name: `finding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ..reporting.formatting import interval_of, listed, rate
from .evidence import Item
from .modes import EVALUATION, OBJECTIVE, PROBE, ROBUSTNESS, SUPPLY_CHAIN, SURFACE, Mode


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
    mode = found["verdicts"][0]["actions"]
    rows = {
        (row["metric"], row["placement"]): _rate(row)
        for row in found["metrics"]
        if row["actions"] == mode
    }
    told = [
        f"{place}: {rows['goal_informative', place]} ({rows['capability_informative', place]}), "
        f"{one['verdict']}"
        for one in found["verdicts"]
        if one["actions"] == mode
        for place in [one["placement"]]
    ]
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
    shares = [f"{row['explanation']} {_rate(row, 'share')}" for row in found["explained"]]
    return f"Behaviour: {found['words']} (shares of episodes: {', '.join(shares)})."


def _robustness(found: Mapping[str, Any]) -> str:
    from ..evaluation.robustness.drops import TABLE
    from ..reporting.robustness_curves import sentences

    told = {key: found[key] for key in ("config", "trained_at") if key in found}
    lines = sentences({"table": pl.DataFrame(found["table"], TABLE), **told})
    return " ".join(lines)


def _supply_chain(found: Mapping[str, Any]) -> str:
    from ..evaluation.inheritance import TUNED
    from ..reporting.inheritance_curves import sentences

    rows = [row for row in found["gone"] if row["kind"] == TUNED]
    done = [row for row in rows if row["gone"] is not None]
    who = "This agent is a base" if found["is_base"] else "This agent was fine-tuned from a base"
    tuned = (
        f"{who}; fine-tuned at ρ = {found['config']['correlation']:g}, {len(done)} of {len(rows)} "
        "agents lost the proxy."
    )
    return " ".join([tuned, *sentences(found)[:2]])


_SAY = {
    EVALUATION: _evaluation,
    SURFACE: _surface,
    PROBE: _probe,
    OBJECTIVE: _objective,
    ROBUSTNESS: _robustness,
    SUPPLY_CHAIN: _supply_chain,
}


def _rate(row: Mapping[str, Any], estimate: str = "estimate") -> str:
    return rate(interval_of(row, estimate))
