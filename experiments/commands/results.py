"""Write one tidy table over any number of sweeps: misgen results runs/<sweep> ... [out=FILE].

A row for each agent, shift and metric, with its interval, the verdict on the agent, and what its
training cost; docs/columns.md says what each column means.  All evaluations of an agent are in it;
the column is_sweeps marks those with the sweep's own settings.  Nothing but the folders is read, so
that they may have been copied from anywhere.

Examples:
  misgen results runs/coinrun-lab out=results.csv
  misgen results runs/* out=results.parquet
  misgen results runs/coinrun-lab table=episodes out=episodes.parquet
  misgen results                                       the newest sweep, as CSV to the terminal

Settings
  out       .csv or .parquet; left out: CSV to standard output
  table     metrics; or episodes, every episode of every agent

In Python, lazily:
  from misgen.experiments.reporting.tidy import scan_metrics
  scan_metrics([Path("runs/coinrun-lab")]).filter(pl.col("metric") == "pursuit").collect()
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from misgen.envs.core.errors import UserError, did_you_mean, one_of

from ..reporting.results import newest_sweep
from ..reporting.tidy import TABLES
from ..training.run_folder import write_with

if TYPE_CHECKING:
    import polars as pl

_SETTINGS = ("out", "table")
_ENDINGS = (".csv", ".parquet")


def main(argv: Sequence[str]) -> int:
    """Write the table."""
    folders, given = _read(argv)
    out = Path(given["out"]) if "out" in given else None
    if out is not None and out.suffix not in _ENDINGS:
        raise UserError(f"out={out} is neither .csv nor .parquet: give a name that ends so")
    name = one_of("table", given.get("table", "metrics"), TABLES)
    table = TABLES[name](folders or [newest_sweep(Path("runs"))]).collect()
    if out is None:
        sys.stdout.write(table.write_csv())
        return 0
    data = _bytes(table, out.suffix)
    write_with(out, lambda file: file.write(data))
    print(f"written: {out}, {table.height} rows")
    return 0


def _bytes(table: pl.DataFrame, ending: str) -> bytes:
    if ending == ".csv":
        return table.write_csv().encode()
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _read(argv: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """Return the folders and the settings that are given.

    Raises:
        UserError: for a setting that is none.
    """
    folders, given = [], {}
    for word in argv:
        key, equals, value = word.partition("=")
        if not equals or Path(word).exists() or not re.fullmatch(r"\w+", key):
            folders.append(Path(word))
        elif key not in _SETTINGS:
            raise UserError(
                f"{key}={value} is no setting of misgen results: use one of "
                f"{', '.join(_SETTINGS)}{did_you_mean(key, _SETTINGS)}"
            )
        else:
            given[key] = value
    return folders, given


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("results", main))
