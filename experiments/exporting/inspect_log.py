"""Evaluations as eval logs of Inspect: a log for each condition, placement and action mode.

A sample is a level, an epoch one of its repeats; the scores are how much of the goal, of the proxy
and of either (the capability) an episode reached.  The metrics hold 95% intervals as metadata.

Public name: `write_inspect_logs`.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ..evaluation.conditions import ALIGNED, CONFLICT, IN_DISTRIBUTION
from ..evaluation.config import VerdictConfig
from ..evaluation.level_means import CAPABLE, GOAL
from ..evaluation.metrics import seed_table
from ..evaluation.settings_words import in_words
from ..evaluation.statistics import over_levels
from ..training.run_folder import without_nan
from ..training.settings import typed
from .source import Group, Source

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalMetric, EvalResults, EvalSample, EvalSpec

_SCORES = {
    "goal": GOAL,
    "proxy": pl.col("proxy_fraction").cast(pl.Float64),
    "capability": CAPABLE,
}
"""What each score is computed from: shares in [0, 1]."""
_FACTS = (
    "aligned", "outcome", "reached_goal", "reached_proxy", "goal_fraction", "proxy_fraction",
    "first", "goal_at", "proxy_at", "died", "touched_conflict_cell", "cell_first", "steps",
    "return", "progress",
)  # fmt: skip
"""Columns of an episode that a sample holds as metadata."""


def write_inspect_logs(source: Source, groups: list[Group], into: Path) -> list[Path]:
    """Write a log for each group, and return the files.

    Args:
        source: whose evaluation it is.
        groups: which episodes.
        into: the folder.
    """
    from inspect_ai.log import write_eval_log

    lines = typed(VerdictConfig, source.settings["verdict"], "verdict.")
    table = seed_table(source.episodes, lines)
    files = []
    for group in groups:
        files.append(into / f"{group.name}.eval")
        write_eval_log(_log(source, group, table), str(files[-1]))
    return files


def _log(source: Source, group: Group, table: pl.DataFrame) -> EvalLog:
    from inspect_ai.log import EvalLog, EvalStats

    finished = source.evaluation.found["finished"]
    return EvalLog(
        status="success",
        eval=_spec(source, group),
        results=_results(group, table),
        stats=EvalStats(started_at=finished, completed_at=finished),
        samples=[_sample(source, row) for row in group.episodes.iter_rows(named=True)],
    )


def _spec(source: Source, group: Group) -> EvalSpec:
    """Return what was evaluated, on what and how; the ids follow from the settings."""
    from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec

    found, world = source.evaluation.found, source.run.config.world
    ids = group.episodes["level_id"].unique().sort().to_list()
    epochs = int(group.episodes["repeat"].n_unique())
    label = f"{found['policy'][:12]}-{source.evaluation.key}-{group.name}"
    return EvalSpec(
        eval_id=label,
        run_id=f"{found['policy'][:12]}-{source.evaluation.key}",
        task_id=f"{source.evaluation.key}-{group.name}",
        created=found["finished"],
        task=f"misgen/{world.name}-{group.name}",
        task_args={
            "condition": group.condition,
            "placement": group.placement,
            "correlation": group.correlation,
            "actions": group.actions,
            "on_proxy": group.on_proxy,
            "seed": source.settings["seed"],
        },
        model=f"misgen/{source.name}",
        dataset=EvalDataset(
            name=f"{world.name} levels, {group.condition}", samples=len(ids), sample_ids=ids
        ),
        config=EvalConfig(epochs=epochs),
        tags=["misgen", world.name, group.condition, group.actions],
        metadata={
            "intended_goal": world.goal_description,
            "proxy": world.proxy_description,
            "evaluation": source.evaluation.key,
            "evaluation_settings": in_words(source.settings),
            "policy_sha256": found["policy"],
            "episodes_sha256": found["episodes_sha256"],
            "train_correlation": _told(source, "correlation"),
            "train_seed": _told(source, "seed"),
            "world_parameters": {k: v for k, v in source.run.config.env.items() if k != "name"},
        },
    )


def _told(source: Source, name: str) -> Any:
    """Return a setting of the training; of an agent trained elsewhere it may not be known."""
    config = source.run.config
    return None if name in config.agent.unknown else getattr(config, name)


def _sample(source: Source, row: Mapping[str, Any]) -> EvalSample:
    from inspect_ai.log import EvalSample
    from inspect_ai.scorer import Score

    world = source.run.config.world
    goal, proxy = float(row["goal_fraction"]), float(row["proxy_fraction"])
    values = {"goal": goal, "proxy": proxy, "capability": max(goal, proxy)}
    labels = {name: row[name] for name in ("condition", "placement", "actions", "level_id")}
    return EvalSample(
        id=int(row["level_id"]),
        epoch=int(row["repeat"]) + 1,
        input=f"{world.name} level {row['level_id']}, {row['condition']}, goal placed by "
        f"{row['placement']}, {row['actions']} actions",
        target=world.goal_description,
        scores={
            name: Score(value=value, answer=str(row["outcome"])) for name, value in values.items()
        },
        metadata=without_nan({**labels, **{name: row[name] for name in _FACTS}}),
    )


def _results(group: Group, table: pl.DataFrame) -> EvalResults:
    """Return the mean of each score, and the evaluation's metrics that are about the group."""
    from inspect_ai.log import EvalResults, EvalScore

    named = _named_metrics(group, table)
    count = len(group.episodes)
    whole = group.episodes["level_id"].n_unique()
    scores = []
    for name, expression in _SCORES.items():
        mean = named.get(f"{name}_{group.condition}")
        if mean is None or mean["n_levels"] != whole:  # a part of the episodes was chosen
            mean = _mean(group, expression)
        metrics = {"mean": _metric("mean", mean)} if _known(mean["estimate"]) else {}
        scores.append(
            EvalScore(name=name, scorer=name, scored_samples=count, unscored_samples=0,
                      metrics=metrics)
        )  # fmt: skip
    own = {name: _metric(name, row) for name, row in named.items() if _known(row["estimate"])}
    if own:
        scores.append(EvalScore(name="evaluation", scorer="misgen", metrics=own))
    return EvalResults(total_samples=count, completed_samples=count, scores=scores)


def _named_metrics(group: Group, table: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the rows of the evaluation's metrics that are about a group, by metric."""
    own, metric = table.filter(pl.col("actions") == group.actions), pl.col("metric")
    as_trained = metric.str.contains("in_distribution")
    if group.condition == IN_DISTRIBUTION:  # the same with each placement
        other_rule = metric.str.ends_with("_test_rule")
        own = own.filter(as_trained, ~other_rule if group.trained_rule else other_rule)
        own = own.unique("metric", keep="first", maintain_order=True)
    else:
        own = own.filter(pl.col("placement") == group.placement, ~as_trained)
        of_aligned = metric.str.ends_with(f"_{ALIGNED}")
        own = own.filter(~of_aligned if group.condition == CONFLICT else of_aligned)
    return {row["metric"]: row for row in own.iter_rows(named=True)}


def _mean(group: Group, expression: pl.Expr) -> dict[str, Any]:
    """Return the mean over levels of the means over repeats, with its interval."""
    means = group.episodes.group_by("level_id").agg(expression.mean().alias("mean"))
    values = means.sort("level_id")["mean"].to_numpy()
    found = over_levels(values, bounds=(0.0, 1.0))
    return {
        "estimate": found.estimate, "low": found.low, "high": found.high, "note": found.note,
        "method": found.method, "n_levels": len(values),
    }  # fmt: skip


def _metric(name: str, row: Mapping[str, Any]) -> EvalMetric:
    from inspect_ai.log import EvalMetric

    interval = {"low": row["low"], "high": row["high"]}
    return EvalMetric(
        name=name,
        value=float(row["estimate"]),
        metadata=without_nan(
            {**interval, "interval": 0.95, "method": row["method"], "levels": row["n_levels"],
             "note": row["note"] or ""}
        ),
    )  # fmt: skip


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
