"""The tables, figure and page of a question, written from its table of rows alone.

Public names: `write_results`, `read_rows`, `made_of`, `page`, `PAGE`, `PROVENANCE`.

`<out>/seeds.csv` (or what else the question calls it) holds every row; every other table, the
figure and `README.md` follow from it, and `provenance.json` says how it was made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import read_bytes

from ..reporting.formatting import plural
from ..training.run_folder import provenance, read_json, write_json, write_text
from ..training.shell import shell_words
from .collected import Done
from .columns import csv_of
from .config import EvidenceConfig
from .question import Found, Question
from .telling import spelled

PAGE, PROVENANCE = "README.md", "provenance.json"
_MOST_ROWS = 40
"""A page shows no longer tables; they are beside it."""


def write_results(config: EvidenceConfig, rows: pl.DataFrame, done: Done) -> Found:
    """Write tables, figure and page, and return what they say.

    Raises:
        UserError: if the folder cannot be written to.
    """
    from ..reporting.figures import write_figure

    question, into = config.asked, config.folder
    found = question.analyse(rows)
    into.mkdir(parents=True, exist_ok=True)
    write_text(into / f"{question.table}.csv", csv_of(rows))
    for name, table in found.tables.items():
        write_text(into / f"{name}.csv", csv_of(table))
    write_figure(question.draw(rows, found), into / question.name)
    made = _made(config, rows, done)
    write_json(into / PROVENANCE, made)
    write_text(into / PAGE, page(question, found, made))
    return found


def read_rows(folder: Path, question: Question) -> pl.DataFrame:
    """Return the table of rows that a question's folder holds.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    path = folder / f"{question.table}.csv"
    try:
        return pl.read_csv(read_bytes(path), glob=False, schema_overrides=question.columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        why = str(error).partition("\n")[0]
        raise UserError(f"{path} cannot be read ({why}): make it with misgen evidence") from None


def page(question: Question, found: Found, made: dict[str, Any]) -> str:
    """Return the page of a question, as Markdown."""
    beside = ", ".join(f"[{name}.csv]({name}.csv)" for name in found.tables)
    parts = [
        f"# {question.title}",
        question.asks,
        f"`{made['question_command']}`",
        "## What was found",
        found.paragraph,
        "\n".join(f"- {line}" for line in found.details),
        f"{_capital(str(made['done']))}. {question.how_sure}",
        f"![{question.title}]({question.name}.png)",
        question.caption,
        *[_shown(found, name) for name in found.shown if len(found.tables[name])],
        f"Every {question.each} is a row of [{question.table}.csv]({question.table}.csv); what is "
        f"made of them: {beside}.",
        "## What it does not show",
        "\n".join(f"- {line}" for line in (*question.limits, *_GENERAL)),
        "## How it was made",
        _provenance_words(question, made),
        "\n".join(f"- `{line}`" for line in made["arms"]),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


_GENERAL = (
    "Behaviour only: pursuit says where agents go, not what they represent "
    "([what the numbers mean](../../measures.md)).",
)


def _made(config: EvidenceConfig, rows: pl.DataFrame, done: Done) -> dict[str, Any]:
    all_of_now = provenance()
    now = {
        "hardware": {**all_of_now["hardware"], "cpu": _cpu()},
        "packages": all_of_now["packages"],
        "python": all_of_now["python"],
    }
    known = rows["cpu_seconds"].drop_nulls()
    days = sorted(rows["finished"].unique().to_list())
    return {
        "question_command": shell_words(
            "misgen", "evidence", config.question, f"size={config.size}"
        ),
        "arms": [arm.told(config) for arm in config.chosen_arms],
        "done": str(done),
        "runs": done.runs,
        "planned": done.planned,
        "days": [days[0], days[-1]] if days else [],
        "cpu_hours": round(float(known.sum()) / 3600, 3),
        "commits": sorted(rows["commit"].unique().to_list()),
        **now,
        "earlier": _earlier(config, now),
    }


def _earlier(config: EvidenceConfig, now: dict[str, Any]) -> list[dict[str, Any]]:
    """Return on what earlier rows were made, where that is not on what is used now."""
    if config.earlier is None:
        return []
    before = made_of(Path(config.earlier))
    last = {name: before[name] for name in now}
    return [one for one in (*before.get("earlier", []), last) if one != now]


def _provenance_words(question: Question, made: dict[str, Any]) -> str:
    days = " to ".join(dict.fromkeys(made["days"])) or "no day yet"
    machines = [one["hardware"] for one in (*made.get("earlier", []), made)]
    used = dict.fromkeys(
        f"{one['cpus']} cores of {one['cpu']} ({one['machine']})" for one in machines
    )
    return (
        f"{days}, {made['cpu_hours']:.2f} CPU hours for {made['runs']} {question.counts}, on "
        f"{' and '.join(used)}, no GPU. "
        f"[{PROVENANCE}]({PROVENANCE}) has versions and commits. Its parts, each a command that "
        "does it alone:"
    )


def _cpu() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "an unnamed processor"


def _shown(found: Found, name: str) -> str:
    """Return a part of a table as Markdown, ends of intervals beside their estimates."""
    whole = found.tables[name]
    table = whole.filter(found.rows[name]) if name in found.rows else whole
    columns = [c for c in found.shown[name] if table[c].null_count() < len(table)]
    head = [f"| {' | '.join(spelled(c) for c in columns)} |", f"|{'---|' * len(columns)}"]
    rows = table.head(_MOST_ROWS).to_dicts()
    lines = [f"| {' | '.join(_cell(row, c) for c in columns)} |" for row in rows]
    more = len(whole) - len(rows)
    rest = [f"\n({plural(more, 'more row')} in [{name}.csv]({name}.csv).)"] if more else []
    return "\n".join([f"**{spelled(name).capitalize()}**\n", *head, *lines, *rest])


def _cell(row: dict[str, Any], column: str) -> str:
    value = row[column]
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    if low is None or high is None:
        return f"{value:.3g}"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def made_of(folder: Path) -> dict[str, Any]:
    """Return how the results in a folder were made.

    Raises:
        UserError: if that is not noted there.
    """
    return read_json(folder / PROVENANCE, "make it with misgen evidence")
