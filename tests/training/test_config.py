"""Settings: every committed file composes, and every mistake becomes one sentence."""

from __future__ import annotations

import dataclasses
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.errors import UserError
from misgen.experiments import commands
from misgen.experiments.commands import cli
from misgen.experiments.evaluation.config import EvaluateConfig
from misgen.experiments.levels.level_settings import LevelsCommand
from misgen.experiments.protocols.comparison.config import read_config as read_comparison
from misgen.experiments.sweeps.config import read_config
from misgen.experiments.training.config import TrainConfig, config_hash, require_name
from misgen.experiments.training.settings import compose, typed
from tests.command_modules import load_commands

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
OPTIONS = sorted(
    (path.parent.name, path.stem)
    for path in CONFIGS.glob("*/*.yaml")
    if path.parent.name not in ("tuning", "recipe", "protocol")  # by preset; read by load_protocol
)
load_commands()
COMMANDS = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
PRESETS = [option for group, option in OPTIONS if group == "preset"]
READERS = {
    "train": lambda plain, argv: typed(TrainConfig, plain),
    "sweep": read_config,
    "evaluate": lambda plain, argv: typed(EvaluateConfig, plain),
    "levels": lambda plain, argv: typed(LevelsCommand, plain),
    "compare": lambda plain, argv: read_comparison(plain),
}
USED_IN = {  # group: the commands that know it, and how an option of it is asked for
    "env": ({"train", "sweep", "levels"}, "env"),
    "agent": ({"train", "sweep"}, "agent"),
    "logger": ({"train", "sweep"}, "logger"),
    "preset": ({"train", "sweep"}, "preset"),
    "fit": ({"train", "sweep"}, "fit"),
    "launcher": ({"train", "evaluate"}, "launcher"),
    "shift": ({"evaluate"}, "shift"),
    "experiment": ({"train", "sweep"}, "+experiment"),
    "size": ({"compare"}, "size"),
}
ALWAYS = {"evaluate": ["run=x"]}


def read(command: str, *argv: str) -> Any:
    words = [*ALWAYS.get(command, []), *argv]
    return READERS[command](compose(command, words), words)


# --- what is committed


def test_nothing_is_left_out():
    assert set(READERS) <= set(COMMANDS)
    assert {group for group, _ in OPTIONS} <= set(USED_IN)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_primary_config_belongs_to_a_command_and_composes(command):
    assert importlib.util.find_spec(
        f"{commands.__name__}.{'evaluate' if command == 'evaluate_protocol' else command}"
    )
    assert compose(command, ALWAYS.get(command, []))


@pytest.mark.parametrize("command", READERS)
def test_a_command_composes_as_it_is(command):
    assert read(command) == read(command)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_with_every_preset(group, option):
    commands, key = USED_IN[group]
    for command in sorted(commands):
        takes_preset = command in USED_IN["preset"][0]
        for preset in PRESETS if takes_preset else [None]:
            chosen = [f"{key}={option}", *([f"preset={preset}"] if preset else [])]
            read(command, *chosen[: 1 if group == "preset" else 2])


def test_presets_override_and_are_overridden():
    lab, smoke = read("train", "preset=lab"), read("train", "preset=smoke")
    assert smoke.agent.total_steps < lab.agent.total_steps
    assert read("train") == lab  # the default
    mine = read("train", "preset=smoke", "agent.total_steps=4096", "env.mode=hard")
    assert (mine.agent.total_steps, mine.env["mode"]) == (4096, "hard")
    assert mine.agent.num_envs == smoke.agent.num_envs


def test_the_commands_agree():
    """A sweep's runs are what `misgen train` would train with the same settings."""
    sweep = read("sweep", "correlations=[0.9,0.5]", "seeds=2", "preset=smoke", "env.mode=hard")
    runs = sweep.runs
    assert [(run.correlation, run.seed) for run in runs] == [(0.9, 0), (0.9, 1), (0.5, 0), (0.5, 1)]
    alone = read("train", "correlation=0.5", "seed=1", "preset=smoke", "env.mode=hard")
    assert runs[-1].hash == alone.hash
    assert sweep.name == "coinrun-smoke"
    assert {run.name for run in runs} == {"coinrun-smoke"}


def test_yaml_repeats_the_defaults_of_the_code():
    env = compose("train", ["preset=none"])["env"]
    assert env.pop("name") == "coinrun"
    assert env == dataclasses.asdict(CoinRun())
    off = {"wandb": False, "tensorboard": False}
    assert read("evaluate") == EvaluateConfig(run="x", logger=off)
    levels = read("levels")
    assert levels == LevelsCommand(env=levels.env)


def test_the_hash_is_of_what_matters():
    base = read("train")
    assert read("train", "name=other", "runs=elsewhere", "logger=wandb").hash == base.hash
    seen = {base.hash}
    for change in ("seed=1", "correlation=0.99", "env.mode=hard", "agent.gamma=0.9",
                   "levels.train=0:99", "placement=behind"):  # fmt: skip
        seen.add(read("train", change).hash)
    assert len(seen) == 7
    assert config_hash({"a": 1, "b": [1.0]}) == config_hash({"b": [1.0], "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})


# --- mistakes

MISTAKES = {
    "train": [
        (["corelation=0.9"], "corelation=0.9 is not a known setting; did you mean 'correlation'?"),
        (["env.mdoe=easy"], "env.mdoe=easy is not a known setting; did you mean 'env.mode'?"),
        (["agent.gama=0.9"], "agent.gama=0.9 is not a known setting; did you mean 'agent.gamma'?"),
        (["+colour=red"], "colour='red' is not a known setting: use one of env, agent"),
        (["correlation"], "'correlation' is not a setting: write key=value"),
        (["correlation=2"], "correlation=2.0 is out of range: give a number from 0.0 to 1.0"),
        (["correlation=-0.1"], "correlation=-0.1 is out of range"),
        (["correlation=nan"], "correlation=nan must be a finite number"),
        (["correlation=high"], "correlation='high' must be a number"),
        (["correlation=[1]"], "correlation=[1] must be a number"),
        (["correlation=true"], "correlation=True must be a number"),
        (["correlation="], "correlation='' must be a number"),
        (["correlation=null"], "correlation=None must be a number"),
        (["seed=1.5"], "seed=1.5 must be a whole number"),
        (["seed=-1"], "seed=-1 is out of range: give a number from 0 to 2147483647"),
        (["env=coinrnu"], "env=coinrnu is not known: use one of cheese_on_a_dish, coinrun, "),
        (
            ["preset=lba"],
            "preset=lba is not known: use one of lab, none, paper, smoke; did you mean 'lab'?",
        ),
        (["logger=wandbb"], "logger=wandbb is not known: use one of none, tensorboard, wandb"),
        (["env.name=maze3d"], "env='maze3d' is not a world: use one of cheese_on_a_dish, coinrun"),
        (
            ["env.mode=hrad"],
            "env.mode='hrad' is not known: use one of easy, hard; did you mean 'hard'",
        ),
        (["env.max_steps=0"], "env.max_steps=0 is out of range"),
        (["env.max_steps=many"], "env.max_steps='many' must be of type int"),
        (
            ["env.on_proxy=stop"],
            "env.on_proxy='stop' is not known: use one of continue, end, penalty",
        ),
        (
            ["placement=nowhere"],
            "placement='nowhere' is not known: use one of section_start, anywhere",
        ),
        (["levels.train=abc"], "levels.train='abc' is not a range: write start:stop"),
        (["levels.train=10:10"], "levels.train=10:10 is not a range of level ids"),
        (["levels=7"], "levels=7 must be a group of settings, such as levels.x=1"),
        (
            ["levels.train=0:100", "levels.test=50:60"],
            "levels.train=0:100 and levels.test=50:60 share level ids",
        ),
        (["agent.total_steps=0"], "total_steps=0"),
        (["agent.batch_size=1000"], "batch_size=1000"),
        (["agent.encoder=mpl"], "did you mean 'mlp'?"),
        (["agent.hidden=128"], "agent.hidden=128 must be a list, such as agent.hidden=[1,2]"),
        (["agent.hidden=[128,wide]"], "agent.hidden[1]='wide' must be a whole number"),
        (["name=../elsewhere"], "name='../elsewhere' cannot name a folder"),
        (["name=''"], "name='' cannot name a folder"),
        (["correlation={0.9"], "'correlation={0.9' cannot be read"),
        (["seed=1", "correlation=a b: ["], "'correlation=a b: [' cannot be read"),
        (["agent.gamma=${gamma}"], "agent.gamma=${gamma} is not allowed: values are taken as"),
    ],
    "evaluate": [
        ([], "run is missing: give run="),
        (["run=nowhere"], "nowhere"),
        (["run=x", "actions=[greddy]"], "actions='greddy' is not known"),
        (["run=x", "actions=[]"], "actions=[] is not allowed: name one or more"),
        (["run=x", "repeats=0"], "repeats=0 is out of range"),
        (["run=x", "shift=conflictt"], "shift=conflictt is not known: use one of conflict"),
        (["run=x", "shift.correlation=7"], "shift.correlation=7.0 is out of range"),
        (["run=x", "levels=x:y"], "ids='x:y' is not a range"),
        (["run=x", "on_proxi=end"], "did you mean 'on_proxy'?"),
    ],
    "sweep": [
        (["correlations=[]"], "correlations=[] must name one or more, each once"),
        (["correlations=[1,1]"], "correlations=[1.0, 1.0] must name one or more, each once"),
        (["correlations=1"], "correlations=1 must be a list, such as correlations=[1,2]"),
        (["correlations=[1.5]"], "correlation=1.5 is out of range"),
        (["seeds=0"], "seeds=0 is out of range: give a number from 1 to"),
        (["seeds=two"], "seeds='two' must be a whole number"),
        (["seeds=until", "until.error=2"], "until.error=2.0 is out of range"),
        (["launcher=sulrm"], "did you mean 'slurm'?"),
        (["jobs=0"], "jobs=0 is out of range"),
        (["env.mode=hrad"], "env.mode='hrad' is not known"),
        (["evaluate.actions=[greddy]"], "actions='greddy' is not known"),
        (["evaluate.shift.correlation=7"], "shift.correlation=7.0 is out of range"),
    ],
    "levels": [
        ([], "say what to do: misgen levels list | show"),
        (["shwo"], "did you mean 'show'?"),
        (["show", "id=x"], "id='x' must be a whole number"),
        (["show", "id=-4"], "ids=-4"),
        (["show", "colour=1"], "colour=1 is not a known setting"),
        (["export"], "out is missing: give out=FILE.npz"),
    ],
}


@pytest.mark.parametrize(
    ("command", "argv", "message"),
    [(command, argv, text) for command, cases in MISTAKES.items() for argv, text in cases],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_sentence(command, argv, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "misgen.experiments.commands.train.train", None
    )  # no mistake comes this far
    where = [] if command in ("levels", "evaluate") else ["runs=runs"]
    assert cli.main([command, *argv, *where]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"misgen {command}: ")
    assert message in err
    assert err.count("\n") == 1
    assert len(err) < 400
    assert list(tmp_path.iterdir()) == []  # nothing was written


def test_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert cli.main(["train", "preset=smoke", f"runs={tmp_path / 'file'}"]) == 2
    assert "cannot be written to" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "in the way"


# --- from plain data to dataclasses


@dataclass
class Inner:
    """For the tests."""

    x: int = 1


@dataclass
class Outer:
    """For the tests."""

    name: str
    inner: Inner = field(default_factory=Inner)
    rate: float = 0.5
    flag: bool = False
    items: list[int] = field(default_factory=list)
    maybe: int | None = None
    pair: tuple[str, ...] = ()
    free: dict[str, Any] = field(default_factory=dict)


def test_typed_converts_what_fits():
    plain = {
        "name": 7,
        "inner": {"x": 3},
        "rate": 1,
        "flag": True,
        "items": [1, 2],
        "maybe": 4,
        "pair": ["a"],
        "free": {"any": [1, {"b": None}]},
    }
    got = typed(Outer, plain)
    assert got == Outer("7", Inner(3), 1.0, True, [1, 2], 4, ("a",), {"any": [1, {"b": None}]})
    assert type(got.rate) is float
    assert typed(Outer, {"name": "x", "maybe": None}).maybe is None


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({}, "name is missing: give name=..."),
        ({"name": "x", "nmae": 1}, "nmae=1 is not a known setting: .*did you mean 'name'"),
        ({"name": "x", "inner": {"y": 1}}, r"inner\.y=1 is not a known .* inner\.x"),
        ({"name": "x", "inner": 3}, "inner=3 must be a group of settings"),
        ({"name": "x", "inner": {"x": 1.0}}, r"inner\.x=1\.0 must be a whole number"),
        ({"name": "x", "inner": {"x": True}}, r"inner\.x=True must be a whole number"),
        ({"name": "x", "flag": 1}, "flag=1 must be true or false"),
        ({"name": "x", "flag": "yes"}, "flag='yes' must be true or false"),
        ({"name": None}, "name=None must be text"),
        ({"name": "x", "items": "12"}, "items='12' must be a list"),
        ({"name": "x", "items": [1, "2"]}, r"items\[1\]='2' must be a whole number"),
        ({"name": "x", "maybe": "4"}, "maybe='4' must be a whole number"),
        ({"name": "x", "free": []}, r"free=\[\] must be a group of settings"),
    ],
)  # fmt: skip
def test_typed_refuses_what_does_not(plain, message):
    with pytest.raises(UserError, match=message):
        typed(Outer, plain)


@pytest.mark.parametrize("name", ["a", "lab-1.0_x", "0"])
def test_names_of_folders(name):
    assert require_name("name", name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "-x", "a/b", "a\\b", "a b", "x" * 100, "é", "a\n"])
def test_names_that_are_none(name):
    with pytest.raises(UserError, match="cannot name a folder"):
        require_name("name", name)
