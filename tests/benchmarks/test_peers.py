"""Programs that are measured beside one another: the pipe, turns, tables and the page."""

import json
import math

import pytest

from benchmarks import success
from benchmarks.__main__ import BenchConfig, main
from benchmarks.environments import cases
from benchmarks.page import write
from benchmarks.peers.__main__ import main as peers_main
from benchmarks.peers.judge import TESTS, _Watch
from benchmarks.peers.registry import PEERS, ROOT, Peer, Worker, at_work, install
from benchmarks.tables import Table, ratio, spread, take_turns
from misgen.agents.known import agent_named
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import make_world
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.settings import compose, typed

SMALL = {"work": "frames", "slots": 4, "threads": 1, "world": "cheese_on_a_dish", "size": 7}


def test_a_worker_prepares_one_work_after_another_and_takes_turns():
    with at_work({"small": "ours"}) as workers:
        for slots in (4, 8):
            work = {"small": SMALL | {"slots": slots}}
            found = take_turns(workers, work, [{"seconds": 0.01}] * 2)["small"]
            assert len(found) == 2
            assert all(turn["done"] % (8 * slots) == 0 and turn["done"] > 0 for turn in found)
            assert all(turn["cpu_seconds"] > 0 and turn["seconds"] >= 0.01 for turn in found)


def test_what_fails_in_a_worker_is_told_and_ends_it():
    with at_work({"small": "ours"}) as workers:
        workers["small"].prepare(SMALL | {"world": "no_such_world"})
        with pytest.raises(UserError, match=r"ours failed: [^$]*no_such_world"):
            workers["small"].wait()


def test_a_worker_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setitem(PEERS, "gone", Peer("gone", "a module that there is not"))
    worker = Worker("gone")
    worker.prepare(SMALL)
    with pytest.raises(UserError, match=r"gone failed: [^$]*benchmarks.peers.gone"):
        worker.wait()
    worker.close()


def test_who_is_not_installed_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.peers.registry.HOME", tmp_path)
    with at_work({"theirs": "jaxgmg"}) as workers:
        assert not workers


@pytest.mark.slow
def test_a_package_that_there_is_not_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.peers.registry.HOME", tmp_path)
    peer = Peer("none", "", (str(tmp_path / "no-such-folder"),))
    with pytest.raises(UserError, match="none could not be installed"):
        install(peer, pip=("--no-index",))
    assert not peer.marker.exists()


@pytest.mark.parametrize(
    ("words", "named"), [(["install", "jaxgm"], "jaxgmg"), (["instal"], "install")]
)
def test_peers_that_there_are_not_are_named(words, named):
    with pytest.raises(UserError, match=named):
        peers_main(words)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"only": ("frames",)}, "only"),
        ({"programs": ("sb",)}, "programs"),
        ({"seeds": 0}, "seeds"),
        ({"limit": 0.0}, "limit"),
        ({"levels": 1}, "levels"),
        ({"threads": 0}, "threads"),
        ({"slots": (0,)}, "slots"),
    ],
)
def test_settings_are_checked(words, named):
    with pytest.raises(UserError, match=named):
        BenchConfig(**words)


def test_every_peer_has_a_module_and_every_case_a_peer():
    for name in PEERS:
        assert (ROOT / "benchmarks" / "peers" / f"{name}.py").exists()
    for case in cases():
        assert case.peer in PEERS
        for name, settings in case.programs.items():
            if case.peers[name] == "ours":
                known = {k: v for k, v in settings.items() if k not in ("world", "levels")}
                make_world(settings["world"], **known)


def test_a_program_that_is_named_after_its_peer_is_run_by_it():
    case = next(case for case in cases() if case.peer == "jaxgmg")
    assert set(case.programs) == {"misgen", "jaxgmg", "jaxgmg, a step at a time"}
    assert [case.peers[name] for name in case.programs] == ["ours", "jaxgmg", "jaxgmg"]


@pytest.mark.parametrize(("seeds", "low", "high"), [(1, 0, 0), (5, 0, 4), (10, 1, 8), (20, 5, 14)])
def test_intervals_of_medians_are_those_of_order_statistics(seeds, low, high):
    assert success.interval([float(k) for k in range(seeds)]) == (low, high)
    if seeds > 5:  # the chance that the median is outside
        outside = 2 * sum(math.comb(seeds, k) for k in range(low + 1)) / 2**seeds
        assert outside <= 0.05


@pytest.mark.parametrize("measure", TESTS)
def test_who_seeks_the_goal_is_there_and_who_plays_at_random_is_not(measure):
    run = typed(TrainConfig, compose("train", ["env=cheese_on_a_dish", "correlation=1"]))
    test = TESTS[measure](run, 40, 2_000_000)
    assert test(agent_named("goal_seeker", run.world)) > 0.9
    assert test(agent_named("random", run.world)) < 0.8


def test_who_never_gets_there_counts_as_never():
    def rows(reached):
        return [
            {"program": "sb3", "seed": k, "reached": k < reached, "cpu_seconds": 1.0 + k}
            | {"decisions": 100}
            for k in range(10)
        ]

    some, few = (success.table(success.PULL, rows(reached), 60).rows[0] for reached in (9, 4))
    assert some[1:4] == ["9 of 10", "5.5", "2.0 to 9.0"]
    assert few[1:4] == ["4 of 10", "never", "2.0 to never"]


def test_spread_and_ratio_are_of_medians_and_turn_by_turn():
    assert spread([3.0, 1.0, 2.0]) == "2 [1, 3]"
    assert ratio([2.0, 9.0], [1.0, 3.0]) == "2.5 [2, 3]"


def test_the_page_tells_command_machine_and_tables(tmp_path):
    told = {
        "command": "python -m benchmarks only=cost",
        "started": "2026-01-02T03:04:05+00:00",
        "processor": "a processor",
        "cpus": 2,
        "python": "3.11.7",
        "packages": {"numpy": "1.26.4", "procgen-mirror": None},
        "load_before": 0.1,
        "load_after": 0.2,
        "tables": [Table("Slots", ["slots", "frames"], [["1", "10"]], "What they are.").plain()],
    }
    page = tmp_path / "page.md"
    write({"cost": json.loads(json.dumps(told))}, page)
    text = page.read_text(encoding="utf-8")
    for line in (
        "## Cost",
        "### Slots",
        "| slots | frames |",
        "| --- | ---: |",
        "| 1 | 10 |",
        "`python -m benchmarks only=cost`, 2026-01-02, a processor, 2 CPUs, Python 3.11.7 "
        "(numpy 1.26.4); load 0.1 before and 0.2 after.",
    ):
        assert line in text.splitlines(), line


def test_the_page_needs_figures(tmp_path):
    with pytest.raises(UserError, match="holds no figures yet"):
        main(["page", f"runs={tmp_path}"])


@pytest.mark.slow
def test_training_until_success_is_measured(tmp_path):
    words = ["only=training", "programs=[mlp,sb3]", "seeds=1", "limit=1", "levels=20"]
    assert main([*words, f"runs={tmp_path}"]) == 0
    found = json.loads((tmp_path / "benchmarks" / "training.json").read_text())
    assert [row["program"] for row in found["results"]] == ["mlp", "sb3"]
    for row in found["results"]:
        assert row["decisions"] > 0
        assert row["curve"][-1]["cpu_seconds"] == row["cpu_seconds"]


@pytest.mark.slow
def test_the_loop_over_levels_plays_what_the_evaluator_plays(tmp_path):
    words = ["only=evaluation", "levels=20", "repeats=1", f"runs={tmp_path}"]
    assert main(words) == 0
    found = json.loads((tmp_path / "benchmarks" / "evaluation.json").read_text())
    assert found["results"]["same_episodes"] == [20]


def test_a_test_that_is_passed_by_luck_ends_no_training():
    seen = iter([0.3, 0.95, 0.95, 0.2])
    watch = _Watch(lambda: next(seen), lambda: next(seen), 1, 0.9, 1e9)
    for _ in range(2):
        watch.num_timesteps += 10
        watch._on_rollout_start()
    assert watch.found()["reached"], "0.95, confirmed by 0.95"
    seen = iter([0.95, 0.2, 0.3])
    watch = _Watch(lambda: next(seen), lambda: next(seen), 1, 0.9, 1e9)
    watch.num_timesteps = 10
    watch._on_rollout_start()
    assert not watch.found()["reached"]
    assert watch._on_step()
