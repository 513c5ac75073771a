"""The glossary has one source: the page, and the tooltips of reports and cards, come from it."""

import html
import re
from pathlib import Path

import pytest

from misgen.experiments.evaluation.verdict import VERDICTS
from misgen.experiments.reporting.glossary import TERMS, explained, markdown

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "experiments").rglob("templates/*.html.j2"))
EXPLAINED = re.compile(r"\{\{\s*\"([^\"]+)\"\|explained\s*\}\}")
ABBREVIATION = re.compile(r'<abbr title="([^"]*)">')


def test_the_page_is_what_the_source_says():
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert page == markdown(), (
        "write it again: python -m misgen.experiments.commands.print_glossary > docs/glossary.md"
    )


def test_the_readme_leads_to_the_page():
    assert "(docs/glossary.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_every_term_is_defined_in_two_sentences(term):
    sentences = re.findall(r"[.](?:\s|$)", term.meaning.replace("et al. ", ""))
    assert len(sentences) == 2, term.meaning
    assert term.meaning.endswith(".")


def test_every_form_belongs_to_one_term():
    forms = [form.lower() for term in TERMS for form in (term.name, *term.forms)]
    assert len(forms) == len(set(forms))


WITHOUT = ("player.html.j2", "plots.html.j2", "replay.html.j2")
"""Parts of pages whose other parts explain the terms."""


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_what_templates_explain_is_in_the_glossary(template):
    """A heading that is marked as explained and holds no term would silently have no tooltip."""
    headings = EXPLAINED.findall(template.read_text(encoding="utf-8"))
    assert headings or template.name in WITHOUT, "no heading has a tooltip"
    meanings = {term.meaning for term in TERMS}
    for heading in headings:
        shown = [html.unescape(title) for title in ABBREVIATION.findall(explained(heading))]
        assert shown, heading
        assert set(shown) <= meanings


def test_terms_are_found_as_whole_words_once_each_and_text_is_escaped():
    shown = explained("goals, <b>goal</b>: Goal and conflict levels of the goal-seeker")
    assert shown.count("<abbr") == 3  # goal, conflict levels, goal-seeker
    assert "&lt;b&gt;<abbr" in shown
    assert ">conflict levels</abbr>" in shown
    assert ">goal-seeker</abbr>" in shown
    assert "goals, &lt;" in shown


def test_the_verdicts_have_entries():
    assert set(VERDICTS) <= {term.name for term in TERMS}


def test_headings_of_results_have_entries():
    forms = {form for term in TERMS for form in (term.name, *term.forms)}
    assert {"capability", "goal", "divergence", "ceiling", "pursuit", "choice"} <= forms
