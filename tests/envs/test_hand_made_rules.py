"""Every rule reads the level: things that a person moved are where they were drawn, or refused."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from misgen.envs.coinrun.dynamics import _touch_tiles
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import (
    DIED,
    REACHED_GOAL,
    REACHED_PROXY,
    TOUCHED_CONFLICT_CELL,
    start_episodes,
)
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import Level, LevelBatch
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.legend import legend
from misgen.envs.core.level_text.sound import why_out_of_reach
from misgen.envs.core.level_text.text import (
    CONFLICT,
    FORMAT,
    PROXY,
    START,
    level_from_text,
    level_to_text,
)
from misgen.envs.core.planning.planner import PlanStatus, make_planner
from misgen.envs.core.registry import entries, make_world
from misgen.envs.core.world import World
from misgen.envs.keys_and_chests.constants import CHEST, KEY
from tests.hand_made import draw, play

NATIVE = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]
PARAMETERS = {
    "corner_maze": {"mode": "easy"},
    "shape_colour_maze": {"mode": "easy", "cues": "colour_pattern"},
    "keys_and_chests": {"mode": "easy", "moves": "cells"},
    "tree_gridworld": {"side": 6, "trees": 5},
}
CELLS = {  # signs whose cell is an event's, whatever came before
    "corner_maze": {"C": REACHED_GOAL, PROXY: REACHED_PROXY},
    "cheese_on_a_dish": {"C": REACHED_GOAL, "D": REACHED_PROXY},
    "shape_colour_maze": {"L": REACHED_GOAL, "G": REACHED_PROXY, "S": REACHED_PROXY},
    "coinrun": {"C": REACHED_GOAL, PROXY: REACHED_PROXY},
}
MOVED = {  # signs that the tests move about
    **{name: START + "".join(signs) for name, signs in CELLS.items()},
    "lava_land": "AC~",
    "follow_me": "A12G",
    "monster_world": "Aas",
    "tree_gridworld": "ATXS",
    "keys_and_chests": "Ac",
}
RNG = np.random.default_rng(7)


def world_of(name: str) -> World:
    return make_world(name, max_steps=1000, **PARAMETERS.get(name, {}))


def rows_of(level: Level, world: World) -> tuple[str, list[list[str]], str]:
    """Return a level's text before, in, and after its map, whose rows are whole."""
    text = level_to_text(level, world)
    head, rest = text.split("map:\n")
    drawn, tail = rest.split("entities:\n")
    width = level.tiles.shape[1]
    rows = []
    for line in drawn.splitlines():
        row, _, times = line.partition("  x")
        rows += [list(row.ljust(width, row[-1])) for _ in range(int(times or 1))]
    return head.replace(f"id: {level.id}", "id: -1"), rows, tail


def text_of(head: str, rows: list[list[str]], tail: str) -> str:
    return f"{head}map:\n" + "\n".join("".join(row) for row in rows) + f"\nentities:\n{tail}"


def cells_of(rows: list[list[str]], sign: str) -> list[tuple[int, int]]:
    """Return x, y of each place of a sign, the lowest first."""
    height = len(rows)
    found = [
        (x, height - 1 - y) for y, row in enumerate(rows) for x, s in enumerate(row) if s == sign
    ]
    return sorted(found, key=lambda cell: (cell[1], cell[0]))


def move(rows: list[list[str]], sign: str) -> None:
    """Put each thing of a sign into any free cell."""
    height = len(rows)
    for x, y in cells_of(rows, sign):
        free = cells_of(rows, ".")
        nx, ny = free[RNG.integers(len(free))]
        rows[height - 1 - y][x], rows[height - 1 - ny][nx] = ".", sign


def edited(name: str, count: int = 12) -> list[tuple[World, Level, list[list[str]]]]:
    """Return levels that a generator made and a person rearranged, each with what was drawn."""
    world, found = world_of(name), []
    for correlation in (0.0, 1.0):
        for level in world.levels(np.arange(count), correlation, world.shifts(["usual"])[0]):
            head, rows, tail = rows_of(level, world)
            for sign in MOVED[name]:
                move(rows, sign)
            try:
                found.append((world, level_from_text(text_of(head, rows, tail), world), rows))
            except UserError as error:
                assert re.match(r"line \d+", str(error)), error  # noqa: PT017 (a level is as good)
    assert len(found) > count, "few are refused"
    return found


def events_at(world: World, level: Level, cells: list[tuple[int, int]]) -> list[int]:
    """Return the events of a decision to stay, with the agent put into each of some cells."""
    engine = Engine(dataclasses.replace(world, on_proxy="continue"), len(cells))
    engine.load(np.arange(len(cells)), LevelBatch.stack([level] * len(cells), world.level_dtype))
    x, y = np.array(cells).T
    if world.name == "coinrun":
        x, y = x + 0.5, y + 0.5787
        engine.states["last_y"] = y
    engine.states["x"], engine.states["y"] = x, y
    if world.name == "coinrun":
        return [int(_touch_tiles(state)) for state in engine.states]
    engine.step(np.full(len(cells), world.no_op))
    return engine.episodes["events"].tolist()


@pytest.mark.parametrize("name", CELLS)
def test_events_fire_exactly_where_things_were_drawn(name):
    for world, level, rows in edited(name):
        cells = cells_of(rows, ".") + [c for s in (START, *CELLS[name]) for c in cells_of(rows, s)]
        if name == "coinrun":  # whose body touches the cell above, too
            cells = [c for c in cells if c[1] < 12]
        wanted = dict.fromkeys(cells, 0)
        several = any(cells_of(rows, s) for s, bit in CELLS[name].items() if bit == REACHED_PROXY)
        for sign, bit in CELLS[name].items():
            for cell in cells_of(rows, sign):
                both = 0 if several else REACHED_PROXY
                for at in [cell, (cell[0], cell[1] - 1)] if name == "coinrun" else [cell]:
                    if at in wanted:
                        wanted[at] |= bit | (both if bit == REACHED_GOAL else 0)
        found = dict(zip(cells, events_at(world, level, cells), strict=True))
        seen = {c: e & (REACHED_GOAL | REACHED_PROXY) for c, e in found.items()}
        assert seen == wanted, level_to_text(level, world)
        touched = {c for c, e in found.items() if e & TOUCHED_CONFLICT_CELL}
        if name != "coinrun":
            assert touched <= {level.conflict_cell}
        assert level.aligned == (not several)


@pytest.mark.parametrize("name", [n for n in CELLS if n != "coinrun"] + ["lava_land"])
def test_planners_walk_to_what_was_drawn(name):
    goal_sign = world_of(name).symbols.tiles[world_of(name).goal_tile]
    for world, level, rows in edited(name, 8):
        plans = make_planner(world).plan(level_batch([level], world))
        (goal,) = cells_of(rows, goal_sign)
        if plans.goal.status[0] != PlanStatus.SOLVED:
            assert why_out_of_reach(level, world, "goal") or world.out_of_reach
            continue
        engine = Engine(world, 1)
        engine.load(np.zeros(1, np.int64), level_batch([level], world))
        for action in plans.goal.actions[0]:
            assert (int(engine.states["x"][0]), int(engine.states["y"][0])) != goal
            engine.step(np.array([action]))
        assert (int(engine.states["x"][0]), int(engine.states["y"][0])) == goal
        assert engine.episodes["events"][0] & REACHED_GOAL
        assert 0 <= engine.episodes["progress"][0] <= 1


def visit(world: World, level: Level, cells: list[tuple[int, int]]) -> list[int]:
    """Return the events of decisions to stay, with the agent put into one cell after another."""
    engine = Engine(dataclasses.replace(world, on_proxy="continue"), 1)
    engine.load(np.zeros(1, np.int64), LevelBatch.stack([level], world.level_dtype))
    found = []
    for x, y in cells:
        engine.states["x"], engine.states["y"] = x, y
        start_episodes(engine.episodes, np.zeros(1, np.int64))
        engine.step(np.array([world.no_op]))
        found.append(int(engine.episodes["events"][0]) & (REACHED_GOAL | REACHED_PROXY))
    return found


def test_apples_and_shields_are_where_they_were_drawn():
    for world, level, rows in edited("monster_world"):
        for sign, bit in (("a", REACHED_GOAL), ("s", REACHED_PROXY)):
            cells = cells_of(rows, sign)
            assert visit(world, level, cells) == [0] * (len(cells) - 1) + [bit]


def test_beacons_are_where_they_were_drawn():
    """Entered in their order, each from a free cell beside it."""
    steps = {(1, 0): 0, (0, 1): 1, (0, -1): 3, (-1, 0): 4}
    for world, level, rows in edited("follow_me"):
        engine = Engine(world, 1)
        engine.load(np.zeros(1, np.int64), LevelBatch.stack([level], world.level_dtype))
        for number, sign in enumerate("12G", start=1):
            ((x, y),) = cells_of(rows, sign)
            walls = engine.states["board"][0] == 1
            beside = [(dx, dy) for dx, dy in steps if not walls[y + dy, x + dx]]
            if not beside:
                break
            dx, dy = beside[0]
            engine.states["x"], engine.states["y"] = x + dx, y + dy
            engine.step(np.array([steps[dx, dy]]))
            assert int(engine.states["lit"][0]) == number
            assert bool(engine.episodes["events"][0] & REACHED_GOAL) == (number == 3)


def test_the_spring_waters_where_it_is_drawn_in_the_grove():
    for world, level, rows in edited("tree_gridworld"):
        engine = Engine(world, 1)
        engine.load(np.zeros(1, np.int64), LevelBatch.stack([level], world.level_dtype))
        assert level.aligned == (not cells_of(rows, PROXY)) == bool(engine.states["watered"][0])
        assert [level.goal_cell] == cells_of(rows, "S")
        assert int(engine.states["trees"][0]) == len(cells_of(rows, "T"))


def test_keys_and_chests_are_where_they_were_listed():
    for world, level, _ in edited("keys_and_chests"):
        kinds = level.entities["kind"]
        at = {
            kind: [(int(e["x"]), int(e["y"])) for e in level.entities[kinds == kind]]
            for kind in (KEY, CHEST)
        }
        usable = min(len(at[KEY]), len(at[CHEST]))
        events = visit(world, level, at[KEY] + at[CHEST][:usable])
        assert events[-1] & REACHED_GOAL
        assert not any(event & REACHED_GOAL for event in events[:-1])
        surplus = len(at[KEY]) > len(at[CHEST])
        assert bool(events[len(at[KEY]) - 1] & REACHED_PROXY) == surplus


@pytest.mark.parametrize("region", [0, 1, 3])
def test_the_corner_is_the_drawn_one_whatever_the_start(region):
    """The start anywhere, the proxy anywhere: what counts is the X."""
    world = make_world("corner_maze", mode="easy", terrain="langosco", rand_region=region)
    rows = ["#" * 25] * 20 + ["#......##" + "#" * 16] * 3 + ["#A.X..C##" + "#" * 16, "#" * 25]
    level = level_from_text("\n".join([FORMAT, "mode: easy", "map:", *rows]), world)
    assert level.start == (1.5, 1.5)
    cells = [(x, y) for x in range(1, 7) for y in range(1, 5)]
    found = dict(zip(cells, events_at(world, level, cells), strict=True))
    assert [c for c, e in found.items() if e & REACHED_PROXY] == [(3, 1)]
    assert [c for c, e in found.items() if e & REACHED_GOAL] == [(6, 1)]


def test_the_forks_region_is_the_upper_right_of_what_is_dug():
    world = make_world("corner_maze", mode="easy", terrain="langosco", rand_region=2)
    rows = ["#" * 25] * 20 + ["#...X.###" + "#" * 16, "#.....###" + "#" * 16] * 1
    rows += ["#....A###" + "#" * 16, "#C....###" + "#" * 16, "#" * 25]
    level = level_from_text("\n".join([FORMAT, "mode: easy", "map:", *rows]), world)
    cells = [(x, y) for x in range(1, 6) for y in range(1, 5)]
    found = dict(zip(cells, events_at(world, level, cells), strict=True))
    assert [c for c, e in found.items() if e & REACHED_PROXY] == [(4, 3), (4, 4), (5, 3), (5, 4)]


# --- what cannot be honoured


def board(name: str, *rows: str, entities: tuple[str, ...] = (), **header: object) -> Level:
    """Return a level whose lowest rows are given; what is above and beside them is wall."""
    world = make_world(name, **PARAMETERS.get(name, {}))
    height = world.level_dtype["tiles"].shape[0]
    lines = [FORMAT, *(f"{k}: {v}" for k, v in header.items()), "map:"]
    wall = "#" if name != "coinrun" else "."
    lines += [f"{wall}  x{height - len(rows)}", *(r + wall for r in rows), "entities:", *entities]
    level = level_from_text("\n".join(lines), world)
    level_batch([level], world)
    return level


@pytest.mark.parametrize(
    ("name", "rows", "entities", "message"),
    [
        ("corner_maze", ("A" + "." * 16 + "C",), (), r"line 4, column 16: map: .* off the board"),
        ("corner_maze", ("AC", "##", "XX"), (), "'X' stands more than once"),
        ("shape_colour_maze", ("AL.X",), (), "line 4, column 4: map: 'X' has no meaning"),
        ("shape_colour_maze", ("AL.c",), (), "'c' has no meaning"),
        ("shape_colour_maze", ("ALGG",), (), "'G' stands more than once"),
        ("cheese_on_a_dish", ("#A.C#", "#.X.#", "#####"), (), "draw the dish D"),
        ("cheese_on_a_dish", ("#A.C#", "#DD.#", "#####"), (), "'D' stands more than once"),
        ("cheese_on_a_dish", ("#A.C#", "#..D#"), (), "line 5, column 2: map: not everything lies"),
        ("lava_land", ("#AXC#", "#####"), (), "'X' has no meaning in lava_land"),
        ("monster_world", ("#AasX#", "######"), (), "'X' has no meaning"),
        ("monster_world", ("#Aasc#", "######"), (), "'c' has no meaning"),
        ("monster_world", ("#Aas.#", "#....#"), (), "line 5, column 2: map: .* off the board"),
        ("monster_world", ("#Aas.#", "######"), ("monster 0 0 left 0",), "monster at 0 0 is in a"),
        ("monster_world", ("#A" + "s" * 11 + "#", "#a###", "#####"), (), "11 shields"),
        ("follow_me", ("#A1GL#", "#....#"), (), "off the board"),
        (
            "follow_me",
            ("#A1G.#", "######"),
            ("leader 0 0 left 0",),
            "line 7: .*at 0 0 is in a wall",
        ),
        (
            "follow_me",
            ("#A1GL#", "######"),
            ("leader 4 1 left 0", "stop 5 1 left 0"),
            "line 8: entities: the stop at 5 1 is in a wall",
        ),
        (
            "follow_me",
            ("#A1GL#", "######"),
            ("leader 4 1 left 0", *["stop 2 1 left 0"] * 6),
            "6 stops are too many",
        ),
        ("follow_me", ("#A1GX#", "######"), (), "'X' has no meaning"),
        ("follow_me", ("#A11GL", "######"), (), "'1' stands more than once"),
        ("keys_and_chests", ("A.CkX",), (), "'X' has no meaning"),
        (
            "keys_and_chests",
            ("A.C.k",),
            ("chest 2 0 left 0", "key 2 0 left 0"),
            "line 7: entities: two things lie at 2 0",
        ),
        ("keys_and_chests", ("A.C#k",), ("chest 3 0 left 0", "key 4 0 left 0"), "chest at 3 0 is"),
        ("keys_and_chests", ("A.C" + "." * 8 + "k",), (), "off the board"),
        ("coinrun", ("=.", "A.C", "="), (), "line 5, column 1: map: the start is under a wall"),
        ("coinrun", ("A.C", "=="), ("enemy 1 0 left 0",), "the enemy at 1 0 is in a wall"),
    ],
)
def test_what_a_world_cannot_honour_is_refused_with_the_place(name, rows, entities, message):
    with pytest.raises(UserError, match=message):
        board(name, *rows, entities=entities)


def test_the_start_of_a_maze_may_be_anywhere():
    assert board("corner_maze", "#..A.C", "######", mode="easy").start == (3.5, 1.5)


def test_a_star_needs_patterns():
    with pytest.raises(UserError, match="no cue with cues: colour"):
        board("shape_colour_maze", "AL.S", mode="easy", cues="colour")


@pytest.mark.parametrize("name", NATIVE)
def test_levels_made_in_python_are_checked_too(name):
    world = world_of(name)
    (level,) = world.levels(np.arange(1), 0.0, world.shifts(["usual"])[0])
    level_batch([level], world)
    tiles = level.tiles.copy()
    tiles[int(level.start[1]), int(level.start[0])] = world.wall_tiles[0]
    with pytest.raises(UserError, match="level 0: the start is in a wall"):
        level_batch([dataclasses.replace(level, tiles=tiles)], world)
    with pytest.raises(UserError, match=r"level 0: the goal .* lies outside"):
        level_batch([dataclasses.replace(level, goal_cell=(3, 999))], world)


@pytest.mark.parametrize("name", NATIVE)
def test_all_generated_levels_are_sound(name):
    world = world_of(name)
    for placement in world.shifts(["all"]):
        for correlation in (0.0, 1.0):
            levels = list(world.levels(np.arange(40), correlation, placement))
            assert len(level_batch(levels, world)) == 40


# --- why a goal cannot be reached


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("corner_maze", ("A#.C",), "start at (0, 0) is walled in"),
        ("corner_maze", ("A..#C",), "goal at (4, 0) is walled in"),
        ("corner_maze", ("A..#C.",), "walls separate the start at (0, 0) from the goal at (4, 0)"),
        ("corner_maze", ("A.C.X",), ""),
        ("monster_world", ("#Aas#a#", "#######"), "goal at (5, 1) is walled in"),
        ("coinrun", ("#.#", "#A#.C", "==="), ""),
        ("cheese_on_a_dish", ("#A#C#", "#####"), "start at (1, 1) is walled in"),
    ],
)
def test_what_keeps_an_agent_from_the_goal_is_said(name, rows, said):
    found = why_out_of_reach(board(name, *rows), world_of(name), "goal")
    assert said in found
    assert bool(said) == bool(found)


# --- enemies without walls


def test_a_planner_copes_with_enemies_that_nothing_turns():
    level = board("coinrun", "A...C", "=", entities=("enemy 20 1 left 0", "enemy 40 5 right 0"))
    plans = make_planner(make_world("coinrun")).plan(level_batch([level], make_world("coinrun")))
    assert plans.goal.status[0] == PlanStatus.SOLVED


def test_progress_is_counted_from_the_start_to_the_proxy_on_either_side():
    right = play(draw("A...C....X.", "="), "rrrrrrrr", on_proxy="continue")
    left = play(draw("X....C...A.", "="), "llllllll", on_proxy="continue")
    idle = play(draw("X....C...A.", "="), ".")
    assert 0 < right["progress"] <= 1
    assert abs(right["progress"] - left["progress"]) < 1e-5
    assert idle["progress"] < 0.1


# --- legends


@pytest.mark.parametrize("name", NATIVE)
def test_a_legend_names_each_sign_once_and_no_other(name):
    """Signs are those that the reader takes, as it says itself."""
    world = world_of(name)
    lines = [line for line in legend(world) if re.match(r"  \S", line)]
    signs = [sign for line in lines for sign in line[:6].split()]
    assert len(signs) == len(set(signs)), signs
    with pytest.raises(UserError) as error:
        board(name, "?")
    known = str(error.value).rpartition("use one of ")[2]
    assert sorted(signs) == sorted(known)
    assert all(len(line) <= 100 for line in legend(world))


@pytest.mark.parametrize("name", NATIVE)
def test_a_legend_calls_wall_what_nothing_enters(name):
    """The truth is what moving does: each sign beside the start, and a step onto it."""
    world = world_of(name)
    meaning = {line[2:6].split()[0]: line[7:] for line in legend(world) if re.match(r"  \S", line)}
    for code, sign in world.symbols.tiles.items():
        (level,) = world.levels(np.arange(1), 1.0, world.shifts(["usual"])[0])
        x, y = int(level.start[0]), int(level.start[1])
        tiles = level.tiles.copy()
        right = x + 1 < tiles.shape[1] - 1
        beside = x + 1 if right else x - 1
        tiles[y, beside] = code
        engine = Engine(world, 1)
        placed = dataclasses.replace(level, tiles=tiles)
        engine.load(np.zeros(1, np.int64), LevelBatch.stack([placed], world.level_dtype))
        codes = world.action_codes.tolist()
        for _ in range(12 if name == "coinrun" else 1):
            engine.step(np.array([codes.index(7 if right else 1)]))
        there = int(engine.states["x"][0]) == beside or engine.episodes["events"][0] & DIED
        if name == "coinrun":
            there = there or abs(float(engine.states["x"][0]) - x - 0.5) > 0.3
        assert meaning[sign].startswith("wall") == (not there), (sign, meaning[sign])
    assert CONFLICT in meaning or CONFLICT in world.refused_marks
