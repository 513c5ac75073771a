"""What was found by all questions: a page with their figures, and what other pages draw from them.

Public names: `findings`, `overview`, `drawn`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from misgen.envs.core.errors import UserError

from ..reporting.formatting import plural
from .question import QUESTIONS, Found, question_of
from .told import made_of, read_rows


def findings(evidence: Path) -> dict[str, Found]:
    """Return what the tables in a folder's folders come to, of the questions that have one.

    Raises:
        UserError: if a table cannot be read.
    """
    questions = [question_of(name) for name in QUESTIONS]
    return {
        asked.name: asked.analyse(read_rows(evidence / asked.name, asked))
        for asked in questions
        if (evidence / asked.name / f"{asked.table}.csv").is_file()
    }


def overview(found: Mapping[str, Found], evidence: Path) -> str:
    """Return the page of what was found, as Markdown.

    Raises:
        UserError: if it is not noted how a question's results were made.
    """
    sections = [_section(name, one, evidence) for name, one in found.items()]
    return "\n\n".join([_HEAD, *sections]) + "\n"


def _section(name: str, found: Found, evidence: Path) -> str:
    question, made = question_of(name), made_of(evidence / name)
    page = f"{name}/README.md"
    spent = f"{plural(made['runs'], question.counts.removesuffix('s'))}, {made['cpu_hours']:.1f}"
    return (
        f"## {question.title}\n\n{found.paragraph}\n\n"
        f"[![{question.title}]({name}/{name}.png)]({page})\n\n"
        f"{spent} CPU hours so far, of {made['planned']:,} planned: [the whole page]({page}), "
        f"`{made['question_command']}`"
    )


def drawn(page: Path, what: str, lines: str) -> str:
    """Return a page with what it draws from tables, between two marks, replaced.

    Raises:
        UserError: if the page has no such marks.
    """
    begin = f"<!-- {what}; written by python -m misgen.experiments.commands.evidence_pages -->"
    end = f"<!-- end of {what} -->"
    before, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise UserError(f"{page} has no place for {what}: mark it by {begin} and {end}")
    return f"{before}{first}\n{lines}\n{last}{after}"


_HEAD = """\
# Evidence

What was found by the questions that were carried out, each with its figure. A question's page says
how sure it is and what it does not show, and has every training seed, or every agent that was
tested, as a row of one table, from which all else follows; `provenance.json` beside it has
commands, days, hardware and CPU hours. [Claims of the literature](../claims.md) says what they come
to.

`misgen evidence <question> size=lab` does what a question asks for, goes on where it was stopped,
and with `out=docs/evidence/<question>` writes here; `python -m
misgen.experiments.commands.evidence_pages` then writes this page anew."""
