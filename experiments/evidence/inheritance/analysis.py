"""What the heirs say: what they kept of their base's goal, and what a test like training shows.

Public names: `analyse`, `draw`.

A heir of a flawed base and one of a cured base, made alike with one training seed, are a pair: they
see the same levels in the same order, and are tested on the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...evaluation.verdict import MISGENERALIZES
from ...reporting.figures import FONT, INK
from ..drawing import LINES, dress
from ..paired import over_pairs, paired
from ..points import plain_interval, points
from ..question import Found
from ..telling import spelled

_BASE = "base"
_HEIR = ["world", "way", "levels_seen"]
_COMPARED = {
    "goal_in_distribution": "goal, tested as trained",
    "goal_conflict": "goal on conflict levels",
    "pursuit": "goal pursuit",
}
_MEANS = ("goal_in_distribution", "capability_aligned", "goal_conflict", "pursuit", "divergence")
_SEEN = {"aligned": "on aligned levels alone", "both": "on levels that tell them apart as well"}
_WAYS = {"twin": "distilled into a network that starts as the teacher's did,"}
_SHOWN = ("measure", "flawed", "cured", "pairs", "difference", "higher", "p", "differ")
_NEGLIGIBLE = 0.05
"""A difference in distribution is none to a test if it is smaller, with its interval."""


def analyse(rows: pl.DataFrame) -> Found:
    """Return what bases and heirs do, pairs of heirs, what was kept, and what it comes to."""
    heirs = points(rows, ["world", "base", "way", "levels_seen"], _MEANS)
    found = (one for keys, own in _ways(rows) for one in _pairs(keys, own))
    pairs = paired(found, (*_HEIR, "measure", "flawed", "cured"))
    kept = pl.DataFrame(list(_kept(rows)), infer_schema_length=None)
    return Found(
        {"heirs": heirs, "pairs": pairs, "kept": kept},
        _paragraph(heirs, pairs),
        tuple(_details(heirs, pairs)),
        shown={
            "pairs": (*_HEIR, *_SHOWN),
            "heirs": ("world", "base", "way", "levels_seen", "seeds", "misgeneralizes", "aligned",
                      "incapable", "undetermined", *_MEANS),
            "kept": (*_HEIR, "base", "heirs", "pursuit_base", "pursuit_heir", "change"),
        },
    )  # fmt: skip


def _ways(rows: pl.DataFrame) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Yield the heirs that were made alike."""
    made = rows.filter(pl.col("way") != _BASE)
    for values, own in made.group_by(_HEIR, maintain_order=True):
        yield dict(zip(_HEIR, values, strict=True)), own


def _pairs(
    keys: dict[str, Any], own: pl.DataFrame
) -> Iterator[tuple[dict[str, Any], str, list[float]]]:
    """Yield of each measure what differs between heirs of a flawed and of a cured base."""
    for measure, called in _COMPARED.items():
        wide = own.pivot("base", index="train_seed", values=measure, maintain_order=True)
        if not {"flawed", "cured"} <= set(wide.columns):
            continue
        both = wide.drop_nulls(["flawed", "cured"])
        means = {base: _mean(both[base]) for base in ("flawed", "cured")}
        yield (
            {**keys, "measure": called, **means},
            measure,
            (both["cured"] - both["flawed"]).to_list(),
        )


def _kept(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield how the heirs' pursuit differs from that of their own bases."""
    bases = rows.filter(pl.col("way") == _BASE)
    of_base = bases.select("world", "base", "train_seed", pursuit_base="pursuit")
    for keys, own in _ways(rows):
        joined = own.join(of_base, on=["world", "base", "train_seed"], maintain_order="left")
        for (base,), some in joined.group_by(["base"], maintain_order=True):
            known = some.drop_nulls(["pursuit", "pursuit_base"])
            if not len(known):
                continue
            change = (known["pursuit"] - known["pursuit_base"]).to_list()
            yield {
                **keys,
                "base": base,
                "heirs": len(known),
                "pursuit_base": _mean(known["pursuit_base"]),
                "pursuit_heir": _mean(known["pursuit"]),
                **plain_interval("change", over_pairs(change, "pursuit")),
            }


def _mean(values: pl.Series) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None  # pyright: ignore


def _paragraph(heirs: pl.DataFrame, pairs: pl.DataFrame) -> str:
    """Return who misgeneralizes, over all worlds, a sentence a way of making heirs."""
    told = []
    for values, _ in pairs.group_by(_HEIR[1:], maintain_order=True):
        keys = dict(zip(_HEIR[1:], values, strict=True))
        counts = " and ".join(_counted(heirs, keys, base) for base in ("flawed", "cured"))
        told.append(f"{_made(keys)}, {counts}.")
    return " ".join(told) or "No pair of heirs is there yet."


def _made(keys: dict[str, Any]) -> str:
    way = _WAYS.get(str(keys["way"]), str(keys["way"]))
    return f"{way.capitalize()} {_SEEN.get(str(keys['levels_seen']), '')}"


def _details(heirs: pl.DataFrame, pairs: pl.DataFrame) -> Iterator[str]:
    """Yield what carries over, a sentence a world and way of making heirs."""
    for values, own in pairs.group_by(_HEIR, maintain_order=True):
        keys = dict(zip(_HEIR, values, strict=True))
        rows = {row["measure"]: row for row in own.to_dicts()}
        pursuit = rows[_COMPARED["pursuit"]]
        seen = rows[_COMPARED["goal_in_distribution"]]
        counts = " and ".join(_counted(heirs, keys, base) for base in ("flawed", "cured"))
        yield (
            f"{_made(keys)} in {spelled(keys['world'])}: {counts}; heirs of cured "
            f"bases pursue the goal by {_difference(pursuit)} more ({pursuit['higher']} of "
            f"{pursuit['pairs']} pairs, {'shown' if pursuit['differ'] else 'not shown'} to "
            f"differ), and a test like their training {_shows(seen)} ({_difference(seen)})."
        )


def _counted(heirs: pl.DataFrame, keys: dict[str, Any], base: str) -> str:
    """Return how many heirs of a kind of base misgeneralize."""
    own = heirs.filter(pl.col("base") == base, *[pl.col(k) == v for k, v in keys.items()])
    bad, seeds = (int(own[name].sum()) for name in (MISGENERALIZES, "seeds"))
    return f"{bad} of {seeds} heirs of {base} bases misgeneralize"


def _difference(row: dict[str, Any]) -> str:
    value, low, high = (row[f"difference{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return "an unknown amount"
    return f"{value:+.2f}" + ("" if low is None else f" [{low:+.2f}, {high:+.2f}]")


def _shows(row: dict[str, Any]) -> str:
    """Return whether a test in distribution tells the heirs apart."""
    low, high = row["difference_low"], row["difference_high"]
    if low is not None and max(-low, high) < _NEGLIGIBLE:
        return "does not tell them apart"
    if low is not None and (low > 0 or high < 0):
        return "tells them apart"
    return "does not decide whether it tells them apart"


def draw(rows: pl.DataFrame, found: Found) -> Figure:
    """Return a row a world: what a test like training shows, and goal pursuit, pair by pair."""
    worlds = rows["world"].unique(maintain_order=True).to_list()
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(11.6, 3.6 * len(worlds) + 0.7), layout="constrained")
        grid = figure.subplots(len(worlds), 2, squeeze=False)
        for world, axes in zip(worlds, grid, strict=True):
            own = rows.filter(pl.col("world") == world)
            for ax, metric in zip(axes, ("goal_in_distribution", "pursuit"), strict=True):
                _draw_pairs(ax, own, metric)
                dress(ax, f"{_COMPARED[metric]}\n{spelled(world)}")
            axes[0].set_ylim(-0.03, 1.03)
            axes[1].set_ylim(-0.3, 1.3)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", frameon=False, ncols=2,
                      fontsize=9.5, labelcolor=INK)  # fmt: skip
    return figure


def _draw_pairs(ax: Axes, rows: pl.DataFrame, metric: str) -> None:
    """Draw bases and heirs as pairs of dots, a column a way of making them."""
    columns = rows.select("way", "levels_seen").unique(maintain_order=True).rows()
    for place, (way, levels) in enumerate(columns):
        own = rows.filter(pl.col("way") == way, pl.col("levels_seen") == levels)
        wide = own.pivot("base", index="train_seed", values=metric, maintain_order=True)
        sides = [(shift, base) for shift, base in ((-0.18, "flawed"), (0.18, "cured"))
                 if base in wide.columns]  # fmt: skip
        for row in wide.to_dicts():
            known = [(place + shift, row[base]) for shift, base in sides if row[base] is not None]
            ax.plot(*zip(*known, strict=True), color="#999999", linewidth=0.6, alpha=0.6)
        for number, (shift, base) in enumerate(sides):
            known = wide[base].drop_nulls().to_numpy()
            line = LINES[number]
            ax.scatter([place + shift] * len(known), known, s=16, color=line.colour, alpha=0.7,
                       linewidths=0, marker=line.marker,
                       label=None if place else f"of {base} bases")  # fmt: skip
            if len(known):
                ax.hlines(known.mean(), place + shift - 0.1, place + shift + 0.1, color=line.colour)
    names = [way if levels == "-" else f"{way}\n{levels}" for way, levels in columns]
    ax.set_xticks(range(len(columns)), names, fontsize=9)
