"""Replays in a notebook: an agent on a level beside the same level with the goal at the proxy.

Public names: `watch`, `Page`.
"""

from __future__ import annotations

import html
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from misgen.agents.zoo import located
from misgen.envs.core.errors import UserError

from ..reporting.replays.recorded import record
from ..reporting.report import render_replays
from ..reporting.results import read_results
from ..training.run_folder import RunFolder
from ..training.trained_run import TrainedRun

_HEIGHT = 740
"""Pixels of the frame that a page is shown in."""


@dataclass(frozen=True)
class Page:
    """A page that a notebook shows in a frame."""

    text: str
    count: int
    """Replays in it."""

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, which any browser opens."""
        target = Path(path)
        target.write_text(self.text, encoding="utf-8")
        return target

    def __repr__(self) -> str:
        """Return what a console shows."""
        return f'{self.count} replays: .save("replays.html") writes them as a page'

    def _repr_html_(self) -> str:
        held = html.escape(self.text, quote=True)
        return (
            f'<iframe title="replays" srcdoc="{held}" width="100%" height="{_HEIGHT}" '
            'style="border: 1px solid #ccc"></iframe>'
        )


def watch(run: str | Path | RunFolder, replays: int = 6, *, levels: Sequence[int] = ()) -> Page:
    """Return replays of an agent, to be shown as the last line of a cell.

    The episodes are those of its evaluation, played again, and picked by rule: of each placement
    and outcome the one of median length.

    Args:
        run: `zoo:<name>`, or a run that was evaluated.
        replays: how many episodes, at most.
        levels: ids of test levels to show instead.

    Raises:
        UserError: if there is no such run, or nothing to watch.
    """
    folder = (run.path if isinstance(run, RunFolder) else located(run)).resolve()
    TrainedRun.read(RunFolder(folder))
    with tempfile.TemporaryDirectory() as temporary:  # as a sweep of one run
        alone = Path(temporary) / folder.parent.name
        shutil.copytree(folder, alone / folder.name)
        results = read_results(alone)
        found = record(results, replays, levels=tuple(levels))
        if not found.data:
            why = "; ".join(found.missing) or "no such level was tested"
            raise UserError(f"{folder} cannot be watched: {why}")
        return Page(render_replays(results, found), found.count)
