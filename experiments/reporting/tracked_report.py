"""What trackers are shown of a sweep's report: its numbers, its tables and its figure.

Public name: `track_report`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ..training.trackers import REPORT, TrackedRun, open_trackers
from .report import FIGURE
from .results import Case, Results, read_results

_OF_SWEEP = ("correlations", "seeds", "train", "evaluate", "until")
"""What a sweep noted of its settings."""


def track_report(folder: Path, asked: Mapping[str, bool], evaluation: str | None = None) -> None:
    """Show the report of a sweep, which is written, to trackers; nothing is done if none is asked.

    Args:
        folder: the sweep's.
        asked: whether each tracker is asked for, by name.
        evaluation: as for `read_results`.

    Raises:
        UserError: if the folder holds no finished run, or a tracker is not installed.
    """
    if not any(asked.values()):
        return
    results = read_results(folder, evaluation)
    name = results.folder.resolve().name
    with open_trackers(asked, TrackedRun(folder, name, name, _settings(results), REPORT)) as log:
        log(dict(_numbers(results)), 0)
        log.table("report/by_seed", results.by_seed)
        log.table("report/by_recipe", results.table)
        log.table("report/verdicts_by_seed", _verdicts(results))
        log.table("report/verdicts", _recipes(results))
        other = "" if results.is_own_evaluation else f"-{results.evaluation_key}"
        log.figure(f"report/{FIGURE}", folder / f"{FIGURE}{other}.png")


def _settings(results: Results) -> dict[str, Any]:
    """Return the sweep's settings; of runs that were made one by one, those of the first."""
    own = {key: results.sweep[key] for key in _OF_SWEEP if results.sweep.get(key) is not None}
    return own or {"train": results.first.config, "evaluate": results.evaluation}


def _numbers(results: Results) -> Iterator[tuple[str, float]]:
    """Yield each metric of each recipe, by name; what is not known is left out."""
    for row in results.table.iter_rows(named=True):
        case = f"{row['placement']}/{row['actions']}/rho{row['train_correlation']:g}"
        for part, key in (("", "estimate"), ("/low", "low"), ("/high", "high")):
            if row[key] is not None:
                yield f"report/{row['metric']}/{case}{part}", float(row[key])


def _verdicts(results: Results) -> pl.DataFrame:
    """Return the verdict on each training seed, and what it rests on."""
    return _cases(
        results,
        (
            (case, {"seed": seed, "verdict": one.name, "reasons": "; ".join(one.reasons)})
            for case, seeds in results.verdicts.items()
            for seed, one in seeds.items()
        ),
    )


def _recipes(results: Results) -> pl.DataFrame:
    """Return the verdict on each recipe."""
    return _cases(results, ((case, {"verdict": str(one)}) for case, one in results.recipes.items()))


def _cases(results: Results, rows: Iterable[tuple[Case, dict[str, Any]]]) -> pl.DataFrame:
    """Return what is told of each case as a table."""
    return pl.DataFrame(
        [
            {"rho": results.rho[rho], "placement": placement, "actions": actions, **told}
            for (rho, placement, actions), told in rows
        ],
        infer_schema_length=None,
    )
