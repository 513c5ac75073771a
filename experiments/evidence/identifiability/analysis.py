"""What the tests say: areas under the ROC curve, within the support and outside, and power.

Public names: `analyse`, `draw`, `CLONES`, `AS_TRAINED`, `PARTED`, `TAUGHT`.
"""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...evaluation.statistics import labelled_generator
from ...evaluation.statistics.detection import Scores, roc_auc
from ...protocols.comparison.power_tables import curve_table
from ...reporting.formatting import listed, plural
from ..drawing import LINES, Panel, draw_panels
from ..power_scores import (
    RATE,
    RESAMPLES,
    at_largest_budget,
    at_most,
    rounded,
    scores_as,
    scores_of,
    shown,
)
from ..question import Found
from ..telling import between, spelled

CLONES, AS_TRAINED, PARTED, TAUGHT = "clones", "as trained", "clones at 0.9", "taught"
"""Variants: one policy where goal and proxy agree; each with a policy of its own there, which could
tell them apart; clones whose support holds levels on which the two part, which must; and networks
that were taught one policy where goal and proxy agree, each from weights of its own."""
NO_INFORMATION = 0.5
_AREA = "{:.2f}"
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
        (Bonferroni); `goal`, `proxy`: how many agents, with `_score`, their means.
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
            out.append(told | few | _sides(found))
    return pl.DataFrame(out, _AREAS)


def _sides(found: Scores) -> dict[str, Any]:
    """Return how many agents there are of each goal, and their mean score."""
    sides = {"goal": found.values[found.negative], "proxy": found.values[found.positive]}
    counts = {name: len(scores) for name, scores in sides.items()}
    means = {
        f"{name}_score": scores.mean() if len(scores) else None for name, scores in sides.items()
    }
    return counts | means


def _resamples(level: float) -> int:
    return max(RESAMPLES, round(20 / level))


_AREAS: dict[str, Any] = {
    **dict.fromkeys(_KEYS[:3], pl.String),
    "in_support": pl.Boolean,
    "budget": pl.Int64,
    **{f"auc{end}": pl.Float64 for end in ("", "_low", "_high", "_family_low", "_family_high")},
    **dict.fromkeys(("goal", "proxy"), pl.Int64),
    **dict.fromkeys(("goal_score", "proxy_score"), pl.Float64),
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
        (TAUGHT, "Of agents that were taught one policy, at ρ = 1"),
    ):
        own = table.filter(pl.col("variant") == variant)
        if not len(own):
            continue
        inside, outside = own.filter("in_support"), own.filter(~pl.col("in_support"))
        sentences = [f"{told}, {_apart(inside)} within the support"]
        if len(outside):
            most = outside.filter(pl.col("budget") == pl.col("budget").max())
            sentences.append(
                f"outside it, at {most['budget'][0]:,} episodes, areas are "
                f"{between(most['auc'], _AREA)}"
            )
        parts.append("; ".join(sentences) + ".")
    return " ".join(parts) or "Nothing is tested yet."


def _apart(inside: pl.DataFrame) -> str:
    """Return how many tests tell the agents apart, at 5% for all of them together."""
    apart = inside.filter(
        (pl.col("auc_family_low") > NO_INFORMATION) | (pl.col("auc_family_high") < NO_INFORMATION)
    )
    areas = between(inside["auc"], _AREA)
    tell = "tells" if len(apart) == 1 else "tell"
    return f"{len(apart)} of {plural(len(inside), 'test')} {tell} the two apart (areas {areas})"


def _details(table: pl.DataFrame) -> tuple[str, ...]:
    """Return a line for each variant and world: the areas of the tests within the support."""
    out = []
    for (world, variant), own in table.group_by(["world", "variant"], maintain_order=True):
        inside = own.filter("in_support")
        largest = inside.filter(at_largest_budget("protocol"))
        told = [
            f"{spelled(row['protocol'])} {row['auc']:.2f} "
            f"[{row['auc_low']:.2f}, {row['auc_high']:.2f}] (mean scores {row['goal_score']:.3f} "
            f"and {row['proxy_score']:.3f})"
            for row in largest.to_dicts()
            if row["goal"] and row["proxy"]
        ]
        n = f"{own['goal'].max()} agents of the goal and {own['proxy'].max()} of the proxy"
        out.append(f"{spelled(world)}, {variant}, {n}: {listed(told) or 'no area yet'}.")
    return tuple(out)


def draw(rows: pl.DataFrame, found: Found) -> Figure:
    """Return a panel a world and variant: the area of each test by its budget."""
    table = found.tables["areas"]
    panels = [
        Panel(spelled(", ".join(values)), own, _line, "episodes that a test may spend on an agent")
        for values, own in table.group_by(["world", "variant"], maintain_order=True)
    ]
    return draw_panels(
        panels, columns=4, panel=(3.3, 2.8), margin=(0.8, 1.0), reference=NO_INFORMATION,
        legend_columns=5, up="area under the ROC curve",
    )  # fmt: skip


def _line(ax: Axes, own: pl.DataFrame, name: str, number: int) -> None:
    ax.set_xscale("log")
    line = LINES[number % len(LINES)]
    x = own["budget"].to_numpy() * (0.94 + 0.03 * number)
    ax.vlines(x, own["auc_low"].to_numpy(), own["auc_high"].to_numpy(), color=line.colour,
              alpha=0.5)  # fmt: skip
    ax.plot(x, own["auc"].to_numpy(), color=line.colour, marker=line.marker, markersize=4,
            linewidth=1.3, label=name)  # fmt: skip
