"""What the seeds say: differences between cells, a hierarchical logistic fit, kinds of seeds.

A seed that does not misgeneralize need not pursue the goal: where training is short, it may be
capable of too little to be judged.  So what a factor does is first told as a difference in pursuit
between cells that have all else in common, and the fit is of both outcomes.

Public names: `analyse`, `draw`, `contrasts`, `effects`, `kinds`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ...evaluation.statistics import holm, labelled_generator
from ...evaluation.verdict import AIMLESS, INCAPABLE, MISGENERALIZES
from ...reporting.figures import FONT, INK
from ...reporting.formatting import UNKNOWN, listed, plural
from ..mixed_logistic import fit
from ..paired import paired
from ..points import PURSUES, lengths_in_order, points, with_moved
from ..question import Found
from ..telling import changed_by, percent_of, spelled
from ..two_kinds import one_kind_p

CELL = ("world", "length", "moved", "distinct")
FACTORS = {
    "moved": "frequency of conflict levels",
    "distinct_levels": "number of different conflict levels",
    "decisions": "length of training",
}
"""What the fit is over, each as its logarithm to base 2: an effect is that of a doubling."""
BOTH = "frequency and number at once"
"""By how much a doubling of one multiplies the effect of a doubling of the other."""
ANY_LENGTH = "any"
"""The fit of all lengths together, the only one with an effect of length."""
OUTCOMES = {
    "misgeneralizes": pl.col("verdict") == MISGENERALIZES,
    f"has a pursuit below {PURSUES}": pl.col("pursuit") < PURSUES,
}
"""Of what the odds are."""
_TOLD = 0.05
_SHOWN = (*CELL, "seeds", "misgeneralizes", "aligned", "incapable", "share_misgeneralizing",
          "pursuit", "two_groups")  # fmt: skip


def analyse(seeds: pl.DataFrame) -> Found:
    """Return the cells, differences between them, effects of doublings, and the kinds of seeds."""
    rows = lengths_in_order(with_moved(seeds)).with_columns(_distinct()).sort("world", "length")
    found = {
        "cells": points(rows, CELL, ("pursuit", "divergence", "capability_aligned")),
        "contrasts": contrasts(rows),
        "effects": effects(rows),
        "kinds": kinds(rows),
    }
    shown = {name: tuple(found[name].columns) for name in ("contrasts", "effects")}
    return Found(
        found,
        _frequency_told(found["contrasts"], rows),
        (
            *_variety_told(found["contrasts"]),
            *_odds_told(found["effects"]),
            _kinds_told(found["kinds"], len(rows)),
        ),
        {**shown, "cells": _SHOWN},
    )


def _distinct() -> pl.Expr:
    """Return how many distinct conflict levels were asked for; null: all that there are."""
    asked = pl.col("distinct_conflicts")
    return pl.when(asked > 0).then(asked).otherwise(None).cast(pl.Int64).alias("distinct")


def contrasts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return by how much seeds pursue the goal more where one factor is greatest, others held.

    Returns:
        `world`, `length`; `factor`, one of `FACTORS`; `held`, the number of different conflict
        levels where their frequency varies, and the reverse; `least` and `most`, what is compared;
        and the columns of `paired`: a training seed has its levels in common in both cells.
    """
    return paired(_changes(rows), _COMPARED)


_COMPARED = ("world", "length", "factor", "held", "least", "most")
_VARIED = (("moved", "moved", "distinct"), ("distinct_levels", "distinct", "moved"))
"""A factor, the column of cells that stands for it, and the column that is held."""


def _changes(rows: pl.DataFrame) -> Iterator[tuple[dict[str, Any], str, list[float]]]:
    for factor, varied, held in _VARIED:
        ordered = rows.sort("world", "length", held, nulls_last=True)
        by = ["world", "length", held]
        for (world, length, value), own in ordered.group_by(by, maintain_order=True):
            ends = own[varied].unique().sort(nulls_last=True).to_list()
            least, most = (
                own.filter(pl.col(varied).eq_missing(pl.lit(end))).select("train_seed", "pursuit")
                for end in (ends[0], ends[-1])
            )
            both = least.join(most, on="train_seed", suffix="_most").drop_nulls()
            if len(ends) > 1 and len(both):
                named = [_named(varied, end) for end in (ends[0], ends[-1])]
                values = (world, length, FACTORS[factor], _named(held, value), *named)
                keys: dict[str, Any] = dict(zip(_COMPARED, values, strict=True))
                yield keys, "pursuit", (both["pursuit_most"] - both["pursuit"]).to_list()


def _named(column: str, value: float | None) -> str:
    """Return a share or a number of different levels as people write it."""
    if value is None:
        return "all"
    return percent_of(value) if column == "moved" else str(value)


def effects(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what a doubling of each factor does to the odds of each outcome.

    Returns:
        `world`; `length`, or `ANY_LENGTH`; `outcome`, that a seed misgeneralizes or that its
        pursuit is below a half; `factor`, one of `FACTORS` or `BOTH`; `odds_ratio` with `_low` and
        `_high`; `between_cells` and `between_seeds`, deviations on the scale of the logit; `seeds`
        in the fit, and `left_out`, those that are not capable.  A factor that does not vary has no
        row.
    """
    out = []
    for (world,), own in rows.group_by(["world"], maintain_order=True):
        lengths = own["length"].unique(maintain_order=True).to_list()
        parts = [(ANY_LENGTH, own)] if len(lengths) > 1 else []
        parts += [(length, own.filter(length=length)) for length in lengths]
        for length, part in parts:
            out += [{"world": world, "length": length} | row for row in _effects(part)]
    return pl.DataFrame(out, _EFFECTS)


_EFFECTS: dict[str, Any] = {
    **dict.fromkeys(("world", "length", "outcome", "factor"), pl.String),
    **{f"odds_ratio{end}": pl.Float64 for end in ("", "_low", "_high")},
    **dict.fromkeys(("between_cells", "between_seeds"), pl.Float64),
    **dict.fromkeys(("seeds", "left_out"), pl.Int64),
}


def _effects(every: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the effects on each outcome in the seeds of one world, and of a length or of all."""
    own = every.filter(
        ~pl.col("verdict").is_in([INCAPABLE, AIMLESS]),
        pl.col("pursuit").is_not_null(),
        pl.col("distinct_levels") > 0,
    )
    varied = [name for name in FACTORS if own[name].n_unique() > 1]
    if len(own) < 2 or not varied:
        return
    logs = np.log2(own.select(varied).to_numpy().astype(np.float64))
    logs -= logs.mean(axis=0)
    names = [FACTORS[name] for name in varied]
    if varied == ["moved", "distinct_levels"]:
        logs, names = np.column_stack([logs, logs.prod(axis=1)]), [*names, BOTH]
    x = np.column_stack([np.ones(len(own)), logs])
    cells = own.select(pl.struct([c for c in CELL if c != "world"]).rank("dense")).to_series()
    for outcome, meets in OUTCOMES.items():
        found = fit(x, own.select(meets).to_series(), (cells, own["train_seed"]))
        for number, name in enumerate(names, 1):
            ends = [(found.estimate, ""), (found.low, "_low"), (found.high, "_high")]
            yield {
                "outcome": outcome,
                "factor": name,
                **{f"odds_ratio{end}": float(f"{math.exp(v[number]):.4g}") for v, end in ends},
                "between_cells": round(float(found.deviations[0]), 3),
                "between_seeds": round(float(found.deviations[1]), 3),
                "seeds": len(own),
                "left_out": len(every) - len(own),
            }


def kinds(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of each cell whether its seeds' pursuit has one mode (Silverman's test).

    Returns:
        `CELL`, `seeds`; `one_kind_p`, null for few seeds, and `one_kind_p_holm`, for all cells at
        once; `low`, `between` and `high`: how many have a pursuit below 0.3, between, and above
        0.7.
    """
    out: list[dict[str, Any]] = []
    for values, own in rows.sort(CELL).group_by(CELL, maintain_order=True):
        pursuit = own["pursuit"].drop_nulls().to_numpy()
        keys = dict(zip(CELL, values, strict=True))
        p = one_kind_p(pursuit, labelled_generator(str(keys)))
        low, high = int((pursuit < 0.3).sum()), int((pursuit > 0.7).sum())
        out.append(
            keys
            | {"seeds": len(pursuit), "one_kind_p": p, "one_kind_p_holm": p}
            | {"low": low, "between": len(pursuit) - low - high, "high": high}
        )
    table = pl.DataFrame(out, infer_schema_length=None)
    at_once = pl.Series("one_kind_p_holm", holm(table["one_kind_p"].to_numpy()))
    return table.with_columns(at_once).with_columns(
        pl.col("one_kind_p", "one_kind_p_holm").fill_nan(None).round(5)
    )


def _frequency_told(changes: pl.DataFrame, rows: pl.DataFrame) -> str:
    """Return what frequency does by the number of different levels, the longest training first."""
    told = []
    for (world, length), changed in _told_by_training(changes, "moved", "with {} different"):
        pursuits = rows.filter(world=world, length=length)["pursuit"].drop_nulls()
        cured = int((pursuits > PURSUES).sum())
        told.append(
            f"{changed}; {cured} of {plural(len(pursuits), 'seed')} have one above {PURSUES}."
        )
    return " ".join(reversed(told)) or "Too little varies yet."


def _variety_told(changes: pl.DataFrame) -> list[str]:
    """Return a line a training: what the number of different conflict levels does."""
    told = _told_by_training(changes, "distinct_levels", "at {}")
    return [f"{changed}." for _, changed in told]


def _told_by_training(
    changes: pl.DataFrame, factor: str, held: str
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield of each world and length by how much pursuit changes with one factor."""
    own = changes.filter(factor=FACTORS[factor])
    for (world, length), lines in own.group_by(["world", "length"], maintain_order=True):
        rows = lines.to_dicts()
        changed = listed([f"{changed_by(row)} {held.format(row['held'])}" for row in rows])
        raised = f"raising the {FACTORS[factor]} from {rows[0]['least']} to {rows[0]['most']}"
        yield (
            (world, length),
            f"In {spelled(world)}, {length} training, {raised} changes pursuit by {changed}",
        )


def _odds_told(table: pl.DataFrame) -> Iterator[str]:
    """Yield a line a fit."""
    by = ["world", "length", "outcome"]
    for (world, length, outcome), own in table.group_by(by, maintain_order=True):
        rows = own.to_dicts()
        parts = [f"{row['factor']} {_odds(row)}{_whether(row)}" for row in rows]
        where = "all lengths" if length == ANY_LENGTH else f"{length} training"
        yield (
            f"In {spelled(world)}, {where}, odds that a seed {outcome}, by how much a "
            f"doubling multiplies them, the others held: {listed(parts)}; "
            f"{plural(rows[0]['seeds'], 'seed')}, {rows[0]['left_out']} left out as not capable."
        )


def _odds(row: dict[str, float]) -> str:
    """Return an odds ratio with its interval, cut off where its digits say nothing."""
    value, low, high = (
        "under 0.01" if end < 0.01 else "over 100" if end > 100 else f"{end:.2f}"
        for end in (row["odds_ratio"], row["odds_ratio_low"], row["odds_ratio_high"])
    )
    return f"{value} [{low}, {high}]"


def _kinds_told(table: pl.DataFrame, seeds: int) -> str:
    tested = table.filter(pl.col("one_kind_p").is_not_null())
    apart = int((tested["one_kind_p"] < _TOLD).sum())
    at_once = int((tested["one_kind_p_holm"] < _TOLD).sum())
    return (
        f"One mode of pursuit is rejected at 5% in {apart} of {plural(len(tested), 'cell')} "
        f"(by chance: {_TOLD * len(tested):.1f}), in {at_once} if all are judged at once, and "
        f"{int(table['between'].sum())} of {plural(seeds, 'seed')} lie between 0.3 and 0.7."
    )


def _whether(row: dict[str, float]) -> str:
    if row["odds_ratio_low"] > 1 or row["odds_ratio_high"] < 1:
        return ""
    return " (no effect is shown)"


def draw(seeds: pl.DataFrame, found: Found) -> Figure:
    """Return a column a world and length: seeds that misgeneralize, and mean pursuit, as maps."""
    table = found.tables["cells"]
    by_length = seeds.group_by("world", "length").agg(pl.col("decisions").min())
    panels = by_length.sort("world", "decisions").select("world", "length").rows()
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(4.6 * len(panels) + 0.8, 6.6), layout="constrained")
        grid = figure.subplots(2, len(panels), squeeze=False, sharex="col", sharey=True)
        for axes, metric, label in zip(
            grid,
            ("share_misgeneralizing", "pursuit"),
            ("seeds that misgeneralize", "mean goal pursuit"),
            strict=True,
        ):
            pictures = [
                _draw_map(ax, table.filter(world=world, length=length), metric)
                for ax, (world, length) in zip(axes, panels, strict=True)
            ]
            figure.colorbar(pictures[0], ax=axes.tolist(), label=label)
        for ax, (world, length) in zip(grid[0], panels, strict=True):
            ax.set_title(f"{spelled(world)}, {length} training", fontsize=10.5, color=INK)
        figure.supxlabel("share of conflict levels in training", color=INK)
        figure.supylabel("different conflict levels", color=INK)
    return figure


def _draw_map(ax: Any, own: pl.DataFrame, metric: str) -> Any:
    moved = sorted(own["moved"].unique().to_list())
    known = own["distinct"].fill_null(0)
    levels = [*sorted({n for n in known if n}), *([0] if 0 in known.to_list() else [])]
    values = np.full((len(levels), len(moved)), np.nan)
    counts = metric == "share_misgeneralizing"
    for row in own.to_dicts():
        place = levels.index(row["distinct"] or 0), moved.index(row["moved"])
        value = row[metric]
        values[place] = np.nan if value is None else value
        told = UNKNOWN if value is None else f"{value:.2f}"
        told = f"{row['misgeneralizes']}/{row['seeds']}" if counts else told
        dark = (values[place] > 0.5) == counts
        ax.text(place[1], place[0], told, ha="center", va="center", fontsize=8.5,
                color="white" if dark else INK)  # fmt: skip
    ax.set_xticks(range(len(moved)), [percent_of(one) for one in moved])
    ax.set_yticks(range(len(levels)), [str(n) if n else "all" for n in levels])
    colours = "cividis_r" if counts else "cividis"
    return ax.imshow(values, vmin=0, vmax=1, cmap=colours, origin="lower", aspect="auto")
