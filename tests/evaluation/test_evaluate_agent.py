"""An agent of one's own: evaluated in one call, and taken by all that takes a run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from misgen.agents.external import playing as records
from misgen.envs.core.errors import UserError
from misgen.envs.make import distribution
from misgen.experiments import ProtocolCommand, RunFolder, evaluate_agent, evaluate_with
from misgen.experiments.commands import cli
from misgen.experiments.evaluation.verdict import VERDICTS
from misgen.experiments.protocols.spec import load_protocol

ENV = {"mode": "easy", "max_steps": 40, "action_set": "distinct"}
SMALL = {
    "levels": "2000000:2000030",
    "repeats": 2,
    "shift": {"placements": ["anywhere"]},
}
WORDS = [
    "env=corner_maze",
    *(f"env.{key}={value}" for key, value in ENV.items()),
    "levels=2000000:2000030",
    "repeats=2",
    "shift.placements=[anywhere]",
]
MODULE = """
import numpy as np

def make_agent(action_space):
    n = int(action_space.n)
    def act(observation):
        cells = observation["tiles"].reshape(len(observation["tiles"]), -1).sum(axis=1)
        p = np.full((len(cells), n), 0.1 / n)
        p[np.arange(len(cells)), cells % n] += 0.9
        return p
    return act
"""


def up_and_right(observation) -> np.ndarray:
    rows = len(observation["tiles"])
    return np.tile([0.05, 0.4, 0.05, 0.45, 0.05], (rows, 1))


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """Work in a folder of one's own that holds a module, as somebody new to misgen does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(records, "_alive", {})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_agent_module", raising=False)
    Path("own_agent_module.py").write_text(MODULE)
    return tmp_path


def misgen(*words: str) -> int:
    records._alive.clear()  # as in a process of its own
    return cli.main(list(words))


def test_one_call_gives_tables_verdicts_and_files(here):
    found = evaluate_agent(up_and_right, "corner_maze", env=ENV, called="mine", **SMALL)
    who = set(found.episodes.select("role", "agent").iter_rows())
    seekers = {("reference", "goal_seeker"), ("reference", "proxy_seeker")}
    assert who == {("agent", "mine"), ("floor", "random"), *seekers}
    assert list(found.verdicts) == [("anywhere", "sampled"), ("anywhere", "greedy")]
    assert found.metrics.filter(found.metrics["metric"] == "goal_conflict").height == 2
    assert {v.name for v in found.verdicts.values()} <= set(VERDICTS)
    stored = {(row["placement"], row["actions"]): row for row in found.summary["verdicts"]}
    assert {case: row["name"] for case, row in stored.items()} == {
        case: verdict.name for case, verdict in found.verdicts.items()
    }
    assert "anywhere, sampled: " in repr(found)
    assert found.run.is_relative_to(Path("runs/own"))
    assert RunFolder(found.run).marked("DONE", found.manifest["config_hash"])
    told = found.manifest["external_agent"]
    assert told["unknown"] == ["correlation", "placement", "levels", "seed"]
    assert told["source"] is None
    assert told["weights_sha256"] is None
    assert found.manifest["training_levels"] == {"unknown": True}
    assert found.summary["levels"]["test"]["terrain_seen_in_training"] is None


def test_a_distribution_tells_what_the_agent_was_trained_on(here):
    levels = distribution(
        "corner_maze", correlation=0.9, placement="anywhere", num_levels=50, **ENV
    )
    found = evaluate_agent(up_and_right, levels, train_seed=3, **SMALL)
    config = found.manifest["config"]
    assert (config["correlation"], config["placement"], config["seed"]) == (0.9, "anywhere", 3)
    assert config["levels"]["train"] == "0:50"
    assert found.manifest["external_agent"]["unknown"] == []
    assert found.summary["levels"]["test"]["terrain_seen_in_training"] is not None
    with pytest.raises(UserError, match=r"levels=.*30:60"):
        evaluate_agent(up_and_right, levels, **{**SMALL, "levels": "30:60"})
    with pytest.raises(UserError, match=r"correlation=0\.5 differs from that of the"):
        evaluate_agent(up_and_right, levels, correlation=0.5, **SMALL)


@pytest.mark.parametrize("num_slots", [1, 7])
def test_episodes_do_not_depend_on_the_batch(here, num_slots):
    first = evaluate_agent(up_and_right, "corner_maze", env=ENV, **SMALL).episodes
    second = evaluate_agent(up_and_right, "corner_maze", env=ENV, num_slots=num_slots, **SMALL)
    assert second.episodes.equals(first)


def test_two_functions_are_two_runs_and_none_answers_for_the_other(here):
    def left(observation):
        return np.roll(up_and_right(observation), 1, axis=1)

    first = evaluate_agent(up_and_right, "corner_maze", env=ENV, **SMALL)
    second = evaluate_agent(left, "corner_maze", env=ENV, **SMALL)
    assert first.run != second.run
    assert not first.episodes.equals(second.episodes)


def test_the_command_line_does_the_same_as_python(here, capsys):
    assert misgen("evaluate", "agent=own_agent_module:make_agent", "correlation=0.98", *WORDS) == 0
    told = capsys.readouterr().out
    (run,) = Path("runs/own").iterdir()
    assert f"next: misgen card run={run} trust=true" in told
    assert "Whether test levels also occur in training is not known." in told
    found = evaluate_agent(
        "own_agent_module:make_agent", "corner_maze", env=ENV, correlation=0.98, **SMALL
    )
    assert found.run == run


def test_a_card_plays_it_again_only_where_it_is_trusted(here, capsys):
    misgen("evaluate", "agent=own_agent_module:make_agent", "correlation=0.98", *WORDS)
    (run,) = Path("runs/own").iterdir()
    assert misgen("card", f"run={run}") == 0
    card = json.loads((run / "card.json").read_text())
    played, stored = (card["written"][k] for k in ("episodes_played_again", "episodes"))
    assert 0 < played < stored, "the random agent's episodes are played again"
    why = "were not played again: the agent is made by own_agent_module:make_agent"
    assert why in card["written"]["not_replayed"]
    assert why in capsys.readouterr().out
    for page in ("card.md", "card.html"):
        assert "Not replayed." in (run / page).read_text()
    assert card["training"]["correlation"] == 0.98
    assert card["training"]["level_ids"] == "unknown"
    assert card["agent"]["external"]["source"] == "own_agent_module:make_agent"
    assert misgen("card", f"run={run}", "trust=true", "replay=all") == 0
    card = json.loads((run / "card.json").read_text())
    assert card["written"]["not_replayed"] is None
    assert card["written"]["episodes_played_again"] == card["written"]["episodes"]
    for trust in ("false", "true"):
        assert misgen("card", "validate", f"card={run / 'card.json'}", f"trust={trust}") == 0


def test_another_evaluation_leaves_the_card_of_the_first_true(here, capsys):
    misgen("evaluate", "agent=own_agent_module:make_agent", *WORDS)
    (run,) = Path("runs/own").iterdir()
    assert misgen("card", f"run={run}", "trust=true") == 0
    assert misgen("evaluate", "agent=own_agent_module:make_agent", "seed=1", *WORDS) == 0
    assert misgen("card", "validate", f"card={run / 'card.json'}", "trust=true") == 0


def test_it_is_known_again_whatever_it_was_trained_on(here):
    words = ("correlation=0.5", "placement=opposite", "train_levels=0:1000")
    assert misgen("evaluate", "agent=own_agent_module:make_agent", *words, *WORDS) == 0
    (run,) = Path("runs/own").iterdir()
    assert misgen("card", f"run={run}", "trust=true") == 0


@pytest.mark.parametrize(
    "words",
    [
        ("robustness", "run=RUN", "levels=2000000:2000003"),
        ("objective", "run=RUN", "levels=2000000:2000300", "episodes=3", "objective.draws=100"),
        ("levels", "play", "env=corner_maze", "id=3", "agent=RUN"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_makes_it_where_it_is_trusted(here, capsys, words):
    misgen("evaluate", "agent=own_agent_module:make_agent", *WORDS)
    (run,) = Path("runs/own").iterdir()
    words = [word.replace("RUN", str(run)) for word in words]
    if words[0] == "levels":
        words += [f"env.{word.removeprefix('env.')}" for word in WORDS if word.startswith("env.")]
    capsys.readouterr()
    assert misgen(*words) == 2
    assert "misgen does not know: with trust=true it is made" in capsys.readouterr().err
    assert misgen(*words, "trust=true") == 0, capsys.readouterr().err
    assert "ρ = 1" not in capsys.readouterr().out, "what is unknown is not said to be 1"


def test_a_probe_of_it_asks_for_trust_and_then_for_a_critic(here, capsys):
    words = ("env=coinrun", "env.max_steps=40", "levels=2000000:2000003", "references=false")
    misgen("evaluate", "agent=own_agent_module:make_agent", *words)
    (run,) = Path("runs/own").iterdir()
    for trust, message in (("false", "with trust=true"), ("true", "has no critic")):
        assert misgen("probe", f"run={run}", f"trust={trust}", "levels=2000000:2000003") == 2
        assert message in capsys.readouterr().err


def test_trust_is_refused_where_nothing_is_made(here, capsys):
    for word in ("inspect", "hub"):
        assert misgen("export", f"format={word}", "run=x", "trust=true") == 2
        assert "trust=true has no effect in misgen export" in capsys.readouterr().err


def test_an_agent_that_changed_is_not_taken_for_the_one_that_was_evaluated(here, capsys):
    misgen("evaluate", "agent=own_agent_module:make_agent", *WORDS)
    (run,) = Path("runs/own").iterdir()
    Path("own_agent_module.py").write_text(MODULE.replace("cells % n", "(cells + 1) % n"))
    sys.modules.pop("own_agent_module")
    assert misgen("card", f"run={run}", "trust=true") == 2
    assert "makes another agent than the one that was evaluated" in capsys.readouterr().err
    assert misgen("card", f"run={run}") == 0, "what is stored is still true of what was evaluated"


def test_a_folder_from_somebody_else_runs_no_code_without_trust(here, capsys):
    misgen("evaluate", "agent=own_agent_module:make_agent", *WORDS)
    (run,) = Path("runs/own").iterdir()
    sys.modules.pop("own_agent_module")
    Path("own_agent_module.py").write_text("raise SystemExit('this code ran')")
    assert misgen("card", f"run={run}") == 0
    assert misgen("evaluate", f"run={run}", "seed=5") == 2
    assert "making it runs code that misgen does not know: with trust=true" in (
        capsys.readouterr().err
    )
    assert misgen("evaluate", "protocol=iid", f"run={run}", "budgets=[10]") == 2
    assert misgen("report", "runs/own") == 0


def test_protocols_take_it(here):
    misgen("evaluate", "agent=own_agent_module:make_agent", *WORDS)
    (run,) = Path("runs/own").iterdir()
    words = ("protocol=counterfactual_pairs", f"run={run}", "budgets=[20]", "trust=true")
    assert misgen("evaluate", *words) == 0
    assert misgen("card", f"run={run}", "trust=true") == 0
    card = json.loads((run / "card.json").read_text())
    assert [one["name"] for one in card["protocols"]] == ["counterfactual_pairs"]


def test_an_object_in_python_is_at_hand_for_protocols(here):
    found = evaluate_agent(up_and_right, "corner_maze", env=ENV, **SMALL)
    config = ProtocolCommand(budgets=(10,))
    told = evaluate_with(load_protocol("iid", []), RunFolder(found.run), config)
    assert told["policy"] == found.summary["policy"]


def test_the_report_says_that_it_was_trained_elsewhere(here):
    evaluate_agent(up_and_right, "corner_maze", env=ENV, **SMALL)
    assert misgen("report", "runs/own") == 0
    assert "They were trained elsewhere" in Path("runs/own/report.html").read_text()


def test_an_unknown_correlation_is_nowhere_shown_as_known(here, capsys):
    evaluate_agent(up_and_right, "corner_maze", env=ENV, **SMALL)
    assert misgen("report", "runs/own") == 0
    printed, page = capsys.readouterr().out, Path("runs/own/report.html").read_text()
    played = "levels as in training were played at ρ = 1"
    assert printed.lstrip().startswith("Trained at unknown ρ, ")
    assert "ρ = 1" not in printed
    assert "in an unknown share of the levels" in page
    tooltips = re.compile(r'<abbr title="[^"]*">|<dd>.*?</dd>')  # and definitions
    assert "ρ = 1" not in tooltips.sub("", page).replace(played, "")
    assert 'data-label="trained at ρ">unknown</th>' in page

    evaluate_agent(up_and_right, "corner_maze", env=ENV, correlation=0.5, **SMALL)
    assert misgen("report", "runs/own") == 0
    printed = capsys.readouterr().out
    assert printed.lstrip().startswith("Trained at unknown ρ, ")
    assert "ρ = 0.5, anywhere: " in printed

    evaluate_agent(up_and_right, "corner_maze", env=ENV, correlation=1, train_seed=1, **SMALL)
    assert misgen("report", "runs/own") == 0
    assert capsys.readouterr().out.lstrip().startswith("Trained at ρ = 1 or unknown, ")


def test_a_surface_of_an_unknown_correlation_says_so(here, capsys):
    misgen("evaluate", "agent=own_agent_module:make_agent", *WORDS)
    (run,) = Path("runs/own").iterdir()
    few = (
        "shift=surface",
        "shift.levels=4",
        "shift.parameters=[largest_maze]",
        "shift.correlations=[1,0]",
    )
    capsys.readouterr()
    assert misgen("evaluate", f"run={run}", "trust=true", *few) == 0
    printed = capsys.readouterr().out
    assert "trained at unknown ρ" in printed
    assert "surface-rho-unknown.png" in printed


def test_agents_of_two_kinds_are_not_one_recipe(here, capsys):
    evaluate_agent(up_and_right, "corner_maze", env=ENV, called="one", **SMALL)
    evaluate_agent(up_and_right, "corner_maze", env=ENV, called="two", train_seed=1, **SMALL)
    assert misgen("report", "runs/own") == 2
    assert "holds agents called one and two" in capsys.readouterr().err


def test_a_damaged_record_is_refused(here, capsys):
    run = evaluate_agent(up_and_right, "corner_maze", env=ENV, **SMALL).run
    plain = json.loads((run / "policy.json").read_text())
    (run / "policy.json").write_text(json.dumps({**plain, "source": 3}))
    assert misgen("card", f"run={run}") == 2
    assert "source=3 is not what it can be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["agent="], "agent is missing"),
        (["agent=own_agent_module"], "names no function"),
        (["agent=own_agent_module:none"], "there is no none in"),
        (["agent=nowhere:make"], "there is no module nowhere"),
        (["agent=model.zip"], "does not exist"),
        (["agent=own_agent_module:make_agent", "correlation=2"], "correlation=2.0 is out of range"),
        (["agent=own_agent_module:make_agent", "called=random"], "a reference agent"),
        (["agent=own_agent_module:make_agent", "run=runs/x"], "give agent=... or run=..."),
        (["agent=own_agent_module:make_agent", "-m"], "-m goes with run=..."),
        (["agent=own_agent_module:make_agent", "shift=surface"], "makes a surface"),
        (["agent=own_agent_module:make_agent", "placement=nowhere"], "placement='nowhere'"),
        (["agent=own_agent_module:make_agent", "colour=red"], "is not a known setting"),
    ],
)
def test_mistakes_are_told_in_a_sentence_and_leave_nothing(here, capsys, words, message):
    assert misgen("evaluate", *words, *WORDS[:4]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("package", "heavy"),
    [("experiments", ["torch", "numpy", "polars", "hydra"]), ("envs", ["torch", "numba", "scipy"])],
)
def test_packages_name_what_is_public_and_import_nothing_heavy(package, heavy):
    code = (
        f"import sys, misgen.{package} as e; heavy = set({heavy});"
        "assert not heavy & set(sys.modules); assert set(e.__all__) <= set(dir(e));"
        "[getattr(e, name) for name in e.__all__]; assert e.__all__ == sorted(e.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
