"""Rewrite a sweep's report, or compare sweeps: misgen report [runs/<sweep> ...].

Reads the stored results of the sweep's runs (nothing is trained, and only one example is played),
prints the table of results, and writes to the sweep's folder

  report.html               the whole report, in one self-contained file
  goal_and_capability.png   its main figure, also as .svg

Without a folder, it takes the sweep in runs/ that was written to last.  Unfinished runs are named
in the report and left out of its numbers.

A run may have been evaluated with several settings.  The report uses those of misgen sweep, or the
only ones there are, and says which.  evaluation=<beginning of the hash> chooses another evaluation,
whose report is written as report-<hash>.html beside the sweep's own.

Several folders are compared side by side, each with the usual placement of its world: a table in
the terminal, and beside the first folder

  side_by_side.png   goal and capability of each sweep, also as .svg
  side_by_side.md    the table, as Markdown

Examples:
  misgen report
  misgen report runs/coinrun-lab
  misgen report runs/coinrun-lab evaluation=0123
  misgen report runs/follow_me-lab runs/lava_land-lab
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from misgen.envs.core.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from ..reporting.results import Results

HTML, FIGURE = "report.html", "goal_and_capability"
_COLUMNS = (
    ("capability_shifted", "capability"),
    ("goal_shifted", "goal"),
    ("goal_informative", "goal, informative"),
    ("divergence", "divergence"),
)
"""Metric and heading of the columns of each placement."""
_EVALUATION = "evaluation="
_WIDE = 106
"""Columns of a terminal in which an estimate and its interval fit beside each other."""


def main(argv: Sequence[str]) -> int:
    """Print and write the report of a sweep, or set several side by side."""
    chosen = [word.partition("=")[2] for word in argv if word.startswith(_EVALUATION)]
    evaluation = chosen[-1] if chosen else None
    folders = _folders([word for word in argv if not word.startswith(_EVALUATION)])
    if len(folders) > 1:
        return _compare(folders, evaluation)
    (folder,) = folders
    path = write_report(folder, evaluation)
    print_report(folder, evaluation)
    print(f"report: {path}")
    return 0


def write_report(folder: Path, evaluation: str | None = None) -> Path:
    """Write `report.html` and the main figure of a sweep; return the report's path.

    Args:
        folder: the sweep's.
        evaluation: as for `read_results`; what is written for another evaluation than the sweep's
            own has the hash in its name.

    Raises:
        UserError: if the folder holds no finished run.
    """
    from ..reporting.figures import goal_and_capability, write_figure
    from ..reporting.results import read_results
    from ..training.run_folder import write_text

    folder = Path(folder)
    results = read_results(folder, evaluation)
    figure = goal_and_capability(results)
    other = "" if results.is_own_evaluation else f"-{results.evaluation_key}"
    path = folder / f"{Path(HTML).stem}{other}.html"
    write_figure(figure, folder / f"{FIGURE}{other}")
    write_text(path, render(results, figure))
    return path


def print_report(folder: Path, evaluation: str | None = None) -> None:
    """Print the headline and the table of a sweep.

    Args:
        folder: the sweep's.
        evaluation: as for `read_results`.

    Raises:
        UserError: if the folder holds no finished run.
    """
    from ..reporting.results import read_results
    from ..reporting.sentences import headline, interval_note, verdict_lines
    from ..training.terminal import make_console, show_table

    results = read_results(Path(folder), evaluation)
    console = make_console()
    console.print()
    console.print(headline(results), style="bold")
    show_table(console, terminal_table(results, narrow=console.width < _WIDE), labels=3)
    if len(results.world.proxies) > 1:
        show_table(console, proxies_table(results), labels=2)
    console.print("Verdicts, where the intervals carry one:")
    for line in verdict_lines(results):
        console.print(f"  {line}")
    console.print(results.evaluation_words, style="dim", markup=False)
    console.print(interval_note(results), style="dim")
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

    from ..reporting.formatting import points, rate

    def cell(metric: str, correlation: float, placements: list[str]) -> str:
        form = points if metric == "divergence" else rate
        lines = [form(results.interval(metric, correlation, place)) for place in placements]
        return "\n".join(line.replace(" ", "\n", 1) if narrow else line for line in lines)

    gap = (0, 1, 0, 0) if narrow else (0, 2, 0, 0)
    table = Table(
        box=box.SIMPLE_HEAD, show_lines=True, show_edge=False, padding=gap, pad_edge=False
    )
    headings = ["\nρ", "goal\nbefore", "goal\nmoved to"]
    headings += [heading.replace(", ", ",\n") for _, heading in _COLUMNS]
    for heading in headings:
        table.add_column(heading, justify="left" if "moved" in heading else "right", no_wrap=True)
    places = results.placements
    for correlation in results.correlations:
        table.add_row(
            f"{correlation:g}",
            cell("goal_heldout", correlation, places[:1]),
            ("\n\n" if narrow else "\n").join(places),
            *[cell(metric, correlation, places) for metric, _ in _COLUMNS],
        )
    return table


def proxies_table(results: Results) -> Table:
    """Return what agents reached where cues conflict, in a world with several proxies."""
    from rich import box
    from rich.table import Table

    title = "Reached on shifted levels, by what conflicts there"
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, title=title, title_justify="left")
    table.add_column("ρ", justify="right")
    table.add_column("in conflict")
    for name in ("goal", *results.world.proxies):
        table.add_column(name, justify="right")
    for correlation in results.correlations:
        for placement in results.placements:
            goal = results.interval("goal_shifted", correlation, placement).estimate
            shares = [goal, *results.proxy_shares(correlation, placement)]
            table.add_row(f"{correlation:g}", placement, *[f"{share:.0%}" for share in shares])
    return table


def render(results: Results, figure: Figure | None = None) -> str:
    """Return the report as HTML.

    Args:
        results: what it is about.
        figure: its main figure, if that was drawn already.
    """
    import jinja2

    from ..reporting import figures, formatting, glossary, sentences

    main = figure or figures.goal_and_capability(results)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "reporting" / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        rate=formatting.rate_parts,
        points=formatting.points_parts,
        share=formatting.share,
        large=formatting.large,
        duration=formatting.duration,
        explained=glossary.explained,
    )
    return environment.get_template("report.html.j2").render(
        results=results,
        columns=_COLUMNS,
        headline=sentences.headline(results),
        findings=sentences.findings(results),
        limits=sentences.limits(results),
        figure=figures.inline_svg(main, "Goal and capability"),
        curves=figures.inline_svg(figures.learning_curves(results), "Learning curves"),
        picture=_picture(results),
        facts=_facts(results),
        cards=_cards(results),
    )


def _cards(results: Results) -> list[dict[str, str]]:
    """Return the evaluation cards that runs have: name, verdict, what nothing reaches, file."""
    from ..training.run_folder import read_json
    from .card import HTML as CARD
    from .card import JSON

    found = []
    for run in results.runs:
        if (run.folder.path / JSON).is_file() and (run.folder.path / CARD).is_file():
            card = read_json(run.folder.path / JSON, "make the card again")
            found.append(
                {
                    "run": run.name,
                    "verdict": str(card["verdict"]["name"]),
                    "open": ", ".join(card["nothing_reaches"]).lower() or "nothing",
                    "file": f"./{quote(run.name)}/{CARD}",  # javascript:... is a name too
                }
            )
    return found


def _picture(results: Results) -> dict[str, str]:
    """Return a level as in training beside the level shifted, as a data URI, with its caption.

    The agent is the first of the highest correlation, the placement the one with the most
    informative levels.  A policy that cannot be read leaves the picture without paths.
    """
    from misgen.envs.core.distribution import LevelDistribution

    from ..reporting.figures import png_bytes
    from ..reporting.pictures.paths import draw_pair, example_of, load_run, pick_levels

    top, run = results.correlations[0], results.first
    shares = {p: results.interval("informative_share", top, p).estimate for p in results.placements}
    placement = max(shares, key=lambda name: (shares[name] == shares[name], shares[name]))
    actions = "greedy" if "greedy" in results.modes else results.modes[0]
    levels = LevelDistribution(results.world, placement=placement)
    ids, choice = pick_levels(results.episodes_of(run), levels, actions)
    try:
        agent = load_run(run.folder)[1]
    except UserError as error:
        agent, choice = None, f"{choice}; no paths, as {error}"
    example = example_of(levels, ids, agent, greedy=actions == "greedy")
    image = png_bytes(draw_pair(example, results.world, top), dpi=80)
    return {
        "source": f"data:image/png;base64,{base64.b64encode(image).decode()}",
        "caption": f"Level {example.aligned.id} ({placement}, {actions} actions), {choice}.",
    }


def _facts(results: Results) -> list[tuple[str, str]]:
    """Return what was run, as names and values."""
    from ..evaluation.chosen import in_words
    from ..reporting.formatting import duration, large, plural

    first, config = results.first.manifest, results.first.config
    seconds = [run.manifest.get("wall_seconds", 0.0) for run in results.runs]
    tests = [run.summary.get("wall_seconds", 0.0) for run in results.runs]
    levels, hardware, git = config["levels"], first.get("hardware", {}), first.get("git", {})
    seeds = sorted({run.seed for run in results.runs})
    parameters = [f"{k}={v}" for k, v in config["env"].items() if k != "name"]
    commit = git.get("commit") or "unknown"
    return [
        ("command", results.sweep.get("command") or first.get("command", "unknown")),
        ("world", f"{results.title}: {', '.join(parameters)}"),
        ("training", f"{plural(len(results.runs), 'run')}, seeds {', '.join(map(str, seeds))}, "
         f"{large(first.get('environment_steps', config['agent']['total_steps']))} decisions each, "
         f"conflict levels by {config['placement']}"),
        ("level ids", f"training {levels['train']}, test "
         f"{results.evaluation.get('levels', levels['test'])}"),
        ("evaluation", f"{results.evaluation_key}: {in_words(results.evaluation)}; "
         f"{len(results.episodes):,} episodes"),
        ("time", f"{duration(max(seconds))} of training for the longest run, "
         f"{duration(sum(seconds))} for all, {duration(sum(tests))} of evaluation"),
        ("machine", f"{hardware.get('cpus', '?')} CPUs, {hardware.get('system', 'unknown')}"),
        ("software", ", ".join(f"{k} {v}" for k, v in first.get("packages", {}).items() if v)),
        ("source", commit + (", with changes not committed" if git.get("dirty") else "")),
        ("date", str(max(run.manifest.get("finished", "") for run in results.runs))),
    ]  # fmt: skip


def _compare(folders: Sequence[Path], evaluation: str | None = None) -> int:
    """Set sweeps side by side.

    Raises:
        UserError: if they were not evaluated alike.
    """
    from ..reporting.figures import write_figure
    from ..reporting.results import read_results
    from ..reporting.side_by_side import markdown, require_alike, side_by_side, side_by_side_table
    from ..training.run_folder import write_text
    from ..training.terminal import make_console, show_table

    sweeps = [read_results(folder, evaluation) for folder in folders]
    require_alike(sweeps)
    show_table(make_console(), side_by_side_table(sweeps), labels=2)
    stem = folders[0].parent / "side_by_side"
    write_figure(side_by_side(sweeps), stem, dpi=110)
    write_text(stem.with_suffix(".md"), markdown(sweeps))
    print(f"written: {stem}.png, .svg, .md")
    return 0


def _folders(argv: Sequence[str]) -> list[Path]:
    """Return the sweeps that the command line names, or the newest.

    Raises:
        UserError: for a setting.
    """
    for word in argv:
        setting = re.match(r"[+~]*[A-Za-z_.]+=", word) and not Path(word).exists()
        if setting or word.startswith("-") or not word:
            raise UserError(
                f"{word!r} is no folder, and misgen report has no settings: give folders, as in "
                "misgen report runs/coinrun-lab, or none for the newest sweep in runs"
            )
    if argv:
        return [Path(word) for word in argv]
    from ..reporting.results import newest_sweep

    return [newest_sweep(Path("runs"))]


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("report", main))
