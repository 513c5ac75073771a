"""What the tests say: areas under the ROC curve, within the support and outside, and power.

Public names: `analyse`, `draw`, `CLONES`, `AS_TRAINED`, `PARTED`.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import polars as pl
from matplotlib.figure import Figure

from ...evaluation.statistics import labelled_generator
from ...evaluation.statistics.detection import roc_auc
from ...protocols.comparison.power_tables import curve_table
from ...reporting.figures import FONT, INK
from ...reporting.formatting import listed, plural
from ..drawing import LINES
from ..power_scores import RATE, RESAMPLES, at_most, rounded, scores_as, scores_of, shown
from ..question import Found

CLONES, AS_TRAINED, PARTED = "clones", "as trained", "clones at 0.9"
"""Variants: one policy where goal and proxy agree; each with a policy of its own there, which could
tell them apart; and clones whose support holds levels on which the two part, which must."""
NO_INFORMATION = 0.5
_KEYS = ("world", "variant", "protocol", "in_support", "budget")


def analyse(rows: pl.DataFrame) -> Found:
    """Return the areas, the curves, and what they come to."""
    table = rounded(areas(rows))
    tables = {"areas": table, "curves": rounded(_curves(rows))}
    return Found(tables, _paragraph(table), _details(table), {"areas": shown(table)})


def areas(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of each test the area under the ROC curve, of all the proxy against none of it.

    Returns:
        `_KEYS`; `auc` with its 95% interval over agents, and `auc_family_low` and `_high`, the
        interval that holds at 95% for all tests within the support of a variant at once
        (Bonferroni); `goal`, `proxy`: how many agents.
    """
    ends = rows.filter(pl.col("proxy_share").is_in([0.0, 1.0]), "ran")
    out = []
    for (world, variant), own in ends.group_by(["world", "variant"], maintain_order=True):
        scores = scores_of(own)
        within = scores.filter("in_support").select("protocol", "budget").n_unique()
        keys = ["protocol", "in_support", "budget"]
        for values, one in scores.sort(keys).group_by(keys, maintain_order=True):
            told = dict(zip(_KEYS, (world, variant, *values), strict=True))
            found, few = scores_as(one), {}
            label = str(list(told.values()))
            for name, level in (("", 0.05), ("_family", 0.05 / max(1, within))):
                area = roc_auc(found, labelled_generator(label), _resamples(level), level=level)
                few |= {f"auc{name}_low": area.low, f"auc{name}_high": area.high}
                few = {"auc": area.estimate} | few
            counts = {"goal": int(found.negative.sum()), "proxy": int(found.positive.sum())}
            out.append(told | few | counts)
    return pl.DataFrame(out, _AREAS)


def _resamples(level: float) -> int:
    return max(RESAMPLES, round(20 / level))


_AREAS: dict[str, Any] = {
    **dict.fromkeys(_KEYS[:3], pl.String),
    "in_support": pl.Boolean,
    "budget": pl.Int64,
    **{f"auc{end}": pl.Float64 for end in ("", "_low", "_high", "_family_low", "_family_high")},
    **dict.fromkeys(("goal", "proxy"), pl.Int64),
}


def _curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the share detected by the share of proxy choices, of each variant and test."""
    named = rows.with_columns(pl.col("variant").alias("population"))
    return curve_table(at_most(scores_of(named)), RATE).drop("protocol_hash")


def _paragraph(table: pl.DataFrame) -> str:
    parts = []
    for variant, told in (
        (CLONES, "Of clones at ρ = 1"),
        (AS_TRAINED, "Of agents as they were trained, at ρ = 1"),
        (PARTED, "Of clones whose support holds conflict levels"),
    ):
        own = table.filter(pl.col("variant") == variant)
        if not len(own):
            continue
        inside, outside = own.filter("in_support"), own.filter(~pl.col("in_support"))
        sentences = [f"{told}, {_apart(inside)} within the support"]
        if len(outside):
            most = outside.filter(pl.col("budget") == pl.col("budget").max())
            sentences.append(
                f"outside it, at {most['budget'][0]:,} episodes, areas are {most['auc'].min():.2f} "
                f"to {most['auc'].max():.2f}"
            )
        parts.append("; ".join(sentences) + ".")
    return " ".join(parts) or "Nothing is tested yet."


def _apart(inside: pl.DataFrame) -> str:
    """Return how many tests tell the agents apart, at 5% for all of them together."""
    apart = inside.filter(
        (pl.col("auc_family_low") > NO_INFORMATION) | (pl.col("auc_family_high") < NO_INFORMATION)
    )
    span = f"areas {inside['auc'].min():.2f} to {inside['auc'].max():.2f}"
    return f"{len(apart)} of {plural(len(inside), 'test')} tell the two apart ({span})"


def _details(table: pl.DataFrame) -> tuple[str, ...]:
    """Return a line for each variant and world: the areas of the tests within the support."""
    out = []
    for (world, variant), own in table.group_by(["world", "variant"], maintain_order=True):
        inside = own.filter("in_support")
        largest = inside.filter(pl.col("budget") == pl.col("budget").max().over("protocol"))
        told = [
            f"{row['protocol']} {row['auc']:.2f} [{row['auc_low']:.2f}, {row['auc_high']:.2f}]"
            for row in largest.to_dicts()
        ]
        n = f"{own['goal'].max()} agents of the goal and {own['proxy'].max()} of the proxy"
        out.append(f"{world}, {variant}, {n}: {listed(told)}.")
    return tuple(out)


def draw(rows: pl.DataFrame, found: Found) -> Figure:
    """Return a panel a world and variant: the area of each test by its budget."""
    table = found.tables["areas"]
    panels = table.select("world", "variant").unique(maintain_order=True).rows()
    names = table["protocol"].unique(maintain_order=True).to_list()
    columns = max(1, min(3, len(panels)))
    height = -(-max(1, len(panels)) // columns)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(3.6 * columns + 0.8, 2.9 * height + 1.0), layout="constrained")
        axes = figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, (world, variant) in zip(axes, panels, strict=False):
            for number, name in enumerate(names):
                own = table.filter(
                    pl.col("world") == world,
                    pl.col("variant") == variant,
                    pl.col("protocol") == name,
                )
                _line(ax, own, name, number)
            ax.axhline(NO_INFORMATION, color="#888", linestyle=":", linewidth=1)
            ax.set_title(f"{world}, {variant}", fontsize=9.5, color=INK)
            ax.set_xscale("log")
            ax.set_ylim(-0.03, 1.03)
            ax.spines[["top", "right"]].set_visible(False)
        for ax in axes[len(panels) :]:
            ax.remove()
        handles = {h.get_label(): h for ax in axes[: len(panels)] for h in ax.get_lines()}
        shown = [name for name in names if name in handles]
        if shown:
            labels = [name.replace("_", " ") for name in shown]
            figure.legend([handles[name] for name in shown], labels, loc="outside upper center",
                          ncols=5, frameon=False)  # fmt: skip
        figure.supxlabel("episodes that the test may spend on an agent", color=INK)
        figure.supylabel("area under the ROC curve", color=INK)
    return figure


def _line(ax: Any, own: pl.DataFrame, name: str, number: int) -> None:
    if not len(own):
        return
    line = LINES[number % len(LINES)]
    x = own["budget"].to_numpy() * (0.94 + 0.03 * number)
    ax.vlines(x, own["auc_low"].to_numpy(), own["auc_high"].to_numpy(), color=line.colour,
              alpha=0.5)  # fmt: skip
    ax.plot(x, own["auc"].to_numpy(), color=line.colour, marker=line.marker, markersize=4,
            linewidth=1.3, label=name)  # fmt: skip
