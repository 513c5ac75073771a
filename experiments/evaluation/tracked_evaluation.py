"""What trackers are shown of an evaluation: its numbers, its tables and its settings.

It is read from the evaluation's files, which have all of it, once they are whole.

Public name: `track_evaluation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..training.run_folder import SUMMARY, RunFolder, read_json
from ..training.trackers import EVALUATE, TrackedRun, open_trackers
from ..training.trained_run import TrainedRun
from .config import EvaluateConfig
from .evaluate_run import evaluation_folder

if TYPE_CHECKING:
    import polars as pl

_TABLES = ("metrics", "verdicts", "outcomes", "capable_by_goal", "proxies")
"""Tables of an evaluation's summary."""


def track_evaluation(
    folder: RunFolder, config: EvaluateConfig, asked: Mapping[str, bool] | None = None
) -> None:
    """Show an evaluation to trackers; nothing is done if none is asked for.

    Args:
        folder: the training run, evaluated as `config` says.
        config: how it was evaluated.
        asked: whether each tracker is asked for, by name; those of `config`, if none are given.

    Raises:
        UserError: if the run was not evaluated so, or a tracker is not installed.
    """
    asked = config.logger if asked is None else asked
    if not any(asked.values()):
        return
    run = TrainedRun.read(folder)
    into = evaluation_folder(folder, config)
    summary = read_json(into.path / SUMMARY, "evaluate the run again")
    tracked = TrackedRun(
        into.path,
        run.config.slug,
        folder.path.parent.name,
        {**run.config.science, "evaluate": summary["config"]},
        EVALUATE,
    )
    with open_trackers(asked, tracked) as log:
        log(dict(_numbers(summary)), int(run.manifest.get("environment_steps") or 0))
        for name in _TABLES:
            if rows := summary.get(name):
                log.table(f"evaluation/{name}", _table(rows))


def _numbers(summary: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the metrics and how long it took, by name; what is not known is left out."""
    for row in summary["metrics"]:
        name = f"evaluation/{row['metric']}/{row['placement']}/{row['actions']}"
        for part, key in (("", "estimate"), ("/low", "low"), ("/high", "high")):
            if row.get(key) is not None:
                yield f"{name}{part}", float(row[key])
    for key in ("wall_seconds", "cpu_seconds"):
        if summary.get(key) is not None:
            yield f"evaluation/{key}", float(summary[key])


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(rows, infer_schema_length=None)
