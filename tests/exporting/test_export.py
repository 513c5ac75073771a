"""The export command: its settings, its messages, and what it never overwrites."""

import importlib
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands import export
from misgen.experiments.commands.cli import main as misgen
from misgen.experiments.exporting.extras import EXTRAS, require_extra
from misgen.experiments.exporting.folders import MARKER, whole_folder
from tests.exporting.conftest import COINRUN, make_run

DOCS = Path(__file__).parents[2] / "docs" / "export.md"


@pytest.fixture
def all_there(monkeypatch):
    """Do as if all extras were installed: what is tested comes before they are used."""
    monkeypatch.setattr(export, "require_extra", lambda name: None)


@pytest.mark.parametrize("name", EXTRAS)
def test_a_missing_package_is_named_with_its_extra(name, run, monkeypatch, capsys):
    for module in EXTRAS[name]:
        monkeypatch.setitem(sys.modules, module, None)
    assert misgen(["export", f"format={name}", f"run={run.path}"]) == 2
    told = capsys.readouterr().err
    assert f"pip install 'misgen[{name}]'" in told
    assert EXTRAS[name][0] in told
    assert not (run.path / "exports").exists()


def test_a_package_that_is_there_and_broken_says_why(monkeypatch):
    def broken(name):
        raise ImportError("libhdf5.so is not there", name="h5py._errors")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(UserError, match=r"cannot be imported \(libhdf5.so is not there\)"):
        require_extra("minari")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "format is missing"),
        (["format=hf"], "use one of inspect, minari, hub"),
        (["format=inspect"], "run is missing"),
        (["format=inspect", "run=nowhere"], "nowhere"),
        (
            ["format=inspect", "run={run}", "condition=test"],
            "use one of in_distribution, conflict, aligned",
        ),
        (["format=inspect", "run={run}", "actions=random"], "use one of sampled, greedy"),
        (["format=inspect", "run={run}", "placement=anywhere"], r"it has .*off_path\(2\)"),
        (["format=inspect", "run={run}", "placement=nowhere"], "section_start"),
        (
            ["format=inspect", "run={run}", "placement=anywhere", "condition=in_distribution"],
            "no effect",
        ),
        (["format=inspect", "run={run}", "evaluation=ffffffffff"], "no hash begins so"),
        (["format=minari", "run={run}", "episodes=0"], "at least 1, or all"),
        (["format=minari", "run={run}", "episodes=-3"], "at least 1, or all"),
        (["format=minari", "run={run}", "license=mit"], "format=hub alone"),
        (["format=hub", "run={run}", "episodes=3"], "has no effect"),
        (["format=hub", "run={run}"], "misgen card"),
        (["format=hub", "run={run}", "to="], "names no file or folder"),
        (["format=inspect", "run={run}", "to={run}"], "did not write"),
        (["format=inspect", "run={run}", "episode=3"], "did you mean"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, told, run, all_there):
    if told == "misgen card":  # asked for when all else is there
        pytest.importorskip("huggingface_hub", reason="misgen[hub] is not installed")
    with pytest.raises(UserError, match=told):
        export.main([word.format(run=run.path) for word in words])
    assert not (run.path / "exports").exists()


def test_a_run_without_an_evaluation_says_how_to_make_one(tmp_path, all_there):
    run = make_run(tmp_path, COINRUN, evaluation=None)
    with pytest.raises(UserError, match=f"misgen evaluate run={re.escape(str(run.path))}"):
        export.main(["format=minari", f"run={run.path}"])


OWN_AGENT = """
import numpy as np

def make_agent():
    return lambda seen: np.tile([0.05, 0.4, 0.05, 0.45, 0.05], (len(seen["tiles"]), 1))
"""


@pytest.mark.parametrize("kind", ["inspect", "minari", "hub"])
def test_an_agent_that_was_trained_elsewhere_is_exported(kind, tmp_path, monkeypatch, capsys):
    from misgen.agents.external import playing

    for module in EXTRAS[kind]:
        pytest.importorskip(module, reason=f"pip install 'misgen[{kind}]' for this test")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "exported_agent", raising=False)
    Path("exported_agent.py").write_text(OWN_AGENT)
    small = ["env=corner_maze", "env.action_set=distinct", "env.max_steps=30", "repeats=1"]
    small += ["levels=2000000:2000012", "shift.placements=[anywhere]"]
    assert misgen(["evaluate", "agent=exported_agent:make_agent", *small]) == 0
    (run,) = Path("runs/own").iterdir()
    assert misgen(["card", f"run={run}", "trust=true"]) == 0
    monkeypatch.setattr(playing, "_alive", {})  # as in a process of its own
    words = ["export", f"format={kind}", f"run={run}"]
    if kind == "minari":
        assert misgen(words) == 2
        assert "with trust=true it is made" in capsys.readouterr().err
        words += ["trust=true"]
    assert misgen(words) == 0
    assert any((run / "exports" / kind).iterdir())
    if kind == "hub":
        names = {one.name for one in (run / "exports/hub").iterdir()}
        assert names == {"README.md", "card.json", MARKER}
        assert "trained elsewhere, and misgen stores no weights" in (
            run / "exports/hub/README.md"
        ).read_text(encoding="utf-8")


def test_a_folder_is_whole_or_as_it_was(tmp_path):
    to = tmp_path / "deep" / "out"
    with whole_folder(to) as new:
        (new / "a").write_text("1")
    assert sorted(path.name for path in to.iterdir()) == [MARKER, "a"]
    with pytest.raises(ValueError, match="of no use"), whole_folder(to) as new:
        _fail(new)
    with pytest.raises(ValueError, match="of no use"), whole_folder(tmp_path / "a" / "b") as new:
        _fail(new)
    assert not (tmp_path / "a").exists()
    assert sorted(path.name for path in to.iterdir()) == [MARKER, "a"]
    with whole_folder(to) as new:
        (new / "b").write_text("2")
    assert sorted(path.name for path in to.iterdir()) == [MARKER, "b"]
    assert [path.name for path in to.parent.iterdir()] == ["out"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="did not write"), whole_folder(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def test_the_commands_of_the_page_run(run, tmp_path, monkeypatch, capsys):
    """Each `misgen` line, with the page's run replaced by one that is here."""
    for modules in EXTRAS.values():
        for module in modules:
            pytest.importorskip(module, reason="pip install 'misgen[inspect,minari,hub]'")
    sweep = tmp_path / "runs" / "single"
    shutil.copytree(run.path, sweep / run.path.name)
    monkeypatch.chdir(tmp_path)
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("misgen ")]
    assert len(lines) >= 5
    for line in lines:
        words = line.partition("#")[0].replace("$RUN", f"runs/single/{run.path.name}")
        assert misgen(shlex.split(words)[1:]) == 0, (line, capsys.readouterr().err)
    code = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(code) == 3
    monkeypatch.setenv("MINARI_DATASETS_PATH", "datasets")
    for block in code:
        exec(block, {})
    assert "the coin" in capsys.readouterr().out


def _fail(folder):
    (folder / "b").write_text("2")
    raise ValueError("of no use")
