"""Shape-colour maze: hand-made mazes walked, and which feature of the goal parts from it when."""

import numpy as np
import pytest

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.planning.planned import plans_at_start
from misgen.envs.core.planning.planner import make_planner
from misgen.envs.shape_colour_maze.rules import COLOUR, GEM, LINE, PATTERN, STAR
from misgen.envs.shape_colour_maze.world import ShapeColourMaze
from tests.hand_made_boards import draw, walk

IDS = np.arange(400)
YELLOW, RED, BLUE = 1, 2, 3
"""What the window of colours holds of an object."""


def maze(*objects: str, **parameters):
    """Return a world, and a cross with `objects` up, left, down and right of where the mouse is."""
    world = ShapeColourMaze(mode="easy", action_set="distinct", cues="colour_pattern", **parameters)
    up, left, down, right = objects
    rows = (f"######{up}", f"#####{left}A{right}", f"######{down}", *["#"] * 5)
    return world, draw(world, *rows, mode="easy", cues="colour_pattern")


@pytest.mark.parametrize(
    ("objects", "keys", "outcome", "proxies"),
    [
        ("L...", "u", "GOAL", COLOUR | PATTERN),  # aligned: the line is what all cues point at
        ("LG..", "u", "GOAL", PATTERN),  # a red line still has its stripes
        ("LG..", "l", "PROXY", COLOUR),
        ("L.S.", "u", "GOAL", COLOUR),
        ("L.S.", "d", "PROXY", PATTERN),
        ("LGS.", "u", "GOAL", 0),
        ("LGS.", "l", "PROXY", COLOUR),
        ("LGS.", "d", "PROXY", PATTERN),
        ("LGS.", "r", None, 0),
    ],
)
def test_what_is_reached(objects, keys, outcome, proxies):
    world, level = maze(*objects, on_proxy="end")
    info = walk(world, level, keys)
    assert info["outcome"] == outcome
    assert info["proxies"] == proxies
    assert info["reached_goal"] == (outcome == "GOAL")
    assert info["return"] == (10 if outcome == "GOAL" else 0)
    assert info["aligned"] == (objects == "L...")
    assert not info["touched_conflict_cell"] or info["reached_goal"]


def test_a_decoy_may_cost_or_be_passed():
    world, level = maze(*"LGS.", on_proxy="penalty")
    assert walk(world, level, "l")["return"] == -10
    world, level = maze(*"LGS.")
    info = walk(world, level, "lrdu")
    assert info["outcome"] is None
    assert info["proxies"] == COLOUR | PATTERN
    assert walk(world, level, "lrdurlu")["outcome"] == "GOAL"


def test_what_the_agent_sees():
    seen = {}
    for objects in ("L...", "LG..", "L.S.", "LGS."):
        world, level = maze(*objects, view=3)
        engine = Engine(world, 1)
        engine.load(np.zeros(1, np.int64), LevelBatch.stack([level], world.level_dtype))
        seen[objects] = engine.observe()["tiles"][0].reshape(4, 3, 3)
    for objects, (wall, shape, colour, pattern) in seen.items():
        at_line, left, below = (0, 1), (1, 0), (2, 1)
        assert wall.sum() == 4  # the corners
        assert shape[at_line] == 1
        assert colour[at_line] == (RED if "G" in objects else YELLOW)
        assert pattern[at_line] == (2 if "S" in objects else 1)
        assert (shape[left], colour[left]) == ((2, YELLOW) if "G" in objects else (0, 0))
        assert (shape[below], colour[below]) == ((3, BLUE) if "S" in objects else (0, 0))


def test_shapes_are_made_out_from_near_alone():
    far = ShapeColourMaze(mode="easy", cues="colour_pattern", view=29)
    near = ShapeColourMaze(mode="easy", cues="colour_pattern", view=29, shape_sight=2)
    levels = far.levels(IDS[:50], 0.0, "each")
    slots = np.arange(50)
    states = np.zeros(50, far.state_dtype)
    far.load(states, slots, levels)
    one, other = (
        world.observe(states, slots)["tiles"].reshape(50, 4, 29, 29) for world in (far, near)
    )
    np.testing.assert_array_equal(one[:, [0, 2, 3]], other[:, [0, 2, 3]])
    middle = slice(14 - 2, 14 + 3)
    np.testing.assert_array_equal(one[:, 1, middle, middle], other[:, 1, middle, middle])
    assert other[:, 1].sum() == other[:, 1, middle, middle].sum()
    assert other[:, 1].sum() < one[:, 1].sum()


@pytest.mark.parametrize(
    ("placement", "gems", "stars"), [("each", 1, 1), ("colour", 1, 0), ("pattern", 0, 1)]
)
def test_which_cues_part(placement, gems, stars):
    world = ShapeColourMaze(mode="easy", cues="colour_pattern")
    aligned, moved = (world.levels(IDS, rho, placement) for rho in (1.0, 0.0))
    count = {code: (moved.data["tiles"] == code).sum(axis=(1, 2)) for code in (LINE, GEM, STAR)}
    assert (count[LINE] == 1).all()
    assert (count[GEM] == gems).all()
    assert (count[STAR] == stars).all()
    assert aligned.aligned.all()
    assert not moved.aligned.any()
    assert aligned.digests(terrain=True) == moved.digests(terrain=True)
    np.testing.assert_array_equal(aligned.data["goal_cell"], moved.data["goal_cell"])


def test_decoys_stand_in_the_same_place_whichever_cue_parts():
    world = ShapeColourMaze(mode="easy", cues="colour_pattern")
    both, colour, pattern = (
        world.levels(IDS, 0.0, placement).data["tiles"]
        for placement in ("each", "colour", "pattern")
    )
    np.testing.assert_array_equal(both == GEM, colour == GEM)
    np.testing.assert_array_equal(both == STAR, pattern == STAR)


def test_each_cue_has_its_own_correlation():
    world = ShapeColourMaze(mode="easy", cues="colour_pattern")
    ids = IdRange(0, 4000)
    levels = LevelDistribution(world, 1.0, ids=ids, proxy_correlations=(("colour", 0.7),)).levels()
    tiles = levels.data["tiles"]
    assert not (tiles == STAR).any()
    assert (tiles == GEM).any(axis=(1, 2)).mean() == pytest.approx(0.3, abs=0.03)
    levels = LevelDistribution(world, 0.7, ids=ids).levels()
    gem, star = ((levels.data["tiles"] == code).any(axis=(1, 2)) for code in (GEM, STAR))
    assert gem.mean() == pytest.approx(0.3, abs=0.03)
    assert star.mean() == pytest.approx(0.3, abs=0.03)
    assert (gem & star).mean() == pytest.approx(0.09, abs=0.02)  # independent of each other
    with pytest.raises(UserError, match="shape"):
        LevelDistribution(world, 1.0, proxy_correlations=(("shape", 0.7),))


def test_without_patterns_only_the_colour_parts():
    world = ShapeColourMaze()
    assert world.shifts(["usual"]) == world.shifts(["all"]) == ("colour",)
    assert world.observation_space["tiles"].shape == (3 * world.view, world.view)
    with pytest.raises(UserError, match="colour_pattern"):
        world.levels(IDS, 0.0, "pattern")
    levels = world.levels(IDS[:2], 1.0, "colour")
    states = np.zeros(2, world.state_dtype)
    world.load(states, np.arange(2), levels)
    x, y = levels.data["goal_cell"][0]
    assert world.classes[states["board"][0, y, x]] == "yellow plain line"
    both = ShapeColourMaze(cues="colour_pattern")
    assert both.shifts(["all"]) == ("each", "colour", "pattern")


def test_seekers_part_where_the_cues_do():
    world = ShapeColourMaze(mode="easy", on_proxy="end", cues="colour_pattern")
    planner = make_planner(world)
    aligned, moved = (world.levels(IDS[:60], rho, "each") for rho in (1.0, 0.0))
    to_goal, to_proxy = (plans_at_start(planner, aligned, target) for target in ("goal", "proxy"))
    np.testing.assert_array_equal(to_goal.actions, to_proxy.actions)
    assert plans_at_start(planner, moved, "proxy").solved.all()
    nearer = plans_at_start(planner, moved, "proxy").decisions
    states = np.zeros(60, world.state_dtype)
    world.load(states, np.arange(60), moved)
    to_proxy_cell = states["farthest"]
    assert (nearer <= to_proxy_cell).all()
    assert (nearer < to_proxy_cell).any()  # the other decoy is nearer


def test_text():
    for objects in ("L...", "LG..", "L.S.", "LGS."):
        world, level = maze(*objects)
        assert level.aligned == (objects == "L...")
        assert level_from_text(level_to_text(level, world), world) == level
    with pytest.raises(UserError, match="cues"):
        draw(world, "#A..L", "#", cues="smell")
