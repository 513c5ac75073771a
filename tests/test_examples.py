"""The packages of `examples/`, installed as strangers' packages are, and used by name alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .which_python import IS_ANOTHER, PYTHON

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("own_world", "own_protocol", "own_algorithm")
pytestmark = pytest.mark.slow

BAD = {  # a stranger's mistakes: the module's source, and what is said of it
    "nowhere": ("X = 1\n", "no WORLDS = "),
    "computed": ("WORLDS = dict(night=1)\n", "no WORLDS = "),
    "broken": ("WORLDS = {\n", "no WORLDS = "),
    "taken": (
        "from misgen.envs.core.registry import Entry\n"
        "WORLDS = {'night': Entry('misgen/CoinRun-v0', 'world:Night')}\n",
        "misgen itself both have a world whose gymnasium id",
    ),
    "missing": (
        "from misgen.envs.core.registry import Entry\n"
        "WORLDS = {'night': Entry('night/Night-v0', 'world:Night')}\n",
        "which cannot be imported",
    ),
    "no world": (
        "from misgen.envs.core.registry import Entry\n"
        "class Night: pass\n"
        "WORLDS = {'night': Entry('night/Night-v0', ':Night')}\n",
        "which is no World with name='night'",
    ),
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return a folder that holds the installed packages; an empty one, if Python has them."""
    folder, copies = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("sources")
    if IS_ANOTHER:
        return folder
    paths = [str(shutil.copytree(ROOT / "examples" / name, copies / name)) for name in PACKAGES]
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    pip = [PYTHON, "-m", "pip", "install", *options, "--target", str(folder), *paths]
    subprocess.run(pip, check=True, timeout=300)
    return folder


def ran(site: Path, cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONPATH": str(site), "NUMBA_NUM_THREADS": "1", "MISGEN_CACHE": ""}
    return subprocess.run(
        command, cwd=cwd, env=os.environ | own, capture_output=True, text=True, timeout=600
    )


def misgen(site: Path, cwd: Path, *words: str) -> str:
    """Run a command, and return what it printed."""
    found = ran(site, cwd, PYTHON, "-m", "misgen.experiments.commands.cli", *words)
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


def python(site: Path, cwd: Path, code: str) -> str:
    found = ran(site, cwd, PYTHON, "-c", code)
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


def test_a_world_is_known_without_running_its_code_and_keeps_its_promises(installed, tmp_path):
    code = """
import sys, gymnasium, misgen.envs
assert "example/MothAndLantern-v0" in gymnasium.registry
assert not [name for name in sys.modules if name.startswith("moth_and_lantern")]
misgen.envs.check_world("moth_and_lantern", size=7, view=9)
"""
    python(installed, tmp_path, code)
    python(installed, tmp_path, "import moth_and_lantern.world, misgen.envs, gymnasium\n"
           "gymnasium.make('example/MothAndLantern-v0', size=7).reset(seed=0)")  # fmt: skip
    assert "example/MothAndLantern-v0" in misgen(installed, tmp_path, "levels", "list")


def test_a_world_runs_in_processes_that_are_started_anew(installed, tmp_path):
    (tmp_path / "spawned.py").write_text(
        "import gymnasium\n"
        "def main():\n"
        "    envs = gymnasium.make_vec('misgen.envs:example/MothAndLantern-v0', num_envs=2,\n"
        "        vectorization_mode='async', vector_kwargs={'context': 'spawn'}, size=7)\n"
        "    print(envs.reset(seed=0)[0]['tiles'].shape)\n"
        "    envs.close()\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    found = ran(installed, tmp_path, PYTHON, "spawned.py")
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stdout.startswith("(2, ")


def test_a_world_swept_with_an_algorithm_carded_and_tested_by_a_protocol(installed, tmp_path):
    tiny = ["agent.total_steps=4096", "agent.num_envs=32", "levels.test=2000000:2000012"]
    words = ["env=moth_and_lantern", "agent=awr", "agent.temperature=1.0", "preset=smoke"]
    sweep = ["correlations=[1.0,0.5]", "seeds=1", "jobs=2", "name=moths", *tiny]
    misgen(installed, tmp_path, "sweep", *words, *sweep)
    assert (tmp_path / "runs/moths/report.html").is_file()
    runs = sorted((tmp_path / "runs/moths").glob("moth_and_lantern-rho*-awr-*"))
    assert len(runs) == 2
    settings = json.loads((runs[0] / "manifest.json").read_text())["config"]
    assert settings["env"]["size"] == 7, "the package's own tuning"
    assert settings["agent"]["temperature"] == 1.0
    misgen(installed, tmp_path, "evaluate", "protocol=detours", f"run={runs[0]}", "budgets=[20]")
    (found,) = runs[0].glob("protocols/detours-*/protocol.json")
    assert json.loads(found.read_text())["protocol"]["method"] == "detours"
    misgen(installed, tmp_path, "card", f"run={runs[0]}")
    card = json.loads((runs[0] / "card.json").read_text())
    assert card["agent"]["algorithm"] == "Advantage-weighted regression"
    misgen(installed, tmp_path, "levels", "show", "env=moth_and_lantern", "id=3", "correlation=0")


def test_a_protocol_is_compared(installed, tmp_path):
    misgen(
        installed, tmp_path, "compare", "size=smoke", "env=moth_and_lantern", "name=cmp",
        "agents=[random,idle]", "budgets=[10]", "resamples=10",
        "protocols=[iid,harder,detours,critic_probe]", "truth.levels=20",
        "jobs=1",
    )  # fmt: skip
    (table,) = (tmp_path / "runs/cmp").rglob("comparison.csv")
    text = table.read_text()
    assert "detours" in text
    assert "harder" in text


@pytest.mark.parametrize("kind", BAD)
def test_a_stranger_s_world_at_fault_is_named_and_harms_nobody_else(kind, tmp_path):
    source, message = BAD[kind]
    (tmp_path / "night.py").write_text(source)
    info = tmp_path / "night-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: night\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[misgen.worlds]\nnight = night\n")
    code = """
import gymnasium, misgen.envs
from misgen.envs.core.registry import make_world
gymnasium.make("misgen/CoinRun-v0")
make_world("coinrun")
try:
    make_world("night")
except misgen.envs.UserError as error:
    print(error)
"""
    said = python(tmp_path, tmp_path, code)
    assert message in said
    assert "fix or uninstall that package" in said or "rename one of them" in said


def test_two_worlds_of_one_name_are_refused(tmp_path):
    (tmp_path / "night.py").write_text("WORLDS = {}\n")
    info = tmp_path / "night-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: night\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[misgen.worlds]\ncoinrun = night\n")
    command = (PYTHON, "-m", "misgen.experiments.commands.cli", "levels", "show", "id=1")
    found = ran(tmp_path, tmp_path, *command)
    assert found.returncode == 2
    assert "night and misgen itself both have a world called 'coinrun'" in found.stderr
