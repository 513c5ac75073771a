"""What the seeds say: goal pursuit with levels drawn evenly and by regret, seed by seed.

Public names: `analyse`, `draw`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from ...reporting.formatting import listed
from ..by_factor import Axis, draw_lines
from ..paired import paired
from ..points import points, with_moved
from ..question import Found
from ..telling import changed_by, counted, percent_of, spelled

_LINE = "line"
AXIS = Axis("moved", "share of conflict levels", _LINE, "pursuit", "goal pursuit")
BY = ("world", "length", "replay", "moved")
_PAIR = ["world", "length", "moved"]
_SHOWN = (*BY, "seeds", "conflict_share", "misgeneralizes", "aligned", "incapable",
          "share_misgeneralizing", "goal_conflict", "pursuit", "divergence")  # fmt: skip


def analyse(seeds: pl.DataFrame) -> Found:
    """Return the points, the paired differences, and what it comes to."""
    rows = with_moved(seeds)
    drawn = rows.group_by(BY).agg(pl.col("conflict_share").cast(pl.Float64).mean().round(4))
    table = points(rows, BY).join(drawn, on=BY, how="left", maintain_order="left")
    pairs = paired(_differences(rows), _PAIR)
    return Found(
        {"points": table, "pairs": pairs},
        " ".join(_sentences(pairs)) or "No seed is done with both ways of drawing levels yet.",
        (*_changes(pairs), *(f"{_named(row)}: {counted(row)}." for row in table.to_dicts())),
        {"points": _SHOWN, "pairs": tuple(pairs.columns)},
    )


def _differences(rows: pl.DataFrame) -> Iterator[tuple[dict[str, Any], str, list[float]]]:
    """Yield of each setting by how much seeds that replay pursue the goal more."""
    for values, own in rows.sort(_PAIR).group_by(_PAIR, maintain_order=True):
        keys = dict(zip(_PAIR, values, strict=True))
        plain, replayed = (
            own.filter((pl.col("replay") > 0) == replays).select("train_seed", "pursuit")
            for replays in (False, True)
        )
        both = plain.join(replayed, on="train_seed", suffix="_replayed").drop_nulls()
        if len(both):
            yield keys, "pursuit", (both["pursuit_replayed"] - both["pursuit"]).to_list()


def _sentences(pairs: pl.DataFrame) -> Iterator[str]:
    """Yield what replay changes, a sentence a world and length."""
    for (world, length), own in pairs.group_by(["world", "length"], maintain_order=True):
        shares = [percent_of(share) for share in own["moved"]]
        shown = [percent_of(share) for share in own.filter("differ")["moved"]]
        more = [f"{difference:+.2f}" for difference in own["difference"]]
        yield (
            f"In {spelled(world)}, {length} length, with {listed(shares)} of levels in conflict, "
            f"agents whose levels are chosen by regret pursue the goal more by {listed(more)} "
            f"({'shown at ' + listed(shown) if shown else 'not shown to differ'})."
        )


def _changes(pairs: pl.DataFrame) -> Iterator[str]:
    """Yield what replay changes, a line a setting."""
    for row in pairs.to_dicts():
        yield (
            f"{spelled(row['world'])}, {row['length']}, {percent_of(row['moved'])}: by "
            f"{changed_by(row)}, in {row['higher']} of {row['pairs']} pairs more, "
            f"p = {row['p']:.2g}{'' if row['differ'] else ', not shown to differ'}."
        )


def _named(row: dict[str, Any]) -> str:
    return f"{_line(row['world'], row['length'], row['replay'])}, {percent_of(row['moved'])}"


def _line(world: str, length: str, replay: float) -> str:
    how = f"{replay:.0%} by regret" if replay else "levels drawn evenly"
    return f"{spelled(world)}, {length}, {how}"


def draw(seeds: pl.DataFrame, found: Found) -> Figure:
    """Return the shares of seeds and their pursuit, a line a world and way of drawing levels."""
    lines = pl.struct("world", "length", "replay").map_elements(
        lambda one: _line(one["world"], one["length"], one["replay"]), pl.String
    )
    rows, table = with_moved(seeds), found.tables["points"]
    return draw_lines(
        rows.with_columns(lines.alias(_LINE)), table.with_columns(lines.alias(_LINE)), AXIS
    )
