"""One tidy table over any number of sweeps: a row for each agent, shift and metric.

The table is lazy (Polars): what is asked of it is computed when it is collected or written.
docs/columns.md says what each column means.

Public names: `scan_metrics`, `scan_episodes`, `METRICS`, `TABLES`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from misgen.envs.core.errors import UserError

from ..evaluation.chosen import evaluations
from ..evaluation.conditions import EPISODES_VERSION, NEEDED
from ..evaluation.evaluate_run import SCHEMA_VERSION
from ..evaluation.result_folders import Kept
from ..training.run_folder import (
    DONE,
    EPISODES,
    MANIFEST,
    SWEEP,
    RunFolder,
    find_runs,
    read_json,
    read_parquet,
)
from ..training.trained_run import config_of

METRICS = pl.Schema(
    {
        "sweep": pl.String,
        "run": pl.String,
        "in_grid": pl.Boolean,
        "config_hash": pl.String,
        "evaluation": pl.String,
        "is_sweeps": pl.Boolean,
        "world": pl.String,
        "algorithm": pl.String,
        "agent": pl.String,
        "train_correlation": pl.Float64,
        "train_seed": pl.Int64,
        "train_placement": pl.String,
        "train_on_proxy": pl.String,
        "placement": pl.String,
        "test_correlation": pl.Float64,
        "on_proxy": pl.String,
        "actions": pl.String,
        "verdict": pl.String,
        "metric": pl.String,
        "estimate": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "method": pl.String,
        "levels": pl.Int64,
        "note": pl.String,
        "decisions": pl.Int64,
        "parameters": pl.Int64,
        "active_parameters": pl.Int64,
        "training_flops": pl.Float64,
        "wall_seconds": pl.Float64,
        "cpu_seconds": pl.Float64,
        "peak_memory_bytes": pl.Int64,
        "energy_joules": pl.Float64,
    }
)
"""Columns of the table of metrics, in their order."""
_CASE = ("placement", "test_correlation", "on_proxy", "actions", "agent")
_COMPUTE = (
    *("decisions", "parameters", "active_parameters", "training_flops", "wall_seconds"),
    *("cpu_seconds", "peak_memory_bytes", "energy_joules"),
)
_OF_RUN = ("sweep", "run", "in_grid", "config_hash", "evaluation", "is_sweeps")


def scan_metrics(folders: Sequence[Path]) -> pl.LazyFrame:
    """Return every metric of every evaluated agent of some sweeps, as `METRICS`.

    Raises:
        UserError: if a folder holds no run, or an evaluation is of another version.
    """
    rows = [row for one in _evaluations(folders) for row in _metrics(*one)]
    return pl.LazyFrame(rows, METRICS)


def scan_episodes(folders: Sequence[Path]) -> pl.LazyFrame:
    """Return every episode of every evaluated agent of some sweeps, scanned from their files.

    Each file is held against the hash that its evaluation noted, once, before it is scanned.

    Raises:
        UserError: if a folder holds no run, or a file is damaged or of another version.
    """
    scans = [_episodes(*one) for one in _evaluations(folders)]
    if not scans:
        return pl.LazyFrame(schema={name: pl.String for name in ("sweep", "run")})
    return pl.concat(scans, how="diagonal_relaxed")


TABLES = {"metrics": scan_metrics, "episodes": scan_episodes}
"""What can be asked for, by name."""


def _evaluations(
    folders: Sequence[Path],
) -> Iterator[tuple[dict[str, Any], RunFolder, dict[str, Any], Kept]]:
    """Yield what tells each evaluation from others, its run and the run's manifest, and itself."""
    seen: dict[str, Path] = {}
    for folder in folders:
        if seen.setdefault(os.path.realpath(folder), folder) is not folder:
            raise UserError(f"{folder} is named twice: each sweep is in the table once")
        found = find_runs(folder)
        if not found:
            what = "is one run" if (folder / MANIFEST).is_file() else "holds no run"
            raise UserError(
                f"{folder} {what}: give the folders of sweeps, such as runs/coinrun-lab"
            )
        sweep = read_json(folder / SWEEP, "") if (folder / SWEEP).exists() else {}
        for run in found:
            manifest = run.manifest()
            if not run.marked(DONE, str(manifest.get("config_hash"))):
                continue
            for one in evaluations(run):
                yield _labels(folder, run, manifest, one, sweep), run, manifest, one


def _labels(
    folder: Path, run: RunFolder, manifest: Mapping[str, Any], one: Kept, sweep: Mapping[str, Any]
) -> dict[str, Any]:
    named, own = sweep.get("runs"), sweep.get("evaluation")
    return {
        "sweep": folder.resolve().name,
        "run": run.path.name,
        "in_grid": named is None or run.path.name in named,
        "config_hash": manifest["config_hash"],
        "evaluation": one.key,
        "is_sweeps": None if own is None else own == one.key,
    }


def _metrics(
    labels: Mapping[str, Any], run: RunFolder, manifest: Mapping[str, Any], one: Kept
) -> Iterator[dict[str, Any]]:
    """Yield the rows of an evaluation."""
    found = one.found
    _require_version(one.main, "schema_version", found.get("schema_version"), SCHEMA_VERSION)
    config = config_of(run, manifest)
    compute = {"parameters": manifest.get("parameters"), **(manifest.get("compute") or {})}
    compute.setdefault("decisions", manifest.get("environment_steps"))
    compute.setdefault("wall_seconds", manifest.get("wall_seconds"))
    verdicts = {_case(row): row["name"] for row in found.get("verdicts") or ()}
    for row in found["metrics"]:
        yield {
            **labels,
            **{name: row.get(name) for name in METRICS if name in row},
            "world": config.world.name,
            "algorithm": config.agent.algorithm,
            "verdict": verdicts.get(_case(row)),
            "levels": row.get("n_levels"),
            **{name: compute.get(name) for name in _COMPUTE},
        }


def _case(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in _CASE)


def _episodes(
    labels: Mapping[str, Any], run: RunFolder, manifest: Mapping[str, Any], one: Kept
) -> pl.LazyFrame:
    """Scan the episodes of an evaluation."""
    found, path = one.found, one.path / EPISODES
    _require_version(one.main, "episodes_version", found.get("episodes_version"), EPISODES_VERSION)
    read_parquet(path, found.get("episodes_sha256"), NEEDED, "evaluate the run again")
    own = [pl.lit(labels[name], METRICS[name]).alias(name) for name in _OF_RUN if name != "run"]
    return pl.scan_parquet(path, glob=False).with_columns(*own)


def _require_version(path: Path, name: str, found: Any, known: int) -> None:
    """Refuse an evaluation whose numbers mean something else.

    Raises:
        UserError: naming the file and the versions.
    """
    if found != known:
        raise UserError(
            f"{path} has {name} {found!r}, and this version of misgen reads {known}: evaluate the "
            "run again, or read it with the version that made it"
        )
