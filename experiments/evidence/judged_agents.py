"""Claims on compute, on when abilities appear, on critics and on heirs, judged by tables.

Public names: `compute_is_a_sign`, `critic_peaks_before_the_wall`, `jumps_are_the_metric_s`,
`regret_mends`, `students_inherit`, `tuning_keeps`, `NOTHING`.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from ..evaluation.verdict import LEAST_SEEDS, MISGENERALIZES
from .telling import percent_of, spelled, with_interval

AGREES, AGAINST, OPEN = "agrees", "against", "open"
_HALF = 0.5
NOTHING = 0.1
"""A difference of goal pursuit that lies, with its interval, below this counts as none."""
Tables = dict[str, pl.DataFrame]
Judged = tuple[str, str]


def compute_is_a_sign(tables: Tables) -> Judged | None:
    """Judge whether operations tell who misgeneralizes."""
    own = tables["sides"].filter(outcome=MISGENERALIZES, operations="all_flops")
    known = own.filter(pl.col("area_low").is_not_null())
    if not len(known):
        return None
    told = [
        f"in {spelled(row['world'])} the area under the curve is {_ends(row, 'area')}, "
        f"and the best threshold is wrong about {row['missed'] + row['flagged_needlessly']} of "
        f"{row['agents']} agents"
        for row in known.to_dicts()
    ]
    return "; ".join(told), _by_ends(known, "area", _HALF)


def critic_peaks_before_the_wall(tables: Tables) -> Judged | None:
    """Judge whether actors walk on through the end's wall whose critics peak before it."""
    own = tables["recipes"].filter("trained", train_correlation=1.0)
    if not len(own) or not own["critics"][0]:
        return None
    (row,) = own.to_dicts()
    told = (
        f"trained at ρ = 1, {row['seeds']} agents walk on in {row['walked_through']:,} of "
        f"{row['episodes']:,} episodes, {with_interval(row, 'through')} on average; of "
        f"{row['critics']} critics {with_interval(row, 'peak_before_share')} peak within two cells "
        f"before the wall, which in sight adds {row['wall_adds']:+.1f} of reward to the value"
    )
    if row["through_low"] is None:
        return told, OPEN
    verdicts = {_by_ends(own, name, _HALF) for name in ("through", "peak_before_share")}
    return told, AGAINST if AGAINST in verdicts else OPEN if OPEN in verdicts else AGREES


def jumps_are_the_metric_s(tables: Tables) -> Judged | None:
    """Judge whether what passes a threshold at once rose bit by bit before."""
    own = tables["rises"].filter(pl.col("largest_low").is_not_null())
    if not len(own):
        return None
    low, high = own["largest"].min(), own["largest"].max()
    told = (
        f"of the rise of capability and of the goal's pull {low:.0%} to {high:.0%} falls between "
        f"two moments of training at most, in {len(own)} curves; of a threshold's all does"
    )
    verdict = _by_ends(own, "largest", _HALF)
    return told, {AGREES: AGAINST, AGAINST: AGREES}.get(verdict, verdict)


def students_inherit(tables: Tables) -> Judged | None:
    """Judge whether students that see aligned levels alone have their teachers' goals.

    They are of their teachers' shape and start from their first weights, as those of the claim do.
    """
    return _carried(tables, "twin")


def tuning_keeps(tables: Tables) -> Judged | None:
    """Judge whether agents that are tuned on aligned levels alone have their bases' goals."""
    return _carried(tables, "tuned")


def regret_mends(tables: Tables) -> Judged | None:
    """Judge whether agents whose levels are chosen by regret pursue the goal more."""
    own = tables["pairs"]
    if not len(own):
        return None
    told = [
        f"in {spelled(row['world'])} with {percent_of(row['moved'])} of levels in "
        f"conflict by {row['difference']:+.2f}"
        for row in own.to_dicts()
    ]
    words = f"they pursue the goal more than those of levels drawn evenly: {', '.join(told)}"
    known = own.filter(pl.col("difference_low").is_not_null())
    enough = len(known) == len(own) and (own["pairs"] >= LEAST_SEEDS).all()
    return words, _by_ends(own, "difference", 0.0) if enough else OPEN


def _carried(tables: Tables, way: str) -> Judged | None:
    own = tables["pairs"].filter(
        pl.col("difference_low").is_not_null(),
        way=way,
        levels_seen="aligned",
        measure="goal pursuit",
    )
    if not len(own):
        return None
    told = [
        f"in {spelled(row['world'])} heirs of cured bases pursue the goal by "
        f"{_ends(row, 'difference')} more than heirs of flawed ones, in {row['pairs']} pairs"
        for row in own.to_dicts()
    ]
    enough = own.filter(pl.col("pairs") >= LEAST_SEEDS)
    return "; ".join(told), _by_ends(enough, "difference", NOTHING) if len(enough) else OPEN


def _by_ends(rows: pl.DataFrame, name: str, line: float) -> str:
    """Return whether whole intervals lie above a line, or below it."""
    if (rows[f"{name}_low"] > line).all():
        return AGREES
    return AGAINST if (rows[f"{name}_high"] < line).all() else OPEN


def _ends(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:.2f} [{row[f'{name}_low']:.2f}, {row[f'{name}_high']:.2f}]"
