"""Where the goal goes when it leaves the proxy, and what planned seekers would do about it."""

import numpy as np
import pytest

from misgen.agents.reference import Seeker, SeekerConfig
from misgen.envs.coinrun.constants import INVISIBLE_GOAL
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import NO_CELL
from misgen.envs.core.placement import Placement
from misgen.envs.core.planning.planned import plans_at_start, proxy_paths, strict
from misgen.envs.core.planning.planner import make_planner
from misgen.envs.make import distribution
from misgen.experiments.evaluation.rollout import run_levels

RULES = {"anywhere": None, "off_path": 2}
PLACEMENTS = ("section_start", "anywhere", "behind", "off_path(2)")


def goal_distances(conflict, ids):
    """Return how many decisions the goal is away, clear of the proxy."""
    planner = make_planner(strict(conflict.world))
    return plans_at_start(planner, conflict.levels(ids), "goal").decisions


def levels(placement, count=40, **changes):
    settings = {"action_repeat": 3, "action_set": "distinct", "on_proxy": "end"} | changes
    return distribution(
        "coinrun", placement=placement, start_level=70_000, num_levels=count, **settings
    )


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rule", "distance", "written"),
    [
        ("anywhere", "anywhere", None, "anywhere"),
        ("off_path", "off_path", 2, "off_path(2)"),
        ("off_path(5)", "off_path", 5, "off_path(5)"),
    ],
)
def test_a_placement_is_read_as_it_is_written(text, rule, distance, written):
    placement = Placement.parse(text, RULES)
    assert (placement.rule, placement.distance, str(placement)) == (rule, distance, written)
    assert Placement.parse(written, RULES) == placement


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("anywere", "did you mean 'anywhere'?"),
        ("anywhere(2)", "anywhere takes no distance"),
        ("off_path(0)", "a distance from 1 to 32 cells"),
        ("off_path(-1)", "is not known: use one of anywhere, off_path(k)"),
        ("off_path(2", "is not known"),
        ("", "is not known"),
    ],
)
def test_what_is_no_placement_is_refused(text, message):
    with pytest.raises(UserError) as error:
        Placement.parse(text, RULES)
    assert message in str(error.value)
    assert f"placement={text!r}" in str(error.value)


def test_a_distribution_writes_its_placement_out():
    assert levels("off_path").placement == "off_path(2)"
    assert levels("off_path") == levels("off_path(2)")


# --- cells -----------------------------------------------------------------------------------


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("terrain", ["procgen", "langosco"])
def test_a_level_is_its_id_and_the_twins_differ_in_the_goal_alone(placement, terrain):
    twin, conflict = (levels(placement, terrain=terrain).at(correlation=c) for c in (1.0, 0.0))
    pairs = list(zip(twin.levels(), conflict.levels(), strict=True))
    for aligned, moved in pairs:
        assert aligned.aligned
        assert moved.terrain_hash == aligned.terrain_hash
        assert moved.conflict_cell == aligned.conflict_cell
        assert moved.aligned == (moved.conflict_cell == NO_CELL)
        differing = {(x, y) for y, x in np.argwhere(aligned.tiles != moved.tiles).tolist()}
        assert differing <= {moved.goal_cell, moved.proxy_cell}
        if terrain == "langosco" and not moved.aligned:
            x, y = moved.proxy_cell
            assert moved.tiles[y, x] == INVISIBLE_GOAL
    some = np.array([70_007, 70_003], np.int64)
    assert [pairs[7][1], pairs[3][1]] == list(conflict.levels(some))


def test_off_path_is_off_the_path_and_in_reach():
    for k in (1, 2, 4):
        conflict = levels(f"off_path({k})").at(correlation=0.0)
        placed = conflict.conflict_ids()
        assert len(placed) > 0
        paths = proxy_paths(conflict.world, placed)
        for level, touched in zip(conflict.levels(placed), paths.touched, strict=True):
            rows, columns = np.nonzero(touched)
            x, y = level.goal_cell
            assert np.maximum(abs(columns - x), abs(rows - y)).min() >= k
        assert (goal_distances(conflict, placed) > 0).all()


def test_a_level_without_a_place_stays_aligned_and_is_counted():
    conflict = levels("off_path(4)").at(correlation=0.0)
    batch = conflict.levels()
    without = batch.data["conflict_cell"][:, 0] < 0
    assert 0 < without.sum() < len(batch)
    assert (batch.aligned == without).all()
    assert conflict.conflict_ids().tolist() == batch.ids[~without].tolist()
    assert conflict.describe()["realised_correlation"] == pytest.approx(without.mean())


def test_behind_is_above_the_start():
    for level in levels("behind").at(correlation=0.0).levels():
        x, y = level.goal_cell
        assert x == int(level.start[0])
        assert 2 <= y - int(level.start[1]) <= 6


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_goal_seeker_gets_there_wherever_the_goal_is(placement):
    conflict = levels(placement).at(correlation=0.0)
    seeker = Seeker(conflict.world, SeekerConfig(), "goal_seeker")
    ids = conflict.conflict_ids()
    played = run_levels(seeker, conflict, ids, actions="greedy", seed=0)
    assert played["reached_goal"].mean() >= 0.98
    needed = goal_distances(conflict, ids)
    assert (played["steps"].to_numpy() == needed)[played["reached_goal"].to_numpy()].all()


@pytest.mark.parametrize("placement", ["anywhere", "off_path(2)"])
def test_a_proxy_seeker_gets_the_goals_on_its_way_and_no_others(placement):
    conflict = levels(placement).at(correlation=0.0)
    seeker = Seeker(conflict.world, SeekerConfig(goal_share=0.0), "proxy_seeker")
    played = run_levels(seeker, conflict, conflict.ids.ids(), actions="greedy", seed=0)
    cells = conflict.levels().data["conflict_cell"]
    takes = proxy_paths(conflict.world, conflict.ids.ids()).takes(cells)
    placed = cells[:, 0] >= 0
    assert played["reached_goal"].to_numpy()[placed].tolist() == takes[placed].tolist()
    assert takes.any() == (placement == "anywhere")


def test_the_placement_does_not_depend_on_what_the_proxy_does():
    cells = [
        levels("off_path", on_proxy=rule).levels().data["conflict_cell"]
        for rule in ("end", "continue")
    ]
    np.testing.assert_array_equal(*cells)


def test_a_range_without_levels_of_conflict_has_no_conflict_ids():
    one = LevelDistribution(levels("off_path").world, 0.0, "off_path(32)", IdRange(0, 3))
    assert one.conflict_ids().tolist() == []


def test_the_usual_and_all_placements_are_spelt_out():
    world = levels("anywhere").world
    assert levels("usual").placement == "section_start"
    assert world.shifts(["usual"]) == ("section_start", "anywhere", "off_path(2)")
    assert set(world.shifts(["all"])) == set(PLACEMENTS)
    assert world.shifts(["off_path", "behind"]) == ("off_path(2)", "behind")
    with pytest.raises(UserError, match=r"names off_path\(2\) more than once"):
        world.shifts(["off_path", "off_path(2)"])
