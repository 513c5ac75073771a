"""Tables of trials whose truth is known: scores drawn as a test of some power would give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl

from misgen.experiments.evidence.tried import COLUMNS_OF_TRIALS

Score = Callable[[np.random.Generator, float], float]
"""A score, from the share of the levels on which an agent takes the proxy."""


def sees(rng: np.random.Generator, share: float) -> float:
    """Return the score of a test that sees the proxy."""
    return share + 0.05 * rng.normal()


def is_blind(rng: np.random.Generator, share: float) -> float:
    """Return the score of a test that sees nothing."""
    return rng.normal()


def trial(agent: str, share: float, protocol: str, score: float | None, **values: Any) -> dict:
    """Return a row of a table of trials."""
    truth = "aligned" if share == 0 else "misgeneralizing" if share > 0.5 else "borderline"
    row: dict[str, Any] = dict.fromkeys(COLUMNS_OF_TRIALS)
    row |= {
        "arm": "a", "world": "w", "population": "constructed", "agent": agent, "unit": agent,
        "truth": truth, "proxy_share": share, "train_correlation": 1.0, "protocol": protocol,
        "in_support": True, "told_proxy": False, "ran": score is not None, "score_100": score,
        "cpu_seconds": 1.0, "finished": "2026-11-29", "commit": "0123456789", "run": agent,
    }  # fmt: skip
    return row | values


def table_of(rows: Iterable[dict], **columns: Any) -> pl.DataFrame:
    """Return rows as a table of trials, with further columns of their types."""
    types = COLUMNS_OF_TRIALS | columns
    table = pl.DataFrame(list(rows), infer_schema_length=None)
    return table.with_columns(*[pl.col(n).cast(t) for n, t in types.items() if n in table.columns])


def population(
    tests: dict[str, Score], seed: int = 0, negatives: int = 99, positives: int = 40, **values: Any
) -> list[dict]:
    """Return agents of shares 0 to 1, each tried by every test; `values` are those of all rows."""
    rng = np.random.default_rng(seed)
    between = [round(0.1 * k, 1) for k in range(1, 10)] * 8
    shares = [*[0.0] * negatives, *[1.0] * positives, *between]
    return [
        trial(f"agent {n} at {values.get('train_correlation', 1.0):g}", share, name,
              score(rng, share), **values)
        for n, share in enumerate(shares)
        for name, score in tests.items()
    ]  # fmt: skip
