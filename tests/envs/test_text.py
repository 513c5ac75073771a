"""Levels as text: what is written can be read, and what cannot be read is named."""

from __future__ import annotations

import dataclasses
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misgen.envs.coinrun.constants import (
    BARRIER,
    CRATE,
    ENEMY,
    INVISIBLE_GOAL,
    LAVA_MID,
    LAVA_TOP,
    MODES,
    PLACEMENTS,
    SAW,
    SPACE,
    TERRAINS,
    WALL_MID,
    WALL_TOP,
)
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import MAX_ID, LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import NO_CELL
from misgen.envs.core.level_text.text import FORMAT, level_from_text, level_to_text
from tests.hand_made import actions, draw, start

WORLD = CoinRun()
TOP = ".  x62"
MINIMAL = [FORMAT, "map:", TOP, "A.C.", "="]


def read(*lines: str, world: CoinRun = WORLD):
    return level_from_text("\n".join(lines), world)


# --- round trip


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("terrain", TERRAINS)
@pytest.mark.parametrize("mode", MODES)
def test_what_is_written_is_read(mode, terrain, placement):
    world = CoinRun(mode=mode, terrain=terrain)
    levels = LevelDistribution(world, 0.5, placement).levels(np.arange(150))
    assert 20 < levels.aligned.sum() < 130
    for level in levels:
        text = level_to_text(level, world)
        again = level_from_text(text, world)
        assert again == level, text
        np.testing.assert_array_equal(again.tiles, level.tiles, text)
        assert again.entities.tobytes() == level.entities.tobytes(), text
        for name in ("id", "start", "goal_cell", "proxy_cell", "conflict_cell", "look", "variant"):
            assert getattr(again, name) == getattr(level, name), (name, text)
        assert level_to_text(again, world) == text


@given(st.integers(0, MAX_ID - 1), st.sampled_from(TERRAINS), st.floats(0, 1))
def test_any_id_makes_the_round_trip(level_id, terrain, correlation):
    world = CoinRun(terrain=terrain)
    (level,) = LevelDistribution(world, correlation, "anywhere").levels(np.array([level_id]))
    assert level_from_text(level_to_text(level, world), world) == level


def test_the_text_is_the_variant_not_the_reader():
    """A level says which mode and terrain it is of; the world that reads it need not be of them."""
    easy = CoinRun(mode="easy", terrain="langosco")
    (level,) = LevelDistribution(easy, 0.0).levels(np.array([17]))
    assert level_from_text(level_to_text(level, easy), WORLD) == level


def test_text_is_short_and_readable():
    (level,) = LevelDistribution(WORLD, 0.0).levels(np.array([17]))
    text = level_to_text(level, WORLD)
    assert text.startswith(f"{FORMAT}\nworld: coinrun\nid: 17\n")
    assert text.endswith("\n")
    assert all(line == line.rstrip() and len(line) <= 64 + 5 for line in text.splitlines())
    assert [text.count(mark) for mark in "ACX"] == [1, 1, 1]


# --- by hand


def test_minimal_map():
    level = read(*MINIMAL)
    assert level.id == -1
    assert level.aligned
    assert level.start == (0.5, float(np.float32(1) + np.float32(0.5787)))
    assert level.goal_cell == level.proxy_cell == (2, 1)
    assert level.conflict_cell == NO_CELL
    assert level.look == (0, 0, 0)
    assert level.variant == (("mode", "hard"), ("terrain", "procgen"))
    assert len(level.entities) == 0
    assert level.tiles.shape == (64, 64)
    assert level.tiles[0].tolist() == [WALL_TOP] * 64
    assert level.tiles[1].tolist() == [SPACE, SPACE, 1] + [SPACE] * 61
    assert (level.tiles[2:] == SPACE).all()


def test_all_signs():
    level = read(FORMAT, "map:", ".  x61", "A.<s>BXC|#", "^  x1", "~")
    assert level.tiles[2, 8] == BARRIER
    assert level.tiles[2, 9] == level.tiles[2, 63] == WALL_MID
    assert (level.tiles[1] == LAVA_TOP).all()
    assert (level.tiles[0] == LAVA_MID).all()
    assert level.entities["kind"].tolist() == [ENEMY, SAW, ENEMY, CRATE]
    assert level.entities["x"].tolist() == [2.5, 3.5, 4.5, 5.5]
    assert set(level.entities["y"]) == {2.5}
    np.testing.assert_array_equal(level.entities["vx"], np.array([-0.15, 0, 0.15, 0], np.float32))
    assert (level.proxy_cell, level.goal_cell) == ((6, 2), (7, 2))
    assert level.conflict_cell == level.goal_cell
    assert not level.aligned


def test_listed_entities_win_over_the_maps():
    """The list has the order; the map then only shows."""
    level = read(*MINIMAL[:3], "A.C..s.B", "=", "entities:", "crate 7 1 left 2", "# a note", "",
                 "saw 5 1 left 0", "enemy 9 1 right 8")  # fmt: skip
    assert level.entities["kind"].tolist() == [CRATE, SAW, ENEMY]
    assert level.entities["theme"].tolist() == [2, 0, 8]
    assert level.entities["vx"][2] == np.float32(0.15)


def test_the_forks_invisible_coin_is_where_the_coin_is_not():
    header = [FORMAT, "terrain: langosco", "map:", TOP]
    aligned = read(*header, "A.c.C#", "=")
    assert aligned.tiles[1, 2] == INVISIBLE_GOAL
    conflict = read(*header, "A.C.X#", "=")
    assert conflict.tiles[1, 4] == INVISIBLE_GOAL
    assert aligned.terrain_hash == conflict.terrain_hash
    without = read(*header, "A...C#", "=")
    assert not (without.tiles == INVISIBLE_GOAL).any()


@pytest.mark.parametrize("keys", ["rRrr", "lLll"])
def test_a_level_without_a_rim_can_be_played(keys):
    """The edges of the world are walls, and what lies beyond them, in memory too, is nothing."""
    level = draw("A.....C.", "=")
    tiles = level.tiles.copy()
    tiles[1:] = SPACE
    tiles[-3] = WALL_TOP
    side = 0 if "r" in keys else 63
    tiles[[1, 2, 3, 4, 5, 6, 7, 8, 9, 62, 63], side] = LAVA_MID
    level = dataclasses.replace(level, tiles=tiles, goal_cell=(30, 30), proxy_cell=(30, 30))
    begin = 58.5 if "r" in keys else 5.5
    for x in begin + np.linspace(0, 1, 60):
        for y in (1.5787, 62.5787):
            engine = start(dataclasses.replace(level, start=(x, y)))
            for action in actions(keys * 10):
                assert not len(engine.step(action[None])), (x, y)
                engine.observe()
            state = engine.states[0]
            assert min(state["x"], 64 - state["x"]) < 0.6


# --- what cannot be read


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], f"the first line must be '{FORMAT}'"),
        (["misgen level 2", "map:"], f"the first line must be '{FORMAT}'"),
        ([FORMAT], "map: there is none: write map: on a line"),
        ([FORMAT, "mode: easy", "entities:", "saw 3 1 left 0"], "map: there is none"),
        ([FORMAT, "map:"], "map: there is none"),
        ([FORMAT, "id 17", "map:"], "line 2: 'id 17' is not a header line: write name: value"),
        ([FORMAT, "world: maze", "map:"], "world: 'maze' is not 'coinrun': pass env=maze"),
        ([FORMAT, "mdoe: easy", "map:"], "mdoe: is not known in a level's header"),
        ([FORMAT, "mdoe: easy", "map:"], "did you mean 'mode'?"),
        ([FORMAT, "mode: esay", *MINIMAL[1:]], "mode='esay' is not known: use one of easy, hard"),
        ([FORMAT, "terrain: moon", *MINIMAL[1:]], "terrain='moon' is not known"),
        ([FORMAT, "id: x", *MINIMAL[1:]], "id: 'x' should be a whole number from -1 to"),
        ([FORMAT, f"id: {2**70}", *MINIMAL[1:]], "should be a whole number from -1 to"),
        ([FORMAT, "look: 1 2", *MINIMAL[1:]], "look: '1 2' should be 3 whole numbers from 0 to"),
        ([FORMAT, "look: 1 2 99999", *MINIMAL[1:]], "look: '1 2 99999' should be 3 whole numbers"),
        ([FORMAT, "size: 64", *MINIMAL[1:]], "size: '64' should be 2 whole numbers"),
        ([FORMAT, "size: 0 64", *MINIMAL[1:]], "size: '0 64' should be 2 whole numbers from 1"),
        ([FORMAT, "size: 8 2", "map:", "A.C.....", "="], "size: 8 2 does not fit: coinrun has 64"),
        ([*MINIMAL, "="], "map: 65 rows, the longest of 64 columns, do not make a level"),
        ([FORMAT, "map:", ".  x61", "A.C.", "="], "map: 63 rows"),
        ([*MINIMAL[:3], "A.C." + "." * 61, "="], "the longest of 65 columns"),
        ([*MINIMAL[:3], "", "A.C.", "="], "map: row 63 from the top is empty"),
        ([FORMAT, "map:", ".  xx", "A.C.", "="], "map: repeat: 'x' should be a whole number"),
        ([FORMAT, "map:", ".  x0", "A.C.", "="], "map: repeat: '0' should be a whole number"),
        ([FORMAT, "map:", ".  x-4", "A.C.", "="], "map: repeat: '-4' should be a whole number"),
        ([*MINIMAL[:3], "A.C?", "="], "map: '?' at column 3, row 1 means nothing: use one of .#"),
        ([*MINIMAL[:3], "A..C.A", "="], "map: 'A' stands more than once (column 5, row 1)"),
        ([*MINIMAL[:3], "A..CCX", "="], "map: 'C' stands more than once (column 4, row 1)"),
        ([*MINIMAL[:3], "..C.", "="], "map: there is no start A"),
        ([*MINIMAL[:3], "A...", "="], "map: there is no goal C"),
        ([*MINIMAL, "entities:", "saw 1 1"], "entities: 'saw 1 1' cannot be read: write name x y"),
        ([*MINIMAL, "entities:", "bear 1 1 left 0"], "with a name of saw, enemy, crate"),
        ([*MINIMAL, "entities:", "saw 1 1 up 0"], "a direction of left, right"),
        ([*MINIMAL, "entities:", "saw a 1 left 0"], "'saw a 1 left 0': x: 'a' should be a whole"),
        ([*MINIMAL, "entities:", "saw 64 1 left 0"], "x: '64' should be a whole number from 0"),
        ([*MINIMAL, "entities:", "saw 1 -1 left 0"], "y: '-1' should be a whole number from 0"),
        ([*MINIMAL, "entities:", "saw 1 1 left 99999"], "theme: '99999' should be a whole number"),
        ([*MINIMAL, "entities:", *["saw 9 1 left 0"] * 65], "entities: 65 are too many: 64"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(lines, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        read(*lines)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "lines",
    [
        [FORMAT, "size: 1000000000 1000000000", "map:", ".  x1000000000"],
        [FORMAT, "size: 512 512", "map:", *["A  x512"] * 20_000],
        [*MINIMAL[:2], f".  x{'9' * 3000}", "A.C.", "="],
        [*MINIMAL[:2], f".  x{'9' * 30_000}", "A.C.", "="],
        [FORMAT, "map:", *["." * 512 + "  x64"] * 20_000],
        [FORMAT, "map:", "A" * 5_000_000],
        [*MINIMAL, "entities:", *["saw 9 1 left 0"] * 50_000],
        [FORMAT, *["id: 1"] * 100_000, "map:", "x"],
        [FORMAT, "id: " + "9" * 100_000, *MINIMAL[1:]],
    ],
    ids=["size", "rows", "repeat", "long repeat", "columns", "row", "entities", "header", "id"],
)
def test_hostile_files_are_refused_quickly(lines):
    begin = time.process_time()
    with pytest.raises(UserError) as error:
        read(*lines)
    assert time.process_time() - begin < 2
    assert len(str(error.value)) < 400


@given(st.text(st.sampled_from("A.C#=^~|!<>sBcXx 1\n:-é"), max_size=200))
def test_any_map_is_a_level_or_a_user_error(text):
    try:
        level = read(FORMAT, "map:", *text.splitlines(), "A.C.", ".  x62", "=")
    except UserError:
        return
    assert level_from_text(level_to_text(level, WORLD), WORLD).tiles.tobytes()


@given(st.text(max_size=100))
def test_any_text_is_a_level_or_a_user_error(text):
    for lines in ([text], [FORMAT, text], [*MINIMAL, text], [*MINIMAL, "entities:", text]):
        try:
            read(*lines)
        except UserError as error:
            assert str(error)  # noqa: PT017 (a level is as good)
