"""Watching the runs of a sweep from their status files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError

from ..evaluation.result_folders import EVALUATION, kept
from ..training.by_value import ByValue
from ..training.run_folder import DONE, STATUS, RunFolder, read_json

if TYPE_CHECKING:
    from rich.table import Table

_POLL = 0.5  # seconds
_LINE_EVERY = 20.0  # seconds, where there is no terminal


@dataclass(frozen=True, eq=False)
class Seen(ByValue):
    """How far a run is."""

    name: str
    phase: str
    done: float
    """Part of the training that is done, 0 to 1."""
    rate: float
    """Decisions a second, while training."""
    success: float
    """Share of recent training episodes that reached the goal; NaN where unknown."""

    @property
    def line(self) -> str:
        """What to show beside the name."""
        if self.phase != "training":
            return self.phase
        return f"{self.done:4.0%}  {self.rate:>8,.0f} steps/s  success {self.success:4.0%}"


def watch(folders: Sequence[RunFolder], total_steps: int, alive: Callable[[], bool]) -> None:
    """Show how far the runs are until `alive` says that nothing runs any more."""
    from rich.live import Live

    from ..training.terminal import make_console

    began = time.time()

    def look() -> list[Seen]:
        return [see(folder, total_steps, began) for folder in folders]

    console = make_console(stderr=True)
    if not console.is_terminal:
        _print_lines(look, total_steps, alive)
        return
    with Live(console=console, refresh_per_second=2) as live:
        while alive():
            live.update(_table(look(), total_steps))
            time.sleep(_POLL)
        live.update(_table(look(), total_steps))


def see(folder: RunFolder, total_steps: int, began: float) -> Seen:
    """Return how far a run is; what an earlier start left behind counts only if it is finished."""
    name = folder.path.name.rsplit("-", 1)[0]
    if (folder.path / DONE).exists() and kept(folder.path, EVALUATION):
        return Seen(name, "done", 1.0, 0.0, float("nan"))
    status = _status(folder)
    if status.get("time", 0.0) < began:
        return Seen(name, "waiting", 0.0, 0.0, float("nan"))
    return Seen(
        name,
        status.get("phase") or "starting",
        status["steps"] / total_steps if "steps" in status else float("phase" in status),
        status.get("steps_per_second", 0.0),
        status.get("success", float("nan")),
    )


def _status(folder: RunFolder) -> dict[str, Any]:
    try:
        status = read_json(folder.path / STATUS, "")
    except UserError:
        return {}
    return {key: value for key, value in status.items() if value is not None}


def _print_lines(
    look: Callable[[], list[Seen]], total_steps: int, alive: Callable[[], bool]
) -> None:
    last = 0.0
    while alive():
        if time.monotonic() - last > _LINE_EVERY:
            last = time.monotonic()
            seen = look()
            print(f"[{_summary(seen, total_steps)}]", file=sys.stderr, flush=True)
            for one in seen:
                if one.phase not in ("waiting", "done"):
                    print(f"  {one.name}: {one.line}", file=sys.stderr, flush=True)
        time.sleep(_POLL)


def _table(seen: list[Seen], total_steps: int) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=_summary(seen, total_steps), box=None, title_justify="left")
    table.add_column("run")
    table.add_column("")
    for one in seen:
        style = {"waiting": "dim", "done": "green", "failed": "red"}.get(one.phase, "")
        table.add_row(escape(one.name), escape(one.line), style=style)
    return table


def _summary(seen: list[Seen], total_steps: int) -> str:
    finished = sum(one.phase == "done" for one in seen)
    rate = sum(one.rate for one in seen if one.phase == "training")
    left = sum((1 - min(one.done, 1.0)) * total_steps for one in seen)
    time_left = f", about {left / rate / 60:.0f} min of training left" if rate else ""
    return f"{finished} of {len(seen)} runs done{time_left}"
