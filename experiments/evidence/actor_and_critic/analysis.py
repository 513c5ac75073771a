"""What the agents say: who walks through the end's wall, and where their critics' values peak.

Public names: `analyse`, `draw`, `BEFORE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ...evaluation.statistics import clopper_pearson, t_over_seeds
from ...reporting.figures import FONT, INK, PERCENT
from ..drawing import LINES, Line, dress
from ..points import mean_over_seeds, plain_interval
from ..question import Found
from .walked import CELLS, value_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE = (-2, 0)
"""Cells that are just before the wall: the end's own, and two on the way to it."""
_BY = ["train_correlation", "trained"]
_FAR = (-8, -7, -6)
_VALUES = ("rise", "fall", "wall_adds")
"""Of a critic, in units of reward; without bounds."""


def analyse(rows: pl.DataFrame) -> Found:
    """Return a row for each training correlation, and one for the agents before training."""
    agents = (
        _once(rows)
        .with_columns(
            through=pl.col("walked_through") / pl.col("reached"),
            reach=pl.col("reached") / pl.col("episodes"),
        )
        .sort("trained", "train_correlation", "train_seed", descending=[True, True, False])
    )
    groups = agents.group_by(_BY, maintain_order=True)
    table = pl.DataFrame(
        [{**dict(zip(_BY, values, strict=True)), **_recipe(own)} for values, own in groups],
        infer_schema_length=None,
    )
    return Found(
        {"recipes": table},
        " ".join(_sentences(table)),
        shown={"recipes": (*_BY, "seeds", "reach", "through", "critics", "peak_before", "peak",
                           "rise", "fall", "wall_adds")},
    )  # fmt: skip


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the agents, those before training once: one seed gives all recipes the same one."""
    highest = pl.col("train_correlation") == pl.col("train_correlation").max()
    named = pl.when("trained").then("train_correlation")
    return rows.filter(pl.col("trained") | highest).with_columns(named.alias("train_correlation"))


def _recipe(own: pl.DataFrame) -> dict[str, Any]:
    """Return what the agents of one recipe come to."""
    known = own.filter(pl.col("peak").is_not_null())
    before = int(known["peak"].is_between(*BEFORE).sum())
    return {
        "seeds": len(own),
        "episodes": int(own["reached"].sum()),
        "walked_through": int(own["walked_through"].sum()),
        **plain_interval("reach", mean_over_seeds(own, "reach")),
        **plain_interval("through", mean_over_seeds(own.filter(pl.col("reached") > 0), "through")),
        "critics": len(known),
        "peak_before": before,
        **plain_interval("peak_before_share", clopper_pearson(before, max(1, len(known)))),
        "peak": known["peak"].median(),
        **{
            key: value
            for name in _VALUES
            for key, value in plain_interval(name, _mean_value(known[name])).items()
        },
    }


def _mean_value(values: pl.Series) -> Any:
    return t_over_seeds(values.drop_nulls().to_numpy())


def _sentences(table: pl.DataFrame) -> Iterator[str]:
    """Yield what each recipe's agents do, and what their critics say."""
    for row in table.to_dicts():
        who = "Before training"
        if row["trained"]:
            who = f"Trained at correlation {row['train_correlation']:g}"
        if not row["episodes"]:
            yield f"{who}, no agent of {row['seeds']} comes to the end."
            continue
        through = _told(row, "through", "{:.0%}")
        said = (
            f"{who}, {row['seeds']} agents come to the end in {row['episodes']:,} episodes and "
            f"walk on through the wall in {row['walked_through']:,} of them (mean over agents "
            f"{through})"
        )
        if row["critics"]:
            said += (
                f"; the value peaks within two cells before the wall in {row['peak_before']} of "
                f"{row['critics']} critics, and the wall in sight adds "
                f"{_told(row, 'wall_adds', '{:+.1f}')} of reward to it"
            )
        yield f"{said}."
    untrained = table.filter(~pl.col("trained"), pl.col("critics") > 0).to_dicts()
    for row in untrained:
        yield (
            f"As the value peaks there in {row['peak_before']} of {row['critics']} critics that "
            "learned nothing, where it peaks says little by itself."
        )


def _told(row: dict[str, Any], name: str, form: str) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return "an unknown amount"
    ends = "" if low is None else f" [{form.format(low)}, {form.format(high)}]"
    return form.format(value) + ends


def draw(rows: pl.DataFrame, found: Found) -> Figure:
    """Return who walks through, beside the critics' values by cell."""
    table = found.tables["recipes"]
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(11.6, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.7))
        names = []
        agents = _once(rows)
        for number, row in enumerate(table.to_dicts()):
            line, trained = LINES[number % len(LINES)], row["train_correlation"]
            names.append(f"ρ = {trained:g}" if row["trained"] else "before training")
            own = agents.filter(pl.col("train_correlation").eq_missing(trained))
            _draw_shares(left, own, row, number, line)
            _draw_values(right, own, line, names[-1])
        left.set_xticks(range(len(names)), names)
        left.set_ylim(-0.03, 1.03)
        left.yaxis.set_major_formatter(PERCENT)
        dress(left, "episodes that walk on through the wall")
        right.axvspan(0.5, CELLS[-1] + 0.5, color="#00000014", linewidth=0)
        right.text(CELLS[-1] + 0.4, 0.02, "inside the wall", ha="right", fontsize=8.5, color=INK,
                   transform=right.get_xaxis_transform())  # fmt: skip
        right.set_xlabel("cells from the level's end", color=INK)
        dress(right, "critic's value, in units of reward, less that further off")
        if right.get_lines():
            right.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _draw_shares(ax: Axes, own: pl.DataFrame, row: dict[str, Any], place: int, line: Line) -> None:
    """Draw each agent's share, and their mean with its interval."""
    known = own.filter(pl.col("reached") > 0)
    shares = (known["walked_through"] / known["reached"]).to_numpy()
    spread = np.linspace(-0.2, 0.2, len(shares)) if len(shares) > 1 else np.zeros(len(shares))
    ax.scatter(place + spread, shares, s=12, color=line.colour, alpha=0.5, linewidths=0)
    if row["through"] is None:
        return
    if row["through_low"] is not None:
        ax.vlines(place, row["through_low"], row["through_high"], color=line.colour, linewidth=2,
                  alpha=0.5)  # fmt: skip
    ax.plot([place], [row["through"]], color=line.colour, marker=line.marker, markersize=7)


def _draw_values(ax: Axes, own: pl.DataFrame, line: Line, name: str) -> None:
    """Draw each critic's values by cell, less its mean further off, and the mean of all."""
    columns = [value_at(cell) for cell in CELLS]
    known = own.filter(pl.col("peak").is_not_null())
    if not len(known):
        return
    values = known.select(columns).cast(pl.Float64).to_numpy()
    far = [CELLS.index(cell) for cell in _FAR]
    values = values - np.nanmean(values[:, far], axis=1, keepdims=True)
    for agent in values:
        ax.plot(CELLS, agent, color=line.colour, linewidth=0.7, alpha=0.35)
    ax.plot(CELLS, np.nanmean(values, axis=0), color=line.colour, marker=line.marker, label=name,
            linewidth=1.8, markersize=4.5)  # fmt: skip
