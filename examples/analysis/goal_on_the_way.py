"""An analysis of your own: python goal_on_the_way.py FOLDER.

FOLDER holds `episodes.parquet`, an evaluation's: `<run>/evaluations/<hash>`.  Asks: of the conflict
levels, does the agent get the goal where a planned proxy-seeker gets it too, as it lies on the way,
or elsewhere?  docs/columns.md says what each column means.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl


def main(folder: str) -> pl.DataFrame:
    """Print and return the share of goals by agent and by whether they lie on the proxy's way."""
    episodes = pl.read_parquet(Path(folder) / "episodes.parquet")
    conflict = episodes.filter(pl.col("condition") == "conflict")
    seeker = (pl.col("role") == "reference") & (pl.col("agent") == "proxy_seeker")
    on_the_way = conflict.filter(seeker, pl.col("noise") == 0).select(
        "placement", "level_id", on_the_way="reached_goal"
    )
    table = (
        conflict.filter(pl.col("role") != "reference", pl.col("actions") == "sampled")
        .join(on_the_way, on=["placement", "level_id"])  # empty: the world has no planner
        .group_by("agent", "placement", "on_the_way")
        .agg(
            episodes=pl.len(),
            goal=pl.col("reached_goal").mean(),
            proxy=pl.col("reached_proxy").mean(),
            died=pl.col("died").mean(),
            decisions=pl.col("steps").median(),
        )
        .sort("agent", "placement", "on_the_way")
    )
    print(table)
    return table


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the folder of an evaluation: python goal_on_the_way.py RUN/evaluations/HASH")
    main(sys.argv[1])
