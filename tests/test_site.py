"""The documentation as a site: complete, held to the code, and what it tells a stranger is so."""

from __future__ import annotations

import dataclasses
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from misgen.agents import zoo
from misgen.envs.core.registry import own_entries, world_class
from misgen.experiments.commands import cli, python_page, world_pages
from misgen.experiments.evidence.question import QUESTIONS
from misgen.experiments.reporting.python_page import PACKAGES
from misgen.experiments.reporting.world_pages import ALIKE, index, pages
from misgen.experiments.training.settings import compose

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = pages()
BUILDS = shutil.which("zensical", path=str(Path(sys.executable).parent))


def addresses(nav) -> list[str]:
    """Return the pages that a navigation names."""
    found = []
    for part in nav:
        below = part.values() if isinstance(part, dict) else [part]
        for one in below:
            found += [one] if isinstance(one, str) else addresses(one)
    return found


def staged(docs: Path) -> dict:
    """Return the settings of the site for pages that lie elsewhere."""
    code = runpy.run_path(str(ROOT / ".ci/site.py"))
    code["config"].__globals__["DOCS"] = docs
    return code["config"]()


# --- the pages are there -------------------------------------------------------------------------


def test_every_page_is_in_the_navigation_once():
    named = addresses(staged(DOCS)["nav"])
    assert sorted(named) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_pages_of_questions_are_taken_in_once_they_are_there(tmp_path):
    before = addresses(staged(tmp_path)["nav"])
    (tmp_path / "evidence/maze_2").mkdir(parents=True)
    (tmp_path / "evidence/maze_2/README.md").write_text("# A page")
    after = addresses(staged(tmp_path)["nav"])
    assert sorted(after) == sorted([*before, "evidence/maze_2/README.md"])


@pytest.mark.skipif(BUILDS is None, reason="misgen[docs] is not installed: make docs")
@pytest.mark.parametrize(("link", "status"), [("measures.md", 0), ("nowhere.md", 1)])
def test_the_site_is_built_and_a_dead_link_is_an_error(link, status, tmp_path):
    assert BUILDS is not None
    shutil.copytree(DOCS, tmp_path / "docs")
    evidence = tmp_path / "docs/evidence/maze_2"
    evidence.mkdir(exist_ok=True)
    (evidence / "README.md").write_text(f"# Measured\n\n[a page](../../{link})\n")
    settings = yaml.safe_dump(staged(tmp_path / "docs"), sort_keys=False)
    (tmp_path / "mkdocs.yml").write_text(settings)
    done = subprocess.run(
        [BUILDS, "build", "--strict", "-f", "mkdocs.yml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    if status == 0:
        html = (tmp_path / "html/evidence/maze_2/index.html").read_text()
        assert "measures.html" in html
        asks = re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=.?(https?:[^ >]*)", html)
        assert not asks, "the site asks nothing of another machine"


# --- the pages say what the code says ------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_of_worlds_are_what_the_worlds_say(page):
    written = (DOCS / f"worlds/{page.name}.md").read_text(encoding="utf-8")
    assert written == page.markdown(), f"write it again: {world_pages.__doc__}".split("\n")[0]
    assert (DOCS / "worlds" / page.picture).is_file()
    assert {"Intended goal", "Action Space", "Rewards", "Episode End"} <= page.sections.keys()


@pytest.mark.parametrize("page", [p for p in PAGES if p.is_drawn], ids=lambda page: page.name)
def test_pictures_of_worlds_are_what_is_drawn(page):
    kept = np.asarray(Image.open(DOCS / "worlds" / page.picture).convert("RGB"), np.int32)
    drawn = world_pages.picture_of(page).astype(np.int32)
    assert kept.shape == drawn.shape
    assert np.abs(kept - drawn).mean() < 3, "write the pictures again"  # of 255: a palette's loss
    side = len(kept)
    differ = (kept[:, :side] != kept[:, -side:]).mean() > 0.003
    assert differ == (page.name not in ALIKE), "what differs is seen, or said"


def test_the_list_of_worlds_is_theirs():
    assert (DOCS / "worlds/index.md").read_text(encoding="utf-8") == index(PAGES)
    assert {name for page in PAGES for name, _ in page.worlds} == own_entries().keys()


@pytest.mark.parametrize("name", own_entries())
def test_settings_files_name_every_parameter_with_the_default_of_the_code(name):
    """The tables of parameters are made of these files."""
    kept = yaml.safe_load((ROOT / f"configs/env/{name}.yaml").read_text(encoding="utf-8"))
    kept.pop("name")
    plain = compose("train", [f"env={name}", "preset=none"])["env"]
    fields = dataclasses.asdict(world_class(name)())
    assert kept == {key: value for key, value in plain.items() if key != "name"}
    assert kept.items() <= fields.items()
    if not name.startswith("procgen"):  # which have rules of their own, and inherit parameters
        assert kept == fields


def test_the_page_of_public_names_is_what_the_code_says(tmp_path):
    page = tmp_path / "python.md"
    assert python_page.main([str(page)]) == 0
    assert (DOCS / "python.md").read_text() == page.read_text(), (
        "write it again: python -m misgen.experiments.commands.python_page"
    )
    for package in PACKAGES:
        public = __import__(package, fromlist=["__all__"]).__all__
        assert all(f"\n### {name}\n" in page.read_text() for name in public)


def test_every_question_protocol_and_command_is_told_of():
    told = (DOCS / "reproduce.md").read_text(encoding="utf-8")
    assert [name for name in QUESTIONS if f"`misgen evidence {name}`" not in told] == []
    count = len(list((ROOT / "configs/protocol").glob("*.yaml")))
    words = {11: "eleven", 12: "twelve", 13: "thirteen", 14: "fourteen"}
    assert f"misgen has {words[count]}" in (DOCS / "add_a_protocol.md").read_text(encoding="utf-8")
    everything = README + "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    assert [name for name in cli.COMMANDS if f"misgen {name}" not in everything] == []


def test_what_is_to_be_cited_is_said_alike():
    import tomllib

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == version
    ours, _ = re.findall(r"```bibtex\n(.*?)```", (DOCS / "citing.md").read_text(), re.DOTALL)
    assert re.findall(r"```bibtex\n(.*?)```", README, re.DOTALL) == [ours]
    assert f"version = {{{version}}}" in ours
    title = cited["title"].partition(": ")[2]
    assert title in ours
    for reference in cited["references"]:
        assert reference["title"] in (DOCS / "citing.md").read_text(encoding="utf-8")


# --- a stranger's first minutes ------------------------------------------------------------------


def first_screen() -> str:
    return README.partition("\n## ")[0]


def test_the_first_screen_needs_no_word_that_is_not_explained():
    shown = re.sub(r"```.*?```|\]\([^)]*\)", "", first_screen(), flags=re.DOTALL)
    for word in ("ρ", "divergence", "pursuit", "in conflict", "aligned", "placement", "protocol"):
        assert word not in shown, word
    commands = re.findall(r"```sh\n(.*?)```", first_screen(), re.DOTALL)
    assert len(commands) == 1
    lines = commands[0].strip().splitlines()
    assert len(lines) == 3
    assert not any("<" in line for line in lines), "what is to be pasted has no gaps"
    assert len(re.findall(r"!\[", first_screen())) == 1


def test_the_first_table_is_that_of_the_whole_one():
    """Shares of the coin where it is at the end, and moved by the paper's rule."""
    rows = re.findall(r"^\| [^|]* \|(.*)\|$", first_screen(), re.MULTILINE)[1:]
    short = [re.findall(r"\d+%", row) for row in rows]
    whole = (DOCS / "default_sweep.md").read_text(encoding="utf-8")
    full = re.findall(r"^\| [\d.]+ \| (\d+%) \| section_start \| (\d+%) \| (\d+%)", whole, re.M)
    assert short == [list(row) for row in full]
    counts = re.findall(r"\| section_start .*\| (\d) of 5", whole)
    assert [re.findall(r"(\d|none) of 5", row)[0].replace("none", "0") for row in rows] == counts


def test_the_first_replay_is_where_the_guide_says(tmp_path, monkeypatch, capsys):
    told = (DOCS / "first_steps.md").read_text(encoding="utf-8")
    command = re.search(r"^misgen (replay zoo:coinrun-rho1-seed0)", told, re.MULTILINE)
    page = re.search(r"`(runs/zoo/[^`]*)`", told)
    assert command is not None
    assert page is not None
    monkeypatch.chdir(tmp_path)
    assert cli.main([*command[1].split(), "replays=1"]) == 0
    assert page[1] in capsys.readouterr().out
    assert (tmp_path / page[1]).is_file()
    assert f".venv/bin/misgen {command[1]}" in first_screen()


@pytest.mark.slow
def test_the_first_agent_is_trained_evaluated_and_carded(tmp_path, monkeypatch, capsys):
    """With the guide's commands, at the smallest size."""
    told = (DOCS / "first_steps.md").read_text(encoding="utf-8")
    section = told.partition("## Train one")[2].partition("##")[0]
    commands = re.findall(r"^misgen (.*?)\s*(?:#|$)", section, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["train", "evaluate", "card"]
    monkeypatch.chdir(tmp_path)
    for command in commands:
        (run,) = list(tmp_path.glob("runs/first/*")) or [Path("none")]
        words = command.replace("preset=lab", "preset=smoke").replace("<run>", run.name).split()
        assert cli.main(words) == 0, capsys.readouterr().err
    assert list(tmp_path.glob("runs/first/*/card.html"))


def test_the_zoo_has_what_the_guides_name():
    everything = README + "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    named = set(re.findall(r"zoo:([\w.]+-[\w.-]+\w)", everything))
    assert named
    assert named <= set(zoo.names())
