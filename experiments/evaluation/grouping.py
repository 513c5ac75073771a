"""Tidy rows by agent and shift, as arrays [seeds, levels], and back as rows of a summary.

Public names: `groups`, `matrix`, `summary_row`, `TRAINING`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from .level_means import FloatArray
from .metrics import KEYS, SUMMARY
from .statistics import Interval

TRAINING = ("train_correlation", "train_placement")
"""Columns that tell training settings apart in rows of probes."""


def groups(frame: pl.DataFrame) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Yield the keys (`metrics.KEYS`) and rows of each agent, action mode and shift."""
    for values, own in frame.group_by(KEYS.names(), maintain_order=True):
        yield dict(zip(KEYS.names(), values, strict=True)), own


def matrix(frame: pl.DataFrame, values: pl.Series) -> FloatArray:
    """Return one number a row as float64 [seeds, levels], NaN where there is no row or number.

    Args:
        frame: rows with `train_seed` and `level_id`, at most one each.
        values: numbers or booleans, [rows].
    """
    seeds, row = np.unique(frame["train_seed"].to_numpy(), return_inverse=True)
    levels, column = np.unique(frame["level_id"].to_numpy(), return_inverse=True)
    out = np.full((len(seeds), len(levels)), np.nan)
    out[row, column] = values.cast(pl.Float64).fill_null(math.nan).to_numpy()
    return out


def summary_row(keys: Mapping[str, Any], metric: str, found: Interval) -> dict[str, Any]:
    """Return an interval as a row of `metrics.SUMMARY`; what is not known is None."""
    plain = dataclasses.asdict(found)
    for name in ("estimate", "low", "high"):
        plain[name] = None if math.isnan(plain[name]) else plain[name]
    return {**keys, "metric": metric, **{k: plain[k] for k in SUMMARY if k in plain}}
