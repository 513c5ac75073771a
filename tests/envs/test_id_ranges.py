"""Ranges of level ids of any size: counted where small, sampled and said so where large."""

import dataclasses
import re
import time
from resource import RUSAGE_SELF, getrusage

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misgen.envs.core import distribution as distributions
from misgen.envs.core.distribution import (
    LOOKED_AT,
    MAX_ID,
    PLAYED,
    IdRange,
    LevelDistribution,
    LevelStream,
)
from misgen.envs.core.errors import UserError
from misgen.envs.core.id_range import require_disjoint
from misgen.envs.core.registry import entries, make_world
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.make import distribution
from misgen.experiments.evaluation import conditions
from misgen.experiments.evaluation.config import EvaluateConfig
from misgen.experiments.evaluation.references import goals_in_reach
from misgen.experiments.evaluation.sampling import sampling_notes, terrain_note
from misgen.experiments.protocols.comparison.truth import TruthConfig
from misgen.experiments.protocols.spec import FIRST_LEVEL, load_protocol, protocol_names
from misgen.experiments.training.config import KEPT_FOR_TESTS, LevelsConfig
from misgen.experiments.training.trained_run import TrainedRun

FULL = IdRange(0, MAX_ID)
NAMES = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]


@given(
    st.integers(0, 40),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=4),
)
def test_a_range_with_gaps_is_the_set_of_its_ids(start, count, gaps):
    wanted = set(range(start, start + count)) - {i for a, b in gaps for i in range(a, b)}
    if not wanted:
        with pytest.raises(UserError, match="leaves no id"):
            IdRange(start, start + count, tuple(gaps))
        return
    ids = IdRange(start, start + count, tuple(gaps))
    assert ids.ids().tolist() == sorted(wanted)
    assert len(ids) == len(wanted)
    assert IdRange.parse(str(ids)) == ids
    assert np.concatenate([*ids.parts(7)]).tolist() == sorted(wanted)
    assert ids.first(5).ids().tolist() == sorted(wanted)[:5]
    for other in (IdRange(0, start + 1), IdRange(start + count, start + count + 9)):
        assert ids.overlaps(other) == bool(wanted & set(range(other.start, other.stop)))


@pytest.mark.parametrize("text", ["all", "0:2147483647", " all "])
def test_the_full_range_is_written_so(text):
    assert IdRange.parse(text) == FULL == IdRange.everything()


@pytest.mark.parametrize("text", ["al", "0:5 without x", "0:5 without 3:a", "every", ""])
def test_what_is_no_range(text):
    with pytest.raises(UserError, match="is not a range: write start:stop"):
        IdRange.parse(text)


@pytest.mark.parametrize("ids", [FULL, IdRange(5, 2_000_000), IdRange(0, MAX_ID, ((9, 10**9),))])
def test_a_sample_is_spread_evenly_and_the_same_each_time(ids):
    found = ids.sample(2000)
    assert np.array_equal(found, ids.sample(2000))
    assert len(np.unique(found)) == 2000
    assert (np.diff(found) > 0).all()
    inside = np.array([any(a <= i < b for a, b in ids.spans) for i in found])
    assert inside.all()
    places = (np.searchsorted(found, ids.at(np.arange(1, 10) * (len(ids) // 10)))) / 2000
    assert np.abs(places - np.arange(1, 10) / 10).max() < 0.002
    assert IdRange(3, 8).sample(100).tolist() == [3, 4, 5, 6, 7]


def test_a_range_that_is_too_large_to_list_is_refused_not_listed():
    with pytest.raises(UserError, match="are 2,147,483,647 levels, too many"):
        FULL.ids()
    with pytest.raises(UserError, match="too many"):
        LevelDistribution(make_world("lava_land"), ids=FULL).levels()


@pytest.mark.parametrize("world", NAMES)
def test_what_is_said_of_the_full_range_takes_a_moment_and_says_that_it_is_sampled(world):
    full = distribution(world, correlation=0.9, num_levels=0)
    assert full.ids == FULL
    full.at(ids=IdRange(0, 10)).describe()  # compiles
    full.at(ids=IdRange(0, 10)).terrain_digests()
    before, begin = getrusage(RUSAGE_SELF).ru_maxrss, time.process_time()
    described, terrains = full.describe(), full.terrain_digests()
    placed = full.at(correlation=0.0).conflict_ids()
    assert time.process_time() - begin < 15  # about 1 on an idle machine
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB
    assert described["sampled"] is True
    assert described["levels"] == MAX_ID
    assert described["levels_looked_at"] == terrains.looked_at == LOOKED_AT
    assert terrains.sampled
    low, high = (described[f"realised_correlation_{end}"] for end in ("low", "high"))
    assert low < described["realised_correlation"] < high
    assert abs(described["realised_correlation"] - 0.9) < 0.02
    share = 1 - described["realised_correlation"]
    assert described["conflict_levels"] == round(MAX_ID * share)
    assert described["distinct_conflict_levels"] <= LOOKED_AT * share * 1.01
    assert 0 < len(placed) <= PLAYED
    assert len(np.unique(placed)) == len(placed)


def test_a_sample_agrees_with_the_count(monkeypatch):
    monkeypatch.setattr(distributions, "MOST_COUNTED", 30_000)
    small = distribution("coinrun", correlation=0.7, mode="easy", num_levels=30_000)
    counted = small.describe()
    assert "sampled" not in counted
    assert not small.terrain_digests().sampled
    sampled = small.at(ids=IdRange(0, 30_001)).describe()
    low, high = (sampled[f"realised_correlation_{end}"] for end in ("low", "high"))
    assert low - 0.005 < counted["realised_correlation"] < high + 0.005


@pytest.mark.parametrize("start", [0, 5, 2**31 - 2])
def test_no_number_of_levels_means_all_whatever_the_start_as_in_procgen(start):
    assert distribution("coinrun", start_level=start, num_levels=0).ids == FULL


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_levels": -1}, "ids=0:-1 is not a range"),
        ({"num_levels": 2**31}, "is not a range of level ids"),
        ({"start_level": 2**31 - 5, "num_levels": 10}, "is not a range of level ids"),
        ({"num_levels": 0.0}, "num_levels=0.0 is not allowed: give a whole number"),
        ({"num_levels": None}, "num_levels=None is not allowed"),
        ({"start_level": "7"}, "start_level='7' is not allowed"),
        ({"start_level": -1, "num_levels": 0}, "is not a range of level ids"),
    ],
)
def test_other_numbers_of_levels_are_refused(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        distribution("coinrun", **arguments)


@pytest.mark.parametrize("world", NAMES)
def test_every_world_can_be_made_with_all_levels(world):
    name = entries()[world][1].env_id
    env = gymnasium.make(f"misgen.envs:{name}", num_levels=0, start_level=3, correlation=0.5)
    env.reset(seed=1)
    seen = {env.reset()[1]["level_id"] for _ in range(20)}
    env.close()
    assert len(seen) == 20
    assert max(seen) > 10**8
    vector = gymnasium.make_vec(f"misgen.envs:{name}", 2, num_levels=0)
    vector.reset(seed=1)
    vector.close()


def test_training_draws_from_all_of_the_range_and_never_from_its_gaps():
    ids = IdRange(0, MAX_ID, ((0, 2 * 10**9), (2_000_000_100, MAX_ID - 50)))
    stream = LevelStream(LevelDistribution(make_world("lava_land"), ids=ids), 64, 0)
    found = np.concatenate([stream.next(np.arange(64)).ids for _ in range(60)])
    assert set(found.tolist()) == set(ids.ids().tolist())
    env = MisgenVecEnv(distribution("coinrun", num_levels=0), 4, 0)
    env.reset()
    env.step(np.zeros(4, np.int64))


def test_all_levels_but_the_others_are_disjoint_by_construction():
    ranges = LevelsConfig(train="all").ranges
    require_disjoint(ranges)
    assert len(ranges["train"]) == MAX_ID - 10_000 - 1_000 - len(KEPT_FOR_TESTS)
    require_disjoint(LevelsConfig(test="all").ranges)
    assert len(LevelsConfig(test="all").ranges["test"]) == MAX_ID - 100_000 - 10_000
    require_disjoint(LevelsConfig(validation="all").ranges)
    kept = {name: load_protocol(name).ids(49) for name in protocol_names()}
    truth = TruthConfig()
    kept["truth"] = IdRange(truth.first_level, truth.first_level + truth.levels)
    require_disjoint({"train": ranges["train"], **kept})
    assert KEPT_FOR_TESTS.start < FIRST_LEVEL < KEPT_FOR_TESTS.stop
    with pytest.raises(UserError, match="are both all"):
        LevelsConfig(train="all", test="all")
    with pytest.raises(UserError, match=r"or levels\.train=all"):
        LevelsConfig(train="0:2147483647")


def test_the_test_range_of_a_run_may_be_all_that_is_left():
    run = TrainedRun.__new__(TrainedRun)
    for train, test in (("0:100000", "all"), ("all", "all"), ("all", "400:410"), ("5:9", None)):
        config = type("Config", (), {"levels": LevelsConfig(train=train)})
        object.__setattr__(run, "config", config)
        if test == "400:410":
            with pytest.raises(UserError, match="share level ids"):
                run.test_ids(test)
        else:
            found = run.test_ids(test)
            require_disjoint({**config.levels.ranges, "test": found})


def test_an_evaluation_of_a_huge_range_plays_a_sample_and_says_so():
    training = distribution("cheese_on_a_dish", num_levels=0)
    where = conditions.conditions(training, IdRange(0, 10**9), EvaluateConfig())
    assert all(len(condition.ids) <= PLAYED for condition in where)
    assert np.array_equal(where[0].ids, IdRange(0, 10**9).sample(PLAYED))
    conflict = next(one for one in where if one.name == conditions.CONFLICT)
    assert set(conflict.ids.tolist()) <= set(where[0].ids.tolist())
    report = conditions.level_report(training, where, training.describe())
    assert report["test"]["sampled"]
    assert (report["test"]["levels"], report["test"]["levels_played"]) == (10**9, PLAYED)
    assert report["test"]["training_levels_looked_at"] == LOOKED_AT
    assert report["training"]["sampled"]
    told = " ".join(sampling_notes(report))
    assert "1,000,000,000 level ids: 1,000 of them" in told
    assert "2,147,483,647 level ids: what is said about them is estimated from 20,000" in told
    small = conditions.conditions(training.at(ids=IdRange(0, 9)), IdRange(20, 25), EvaluateConfig())
    exact = conditions.level_report(training.at(ids=IdRange(0, 9)), small, {"levels": 9})
    assert not sampling_notes(exact)
    assert "sampled" not in exact["test"]


def test_the_share_of_terrains_that_was_found_in_a_sample_is_called_the_least():
    assert terrain_note({"terrain_seen_in_training": 0.25}).startswith("25.0% of")
    sampled = {"terrain_seen_in_training": 0.25, "training_levels_looked_at": 20_000}
    assert terrain_note(sampled).startswith("At least 25.0% of")
    assert "None of 20,000" in terrain_note(sampled | {"terrain_seen_in_training": 0.0})


def test_what_planned_seekers_do_hangs_on_the_level_and_not_on_its_range():
    world = make_world("cheese_on_a_dish")
    huge = LevelDistribution(world, 0.0, "anywhere", FULL)
    ids = huge.conflict_ids()
    assert len(ids) > 0.9 * PLAYED
    some = ids[:: len(ids) // 20]
    facts = goals_in_reach(huge, some)
    assert facts["level_id"].to_list() == some.tolist()
    one = LevelDistribution(world, 0.0, "anywhere", IdRange(int(some[3]), int(some[3]) + 1))
    assert goals_in_reach(one, some[3:4]).rows() == facts[3:4].rows()


def test_a_range_with_gaps_is_stored_and_read_again():
    config = LevelsConfig(train=str(LevelsConfig(train="all").ranges["train"]))
    assert config.ranges == LevelsConfig(train="all").ranges
    assert dataclasses.asdict(config)["train"].startswith("0:2147483647 without 1000000:1010000")
