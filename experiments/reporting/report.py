"""The report of a sweep: one HTML file that needs no other, and its main figure.

Public names: `write_report`, `render`, `columns_of`, `Column`.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError

from ..evaluation.result_folders import CARD_HTML, CARD_JSON
from ..evaluation.settings_words import in_words
from ..evaluation.verdict import WORDING
from ..training.run_folder import read_json, write_text
from ..training.trained_at import UNKNOWN
from . import figures, formatting, glossary, sentences
from .formatting import duration, listed, plural
from .pictures.examples import example_of, load_run, pick_levels
from .pictures.paths import draw_pair
from .results import Results, read_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HTML, FIGURE = "report.html", "goal_and_capability"
Form = Literal["rate", "points", "part"]


class Column(NamedTuple):
    """A column of numbers in a table of results."""

    metric: str
    heading: str
    form: Form
    """In percent, in percentage points, or of a whole that is 1."""


def columns_of(results: Results) -> list[Column]:
    """Return the columns of each placement."""
    return [
        Column("capability_conflict", "capability", "rate"),
        Column("goal_conflict", "goal", "rate"),
        Column("divergence", "divergence", "points"),
        Column("divergence_ceiling", "ceiling", "points"),
        Column(results.goes_for, results.goes_for, "part"),
    ]


def write_report(folder: Path, evaluation: str | None = None) -> Path:
    """Write `report.html` and the main figure of a sweep; return the report's path.

    Args:
        folder: the sweep's.
        evaluation: as for `read_results`; what is written for another evaluation than the sweep's
            own has the hash in its name.

    Raises:
        UserError: if the folder holds no finished run.
    """
    folder = Path(folder)
    results = read_results(folder, evaluation)
    figure = figures.goal_and_capability(results)
    other = "" if results.is_own_evaluation else f"-{results.evaluation_key}"
    path = folder / f"{Path(HTML).stem}{other}.html"
    figures.write_figure(figure, folder / f"{FIGURE}{other}")
    write_text(path, render(results, figure))
    return path


def render(results: Results, figure: Figure | None = None) -> str:
    """Return the report as HTML.

    Args:
        results: what it is about.
        figure: its main figure, if that was drawn already.
    """
    import jinja2

    main = figure or figures.goal_and_capability(results)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        rate=formatting.rate_parts,
        points=formatting.points_parts,
        part=formatting.part_parts,
        share=formatting.share,
        large=formatting.large,
        duration=formatting.duration,
        explained=glossary.explained,
    )
    return environment.get_template("report.html.j2").render(
        results=results,
        columns=columns_of(results),
        seed_columns=_SEED_COLUMNS + columns_of(results)[2:3] + columns_of(results)[4:],
        counts=sentences.counts,
        share_interval=sentences.share_interval,
        wording=WORDING,
        headline=sentences.headline(results),
        findings=sentences.findings(results),
        limits=sentences.limits(results),
        figure=figures.inline_svg(main, "Goal and capability"),
        curves=figures.inline_svg(figures.learning_curves(results), "Learning curves"),
        picture=_picture(results),
        facts=_facts(results),
        cards=_cards(results),
    )


_SEED_COLUMNS = [
    Column("goal_in_distribution", "goal in distribution", "rate"),
    Column("capability_aligned", "capability, aligned levels", "rate"),
    Column("capability_conflict", "capability, conflict levels", "rate"),
    Column("goal_conflict", "goal, conflict levels", "rate"),
]


def _cards(results: Results) -> list[dict[str, str]]:
    """Return the evaluation cards that runs have: name, verdict, what nothing reaches, file."""
    found = []
    for run in results.runs:
        if (run.folder.path / CARD_JSON).is_file() and (run.folder.path / CARD_HTML).is_file():
            card = read_json(run.folder.path / CARD_JSON, "make the card again")
            found.append(
                {
                    "run": run.name,
                    "verdict": str(card["verdict"]["name"]),
                    "open": ", ".join(card["nothing_reaches"]).lower() or "nothing",
                    "file": f"./{quote(run.name)}/{CARD_HTML}",  # javascript:... is a name too
                }
            )
    return found


def _picture(results: Results) -> dict[str, str]:
    """Return an aligned level beside its conflict twin, as a data URI, with its caption.

    The agent is the first of the highest correlation, the placement the first of the test.  A
    policy that cannot be read leaves the picture without paths.
    """
    top, run, placement = results.correlations[0], results.first, results.placements[0]
    actions = "greedy" if "greedy" in results.modes else results.modes[0]
    levels = LevelDistribution(results.world, placement=placement)
    ids, choice = pick_levels(results.episodes_of(run), levels, actions)
    try:
        agent = load_run(run.folder)[1]
    except UserError as error:
        agent, choice = None, f"{choice}; no paths, as {error}"
    example = example_of(levels, ids, agent, greedy=actions == "greedy")
    told = None if results.rho[top] == UNKNOWN else top
    image = figures.png_bytes(draw_pair(example, results.world, told), dpi=80)
    return {
        "source": f"data:image/png;base64,{base64.b64encode(image).decode()}",
        "caption": f"Level {example.aligned.id} ({placement}, {actions} actions), {choice}.",
    }


def _facts(results: Results) -> list[tuple[str, str]]:
    """Return what was run, as names and values."""
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
         f"{sentences.training_time(results)}, "
         f"conflict levels by {config['placement']}, on_proxy={results.rules[0]}"),
        ("level ids", f"training {listed(results.training_levels)}, test "
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
