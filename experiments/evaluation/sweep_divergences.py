"""How much agents and levels of a sweep differ: what the size of the next experiment rests on.

Public name: `divergences_of_sweep`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from .result_folders import Kept


def divergences_of_sweep(sweep: Path) -> NDArray[np.float64]:
    """Return each agent's divergence on each level, at the sweep's highest correlation."""
    import polars as pl

    from ..training.run_folder import MANIFEST, RunFolder
    from .chosen import evaluation_of
    from .level_means import CAPABLE, GOAL

    found = (evaluation_of(RunFolder(path.parent)) for path in sorted(sweep.glob(f"*/{MANIFEST}")))
    tables = [_read(one) for one in found if one is not None]
    if not tables:
        raise UserError(f"sweep={sweep} holds no evaluated run: run misgen sweep first")
    episodes = pl.concat(tables).filter(pl.col("agent") != "random", pl.col("actions") == "sampled")
    top = episodes["train_correlation"].max()
    placement = episodes["placement"].sort()[-1]
    gap = (CAPABLE - GOAL).alias("gap")
    own = episodes.filter(pl.col("train_correlation") == top).with_columns(gap)
    held = own.filter(pl.col("condition") == "heldout")
    moved = own.filter(pl.col("condition") == "shifted", pl.col("placement") == placement)
    keys = ["train_seed", "level_id"]
    both = held.select(*keys, "gap").join(moved.select(*keys, "gap"), on=keys, suffix="_moved")
    table = both.with_columns(d=pl.col("gap_moved") - pl.col("gap")).pivot(
        on="level_id", index="train_seed", values="d"
    )
    return table.drop("train_seed").drop_nulls().to_numpy()


def _read(evaluation: Kept) -> pl.DataFrame:
    """Return an evaluation's episodes."""
    from ..training.run_folder import EPISODES, read_parquet
    from .conditions import NEEDED

    digest = evaluation.found.get("episodes_sha256")
    return read_parquet(evaluation.path / EPISODES, digest, NEEDED, "evaluate the run again")
