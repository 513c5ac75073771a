"""Rewrite a sweep's report, or compare sweeps: misgen report [runs/<sweep> ...].

Reads the stored results of the sweep's runs (nothing is trained, and only one example is played),
prints the table of results, and writes to the sweep's folder

  report.html               the whole report, in one self-contained file
  goal_and_capability.png   its main figure, also as .svg

It leads with how many training seeds misgeneralize, and shows every seed; a recipe has a verdict
where most of at least 5 seeds agree.  Without a folder, it takes the sweep in runs/ that was
written to last.  Unfinished runs are named in the report and left out of its numbers.

A run may have been evaluated with several settings.  The report uses those of misgen sweep, or the
only ones there are, and says which.  evaluation=<beginning of the hash> chooses another evaluation,
whose report is written as report-<hash>.html beside the sweep's own.

The report has a player: typical episodes, each on a level in conflict beside the same level
aligned.  replays=<number> says how many of them (200; 0 for none), and trust=true also plays agents
that were trained elsewhere, which runs their code.

logger=wandb or tensorboard also shows the report's numbers, tables and figure there.

Several folders are compared side by side, each with the usual placement of its world: a table in
the terminal, and beside the first folder

  side_by_side.png   goal and capability of each sweep on conflict levels, also as .svg
  side_by_side.md    the table, as Markdown

Examples:
  misgen report
  misgen report runs/coinrun-lab
  misgen report runs/coinrun-lab evaluation=0123
  misgen report runs/follow_me-lab runs/lava_land-lab
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from misgen.envs.core.errors import UserError, one_of

from ..reporting.formatting import part, points, rate, share
from ..reporting.replays.recorded import MOST
from ..reporting.report import Column, columns_of, write_report
from ..reporting.results import Results, newest_sweep, read_results
from ..reporting.sentences import headline, interval_note, novelties, verdict_lines
from ..reporting.sequential import decision_lines, rule_line
from ..reporting.tracked_report import track_report
from ..training.overrides import refuse_unused
from ..training.run_folder import write_text
from ..training.terminal import make_console, show_table
from ..training.trackers import notes, require_trackers
from .plain_settings import plain_settings
from .replay import replay_count

if TYPE_CHECKING:
    from rich.table import Table

_SETTINGS = ("evaluation", "replays", "trust", "logger")
_OF_ONE = {"logger": "only the report of one sweep goes to a tracker: give one folder"}
_WIDE = 118
_SHOWN = 10  # names in a message
_CEILING = "divergence_ceiling"
_FORMS = {"rate": rate, "points": points, "part": part}
"""Columns of a terminal in which an estimate and its interval fit beside each other."""


def main(argv: Sequence[str]) -> int:
    """Print and write the report of a sweep, or set several side by side."""
    words = [word for word in argv if word.partition("=")[0] in _SETTINGS and "=" in word]
    settings = plain_settings(words, _SETTINGS)
    evaluation = settings.get("evaluation")
    most = replay_count(settings.get("replays", str(MOST)))
    trust = one_of("trust", settings.get("trust", "false"), ("true", "false")) == "true"
    asked = _trackers(settings.get("logger", "none"))
    folders = _folders([word for word in argv if word not in words])
    if len(folders) > 1:
        refuse_unused("report", words, _OF_ONE)
        return _compare(folders, evaluation)
    (folder,) = folders
    path = write_report(folder, evaluation, most, trust=trust)
    track_report(folder, asked, evaluation)
    print_report(folder, evaluation)
    print(f"report: {path}")
    return 0


def _trackers(name: str) -> dict[str, bool]:
    """Return the trackers that are asked for, after a note on what they will not do.

    Raises:
        UserError: for what is none, or is not installed.
    """
    asked = {} if name == "none" else {name: True}
    require_trackers(asked)
    for text in notes(asked):
        print(text, file=sys.stderr)
    return asked


def print_report(folder: Path, evaluation: str | None = None) -> None:
    """Print the headline and the table of a sweep.

    Args:
        folder: the sweep's.
        evaluation: as for `read_results`.

    Raises:
        UserError: if the folder holds no finished run.
    """
    results = read_results(Path(folder), evaluation)
    console = make_console()
    console.print()
    console.print(headline(results), style="bold", markup=False)
    show_table(console, terminal_table(results, narrow=console.width < _WIDE), labels=3)
    if len(results.world.proxies) > 1:
        show_table(console, proxies_table(results), labels=2)
    console.print("Verdicts by training seeds:")
    for line in (*verdict_lines(results), *novelties(results)):
        console.print(f"  {line}", markup=False)
    if rule := rule_line(results):
        console.print(rule, markup=False)
        for line in decision_lines(results):
            console.print(f"  {line}", markup=False)
    console.print(results.evaluation_words, style="dim", markup=False)
    console.print(interval_note(results), style="dim", markup=False)
    if left := results.left_out:
        told = ", ".join(left[:_SHOWN]) + (f" and {len(left) - _SHOWN} more" * (len(left) > _SHOWN))
        text = f"not shown, as the sweep has other settings now: {told}"
        console.print(text, style="yellow", markup=False, soft_wrap=True)
    for name, state in results.unfinished:
        console.print(f"not counted: {name}: {state}", style="yellow", markup=False)


def terminal_table(results: Results, narrow: bool = False) -> Table:
    """Return the results as a table: a row for each correlation, in it a line for each placement.

    Args:
        results: what to show.
        narrow: put intervals under the estimates.
    """
    from rich import box
    from rich.table import Table

    def cell(column: Column, correlation: float, placements: list[str]) -> str:
        told = []
        for place in placements:
            text = _FORMS[column.form](results.interval(column.metric, correlation, place))
            estimate, _, interval = text.partition(" ")
            if column.metric == "divergence":
                ceiling = points(results.interval(_CEILING, correlation, place))
                estimate = f"{estimate} of {ceiling.partition(' ')[0]}"
            told.append(f"{estimate}\n{interval}" if narrow else f"{estimate} {interval}".rstrip())
        return "\n".join(told)

    gap = (0, 1, 0, 0) if narrow else (0, 2, 0, 0)
    table = Table(
        box=box.SIMPLE_HEAD, show_lines=True, show_edge=False, padding=gap, pad_edge=False,
        title=_rule_title(results), title_justify="left",
    )  # fmt: skip
    columns = [column for column in columns_of(results) if column.metric != _CEILING]
    headings = ["\nρ", "in distr.\ngoal", "goal\nmoved to"]
    headings += [f"conflict\n{column.heading}" for column in columns[:2]]
    headings += ["divergence\nof ceiling", f"\n{results.goes_for}"]
    for heading in headings:
        table.add_column(heading, justify="left" if "moved" in heading else "right", no_wrap=True)
    places = results.placements
    for correlation in results.correlations:
        table.add_row(
            results.rho[correlation],
            cell(Column("goal_in_distribution", "", "rate"), correlation, places[:1]),
            ("\n\n" if narrow else "\n").join(places),
            *[cell(column, correlation, places) for column in columns],
        )
    return table


def _rule_title(results: Results) -> str | None:
    trained, tested = results.rules
    return None if trained == tested else f"Tested under on_proxy={tested}, trained under {trained}"


def proxies_table(results: Results) -> Table:
    """Return what agents reached where cues conflict, in a world with several proxies."""
    from rich import box
    from rich.table import Table

    title = "Reached on conflict levels, by what conflicts there"
    if rule := _rule_title(results):
        title = f"{title}. {rule}"
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, title=title, title_justify="left")
    table.add_column("ρ", justify="right")
    table.add_column("in conflict")
    for name in ("goal", *results.world.proxies):
        table.add_column(name, justify="right")
    for correlation in results.correlations:
        for placement in results.placements:
            goal = results.interval("goal_conflict", correlation, placement).estimate
            shares = [goal, *results.proxy_shares(correlation, placement)]
            table.add_row(results.rho[correlation], placement, *[share(value) for value in shares])
    return table


def _compare(folders: Sequence[Path], evaluation: str | None = None) -> int:
    """Set sweeps side by side.

    Raises:
        UserError: if they were not evaluated alike.
    """
    from ..reporting.figures import write_figure
    from ..reporting.side_by_side import markdown, require_alike, side_by_side

    sweeps = [read_results(folder, evaluation) for folder in folders]
    require_alike(sweeps)
    show_table(make_console(), _side_by_side_table(sweeps), labels=2)
    stem = folders[0].parent / "side_by_side"
    write_figure(side_by_side(sweeps), stem, dpi=110)
    write_text(stem.with_suffix(".md"), markdown(sweeps))
    print(f"written: {stem}.png, .svg, .md")
    return 0


def _side_by_side_table(sweeps: Sequence[Results]) -> Table:
    """Return the results as a table for a terminal, intervals under the estimates."""
    from rich import box
    from rich.table import Table

    from ..reporting.side_by_side import HEADINGS, rows_of

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading.replace(" ", "\n", 1), no_wrap=True)
    for cells in rows_of(sweeps):
        table.add_row(*(cell.replace(" [", "\n[") for cell in cells))
    return table


def _folders(argv: Sequence[str]) -> list[Path]:
    """Return the sweeps that the command line names, or the newest.

    Raises:
        UserError: for a setting.
    """
    for word in argv:
        setting = re.match(r"[+~]*[A-Za-z_.]+=", word) and not Path(word).exists()
        if setting or word.startswith("-") or not word:
            raise UserError(
                f"{word!r} is neither a folder nor a setting ({', '.join(_SETTINGS)}): give "
                "folders, as in misgen report runs/coinrun-lab, or none for the newest sweep in "
                "runs"
            )
    if argv:
        return [Path(word) for word in argv]
    return [newest_sweep(Path("runs"))]


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("report", main))
