"""`reset(options={"levels": ...})`: hand-made levels in all three views."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.text import level_to_text
from misgen.envs.core.registry import make_world
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.core.views.single_env import MisgenEnv
from misgen.envs.core.views.vector_env import MisgenVectorEnv
from misgen.envs.monster_world.world import MonsterWorld
from misgen.envs.tree_gridworld.world import TreeGridworld
from tests.hand_made_boards import draw

WORLD = TreeGridworld(side=5, trees=3, view=9, max_steps=20)
LEVELS = LevelDistribution(WORLD, 0.0, ids=IdRange(0, 100))
A, B, C = (dataclasses.replace(level, id=-1) for level in LEVELS.levels(np.arange(3)))
TEXT = level_to_text(B, WORLD)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "level.txt"
    path.write_text(level_to_text(C, WORLD, ("a note",)))
    return path


def seen_alone(level) -> dict[str, np.ndarray]:
    env = MisgenEnv(LEVELS)
    observation, info = env.reset(seed=0, options={"levels": [level]})
    assert info["level_id"] < -1
    assert not env.engine.aligned[0]
    return observation


def assert_rows(observation, levels) -> None:
    for slot, level in enumerate(levels):
        for key, values in seen_alone(level).items():
            np.testing.assert_array_equal(observation[key][slot], values, err_msg=f"slot {slot}")


def test_levels_texts_and_files_are_the_same(file):
    for one, other in ((B, TEXT), (C, file), (C, str(file))):
        for key, values in seen_alone(one).items():
            np.testing.assert_array_equal(values, seen_alone(other)[key])
    assert (seen_alone(A)["tiles"] != seen_alone(B)["tiles"]).any()


def test_vector_view(file):
    env = MisgenVectorEnv(LEVELS, 3)
    observation, infos = env.reset(seed=0, options={"levels": [A, TEXT, file]})
    assert infos["level_id"].tolist() == [level.own_id for level in (A, B, C)]
    assert_rows(observation, [A, B, C])
    for _ in range(20):
        *_, infos = env.step(np.full(3, WORLD.no_op))
    assert infos["final_info"]["level_id"].tolist() == [level.own_id for level in (A, B, C)]
    assert (env.engine.level_ids >= 0).all(), "then the stream goes on as ever"


def test_an_id_that_a_level_has_is_kept():
    env = MisgenVectorEnv(LEVELS, 2)
    given = [dataclasses.replace(A, id=17), level_to_text(dataclasses.replace(B, id=18), WORLD)]
    _, infos = env.reset(options={"levels": given})
    assert infos["level_id"].tolist() == [17, 18]


def test_monsters_go_other_ways_on_other_boards():
    """They are drawn by the level's id, so levels by hand must not share one."""
    world = MonsterWorld(chase=0.0)
    rows = "#A.....as#", "#...M....#"
    boards = [draw(world, *rows, "#" + "." * k + "#", "#") for k in range(1, 7)]
    env = MisgenVectorEnv(LevelDistribution(world, 0.0, "calm"), len(boards))
    env.reset(options={"levels": boards})
    for _ in range(3):
        env.step(np.full(len(boards), world.no_op))
    assert len({tuple(mover) for mover in env.engine.states["mover"][:, 0, :2].tolist()}) > 1


@pytest.mark.parametrize("each", [False, True])
def test_stable_baselines_view(each, file):
    env = MisgenVecEnv(LEVELS, 3, seed=0)
    given = [A, TEXT, str(file)]
    env.set_options([{"levels": [one]} for one in given] if each else {"levels": given})
    assert_rows(env.reset(), [A, B, C])
    assert env.engine.level_ids.tolist() == [level.own_id for level in (A, B, C)]
    drawn = env.reset()
    assert (env.engine.level_ids >= 0).all(), "options are those of one reset"
    other = MisgenVecEnv(LEVELS, 3, seed=0)
    np.testing.assert_array_equal(drawn["tiles"], other.reset()["tiles"])
    env.set_options({"level_ids": [5, 6, 5]})
    env.reset()
    assert env.engine.level_ids.tolist() == [5, 6, 5]
    env.set_options({"levels": [A]})
    with pytest.raises(UserError, match="has 1 levels for 3 slots: give 3"):
        env.reset()


OTHER = make_world("corner_maze").levels(np.arange(1), 1.0, "anywhere")[0]
LARGE = dataclasses.replace(WORLD, side=6).levels(np.arange(1), 1.0, "elsewhere")[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": [A]}, r"options\['levels'\] has 1 levels for 2 slots: give 2"),
        ({"levels": A}, "must be a list"),
        ({"levels": TEXT}, "must be a list"),
        ({"levels": [A, OTHER]}, "level 1 is of world 'corner_maze', not 'tree_gridworld'"),
        (
            {"levels": [LARGE, A]},
            "level 0 is made for side=6, the world has side=5: give env.side=6",
        ),
        ({"levels": [A, "nowhere.txt"]}, "nowhere.txt cannot be read"),
        ({"levels": [A, "misgen level 1\nmap:\n?"]}, "line 2: map: 1 rows"),
        ({"levels": [A, 17]}, "17 is not a level: give a Level"),
        ({"levels": [A, B], "level_ids": [1, 2]}, "exclude each other"),
        ({"level": [A, B]}, "reset option='level' is not known: use one of level_ids, levels"),
    ],
)
def test_what_cannot_be_run_is_named(options, message):
    with pytest.raises(UserError, match=message):
        MisgenVectorEnv(LEVELS, 2).reset(options=options)


def test_a_level_with_too_many_things_is_refused():
    world = make_world("coinrun")
    (level,) = world.levels(np.arange(1), 1.0, "section_start")
    many = dataclasses.replace(level, entities=np.repeat(level.entities[:1], 65))
    if not len(level.entities):
        pytest.skip("the level has no entity to repeat")
    with pytest.raises(UserError, match="has 65 entities: 64 are the most in coinrun"):
        level_batch([many], world)


def test_the_originals_levels_cannot_be_made_by_hand():
    world = make_world("procgen_coinrun")
    with pytest.raises(
        UserError, match="env=procgen_coinrun runs only the original program's levels"
    ):
        level_batch(["misgen level 1\n"], world)
