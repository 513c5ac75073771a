"""The ledger of claims: judged from tables by whole intervals, whichever way they point."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands import evidence_pages
from misgen.experiments.evidence.columns import csv_of
from misgen.experiments.evidence.literature import (
    AGAINST,
    AGREES,
    CLAIMS,
    OPEN,
    headlines,
    judged,
    ledger,
)
from misgen.experiments.evidence.overview import drawn, findings
from misgen.experiments.evidence.question import QUESTIONS, question_of
from misgen.experiments.evidence.told import PROVENANCE, made_of, page, read_rows
from misgen.experiments.training.run_folder import write_json
from tests.evidence.synthetic import seed_row, table_of

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in ROOT.glob(f"docs/evidence/*/{PROVENANCE}"))


def mazes(folder, gem_seeds, seeds=20):
    """Write a folder with seeds of which some always take the gem."""
    rows = [
        seed_row("misgeneralizes" if seed < gem_seeds else "aligned", sight=0, train_seed=seed,
                 proxy_first=0.9 * (seed < gem_seeds), goal_first=0.9 * (seed >= gem_seeds))
        for seed in range(seeds)
    ]  # fmt: skip
    (folder / "maze_2").mkdir(parents=True)
    (folder / "maze_2" / "seeds.csv").write_text(csv_of(table_of(rows)), encoding="utf-8")


def line_of(text, word):
    (line,) = [line for line in text.splitlines() if word in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(("gems", "verdict"), [(20, AGREES), (0, AGAINST), (10, OPEN)])
def test_a_claim_is_judged_by_its_interval(gems, verdict, tmp_path):
    mazes(tmp_path, gems)
    cells = line_of(ledger(judged(findings(tmp_path))), "yellow gem")
    assert cells[3] == verdict
    assert f"the gem {gems / 20:.0%}" in cells[2]
    assert "20 seeds" in cells[2]


def test_what_has_no_table_is_not_measured(tmp_path):
    text = ledger(judged(findings(tmp_path)))
    assert text.count("| not measured |") == len(CLAIMS)
    assert AGREES not in {line_of(text, claim.says)[3] for claim in CLAIMS}


def test_every_question_has_a_claim_and_every_claim_a_question():
    asked = {claim.question for claim in CLAIMS if claim.question}
    assert asked == set(QUESTIONS)
    assert all((claim.judge is None) == (not claim.question) for claim in CLAIMS)


def test_the_pages_are_written_and_only_what_is_settled_is_a_headline(tmp_path, capsys):
    mazes(tmp_path / "docs/evidence", 20)
    write_json(tmp_path / "docs/evidence/maze_2" / PROVENANCE, made_of(FOLDERS[0]))
    for path in ("README.md", "docs/comparing_protocols.md"):
        text = (ROOT / path).read_text(encoding="utf-8")
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert evidence_pages.main([str(tmp_path)]) == 0
    assert "written: docs/claims.md" in capsys.readouterr().out
    found = findings(tmp_path / "docs/evidence")
    ledger_page = (tmp_path / "docs/claims.md").read_text(encoding="utf-8")
    assert ledger_page == ledger(judged(found))
    told = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "langosco_figure_4/README.md)" not in told
    assert "(89%)** ([agrees](docs/evidence/maze_2/README.md)): the gem 100%" in told
    shown = (tmp_path / "docs/evidence/README.md").read_text(encoding="utf-8")
    assert found["maze_2"].paragraph in shown
    assert "(maze_2/maze_2.png)](maze_2/README.md)" in shown
    mazes(tmp_path / "open", 10)
    assert headlines(judged(findings(tmp_path / "open"))) == ""


def test_a_page_without_a_place_for_what_is_drawn_is_refused(tmp_path):
    (tmp_path / "page.md").write_text("# a page", encoding="utf-8")
    with pytest.raises(UserError, match="no place for what is settled: mark it by"):
        drawn(tmp_path / "page.md", "what is settled", "- a line")


def test_committed_pages_and_tables_follow_from_the_committed_seeds():
    every = findings(ROOT / "docs/evidence")
    for path, text in evidence_pages.pages(every, ROOT).items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, path
    for folder in FOLDERS:
        question, found = question_of(folder.name), every[folder.name]
        for name, table in found.tables.items():
            assert (folder / f"{name}.csv").read_text(encoding="utf-8") == csv_of(table)
        told = (folder / "README.md").read_text(encoding="utf-8")
        assert told == page(question, found, made_of(folder))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_parts_of_a_question_are_told_too(folder):
    """One arm alone, and the first row alone, whatever tables they leave empty."""
    question = question_of(folder.name)
    rows, made = read_rows(folder, question), made_of(folder)
    parts = [rows.head(1), *(own for _, own in rows.group_by(["arm"], maintain_order=True))]
    for part in parts:
        found = question.analyse(part)
        assert found.paragraph in page(question, found, made)
    for part in parts[:2]:
        plt.close(question.draw(part, question.analyse(part)))
