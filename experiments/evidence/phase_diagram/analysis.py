"""What the seeds say: a hierarchical logistic fit, and whether seeds are of two kinds.

Public names: `analyse`, `draw`, `effects`, `kinds`.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ...evaluation.statistics import labelled_generator
from ...evaluation.verdict import AIMLESS, INCAPABLE, MISGENERALIZES
from ...reporting.figures import FONT, INK
from ...reporting.formatting import listed, plural
from ..mixed_logistic import fit
from ..points import points, with_moved
from ..question import Found
from ..telling import spelled
from ..two_kinds import one_kind_p

CELL = ("world", "length", "moved", "distinct")
FACTORS = {
    "moved": "frequency of conflict levels",
    "distinct_levels": "number of different conflict levels",
    "decisions": "length of training",
}
"""What the fit is over, each as its logarithm to base 2: an effect is that of a doubling."""
_TOLD = 0.05
_SHOWN = (*CELL, "seeds", "misgeneralizes", "aligned", "incapable", "share_misgeneralizing",
          "pursuit", "two_groups")  # fmt: skip


def analyse(seeds: pl.DataFrame) -> Found:
    """Return the cells, the effects of doublings, the kinds of seeds, and what they come to."""
    rows = with_moved(seeds).with_columns(_distinct())
    table = points(rows, CELL, ("pursuit", "divergence", "capability_aligned"))
    found = {"cells": table, "effects": effects(rows), "kinds": kinds(rows)}
    return Found(
        found,
        _paragraph(found, rows),
        shown={"effects": tuple(found["effects"].columns), "cells": _SHOWN},
    )


def _distinct() -> pl.Expr:
    """Return how many distinct conflict levels were asked for; null: all that there are."""
    asked = pl.col("distinct_conflicts")
    return pl.when(asked > 0).then(asked).otherwise(None).cast(pl.Int64).alias("distinct")


def effects(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of each world what a doubling of each factor does to the odds of misgeneralizing.

    Returns:
        `world`, `factor`, `odds_ratio` with `_low` and `_high`; `between_cells` and
        `between_seeds`, deviations on the scale of the logit; `seeds` in the fit, and `left_out`,
        those that are not capable.  A factor that does not vary has no row.
    """
    out = []
    for (world,), every in rows.group_by(["world"], maintain_order=True):
        own = every.filter(
            ~pl.col("verdict").is_in([INCAPABLE, AIMLESS]), pl.col("distinct_levels") > 0
        )
        varied = [name for name in FACTORS if own[name].n_unique() > 1]
        if len(own) < 2 or not varied:
            continue
        logs = np.log2(own.select(varied).to_numpy().astype(np.float64))
        x = np.column_stack([np.ones(len(own)), logs - logs.mean(axis=0)])
        cells = own.select(pl.struct([c for c in CELL if c != "world"]).rank("dense")).to_series()
        found = fit(x, own["verdict"] == MISGENERALIZES, (cells, own["train_seed"]))
        for number, name in enumerate(varied, 1):
            ends = [(found.estimate, ""), (found.low, "_low"), (found.high, "_high")]
            out.append(
                {"world": world, "factor": FACTORS[name]}
                | {f"odds_ratio{end}": round(math.exp(v[number]), 4) for v, end in ends}
                | {
                    "between_cells": round(float(found.deviations[0]), 3),
                    "between_seeds": round(float(found.deviations[1]), 3),
                    "seeds": len(own),
                    "left_out": len(every) - len(own),
                }
            )
    return pl.DataFrame(out, _EFFECTS)


_EFFECTS: dict[str, Any] = {
    "world": pl.String,
    "factor": pl.String,
    **{f"odds_ratio{end}": pl.Float64 for end in ("", "_low", "_high")},
    **dict.fromkeys(("between_cells", "between_seeds"), pl.Float64),
    **dict.fromkeys(("seeds", "left_out"), pl.Int64),
}


def kinds(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of each cell whether its seeds' pursuit has one mode (Silverman's test).

    Returns:
        `CELL`, `seeds`; `one_kind_p`, null for few seeds; `low`, `between` and `high`: how many
        have a pursuit below 0.3, between, and above 0.7.
    """
    out = []
    for values, own in rows.sort(CELL).group_by(CELL, maintain_order=True):
        pursuit = own["pursuit"].drop_nulls().to_numpy()
        keys = dict(zip(CELL, values, strict=True))
        p = one_kind_p(pursuit, labelled_generator(str(keys)))
        low, high = int((pursuit < 0.3).sum()), int((pursuit > 0.7).sum())
        out.append(
            keys
            | {"seeds": len(pursuit), "one_kind_p": None if math.isnan(p) else round(p, 3)}
            | {"low": low, "between": len(pursuit) - low - high, "high": high}
        )
    return pl.DataFrame(out, infer_schema_length=None)


def _paragraph(found: dict[str, pl.DataFrame], rows: pl.DataFrame) -> str:
    told = []
    for (world,), own in found["effects"].group_by(["world"], maintain_order=True):
        parts = [
            f"doubling the {row['factor']} multiplies the odds that a seed misgeneralizes by "
            f"{row['odds_ratio']:.2f} [{row['odds_ratio_low']:.2f}, {row['odds_ratio_high']:.2f}]"
            f"{_whether(row)}"
            for row in own.to_dicts()
        ]
        first = own.to_dicts()[0]
        told.append(
            f"In {spelled(world)} ({plural(first['seeds'], 'seed')}, {first['left_out']} left out "
            f"as not capable), the others held, {listed(parts)}."
        )
    if not told:
        told.append("Too little is done, or too little varies, for a fit.")
    tested = found["kinds"].filter(pl.col("one_kind_p").is_not_null())
    apart = tested.filter(pl.col("one_kind_p") < _TOLD)
    told.append(
        f"One mode of pursuit is rejected at 5% in {len(apart)} of {plural(len(tested), 'cell')} "
        f"(by chance: {_TOLD * len(tested):.1f}), and {int(found['kinds']['between'].sum())} of "
        f"{plural(len(rows), 'seed')} lie between 0.3 and 0.7."
    )
    return " ".join(told)


def _whether(row: dict[str, float]) -> str:
    if row["odds_ratio_low"] > 1 or row["odds_ratio_high"] < 1:
        return ""
    return " (no effect is shown)"


def draw(seeds: pl.DataFrame, found: Found) -> Figure:
    """Return a panel a world and length: the share of seeds that misgeneralize, as a map."""
    table = found.tables["cells"]
    by_length = seeds.group_by("world", "length").agg(pl.col("decisions").min())
    panels = by_length.sort("world", "decisions").select("world", "length").rows()
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(4.6 * len(panels) + 0.8, 3.9), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False).ravel()
        pictures = []
        for ax, (world, length) in zip(axes, panels, strict=True):
            own = table.filter(pl.col("world") == world, pl.col("length") == length)
            pictures.append(_draw_map(ax, own))
            ax.set_title(f"{spelled(world)}, {length} training", fontsize=10.5, color=INK)
        figure.supxlabel("share of conflict levels in training", color=INK)
        axes[0].set_ylabel("different conflict levels", color=INK)
        figure.colorbar(pictures[0], ax=axes.tolist(), label="seeds that misgeneralize")
    return figure


def _draw_map(ax: Any, own: pl.DataFrame) -> Any:
    moved = sorted(own["moved"].unique().to_list())
    known = own["distinct"].fill_null(0)
    levels = [*sorted({n for n in known if n}), *([0] if 0 in known.to_list() else [])]
    shares = np.full((len(levels), len(moved)), np.nan)
    for row in own.to_dicts():
        place = levels.index(row["distinct"] or 0), moved.index(row["moved"])
        shares[place] = row["share_misgeneralizing"]
        told = f"{row['misgeneralizes']}/{row['seeds']}"
        dark = row["share_misgeneralizing"] > 0.5
        ax.text(place[1], place[0], told, ha="center", va="center", fontsize=8.5,
                color="white" if dark else INK)  # fmt: skip
    ax.set_xticks(range(len(moved)), [f"{100 * one:.3g}%" for one in moved])
    ax.set_yticks(range(len(levels)), [str(n) if n else "all" for n in levels])
    return ax.imshow(shares, vmin=0, vmax=1, cmap="cividis_r", origin="lower", aspect="auto")
