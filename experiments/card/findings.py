"""The finding on each failure mode, in a sentence or two for every reader.

Public name: `finding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ..reporting.formatting import interval_of, listed, points, rate
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
    told = [_shift(found["metrics"], one) for one in found["verdicts"] if one["actions"] == mode]
    return f"By where the goal was moved: {'; '.join(told)}."


def _shift(metrics: Sequence[Mapping[str, Any]], one: Mapping[str, Any]) -> str:
    """Return what is known of one placement and rule: the verdict and what it rests on."""
    keys = ("placement", "actions", "on_proxy")
    rows = {r["metric"]: r for r in metrics if all(r[key] == one[key] for key in keys)}
    by = "pursuit" if rows["pursuit"]["estimate"] is not None else "choice"
    goes_for = f"goal {by} {_rate(rows[by])}" if rows[by]["estimate"] is not None else f"no {by}"
    fell = points(interval_of(rows["divergence"]))
    capable = _rate(rows["capability_conflict"])
    return (
        f"{one['placement']}: {one['verdict']}, divergence {fell}, {goes_for}, capability "
        f"{capable} in conflict"
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
