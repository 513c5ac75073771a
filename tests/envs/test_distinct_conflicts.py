"""How many different conflict levels are drawn, apart from how frequent they are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from misgen.envs.core.distribution import IdRange, LevelDistribution, LevelStream
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import make_world

IDS = IdRange(5_000, 8_000)
WORLDS = {
    "cheese_on_a_dish": {"size": 7},
    "coinrun": {"mode": "easy"},
    "corner_maze": {"mode": "easy", "largest_maze": 9},
    "shape_colour_maze": {"mode": "easy", "cues": "colour_pattern"},
    "keys_and_chests": {"mode": "easy"},
}


def distribution(name, correlation=0.9, distinct=0, ids=IDS, **more):
    world = make_world(name, **WORLDS[name])
    return LevelDistribution(world, correlation, ids=ids, distinct_conflicts=distinct, **more)


def drawn(levels: LevelDistribution):
    return levels.drawn(np.arange(len(levels.ids)))


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("distinct", [1, 7, 60])
def test_so_many_conflict_levels_each_as_often_and_together_as_often_as_ever(name, distinct):
    every, few = distribution(name), distribution(name, distinct=distinct)
    before, after = every.levels(every.ids.ids()), every.levels(drawn(few))
    assert (before.aligned == after.aligned).all(), "the share is exactly the same"
    conflict = after.take(~after.aligned)
    assert len(set(conflict.digests())) == len(set(conflict.ids.tolist())) == distinct
    counts = Counter(conflict.ids.tolist()).values()
    assert max(counts) - min(counts) <= 1
    aligned = before.aligned
    assert (before.ids[aligned] == after.ids[aligned]).all(), "aligned levels are untouched"


def test_what_training_is_told_to_have_is_what_it_has():
    every, few = distribution("coinrun"), distribution("coinrun", distinct=5)
    told, plain = few.describe(), every.describe()
    assert told["distinct_conflict_levels"] == 5
    same = ("levels", "conflict_levels", "realised_correlation")
    assert [told[key] for key in same] == [plain[key] for key in same]


def test_streams_draw_them_and_at_the_same_steps_as_ever():
    every, few = distribution("coinrun"), distribution("coinrun", distinct=3)
    slots = np.arange(64)
    streams = [LevelStream(one, len(slots), seed=4) for one in (every, few)]
    seen = set()
    for _ in range(40):
        before, after = (stream.next(slots) for stream in streams)
        assert (before.aligned == after.aligned).all()
        seen |= set(after.ids[~after.aligned].tolist())
    assert len(seen) == 3


def test_without_it_nothing_changes():
    every = distribution("coinrun")
    assert (drawn(every) == every.ids.ids()).all()
    assert (every.levels().ids == every.ids.ids()).all()


def test_a_range_with_gaps():
    ids = IdRange(0, 3000, ((500, 900), (1500, 1501)))
    few = distribution("cheese_on_a_dish", distinct=4, ids=ids)
    levels = few.levels()
    assert len(levels) == len(ids)
    assert len(set(levels.ids[~levels.aligned].tolist())) == 4
    assert set(levels.ids.tolist()) <= set(ids.ids().tolist())


def test_other_ids_and_another_correlation_have_all_of_theirs():
    """A test in distribution plays new conflict levels, not the few of training again."""
    few = distribution("coinrun", distinct=3)
    assert few.at(ids=IdRange(0, 100)).distinct_conflicts == 0
    assert few.at(correlation=0.0).distinct_conflicts == 0
    assert few.at(placement="anywhere").distinct_conflicts == 3


def test_terrains_are_those_of_the_levels_that_are_drawn():
    few = distribution("coinrun", 0.2, distinct=2)
    shown = {d for batch in few.at(correlation=1.0).chunks(drawn(few))
             for d in batch.digests(terrain=True)}  # fmt: skip
    assert set(few.terrain_digests()) == shown
    assert len(shown) < len(distribution("coinrun", 0.2).terrain_digests())


def test_single_proxies_count_too():
    few = distribution("shape_colour_maze", 1.0, distinct=2, proxy_correlations=(("colour", 0.8),))
    assert few.describe()["distinct_conflict_levels"] == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"distinct": -1}, "distinct_conflicts=-1"),
        ({"distinct": 2, "ids": IdRange(0, 300_000)}, "at most 200,000 levels"),
    ],
)
def test_what_cannot_be_is_refused(changes, told):
    with pytest.raises(UserError, match=told):
        distribution("cheese_on_a_dish", **changes)


def test_without_conflict_levels_there_are_none_to_repeat():
    with pytest.raises(UserError, match=r"more than the 0 that .* have at correlation 1: "):
        distribution("cheese_on_a_dish", 1.0, distinct=2).require_distinct()


def test_more_than_there_are_is_refused_with_how_many_there_are():
    few = distribution("cheese_on_a_dish", 0.99, distinct=2000)
    with pytest.raises(UserError, match=r"more than the \d+ that these 3,000 levels have"):
        drawn(few)
