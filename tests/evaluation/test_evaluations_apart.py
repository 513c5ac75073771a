"""Results made with different settings lie apart, and whoever reads one says which."""

import dataclasses
import json
import shlex
import shutil
import subprocess
import sys

import polars as pl
import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.card.write import write_card
from misgen.experiments.commands import evaluate, objective, probe, report, robustness, sweep
from misgen.experiments.commands.card import main as card
from misgen.experiments.evaluation.chosen import again, evaluation_of
from misgen.experiments.evaluation.config import ShiftConfig
from misgen.experiments.evaluation.result_folders import (
    EVALUATION,
    OBJECTIVE,
    PROBE,
    PROTOCOL,
    ROBUSTNESS,
    SURFACE,
    choose,
    kept,
)
from misgen.experiments.evaluation.settings_words import in_words
from misgen.experiments.protocols.comparison.config import read_config
from misgen.experiments.protocols.run import comparison_table
from misgen.experiments.reporting.results import read_results
from misgen.experiments.training.run_folder import DONE, RunFolder, write_json
from misgen.experiments.training.settings import compose
from tests.card.test_card_forgery import EVALUATE, LEVELS, make_run
from tests.reporting.test_report import write_run as write_drawn

OTHER = dataclasses.replace(EVALUATE, levels="2000000:2000010")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep of two runs, evaluated with its own settings and with others."""
    runs = tmp_path_factory.mktemp("runs")
    folders = [make_run(runs, seed) for seed in (0, 1)]
    for folder in folders:
        evaluate.evaluate_run(folder, EVALUATE)
    return folders


@pytest.fixture
def runs(made, tmp_path):
    """A copy of the runs, in a sweep that says how it evaluates."""
    for folder in made:
        shutil.copytree(folder.path, tmp_path / "sweep" / folder.path.name)
    found = [RunFolder(tmp_path / "sweep" / folder.path.name) for folder in made]
    own = kept(found[0].path, EVALUATION)[0].key
    names = [one.path.name for one in found]
    write_json(tmp_path / "sweep" / "sweep.json", {"runs": names, "evaluation": own})
    return found


def bytes_of(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- evaluations ---------------------------------------------------------------------------------


def test_an_evaluation_leaves_another_as_it_is(runs, capsys):
    first = runs[0]
    before, told = bytes_of(first.path / "evaluations"), read_results(first.path.parent)
    assert evaluate.main([f"run={first.path}", "levels=2000000:2000007", "actions=[greedy]"]) == 0
    assert len(kept(first.path, EVALUATION)) == 2
    after = bytes_of(first.path / "evaluations")
    assert {path: after[path] for path in before} == before
    again_told = read_results(first.path.parent)
    assert again_told.table.equals(told.table), "the sweep's report is about its own evaluation"
    capsys.readouterr()
    report.print_report(first.path.parent)
    out = " ".join(capsys.readouterr().out.split())
    assert f"evaluation {told.evaluation_key}: levels {LEVELS}; goal moved to anywhere" in out
    assert told.evaluation_key in write_card(first)["evaluation"]["hash"]


def test_a_killed_one_leaves_the_former_whole(runs, monkeypatch):
    first = runs[0]
    before = bytes_of(first.path / "evaluations")

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("misgen.experiments.evaluation.metrics.seed_table", die)
        with pytest.raises(KeyboardInterrupt):
            evaluate.evaluate_run(first, OTHER)
    after = bytes_of(first.path / "evaluations")
    assert {path: after[path] for path in before} == before
    assert len(kept(first.path, EVALUATION)) == 1
    assert not evaluate.is_evaluated(first, OTHER)
    assert evaluate.is_evaluated(first, EVALUATE)
    read_results(first.path.parent)


def test_what_a_killed_one_left_last_goes_though_nothing_is_left_to_do(runs):
    code = (
        "import os, sys; from pathlib import Path; from misgen.envs.core.files import temporary\n"
        "with temporary(Path(sys.argv[1])) as beside: beside.touch(); os._exit(9)"
    )
    status = runs[0].path / "status.json"
    assert subprocess.run([sys.executable, "-c", code, str(status)], check=False).returncode == 9
    assert len(list(runs[0].path.glob(".status.json.*.tmp"))) == 1
    evaluate.evaluate_run(runs[0], EVALUATE)
    assert not list(runs[0].path.glob(".status.json.*.tmp"))


def test_one_meaning_has_one_place(runs):
    first = runs[0]
    same = dataclasses.replace(
        EVALUATE, shift=ShiftConfig(placements=("anywhere",), levels=3, correlations=(0.5,))
    )
    assert evaluate.is_evaluated(first, same), "settings of surfaces do not count"
    usual = dataclasses.replace(EVALUATE, shift=ShiftConfig())
    spelt = dataclasses.replace(
        usual, shift=ShiftConfig(placements=("section_start", "anywhere", "off_path(2)"))
    )
    left_open = dataclasses.replace(EVALUATE, levels=None)
    given = dataclasses.replace(
        EVALUATE, levels=str(evaluate.TrainedRun.read(first).test_ids(None))
    )
    for one, other in ((usual, spelt), (left_open, given)):
        places = [evaluate.evaluation_folder(first, config).path for config in (one, other)]
        assert places[0] == places[1]
    for other in ("seed", "repeats"):
        changed = dataclasses.replace(EVALUATE, **{other: 9})
        assert not evaluate.is_evaluated(first, changed)


def test_the_command_that_is_named_makes_what_is_missing(runs, capsys):
    first = runs[0]
    settings = kept(first.path, EVALUATION)[0].found["config"]
    words = shlex.split(again(first.path, settings))
    assert words[:2] == ["misgen", "evaluate"]
    shutil.rmtree(first.path / "evaluations")
    (line,) = [state for name, state in read_results(first.path.parent).unfinished]
    assert line.startswith("trained, not evaluated")
    assert again(first.path, settings) in line
    assert evaluate.main(words[2:]) == 0
    assert evaluate.is_evaluated(first, EVALUATE)
    assert len(read_results(first.path.parent).runs) == 2
    off_path = {"shift": {"placements": ["off_path(3)"], "correlation": 0.0}}
    asked = compose("evaluate", shlex.split(again("x", off_path))[2:])
    assert asked["shift"]["placements"] == ["off_path(3)"]


def test_runs_evaluated_differently_make_no_table(runs):
    folder = runs[0].path.parent
    (folder / "sweep.json").unlink()
    shutil.rmtree(runs[1].path / "evaluations")
    evaluate.evaluate_run(runs[1], OTHER)
    one, other = (kept(run.path, EVALUATION)[0].key for run in runs)
    with pytest.raises(UserError, match="evaluated with different settings") as caught:
        read_results(folder)
    assert one in str(caught.value)
    assert f"{other} (of 1 of 2 runs: levels 2000000:2000010" in str(caught.value)
    chosen = read_results(folder, one[:6])
    assert [run.name for run in chosen.runs] == [runs[0].path.name]
    (left,) = chosen.unfinished
    assert "not evaluated with these settings (but with 1 others)" in left[1]
    assert again(runs[1].path, chosen.evaluation) in left[1]
    with pytest.raises(UserError, match="no hash begins so"):
        read_results(folder, "xyz")
    with pytest.raises(UserError, match="evaluated with different settings"):
        probe.main([f"run={folder}"])


def test_a_report_of_another_evaluation_stands_beside_the_sweeps_own(runs, capsys):
    folder = runs[0].path.parent
    for run in runs:
        evaluate.evaluate_run(run, OTHER)
    own = report.write_report(folder)
    page = own.read_bytes()
    other = next(one.key for one in kept(runs[0].path, EVALUATION) if one.key not in str(page))
    assert report.main([str(folder), f"evaluation={other[:5]}"]) == 0
    assert own.read_bytes() == page
    assert (folder / f"report-{other}.html").is_file()
    assert "levels 2000000:2000010" in " ".join(capsys.readouterr().out.split())


def test_of_several_one_must_be_named(runs):
    first = runs[0]
    evaluate.evaluate_run(first, OTHER)
    assert evaluation_of(first).found["config"]["levels"] == LEVELS, "the sweep's own"
    (first.path.parent / "sweep.json").unlink()
    with pytest.raises(UserError, match=r"holds 2 results .*choose one with evaluation=") as caught:
        evaluation_of(first)
    for one in kept(first.path, EVALUATION):
        assert f"{one.key} ({in_words(one.found['config'])})" in str(caught.value)
        assert evaluation_of(first, one.key[:7]).key == one.key
    with pytest.raises(UserError, match="choose one with evaluation="):
        card([f"run={first.path}"])
    for one in kept(first.path, EVALUATION):
        assert card([f"run={first.path}", f"evaluation={one.key}"]) == 0
        assert json.loads((first.path / "card.json").read_text())["evaluation"]["hash"] == one.key
        assert card(["validate", f"card={first.path / 'card.json'}"]) == 0


def test_a_sweeps_own_that_is_missing_is_not_replaced(runs):
    first = runs[0]
    shutil.rmtree(first.path / "evaluations")
    evaluate.evaluate_run(first, OTHER)
    with pytest.raises(UserError, match="not evaluated with the settings of its sweep"):
        evaluation_of(first)
    assert runs[1].path.name in [run.name for run in read_results(first.path.parent).runs]


def test_the_old_layout_is_refused_with_what_to_do(tmp_path):
    folder = write_drawn(tmp_path / "old", 1.0, 0, 0.5)
    into = kept(folder.path, EVALUATION)[0].path
    for name in ("episodes.parquet", "summary.json"):
        shutil.move(into / name, folder.path / name)
    folder.mark("EVALUATED", "0123456789")
    shutil.rmtree(folder.path / "evaluations")
    with pytest.raises(UserError, match="earlier version"):
        evaluation_of(folder)
    with pytest.raises(UserError, match=r"misgen evaluate run=.*earlier version"):
        read_results(tmp_path / "old")
    assert (folder.path / "episodes.parquet").is_file()


def test_side_by_side_refuses_what_was_not_evaluated_alike(tmp_path, capsys):
    for name in ("one", "two"):
        write_drawn(tmp_path / name, 1.0, 0, 0.5)
    assert report.main([str(tmp_path / "one"), str(tmp_path / "two")]) == 0
    folder = RunFolder(next((tmp_path / "two").iterdir()))
    (one,) = kept(folder.path, EVALUATION)
    found = one.found
    write_json(one.main, {**found, "config": {**found["config"], "on_proxy": "continue"}})
    with pytest.raises(UserError, match=r"on_proxy=.* and on_proxy=continue"):
        report.main([str(tmp_path / "one"), str(tmp_path / "two")])


def test_a_sweep_notes_its_evaluation_before_it_trains(tmp_path):
    words = ["preset=smoke", f"runs={tmp_path}", "name=s", "seeds=1", "correlations=[1]"]
    with pytest.raises(UserError, match="share level ids"):
        sweep.main([*words, "evaluate.levels=400000000:400000010"])
    assert not list((tmp_path / "s").glob("*/manifest.json"))


# --- the others ----------------------------------------------------------------------------------


def twins(folder, kind, first, second):
    """Make two results with other settings, and the first again: two, the first as it was."""
    first()
    before = bytes_of(folder)
    second()
    found = kept(folder, kind)
    assert len(found) == 2
    after = bytes_of(folder)
    made = [path for path in before if kind.folder in path.parts]
    assert made
    assert all(after[path] == before[path] for path in made)
    with pytest.raises(UserError, match=f"choose one with {kind.name}="):
        choose(folder, kind)
    assert choose(folder, kind, found[0].key[:6]).key == found[0].key


def test_protocols_of_one_name_lie_apart(runs, tmp_path):
    path = runs[0].path
    common = ["protocol=iid", f"run={path}"]
    twins(
        path, PROTOCOL,
        lambda: evaluate.main([*common, "budgets=[10]"]),
        lambda: evaluate.main([*common, "budgets=[20]"]),
    )  # fmt: skip
    for more in (["budgets=[10]", "replicate=1"], ["budgets=[10]", "actions=greedy"],
                 ["budgets=[10]", "protocol.version=7"]):  # fmt: skip
        count = len(kept(path, PROTOCOL))
        evaluate.main([*common, *more])
        assert len(kept(path, PROTOCOL)) == count + 1
    count = len(kept(path, PROTOCOL))
    evaluate.main([*common, "budgets=[10]", "threads=2"])
    assert len(kept(path, PROTOCOL)) == count, "threads change no result"
    assert len(write_card(runs[0])["protocols"]) == count


def test_surfaces_lie_apart(runs):
    path = runs[0].path
    words = ["shift=surface", f"run={path}", "shift.parameters=[gravity]", "shift.levels=4",
             "shift.placements=[anywhere]", "shift.correlations=[1,0]"]  # fmt: skip
    twins(
        path, SURFACE,
        lambda: evaluate.main([*words, "shift.capability.gravity=[0.8]"]),
        lambda: evaluate.main([*words, "shift.capability.gravity=[1.2]"]),
    )  # fmt: skip
    with pytest.raises(UserError, match="choose one with surface="):
        write_card(runs[0])


def test_probes_lie_apart(runs):
    words = [f"run={runs[0].path}", "critic.resamples=100"]
    twins(
        runs[0].path, PROBE,
        lambda: probe.main([*words, "levels=2000000:2000004"]),
        lambda: probe.main([*words, "levels=2000000:2000005"]),
    )  # fmt: skip


def test_attacks_lie_apart(runs):
    words = [f"run={runs[0].path}", "noise=[0.2]", "flips=[1]", "levels=2000000:2000003"]
    twins(
        runs[0].path, ROBUSTNESS,
        lambda: robustness.main(words),
        lambda: robustness.main([*words, "seed=1"]),
    )  # fmt: skip


def test_objectives_lie_apart(runs):
    words = [f"run={runs[0].path}", "episodes=2", "objective.draws=100"]
    twins(
        runs[0].path, OBJECTIVE,
        lambda: objective.main([*words, "objective.decisions=4"]),
        lambda: objective.main([*words, "objective.decisions=5"]),
    )  # fmt: skip


def test_comparisons_lie_apart(tmp_path):
    def results(*words):
        config = read_config(compose("compare", [f"runs={tmp_path}", "protocols=[iid]", *words]))
        return config.results

    same = [results().path, results("jobs=3").path]
    others = [results(w).path for w in ("budgets=[10]", "protocols=[harder]", "truth.levels=99")]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 4
    for one in (results(), results("budgets=[10]")):
        one.path.mkdir(parents=True)
        (one.path / "comparison.csv").write_text(one.path.name)
        write_json(one.path / "comparison.json", {})
        one.mark(DONE, one.path.name)
    home = same[0].parent.parent
    with pytest.raises(UserError, match=r"choose one with comparison=.*/comparisons/<hash>"):
        comparison_table(str(home))
    assert comparison_table(str(same[0])) == same[0] / "comparison.csv"
    shutil.rmtree(same[0])
    assert comparison_table(str(home)) == others[0] / "comparison.csv"


def test_markers_are_written_last(runs):
    for one in kept(runs[0].path, EVALUATION):
        assert (one.path / DONE).is_file()
        (one.path / DONE).unlink()
    assert kept(runs[0].path, EVALUATION) == []
    assert pl.read_parquet(one.path / "episodes.parquet").height
