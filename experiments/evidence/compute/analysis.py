"""What the agents say: ranks of compute and size against capability and goal, and thresholds.

Public names: `analyse`, `draw`, `MEASURES`, `SIZES`, `COMPUTE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from ...evaluation.statistics import labelled_generator
from ...evaluation.statistics.detection import auc
from ...evaluation.verdict import MISGENERALIZES
from ...reporting.formatting import listed
from ..points import plain_interval
from ..question import Found
from ..ranks import Columns, over_recipes, rank_correlation
from ..telling import spelled
from .operations_figure import draw

__all__ = ["COMPUTE", "MEASURES", "SIZES", "analyse", "draw"]

COMPUTE = {
    "training_flops": "its own training",
    "all_flops": "its own training and that of all that it was made from",
}
"""Operations that a rule could name, and of what."""
SIZES = (*COMPUTE, "active_parameters", "parameters")
MEASURES = {"capability_aligned": "capability", "pursuit": "goal pursuit"}
"""Metrics that are held against size; what people call them."""
_OUTCOMES = ("capable", "misgeneralizes")
WITHIN = "within"
"""In place of a training correlation: the mean of the rank correlations within each."""


def analyse(rows: pl.DataFrame) -> Found:
    """Return rank correlations, thresholds, who is on their wrong side, and what it comes to."""
    agents = rows.with_columns(
        misgeneralizes=pl.col("verdict") == MISGENERALIZES,
        recipe=pl.concat_str(["kind", "size", "train_correlation"], separator=" "),
    )
    worlds = agents["world"].unique(maintain_order=True).to_list()
    parts = [agents.filter(pl.col("world") == world) for world in worlds]
    correlations = pl.DataFrame(
        [row for own in parts for row in _correlations(own)], infer_schema_length=None
    )
    sides = pl.DataFrame([row for own in parts for row in _sides(own)], infer_schema_length=None)
    tables = {
        "recipes": _recipes(agents),
        "correlations": correlations,
        "sides": sides,
        "thresholds": pl.DataFrame([row for own in parts for row in _thresholds(own)]),
    }
    return Found(
        tables,
        " ".join(_paragraph(tables, world) for world in worlds),
        tuple(line for world in worlds for line in _details(tables, world)),
        {
            "correlations": ("world", "train_correlation", "size", "measure", "agents", "ranks"),
            "sides": ("world", "operations", "outcome", "agents", "area", "threshold", "right",
                      "missed", "flagged_needlessly"),
            "recipes": ("world", "train_correlation", "kind", "size", "agents", "training_flops",
                        "all_flops", "active_parameters", "parameters", "capability_aligned",
                        "pursuit", "misgeneralizing", "capable"),
        },
    )  # fmt: skip


def _recipes(agents: pl.DataFrame) -> pl.DataFrame:
    """Return a row a recipe: what it costs, and what its seeds do."""
    keys = ["world", "train_correlation", "kind", "size"]
    return (
        agents.group_by(keys, maintain_order=True)
        .agg(
            pl.len().alias("agents"),
            *(pl.col(name).mean() for name in SIZES),
            *(pl.col(name).mean().round(4) for name in MEASURES),
            pl.col("misgeneralizes").sum().alias("misgeneralizing"),
            pl.col("capable").sum(),
        )
        .sort("world", "train_correlation", "training_flops", descending=[False, True, False])
    )


def _correlations(agents: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rank correlations of size and measure: at each training correlation, and within."""
    trained = sorted(agents["train_correlation"].unique().to_list(), reverse=True)
    for size in SIZES:
        for measure, called in MEASURES.items():
            known = agents.filter(pl.col(measure).is_not_null())
            for where in (*trained, WITHIN):
                own = known if where == WITHIN else known.filter(train_correlation=where)
                rng = labelled_generator(f"{size} {measure} {where}")
                found = over_recipes(
                    {name: own[name].to_numpy() for name in (size, measure, "train_correlation")},
                    own["recipe"].to_numpy(),
                    lambda c, size=size, measure=measure: _within(c, size, measure),
                    rng,
                )
                yield {
                    "world": agents["world"][0],
                    "train_correlation": str(where),
                    "size": size,
                    "measure": called,
                    "agents": len(own),
                    **plain_interval("ranks", found),
                }


def _within(columns: Columns, size: str, measure: str) -> float:
    """Return the mean over training correlations of the rank correlation within each."""
    trained = columns["train_correlation"]
    found = [
        rank_correlation(columns[size][trained == one], columns[measure][trained == one])
        for one in np.unique(trained)
    ]
    return float(np.mean(found))


def _thresholds(agents: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield, of every threshold, how many agents of each kind are above it."""
    kinds = [*_OUTCOMES, "neither"]
    for operations in COMPUTE:
        for limit in [0.0, *np.unique(agents[operations].to_numpy())]:
            above = agents.filter(pl.col(operations) > limit)
            rest = {"neither": ~pl.col("capable") & ~pl.col("misgeneralizes")}
            counts = {
                f"{kind}_above": len(above.filter(rest.get(kind, pl.col(kind)))) for kind in kinds
            }
            every = {kind: len(agents.filter(rest.get(kind, pl.col(kind)))) for kind in kinds}
            yield {
                "world": agents["world"][0],
                "operations": operations,
                "threshold": float(limit),
                "agents_above": len(above),
                **counts,
                "agents": len(agents),
                **every,
            }


def _sides(agents: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield, of each outcome, how well operations tell it, and the threshold that tells it best."""
    for operations in COMPUTE:
        for outcome in _OUTCOMES:
            columns = {name: agents[name].to_numpy() for name in (operations, outcome)}
            rng = labelled_generator(f"{operations} {outcome}")
            found = over_recipes(
                columns,
                agents["recipe"].to_numpy(),
                lambda c, of=operations, is_=outcome: auc(c[of][c[is_]], c[of][~c[is_]]),
                rng,
            )
            yield {
                "world": agents["world"][0],
                "operations": operations,
                "outcome": outcome,
                "agents": len(agents),
                "are_so": int(agents[outcome].sum()),
                **plain_interval("area", found),
                **_wrong(agents, operations, outcome),
            }


def _wrong(agents: pl.DataFrame, operations: str, outcome: str) -> dict[str, Any]:
    """Return the threshold that tells an outcome best, and who is on its wrong side."""
    limit = _best(agents[operations].to_numpy(), agents[outcome].to_numpy())
    if limit is None:
        names = ("threshold", "right", "missed", "missed_are", "flagged_needlessly", "flagged_are")
        return dict.fromkeys(names)
    above = pl.col(operations) > limit
    missed = agents.filter(~above & pl.col(outcome))
    needless = agents.filter(above & ~pl.col(outcome))
    wrong = len(missed) + len(needless)
    return {
        "threshold": limit,
        "right": round(1 - wrong / len(agents), 4),
        "missed": len(missed),
        "missed_are": _told(missed),
        "flagged_needlessly": len(needless),
        "flagged_are": _told(needless),
    }


def _best(operations: np.ndarray, outcome: np.ndarray) -> float | None:
    """Return the threshold above which the outcome is told best: hits minus false alarms.

    None where all agents are alike, so that there is nothing to tell.
    """
    limits = np.array([0.0, *np.unique(operations)])
    if outcome.all() or not outcome.any():
        return None
    gains = [(operations[outcome] > t).mean() - (operations[~outcome] > t).mean() for t in limits]
    return float(limits[int(np.argmax(gains))])


def _told(agents: pl.DataFrame) -> str:
    """Return who some agents are, by kind and training correlation."""
    counts = agents.group_by("kind", "train_correlation").len().sort("kind", "train_correlation")
    return ", ".join(
        f"{row['len']} {row['kind']} at {row['train_correlation']:g}" for row in counts.to_dicts()
    )


def _paragraph(tables: dict[str, pl.DataFrame], world: str) -> str:
    """Return what is found in a world, from the tables."""
    here = pl.col("world") == world
    own = tables["sides"].filter(here, pl.col("outcome") == MISGENERALIZES)
    sides = [_side(row) for row in own.to_dicts()]
    head = f"In {spelled(world)}, {_paths(tables, here)}"
    return " ".join([head, *(f"{one[:1].upper()}{one[1:]}." for one in sides)])


def _details(tables: dict[str, pl.DataFrame], world: str) -> list[str]:
    """Return a line a measure: how it goes with what was spent."""
    within = tables["correlations"].filter(world=world, train_correlation=WITHIN)
    told = []
    for called in MEASURES.values():
        ranks = within.filter(measure=called).to_dicts()
        parts = [f"{_ranks(row)} for {spelled(row['size'])}" for row in ranks]
        told.append(
            f"{spelled(world)}, rank correlations with {called} within a training correlation: "
            f"{listed(parts)}."
        )
    return told


def _side(row: dict[str, Any]) -> str:
    """Return how well a count of operations tells who misgeneralizes."""
    counting = f"counting {COMPUTE[row['operations']]}"
    if row["threshold"] is None:
        return f"{counting}, there is nothing to tell: {row['are_so']} of {row['agents']} are so"
    return (
        f"{counting}, the area under the curve for agents that misgeneralize is "
        f"{_interval(row, 'area')}, and the best threshold ({row['threshold']:.2g} operations) is "
        f"wrong about {row['missed'] + row['flagged_needlessly']} of {row['agents']} agents"
    )


def _paths(tables: dict[str, pl.DataFrame], here: pl.Expr) -> str:
    """Return who misgeneralizes at each training correlation, whatever was spent."""
    parts = []
    by = tables["recipes"].filter(here).group_by("train_correlation", maintain_order=True)
    for (trained,), own in by:
        bad, agents = int(own["misgeneralizing"].sum()), int(own["agents"].sum())
        ends = own["all_flops"].min(), own["all_flops"].max()
        parts.append(
            f"{bad} of {agents} agents misgeneralize that were trained at correlation {trained:g} "
            f"with {ends[0]:.1e} to {ends[1]:.1e} operations"
        )
    return f"{'; '.join(parts)}."


def _ranks(row: dict[str, Any]) -> str:
    return "unknown" if row["ranks"] is None else _interval(row, "ranks")


def _interval(row: dict[str, Any], name: str) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return "unknown"
    ends = "too few recipes for an interval" if low is None else f"{low:.2f}, {high:.2f}"
    return f"{value:.2f} [{ends}]"
