"""The page on one's own agent, the examples and the list of columns: run, and held to the code."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest

from misgen.experiments.evaluation import surface
from misgen.experiments.evaluation.conditions import EPISODES, EPISODES_VERSION
from misgen.experiments.evaluation.rollout import SCHEMA

from .which_python import PYTHON

ROOT = Path(__file__).resolve().parents[1]
PAGE, COLUMNS = ROOT / "docs/bring_your_own_agent.md", ROOT / "docs/columns.md"
INSTALLS = ("make setup", ". .venv/bin/activate")
SMALL = "levels=2000000:2000020 repeats=1 env.max_steps=120"


def shell_blocks(page: Path) -> list[list[str]]:
    """Return the commands of a page's shell blocks, a list a block."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [[line for line in block.splitlines() if line.strip()] for block in blocks]


@pytest.fixture
def bench(tmp_path) -> Path:
    """Return a folder with the repository's examples, and nothing else."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def run(command: str, folder: Path) -> str:
    """Run a command as a shell would, with misgen's own program in its path."""
    path = f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path, "NUMBA_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def smaller(command: str) -> str:
    """Return a command with small settings, if it evaluates an agent."""
    return f"{command} {SMALL}" if command.startswith("misgen evaluate agent=") else command


def test_the_page_leads_from_a_clone_to_a_card_in_five_commands(bench):
    (commands,) = shell_blocks(PAGE)
    assert len(commands) == 5
    assert tuple(commands[:2]) == INSTALLS  # what `make` and CI do; not done again here
    assert "\nsetup:" in (ROOT / "Makefile").read_text()
    for command in commands[2:]:
        run(smaller(command), bench)
    (card,) = bench.glob("runs/own/*/card.html")
    assert "Not replayed" not in card.read_text()


def test_commands_within_the_page_s_sentences_work(bench):
    run(f"cp examples/own_agent/my_agent.py . && {smaller(shell_blocks(PAGE)[0][3])}", bench)
    (folder,) = bench.glob("runs/own/*")
    told = re.findall(r"`(misgen [^`]*)`", PAGE.read_text(encoding="utf-8"))
    ours = [command for command in told if "..." in command or " runs/" in command]
    assert len(ours) >= 3
    for command in ours:
        filled = command.replace("run=...", f"run={shlex.quote(str(folder))}")
        small = {
            "protocol=": " budgets=[20]",
            "shift=surface": " shift.levels=5 shift.parameters=[speed] shift.correlations=[0]",
        }
        run(filled + next((more for key, more in small.items() if key in filled), ""), bench)


@pytest.mark.parametrize("name", ["make_function", "make_module", "make_recurrent"])
def test_each_agent_of_the_example_is_evaluated(bench, name):
    told = (ROOT / "examples/own_agent/my_agent.py").read_text()
    (command,) = re.findall(rf"misgen evaluate agent=my_agent:{name} .*", told)
    out = run(smaller(command), bench / "examples/own_agent")
    assert "written: runs/own/" in out


def test_the_example_from_python_runs(bench):
    out = run("python from_python.py 2000000:2000020", bench / "examples/own_agent")
    assert "AgentEvaluation of runs/from-python/" in out


def test_the_page_s_python_runs(bench):
    """With a module of torch for `model`, which the page leaves to the reader."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    model = (
        "from misgen.envs import make_world\n"
        "from my_agent import make_module\n"
        "world = make_world('coinrun')\n"
        "model = make_module(world.observation_space, world.action_space, 0)\n"
    )
    few = "\n".join(blocks).replace("2000000:2000200", "2000000:2000020")
    folder = bench / "examples/own_agent"
    (folder / "page.py").write_text(f"{model}{few}\nassert len(found.metrics), len(found.episodes)")
    assert "AgentEvaluation of runs/own/" in run("python page.py", folder)


def test_the_analysis_of_the_example_runs_on_an_evaluation(bench):
    folder = bench / "examples/analysis"
    shutil.copy(bench / "examples/own_agent/my_agent.py", folder)
    run(smaller("misgen evaluate agent=my_agent:make_function env=coinrun"), folder)
    ((command,),) = shell_blocks(folder / "README.md")
    assert "on_the_way" in run(command, folder)


def columns_of(page: Path) -> list[list[tuple[str, str]]]:
    """Return the names and types of the columns in each table of a page."""
    tables: list[list[tuple[str, str]]] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| column | type"):
            tables.append([])
        elif line.startswith("| `"):
            name, dtype, _, meaning = (cell.strip() for cell in line.strip("|").split("|"))
            assert meaning, name
            tables[-1].append((name.strip("`"), dtype))
    return tables


def names_and_types(schema: pl.Schema) -> list[tuple[str, str]]:
    return [(name, str(dtype.base_type())) for name, dtype in schema.items()]


def test_columns_of_episodes_are_documented_as_they_are():
    episodes, of_surface, _ = columns_of(COLUMNS)  # the last: tests/reporting/test_tidy.py
    assert episodes == names_and_types(EPISODES)
    assert of_surface == names_and_types(surface.LABELS)
    ours = list(SCHEMA)
    assert (ours[0], ours[-1]) == ("level_id", "progress"), "the page names the two"
    assert f"Version {EPISODES_VERSION} of the columns" in COLUMNS.read_text(encoding="utf-8")


def test_a_change_of_the_columns_changes_their_version():
    """Columns of version 2; whoever changes them raises `EPISODES_VERSION`, and this."""
    known = {
        2: "role agent noise condition placement test_correlation on_proxy actions "
        "train_correlation train_placement train_on_proxy train_seed run level_id repeat aligned "
        "outcome reached_goal reached_proxy goal_fraction proxy_fraction proxies first "
        "first_proxies goal_at proxy_at cell_first died touched_conflict_cell steps return "
        "progress device"
    }
    assert known[EPISODES_VERSION].split() == EPISODES.names()
