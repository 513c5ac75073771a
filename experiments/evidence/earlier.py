"""Rows that an earlier table of a question holds: what left them need not be done again.

Settings are part of a run's name, so that a row of other settings, or of another version, is none.

Public names: `rows_of_runs`, `require_all_kept`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError

from .told import read_rows

if TYPE_CHECKING:
    from .config import EvidenceConfig

Rows = Mapping[str, list[dict[str, Any]]]


def rows_of_runs(config: EvidenceConfig) -> Rows:
    """Return the rows of `config.earlier`, by their column `run`; none: no rows.

    Raises:
        UserError: if there is no such table, or it cannot be read.
    """
    return {} if config.earlier is None else _read(Path(config.earlier), config.question)


@lru_cache(maxsize=1)
def _read(folder: Path, question: str) -> Rows:
    """Return what a table holds, as it was when it was first asked for."""
    from .question import question_of

    found: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(folder, question_of(question)).to_dicts():
        found.setdefault(row["run"], []).append(row)
    return found


def require_all_kept(config: EvidenceConfig) -> None:
    """Refuse to write over an earlier table of which rows would be lost.

    Raises:
        UserError: naming them.
    """
    runs = rows_of_runs(config)
    if config.earlier is None or Path(config.earlier).resolve() != config.folder.resolve():
        return
    planned = {name for arm in config.chosen_arms for name in arm.runs(config)}
    lost = [name for name in runs if name not in planned]
    if lost:
        raise UserError(
            f"out={config.folder} has rows of {len(lost)} {config.asked.counts} that are none of "
            f"what is asked for, such as {lost[0]!r}, and would lose them: give another out=..."
        )
