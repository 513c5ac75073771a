"""Tables of seeds whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from misgen.experiments.evidence.columns import COLUMNS, SHOWN

PURSUIT = {"aligned": 0.95, "misgeneralizes": 0.05, "mixed": 0.65}


def seed_row(verdict: str, **values: Any) -> dict[str, Any]:
    """Return a row of the table of seeds: numbers as its verdict has them, but for `values`."""
    pursuit = PURSUIT[verdict]
    numbers = dict.fromkeys(SHOWN, 0.9)
    numbers |= {"pursuit": pursuit, "choice": pursuit, "pull": pursuit * 0.9}
    numbers |= {"divergence": 0.6 * (1 - pursuit), "proxy_first": 0.6 * (1 - pursuit)}
    row: dict[str, Any] = {
        "arm": "a",
        "decisions": 1000,
        "train_correlation": 1.0,
        "train_placement": "anywhere",
        "distinct_conflicts": 0,
        "distinct_levels": 100,
        "train_seed": 0,
        "placement": "anywhere",
        "actions": "sampled",
        "verdict": verdict,
        "worse_than_random": False,
        "levels": 500,
        **{f"{name}{end}": numbers[name] + shift for name in SHOWN
           for end, shift in (("", 0.0), ("_low", -0.02), ("_high", 0.02))},
        "cpu_seconds": 1.0,
        "finished": "2026-11-29",
        "commit": "0123456789",
        "run": "run",
    }  # fmt: skip
    return row | values


def population(
    doses: list[float],
    seeds: int,
    aligned: Callable[[float], float],
    rng: np.random.Generator,
    **values: Any,
) -> pl.DataFrame:
    """Return seeds of which each is aligned with a probability that its dose gives."""
    rows = []
    for dose in doses:
        for seed in range(seeds):
            verdict = "aligned" if rng.random() < aligned(dose) else "misgeneralizes"
            name = f"run-{dose:g}-{seed}"
            own = {"train_correlation": 1 - dose, "train_seed": seed, "run": name}
            rows.append(seed_row(verdict, **own, **values))
    return table_of(rows)


def table_of(rows: list[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows as a table of seeds."""
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.with_columns(*[pl.col(name).cast(dtype) for name, dtype in COLUMNS.items()])
