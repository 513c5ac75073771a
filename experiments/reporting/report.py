"""The report of a sweep: one HTML file that needs no other, and its main figure.

Public names: `write_report`, `render`, `render_replays`, `columns_of`, `Column`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

from ..evaluation.result_folders import CARD_HTML, CARD_JSON
from ..evaluation.settings_words import in_words
from ..evaluation.verdict import WORDING
from ..training.run_folder import read_json, write_text
from ..training.shell import shell_words
from . import figures, glossary, page, plain_words, plots, sentences, sequential
from .formatting import duration, listed, plural
from .place_maps import place_maps
from .replays.recorded import MOST, Replays, record
from .results import Results, read_results

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


def write_report(
    folder: Path, evaluation: str | None = None, replays: int = MOST, *, trust: bool = False
) -> Path:
    """Write `report.html` and the main figure of a sweep; return the report's path.

    Args:
        folder: the sweep's.
        evaluation: as for `read_results`; what is written for another evaluation than the sweep's
            own has the hash in its name.
        replays: how many episodes can be watched in it, at most.
        trust: make agents that were trained elsewhere again for these, which runs their code.

    Raises:
        UserError: if the folder holds no finished run.
    """
    folder = Path(folder)
    results = read_results(folder, evaluation)
    figure = figures.goal_and_capability(results)
    other = "" if results.is_own_evaluation else f"-{results.evaluation_key}"
    path = folder / f"{Path(HTML).stem}{other}.html"
    figures.write_figure(figure, folder / f"{FIGURE}{other}")
    write_text(path, render(results, record(results, replays, trust=trust)))
    return path


def render(results: Results, replays: Replays | None = None) -> str:
    """Return the report as HTML.

    Args:
        results: what it is about.
        replays: episodes to watch; None: none.
    """
    limits = sentences.limits(results)
    told = [*plain_words.evidence_sentences(results), *sentences.findings(results), *limits]
    return (
        page.environment()
        .get_template("report.html.j2")
        .render(
            results=results,
            replays=replays or Replays(""),
            script=page.script(player=bool(replays and replays.data)),
            columns=columns_of(results),
            seed_columns=_SEED_COLUMNS + columns_of(results)[2:3] + columns_of(results)[4:],
            counts=sentences.counts,
            share_interval=sentences.share_interval,
            share_of_all=plain_words.share_of_all,
            wording=WORDING,
            headline=plain_words.verdict_sentence(results),
            evidence=plain_words.evidence_sentences(results),
            findings=sentences.findings(results),
            limits=limits,
            until=sequential.rule_line(results),
            decisions=sequential.decision_lines(results),
            goes_for=plots.panels(results, results.goes_for),
            divergence=plots.panels(results, "divergence"),
            pull=plots.panels(results, "pull") if results.world.goal_moves else [],
            legend=plots.legend(results),
            curves=plots.curves(results),
            maps=place_maps(results),
            facts=_facts(results),
            cards=_cards(results),
            card_command=shell_words("misgen", "card", f"run={results.first.folder.path}"),
            terms=glossary.terms_in(" ".join([*told, _USED])),
        )
    )


def render_replays(results: Results, replays: Replays) -> str:
    """Return a page with nothing but the replays."""
    return (
        page.environment()
        .get_template("replay.html.j2")
        .render(
            results=results,
            replays=replays,
            title=f"{results.title}: replays ({results.folder.resolve().name})",
            script=page.script(player=bool(replays.data)),
            headline=plain_words.verdict_sentence(results),
        )
    )


_USED = (
    "training seed, recipe, verdict, misgeneralizing, aligned, mixed, incapable, aimless, pursuit, "
    "choice, pull, divergence, ceiling, capability, goal, proxy, correlation, conflict levels, "
    "aligned levels, in distribution, random, novel, realised ρ, evaluation card"
)
"""Terms of the template itself."""
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
