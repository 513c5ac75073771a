"""The tables that the lab works on: episodes of agents that come with misgen, and many verdicts.

Public names: `episodes`, `agents`, `verdicts`, `WHERE`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from misgen.agents import zoo

from ..evaluation.conditions import IN_DISTRIBUTION
from ..evaluation.evaluate_agent import stored_evaluation

if TYPE_CHECKING:
    import polars as pl

WHERE = "off_path(2)"
"""Where the coin is on the lab's conflict levels: two cells off the way to the end, or more."""
_VERDICTS = Path(__file__).parent / "ten_seeds.json"
_COLUMNS = (
    "role",
    "condition",
    "train_correlation",
    "train_seed",
    "level_id",
    "outcome",
    "reached_goal",
    "reached_proxy",
    "first",
    "cell_first",
    "touched_conflict_cell",
    "steps",
    "return",
)


def episodes(agent: str, where: str = WHERE) -> pl.DataFrame:
    """Return the stored episodes of an agent, a row each.

    Args:
        agent: `zoo:<name>`, or the folder of a run that was evaluated.
        where: where the goal is on the conflict levels.

    Raises:
        UserError: if there is no such agent, or no such levels.
    """
    import polars as pl

    from misgen.envs.core.errors import one_of

    played = stored_evaluation(agent).episodes
    moved = played.filter(pl.col("condition") != IN_DISTRIBUTION)
    one_of("where", where, sorted(moved["placement"].unique().to_list()))
    wanted = (pl.col("condition") == IN_DISTRIBUTION) | (pl.col("placement") == where)
    text = pl.col("outcome", "first").cast(pl.String)
    return played.filter(wanted).with_columns(text).select(_COLUMNS)


def agents(world: str = "coinrun") -> list[str]:
    """Return the agents of a world that were trained at some ρ, and come with misgen."""
    return [f"{zoo.PREFIX}{name}" for name in zoo.names() if name.startswith(f"{world}-rho")]


@cache
def _stored_verdicts() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(json.loads(_VERDICTS.read_text(encoding="utf-8")))


def verdicts(where: str = WHERE) -> pl.DataFrame:
    """Return the verdict on each of 40 agents, ten training seeds at each of four ρ.

    Args:
        where: where the coin is on the conflict levels.

    Raises:
        UserError: if they were not tested so.
    """
    from misgen.envs.core.errors import one_of

    known = _stored_verdicts()
    one_of("where", where, sorted(known["placement"].unique().to_list()))
    return known.filter(placement=where)
