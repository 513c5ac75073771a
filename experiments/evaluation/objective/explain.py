"""The share of an agent's episodes that each explanation accounts for, and which explains most.

Public names: `explain`, `sentence`, `EXPLAINED`.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from misgen.envs.core.errors import UserError

from .behavioural_objective import AGENT, DEVICE, ObjectiveConfig, log_likelihoods, posteriors
from .explained_share import explained_share_interval, sample_explained_shares
from .likelihood import FloatArray

EXPLAINED = pl.Schema(
    {
        "explanation": pl.String,  # an objective, `device`, or `agent`: any of the objectives
        "share": pl.Float64,  # part of the episodes that it accounts for
        "low": pl.Float64,  # of the 95% interval
        "high": pl.Float64,
        "probability": pl.Float64,  # its posterior probability in an episode, on average
        "n_seeds": pl.Int64,
        "n_levels": pl.Int64,  # the fewest of a seed
        "left_out": pl.Int64,  # episodes on levels without a way to every objective
        "method": pl.String,
        "note": pl.String,
    }
)
"""Columns of `explain`."""


def explain(found: pl.DataFrame, config: ObjectiveConfig) -> pl.DataFrame:
    """Return the share of episodes that each explanation accounts for, with intervals.

    Only episodes on conflict levels say anything: aligned ones are refused.  Intervals are over
    levels, and over training seeds where `found` has a column `train_seed` with several.

    Args:
        found: as `evidence` returns it, one episode a level and training seed.
        config: settings.

    Returns:
        `EXPLAINED`: a row for each objective, then `agent` (any objective), then `device`.

    Raises:
        UserError: for aligned levels, several episodes on one level, or no episode that counts.
    """
    if "train_seed" not in found.columns:
        found = found.with_columns(train_seed=pl.lit(0))
    _require_usable(found)
    kept = found.filter("solvable")
    rng = np.random.default_rng(config.seed)
    drawn: dict[str, list[FloatArray]] = {}
    for _, one in sorted(kept.group_by("train_seed")):
        logs = config.tempering * log_likelihoods(one, config)
        shares = sample_explained_shares(logs, rng, draws=config.draws, prior=config.share_prior)
        for name, draws in _by_name(shares, config).items():
            drawn.setdefault(name, []).append(draws)
    n_levels = int(kept.group_by("train_seed").len()["len"].min())  # pyright: ignore
    probabilities = posteriors(kept, config).group_by("train_seed").agg(pl.col("^p_.*$").mean())
    means = probabilities.mean()
    rows = []
    for name, draws in drawn.items():
        interval = explained_share_interval(draws, n_levels)
        rows.append(
            {
                "explanation": name,
                "share": interval.estimate,
                "low": interval.low,
                "high": interval.high,
                "probability": means[f"p_{name}"][0],
                "n_seeds": interval.n_seeds,
                "n_levels": n_levels,
                "left_out": len(found) - len(kept),
                "method": interval.method,
                "note": interval.note,
            }
        )
    return pl.DataFrame(rows, EXPLAINED)


def sentence(explained: pl.DataFrame) -> str:
    """Return which objective explains the behaviour, by the intervals of `explain`."""
    rows = {row["explanation"]: row for row in explained.iter_rows(named=True)}
    most = next((name for name in rows if name != AGENT and rows[name]["low"] > 0.5), None)
    if most == DEVICE:
        return "no objective explains most of the behaviour: a device does"
    if most is not None:
        return f"the {most} explains most of the behaviour"
    if AGENT in rows and rows[AGENT]["low"] > 0.5:
        return "the behaviour pursues some objective, but no single one explains most of it"
    return "undetermined: it is not established that an objective or a device explains most of it"


def _by_name(shares: FloatArray, config: ObjectiveConfig) -> dict[str, FloatArray]:
    """Return draws [draws] of each row of `explain`, from draws [draws, explanations]."""
    columns = {name: shares[:, k] for k, name in enumerate(config.explanations)}
    device = columns.pop(DEVICE)
    return {**columns, AGENT: 1 - device, DEVICE: device}


def _require_usable(found: pl.DataFrame) -> None:
    if found["aligned"].any():
        raise UserError(
            f"{found['aligned'].sum()} episodes are on aligned levels, where the goal is at"
            " the proxy: explain conflict levels only"
        )
    if found.select("train_seed", "level_id").is_duplicated().any():
        raise UserError(
            "there are several episodes on one level by the same agent, which are not independent: "
            "keep one, such as repeat 0"
        )
    if not found["solvable"].any():
        raise UserError(
            "on none of the levels is there a way to every objective: give more levels, or another "
            "placement"
        )
