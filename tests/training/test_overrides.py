"""Words of a command line: read as they are meant, or refused in one sentence that helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from misgen.configs import __path__ as configs
from misgen.envs.core.errors import UserError, plain_sentence
from misgen.experiments.commands import cli
from misgen.experiments.protocols.comparison.config import read_config
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.overrides import GROUPS, hydra_words, unwrap, wrap
from misgen.experiments.training.settings import compose, typed
from tests.command_modules import load_commands

load_commands()

NASTY = "/tmp/a (b),c=[d]{e}'f\"#~\\$;& é漢${oc.env:HOME}\udcff"


@given(st.text())
def test_what_is_wrapped_comes_back_and_hydra_leaves_it_alone(text):
    word = wrap(text)
    assert unwrap(word) == text
    if text:
        (override,) = OverridesParser.create().parse_overrides([f"key={word}"])
        assert override.value() == word
        assert OmegaConf.to_container(OmegaConf.create({"key": word})) == {"key": word}


TAKEN = [
    ("train", f"runs={NASTY}", NASTY),
    ("train", f"init={NASTY}", NASTY),
    ("train", "runs=2024", "2024"),
    ("train", "runs=007", "007"),
    ("train", "runs=nan", "nan"),
    ("train", "runs=true", "true"),
    ("train", "runs='quoted'", "'quoted'"),
    ("train", "init=null", None),
    ("train", "placement=off_path(3)", "off_path(3)"),
    ("train", "placement='off_path(3)'", "off_path(3)"),
    ("train", "levels.test=2000000:2000010", "2000000:2000010"),
    ("train", "levels.test=7", "7"),
    ("train", "proxy_correlations={end: 0.5}", {"end": 0.5}),
    ("train", "proxy_correlations.end=0.5", 0.5),
    ("train", "+seed=3", 3),
    ("train", "++seed=3", 3),
    ("train", "seed=-0", 0),
    ("sweep", f"runs={NASTY}", NASTY),
    ("sweep", "evaluate.shift.placements=[a(3),b]", ["a(3)", "b"]),
    ("evaluate", f"run={NASTY}", NASTY),
    ("evaluate", "shift.placements=[anywhere,off_path(3)]", ["anywhere", "off_path(3)"]),
    ("evaluate", "shift.placements=[anywhere, 'off_path(3)']", ["anywhere", "off_path(3)"]),
    ("evaluate", "shift.placements=[]", []),
    ("evaluate", "levels=[a.txt,'b,c.txt',d(1).txt]", ["a.txt", "b,c.txt", "d(1).txt"]),
    ("evaluate", f"levels={NASTY}", NASTY),
    ("evaluate", "levels=0:10", "0:10"),
    ("evaluate_protocol", "levels=[a.txt,b.txt]", ["a.txt", "b.txt"]),
    ("sweep", "evaluate.levels=[a.txt,b.txt]", ["a.txt", "b.txt"]),
    ("levels", f"file={NASTY}", NASTY),
    ("levels", f"out={NASTY}", NASTY),
    ("levels", f"actions={NASTY}", NASTY),
    ("levels", "actions=RR.UL*3", "RR.UL*3"),
    ("objective", f"run={NASTY}", NASTY),
    ("probe", f"out={NASTY}", NASTY),
    ("robustness", f"run={NASTY}", NASTY),
    ("supply_chain", f"base={NASTY}", NASTY),
    ("evaluate_protocol", f"comparison={NASTY}", NASTY),
    ("validate", "placements=[off_path(3)]", ["off_path(3)"]),
    ("compare", f"runs={NASTY}", NASTY),
    ("compare", "protocols=[iid,/tmp/x(1).yaml]", ["iid", "/tmp/x(1).yaml"]),
    ("compare", "protocols=['/tmp/a,b.yaml',iid]", ["/tmp/a,b.yaml", "iid"]),
    ("compare", "protocols=[it's,'b']", ["it's", "b"]),
    ("compare", "env=corner_maze", "corner_maze"),
    ("compare", "preset=smoke", "smoke"),
    ("compare", "truth.placements=[off_path(3)]", ["off_path(3)"]),
]


@pytest.mark.parametrize(("command", "word", "value"), TAKEN)
def test_values_are_taken_as_they_are(command, word, value):
    required = ["run=x"] if command.startswith("evaluate") else []
    found = compose(command, [*required, word])
    for key in word.partition("=")[0].lstrip("+").split("."):
        found = found[key]
    assert found == value


def test_a_list_of_paths_with_commas(tmp_path):
    file = tmp_path / "a,b [c].yaml"
    file.touch()
    assert compose("compare", [f"protocols=[iid,{file},harder]"])["protocols"] == [
        "iid",
        str(file),
        "harder",
    ]


def test_a_file_whose_name_looks_like_a_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("[x]").touch()
    assert compose("evaluate", ["run=x", "levels=[x]"])["levels"] == "[x]"
    assert compose("evaluate", ["run=x", "levels=[y]"])["levels"] == ["y"]


def test_a_multirun_splits_what_is_several(tmp_path):
    def values(word: str) -> list[object]:
        (read,) = hydra_words("evaluate" if word.startswith("run=") else "train", [word], True)
        (override,) = OverridesParser.create().parse_overrides([read])
        if not override.is_sweep_override():
            return [unwrap(str(override.value()))]
        return [unwrap(one.strip("'")) for one in override.sweep_string_iterator()]  # pyright: ignore

    one = tmp_path / "a,b (c)"
    one.mkdir()
    assert values(f"run={one}") == [str(one)]
    assert values("run=a(1),b [2]") == ["a(1)", "b [2]"]
    assert values("placement=anywhere,off_path(3)") == ["anywhere", "off_path(3)"]
    assert values(f"runs={NASTY}") == [NASTY]
    assert values("seed=0,1") == ["0", "1"]
    assert values("env=coinrun,corner_maze") == ["coinrun", "corner_maze"]


def test_the_groups_are_those_of_the_files():
    from pathlib import Path

    import yaml

    for command, groups in GROUPS.items():
        plain = yaml.safe_load((Path(configs[0]) / f"{command}.yaml").read_text())
        own = {
            key.removeprefix("optional ")
            for one in plain["defaults"]
            if isinstance(one, dict)
            for key in one
            if not key.startswith("override")
        }
        if command == "evaluate_agent":  # those of the evaluation too
            own |= {*GROUPS["evaluate"]} - {"launcher"}
            own.discard("evaluate")
        if command == "sweep":  # those of the training, but for the launcher, which is its own
            own = {*GROUPS["train"]} - {"launcher"}
        assert set(groups) == own


REFUSED = [
    ("train", "~tuning=lab_coinrun", "settings cannot be removed"),
    ("train", "~env", "settings cannot be removed"),
    ("train", "", "'' is not a setting: write key=value"),
    ("train", "=x", "'=x' is not a setting"),
    ("train", "a..b=1", "'a..b=1' is not a setting"),
    ("train", "é=1", "'é=1' is not a setting"),
    ("train", "--resume", "'--resume' is not a setting"),
    ("train", "+foo=1", "foo=1 is not a known setting"),
    ("train", "logger=true", "logger=true is not known: use one of none, tensorboard, wandb"),
    ("train", "preset=[1.0,0.5]", "preset=[1.0,0.5] is not known: use one of lab"),
    ("train", "recipe=none", "recipe=none is not known: use one of lab_a2c"),
    ("sweep", "recipe=none", "recipe=none is not known: use one of lab_a2c"),
    ("train", "tuning=none", "tuning=none is not known: use one of lab_cheese_on_a_dish"),
    ("train", "env=null", "env=null is not known: use one of"),
    ("train", "agent={a: 1}", "agent={a: 1} is not known: use one of a2c, distill, dqn"),
    ("train", "hydra.job.name=x", "has no effect in misgen train: it counts only with -m"),
    ("train", "launcher=joblib", "has no effect in misgen train: it counts only with -m"),
    ("train", "seed=0,1", "seed=0,1 is more than one value: give one"),
    ("train", "seed=range(0,3)", "seed=range(0,3) is more than one value: give one"),
    ("train", "seed=" + "[" * 900, "its brackets are 900 deep"),
    ("train", "seed=" + "9" * 5000, "seed=9999"),
    ("train", "correlation=1e400", "correlation=inf must be a finite number"),
    ("train", "seed=${oc.env:HOME}", "seed=${oc.env:HOME} is not allowed: values are taken as"),
    ("train", "env.mode=${oc.env:HOME}", "env.mode=${oc.env:HOME} is not allowed"),
    ("train", "proxy_correlations={end: half}", "proxy_correlations.end='half' must be a number"),
    (
        "train",
        "env.name=[1]",
        "env.name=[1] is not the name of a world: misgen levels list shows all",
    ),
    ("sweep", "correlation=0.7", "give correlations=[1,0.9]"),
    ("sweep", "seed=9", "seeds=3 stands for the seeds 0, 1 and 2"),
    ("sweep", "cluster.minutes=5", "it is for launcher=slurm"),
    ("sweep", "until.most=5", "it is for seeds=until"),
    ("sweep", "hydra.launcher.n_jobs=3", "give jobs=2"),
    ("sweep", "evaluate.run=x", "a sweep evaluates the runs that it trains"),
    ("sweep", "+evaluate.shift.parameters=[all]", "are no surface"),
    ("sweep", "-m", "-m works only with misgen train and misgen evaluate"),
    ("objective", "-m", "-m works only with misgen train and misgen evaluate"),
    ("compare", "env=nope", "env=nope is not known: use one of cheese_on_a_dish, coinrun"),
    ("compare", "preset=nope", "preset=nope is not known: use one of lab"),
    ("compare", "population=3", "population=3 must be a group of settings"),
    ("compare", "correlations=0.5", "correlations=0.5 must be a list"),
    ("evaluate run=x", "+shift.correlations=[1]", "it is for shift=surface alone"),
    ("evaluate run=x shift=surface", "shift.correlation=0.5", "give shift.correlations=[1,0]"),
    ("evaluate run=x", "protocol.budget=3", "protocol.budget=3 has no effect"),
    ("evaluate run=x protocol=iid", "++comparison=1", "comparison=1 holds no comparison.csv"),
    ("evaluate run=x protocol=iid", "protocol.a..b=1", "'a..b=1' is not a setting"),
    ("evaluate run=x protocol=iid", "protocol.budget=${oc.env:HOME}", "is not allowed"),
    ("evaluate power", "file=@", "file=@ is not a known setting: use one of difference"),
    ("evaluate power", "power=high", "power='high' must be a number"),
    ("evaluate power", "sweep=nowhere(1)", "sweep=nowhere(1) holds no evaluated run"),
    ("levels show", "ids=0:3", "ids=0:3 has no effect in misgen levels show: it uses env"),
    ("levels list", "env=coinrun", "it uses no settings"),
    ("levels export out=x.npz", "id=3", "id=3 has no effect in misgen levels export"),
    ("levels play actions=R", "seed=3", "it is for agent=..."),
    ("levels play actions=R", "scale=99", "it is for out=FILE.gif"),
    ("card run=x", "card=x", "to check a card write misgen card validate"),
    ("card", "runs=x", "runs=x is not a known setting: use one of evaluation, surface"),
    (
        "report",
        "name=x",
        "'name=x' is neither a folder nor a setting (evaluation, replays, trust, ",
    ),
    ("report", "--all", "'--all' is neither a folder nor a setting"),
    ("validate", "seed=null", "seed=None must be a whole number"),
    *(
        (command, f"{path}=", f"{path}= names no file or folder: give one, or leave it out")
        for command, path in (
            ("train", "runs"),
            ("train", "init"),
            ("sweep", "runs"),
            ("compare", "runs"),
            ("play", "file"),
            ("play", "runs"),
            ("levels check", "file"),
            ("probe", "run"),
            ("evaluate", "run"),
            ("supply-chain", "base"),
            ("card", "run"),
            ("card validate", "card"),
            ("export format=hub run=x", "to"),
            ("evidence maze_2", "runs"),
            ("evidence maze_2", "out"),
        )
    ),
    *(
        (command, "hydra.run.dir=x", "hydra.run.dir=x has no effect here: it counts only with -m")
        for command in (
            "compare",
            "probe run=x",
            "objective run=x",
            "robustness run=x",
            "validate",
            "supply-chain base=x",
            "evaluate protocol=iid run=x",
            "play",
            "levels show",
        )
    ),
    ("compare", "name=", "name='' cannot name a folder"),
    ("compare", "sweep=", "sweep= names no file or folder"),
    ("compare", "sweep=a/b", "sweep='a/b' cannot name a folder"),
    ("evidence maze_2", "phase_diagram", "maze_2 and phase_diagram are 2 questions"),
    ("evidence", "", "question is missing"),
    ("compare", "protocols=[]", "protocols=[] is empty: give some, or leave it out for all"),
    ("compare", "agents=[]", "agents=[] is empty: give some, or leave it out for all"),
    ("sweep", "stats", "'stats' is not a setting, and none of status, retry, add, clean; did you"),
    ("sweep", "Status", "'Status' is not a setting"),
    ("train", "proxy_correlations={end: 0.5}", "coinrun has one: give correlation=0.5"),
    ("sweep env=lava_land", "proxy_correlations={straight: 1}", "lava_land has one: give correl"),
]


@pytest.mark.parametrize(("command", "word", "message"), REFUSED)
def test_a_mistake_is_one_sentence_that_helps(
    command, word, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*command.split(), word]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert err.count("\n") == 1
    assert len(err) < 700
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_the_environment_gets_into_a_run(monkeypatch):
    monkeypatch.setenv("A_SECRET", "hunter2")
    config = typed(TrainConfig, compose("train", ["runs=${oc.env:A_SECRET}"]))
    assert config.runs == "${oc.env:A_SECRET}"


def test_minus_zero_is_zero():
    minus, plus = (
        typed(TrainConfig, compose("train", [f"correlation={word}"])) for word in ("-0.0", "0")
    )
    assert minus.hash == plus.hash


def test_a_comparison_names_its_folder_by_the_world():
    assert (
        read_config(compose("compare", ["env=corner_maze"])).folder == "runs/comparison-corner_maze"
    )


@pytest.mark.parametrize(
    "word", ["run=" + "x" * 5000, "run=" + "/x" * 9000, "run=a\0b", "run=\ud800"]
)
@pytest.mark.parametrize(
    "command", ["evaluate", "probe", "card", "report", "supply-chain", "levels"]
)
def test_what_can_be_no_file_is_one_sentence(command, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = {
        "levels": ["check", word.replace("run=", "file=")],
        "report": [word.removeprefix("run=")],
        "supply-chain": [word.replace("run=", "base=")],
    }
    assert cli.main([command, *words.get(command, [word])]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert len(err) < 700


def test_a_message_is_one_line_that_can_be_shown():
    assert plain_sentence(UserError("a\nb\x1b[31m")) == "a\\nb\\x1b[31m"
    assert len(plain_sentence("x" * 9999)) < 200


def test_only_coinruns_critic_is_probed():
    from misgen.envs.core.registry import make_world
    from misgen.experiments.evaluation.probes.critic import require_movable_goal

    require_movable_goal(make_world("coinrun"))
    with pytest.raises(UserError, match="critic of an agent of lava_land cannot be probed"):
        require_movable_goal(make_world("lava_land"))


def test_a_level_of_another_world_is_not_given_to_an_agent():
    from misgen.experiments.levels.files import _require_its_world

    _require_its_world({"agent": "x"}, "lava_land")
    _require_its_world({"agent": "x", "env": "lava_land"}, "lava_land")
    with pytest.raises(UserError, match="agent=x was trained in lava_land, and env=coinrun is a"):
        _require_its_world({"agent": "x", "env": "coinrun"}, "lava_land")


def test_a_range_is_called_by_its_setting(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "levels.train=0:0"]) == 2
    assert "misgen train: levels.train=0:0 is not a range of level ids" in capsys.readouterr().err
