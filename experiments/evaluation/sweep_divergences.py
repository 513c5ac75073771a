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
    """Return each agent's divergence on each level, at the sweep's highest correlation.

    Taken are the first placement of the test and the first action mode; repeats are averaged.

    Returns:
        Float64 [seeds, levels].

    Raises:
        UserError: if the sweep holds no evaluated run.
    """
    import polars as pl

    from ..training.run_folder import MANIFEST, RunFolder
    from .chosen import evaluation_of
    from .conditions import AGENT, ALIGNED, CONFLICT
    from .level_means import CAPABLE, GOAL

    found = (evaluation_of(RunFolder(path.parent)) for path in sorted(sweep.glob(f"*/{MANIFEST}")))
    tables = [_read(one) for one in found if one is not None]
    if not tables:
        raise UserError(f"sweep={sweep} holds no evaluated run: run misgen sweep first")
    own = pl.concat(tables).filter(pl.col("role") == AGENT)
    conflict = own.filter(pl.col("condition") == CONFLICT, ~pl.col("aligned"))
    if conflict.is_empty():
        raise UserError(f"sweep={sweep} was evaluated on no conflict level: evaluate it on some")
    first = conflict.row(0, named=True)
    top = own["train_correlation"].max()
    kept = [pl.col(name) == first[name] for name in ("placement", "actions", "on_proxy")]
    gap = (CAPABLE - GOAL).mean().alias("gap")
    keys = ["train_seed", "level_id"]

    def gaps(episodes: pl.DataFrame) -> pl.DataFrame:
        chosen = episodes.filter(*kept, pl.col("train_correlation") == top)
        return chosen.group_by(keys, maintain_order=True).agg(gap)

    aligned = gaps(own.filter(pl.col("condition") == ALIGNED))
    both = gaps(conflict).join(aligned, on=keys, suffix="_aligned", maintain_order="left")
    table = both.with_columns(d=pl.col("gap") - pl.col("gap_aligned")).pivot(
        on="level_id", index="train_seed", values="d"
    )
    return _complete(table.drop("train_seed").to_numpy())


def _complete(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the levels that all seeds played."""
    return table[:, ~np.isnan(table.astype(np.float64)).any(axis=0)]


def _read(evaluation: Kept) -> pl.DataFrame:
    """Return an evaluation's episodes."""
    from ..training.run_folder import EPISODES, read_parquet
    from .conditions import NEEDED

    digest = evaluation.found.get("episodes_sha256")
    return read_parquet(evaluation.path / EPISODES, digest, NEEDED, "evaluate the run again")
