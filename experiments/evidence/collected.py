"""The table of seeds: what is done of a question, a row a training seed and test placement.

Public names: `seed_rows`, `progress_of`, `SHOWN`, `COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from ..evaluation.conditions import AGENT
from ..evaluation.evaluate_run import evaluation_folder, is_evaluated
from ..sweeps.config import SweepConfig
from ..training.config import TrainConfig
from ..training.run_folder import DONE, EPISODES, SUMMARY, RunFolder, read_json, read_parquet
from ..training.train import run_folder
from .config import EvidenceConfig
from .question import Arm
from .run import sweep_of

SHOWN = (
    "capability_in_distribution",
    "goal_in_distribution",
    "capability_aligned",
    "capability_conflict",
    "goal_aligned",
    "goal_conflict",
    "divergence",
    "divergence_ceiling",
    "goal_first",
    "proxy_first",
    "pull",
    "pursuit",
    "choice",
)
"""Metrics of the table; each with `_low` and `_high`, its 95% interval over levels."""
_DIGITS = 4
COLUMNS: dict[str, Any] = {
    "arm": pl.String,
    "decisions": pl.Int64,
    "train_correlation": pl.Float64,
    "train_placement": pl.String,
    "distinct_conflicts": pl.Int64,
    "distinct_levels": pl.Int64,
    "train_seed": pl.Int64,
    "placement": pl.String,
    "actions": pl.String,
    "verdict": pl.String,
    "worse_than_random": pl.Boolean,
    "levels": pl.Int64,
    **{f"{one}{end}": pl.Float64 for one in SHOWN for end in ("", "_low", "_high")},
    "cpu_seconds": pl.Float64,
    "finished": pl.String,
    "commit": pl.String,
    "run": pl.String,
}
"""Columns of the table of seeds; an arm's factors and what a question adds come after `arm` and
before `cpu_seconds`.  `distinct_conflicts`: as asked for (0: all there are), `distinct_levels`:
how many different conflict levels training really had.  `levels`: conflict levels of the test.
`cpu_seconds`: of training and evaluation, once a run, in the row of its first placement."""


def seed_rows(config: EvidenceConfig) -> pl.DataFrame:
    """Return the table of seeds of what is done so far; numbers are rounded as they are stored.

    Raises:
        UserError: if a stored result is damaged.
    """
    asked = config.asked
    rows: list[dict[str, Any]] = []
    beside: list[pl.DataFrame] = []
    factors: dict[str, Any] = {}
    for arm, sweep, run, folder in _done(config):
        factors |= dict.fromkeys(arm.factors)
        into = evaluation_folder(folder, sweep.evaluate)
        summary = read_json(into.path / SUMMARY, "evaluate the run again")
        rows += list(_rows(arm, run, folder, summary))
        if asked.of_run is not None:
            episodes = read_parquet(into.path / EPISODES, summary["episodes_sha256"])
            own = asked.of_run(episodes.filter(pl.col("role") == AGENT))
            beside.append(own.with_columns(pl.lit(folder.path.name).alias("run")))
    if not rows:
        return pl.DataFrame(schema=COLUMNS)
    found = pl.DataFrame(rows, infer_schema_length=None)
    more: list[str] = []
    if asked.more is not None:
        added = asked.more(found, pl.concat(beside) if beside else pl.DataFrame())
        more = [name for name in added.columns if name not in ("run", "placement")]
        found = found.join(added, on=["run", "placement"], how="left", maintain_order="left")
    return _ordered(found, [*factors], more)


def progress_of(config: EvidenceConfig) -> tuple[int, int]:
    """Return how many training runs are done and evaluated, and how many there are to be."""
    arms = [arm for stage in config.stages for arm in stage]
    planned = sum(len(sweep_of(config, arm).runs) for arm in arms)
    return sum(1 for _ in _done(config)), planned


def _done(config: EvidenceConfig) -> Iterator[tuple[Arm, SweepConfig, TrainConfig, RunFolder]]:
    for arm in (arm for stage in config.stages for arm in stage):
        sweep = sweep_of(config, arm)
        for run in sweep.runs:
            folder = run_folder(run)
            if folder.marked(DONE, run.hash) and is_evaluated(folder, sweep.evaluate):
                yield arm, sweep, run, folder


def _rows(
    arm: Arm, run: TrainConfig, folder: RunFolder, summary: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each placement and action mode of one evaluation."""
    manifest = folder.manifest()
    spent: list[float | None] = [
        (manifest.get("compute") or {}).get("cpu_seconds"),
        summary.get("cpu_seconds"),
    ]
    for verdict in summary["verdicts"]:
        own = [
            row
            for row in summary["metrics"]
            if all(row[key] == verdict[key] for key in ("placement", "actions", "on_proxy"))
        ]
        numbers = {row["metric"]: row for row in own}
        yield {
            "arm": arm.name,
            **arm.factors,
            "decisions": manifest["environment_steps"],
            "train_correlation": run.correlation,
            "train_placement": run.placement,
            "distinct_conflicts": run.distinct_conflicts,
            "distinct_levels": manifest["training_levels"]["distinct_conflict_levels"],
            "train_seed": run.seed,
            "placement": verdict["placement"],
            "actions": verdict["actions"],
            "verdict": verdict["name"],
            "worse_than_random": verdict["worse_than_random"],
            "levels": numbers["capability_conflict"]["n_levels"],
            **{
                f"{metric}{end}": numbers[metric][f"{end[1:] or 'estimate'}"]
                for metric in SHOWN
                for end in ("", "_low", "_high")
            },
            "cpu_seconds": None if None in spent else sum(one or 0.0 for one in spent),
            "finished": summary["finished"][:10],
            "commit": (manifest["git"]["commit"] or "")[:10],
            "run": folder.path.name,
        }
        spent = [0.0]  # counted once


def _ordered(found: pl.DataFrame, factors: list[str], more: list[str]) -> pl.DataFrame:
    """Return the table with its columns in order, and its numbers rounded."""
    (first, *middle) = COLUMNS
    last = ["cpu_seconds", "finished", "commit", "run"]
    names = [first, *factors, *(name for name in middle if name not in last), *more, *last]
    typed = found.with_columns(*[pl.col(name).cast(dtype) for name, dtype in COLUMNS.items()])
    exact = {*factors, "train_correlation"}
    return typed.select(
        *[
            pl.col(name).round(_DIGITS)
            if typed.schema[name].is_float() and name not in exact
            else pl.col(name)
            for name in names
        ]
    )
