"""Tables of agents whose truth is known, as the questions on compute, time and heirs have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from misgen.experiments.evidence.question import question_of
from tests.evidence.synthetic import seed_row

_LEFT_OUT = ("train_placement", "distinct_conflicts", "distinct_levels", "placement", "actions",
             "worse_than_random")  # fmt: skip


def agent(verdict: str = "aligned", **values: Any) -> dict[str, Any]:
    """Return a row of an agent: numbers as its verdict has them, but for `values`."""
    row = {key: value for key, value in seed_row(verdict).items() if key not in _LEFT_OUT}
    costs = dict.fromkeys(("training_flops", "all_flops", "inherited_flops", "teacher_flops"), 1e9)
    row |= costs | {"parameters": 1000, "active_parameters": 500, "capable": True}
    return row | {"world": "w"} | values


def agents(question: str, rows: list[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows as the table of a question."""
    table = pl.DataFrame(rows, infer_schema_length=None)
    typed = question_of(question).columns
    return table.with_columns(*[pl.col(name).cast(dtype) for name, dtype in typed.items()])
