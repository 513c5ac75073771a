"""An analysis of your own: python goal_on_the_way.py FOLDER.

FOLDER holds `episodes.parquet`, an evaluation's: `<run>/evaluations/<hash>`.  Asks: of the shifted
levels, does the agent get the goal where a planned proxy-seeker would touch it anyway, or elsewhere
too?  docs/columns.md says what each column means.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl


def main(folder: str) -> pl.DataFrame:
    """Print and return the share of goals by agent and by whether they lie on the proxy's way."""
    episodes = pl.read_parquet(Path(folder) / "episodes.parquet")
    shifted = episodes.filter(
        pl.col("condition") == "shifted",
        pl.col("actions") == "sampled",
        pl.col("planned_accident").is_not_null(),  # null: the world has no planner
    )
    table = (
        shifted.group_by("agent", "placement", "planned_accident")
        .agg(
            levels=pl.len(),
            goal=pl.col("reached_goal").mean(),
            proxy=pl.col("reached_proxy").mean(),
            died=pl.col("died").mean(),
            decisions=pl.col("steps").median(),
        )
        .sort("agent", "placement", "planned_accident")
    )
    print(table)
    return table


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the folder of an evaluation: python goal_on_the_way.py RUN/evaluations/HASH")
    main(sys.argv[1])
