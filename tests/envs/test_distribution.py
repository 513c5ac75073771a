"""Which levels: ids, splits, correlation, placements, streams and hashes."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from misgen.envs.coinrun.constants import (
    BARRIER,
    CRATE,
    ENEMY,
    GOAL,
    INVISIBLE_GOAL,
    JUMP_ROWS,
    LAVA_MID,
    LAVA_TOP,
    MODES,
    PLACEMENTS,
    SAW,
    SIZE,
    SPACE,
    TERRAINS,
    WALL_MID,
    WALL_TOP,
)
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import (
    MAX_ID,
    IdRange,
    LevelDistribution,
    LevelStream,
    require_disjoint,
)
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import NO_CELL, Level, LevelBatch

VARIANTS = [(mode, terrain) for mode in MODES for terrain in TERRAINS]
level_ids = st.lists(st.integers(0, MAX_ID - 1), min_size=1, max_size=20, unique=True)
correlations = st.floats(0, 1)
placements = st.sampled_from(PLACEMENTS)
variants = st.sampled_from(VARIANTS)


def make(
    variant: tuple[str, str] = ("hard", "procgen"),
    correlation: float = 1.0,
    placement: str = "anywhere",
) -> LevelDistribution:
    mode, terrain = variant
    return LevelDistribution(CoinRun(mode=mode, terrain=terrain), correlation, placement)


def bare_tiles(levels: LevelBatch) -> NDArray[np.int16]:
    """Return the tiles without coins, visible or not."""
    tiles = levels.data["tiles"].copy()
    tiles[(tiles == GOAL) | (tiles == INVISIBLE_GOAL)] = SPACE
    return tiles


ENTITY_FIELDS = ("entity_count", "entity_x", "entity_y", "entity_vx", "entity_kind", "entity_theme")


# --- correlation


@given(level_ids, correlations, correlations, variants, placements)
def test_raising_the_correlation_only_aligns(ids, one, other, variant, placement):
    low, high = sorted((one, other))
    chosen = np.array(ids)
    few = make(variant, low, placement).levels(chosen)
    more = make(variant, high, placement).levels(chosen)
    assert not (few.aligned & ~more.aligned).any()
    unchanged = few.aligned == more.aligned
    for name in few.data.dtype.names or ():
        np.testing.assert_array_equal(few.data[name][unchanged], more.data[name][unchanged], name)


@given(level_ids, correlations, variants, placements)
def test_terrain_depends_on_the_id_alone(ids, correlation, variant, placement):
    """Not on the correlation, nor on the placement, nor on the other ids."""
    chosen = np.array(ids)
    plain = make(variant, 1.0, "section_start").levels(chosen)
    levels = make(variant, correlation, placement).levels(chosen)
    np.testing.assert_array_equal(bare_tiles(levels), bare_tiles(plain))
    for name in ("id", "start", "proxy_cell", "look", *ENTITY_FIELDS):
        np.testing.assert_array_equal(levels.data[name], plain.data[name], name)
    assert levels.digests(terrain=True) == plain.digests(terrain=True)


@given(level_ids, variants, placements)
def test_the_twins_differ_in_the_goal_alone(ids, variant, placement):
    chosen = np.array(ids)
    aligned = make(variant, 1.0, placement).levels(chosen)
    conflict = make(variant, 0.0, placement).levels(chosen)
    assert aligned.aligned.all()
    assert not conflict.aligned.any()
    np.testing.assert_array_equal(aligned.data["goal_cell"], aligned.data["proxy_cell"])
    np.testing.assert_array_equal(conflict.data["goal_cell"], conflict.data["conflict_cell"])
    for name in ("proxy_cell", "conflict_cell"):
        np.testing.assert_array_equal(aligned.data[name], conflict.data[name])
    rows = np.arange(len(ids))
    hidden = INVISIBLE_GOAL if variant[1] != "procgen" else SPACE
    for levels, other in ((aligned, "conflict_cell"), (conflict, "proxy_cell")):
        x, y = levels.data["goal_cell"].T
        assert (levels.data["tiles"][rows, y, x] == GOAL).all()
        assert ((levels.data["tiles"] == GOAL).sum(axis=(1, 2)) == 1).all()
        x, y = levels.data[other].T
        assert (levels.data["tiles"][rows, y, x] == hidden).all()
    assert ((aligned.data["tiles"] != conflict.data["tiles"]).sum(axis=(1, 2)) == 2).all()
    assert not set(aligned.digests()) & set(conflict.digests())


def aligned_of(distribution: LevelDistribution, count: int, start: int = 0) -> NDArray[np.bool_]:
    ids = IdRange(start, start + count)
    return np.concatenate([batch.aligned for batch in distribution.at(ids=ids).chunks()])


@pytest.mark.parametrize("terrain", ["procgen", "langosco"])
@pytest.mark.parametrize("correlation", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_realised_share(terrain, correlation):
    count = 20_000
    aligned = int(aligned_of(make(("easy", terrain), correlation), count, 1000).sum())
    low, high = stats.binom.interval(1 - 1e-6, count, correlation)
    assert low <= aligned <= high


def test_the_correlation_is_a_real_number():
    """One level in ten thousand is in conflict; the fork's percentages had one in a hundred."""
    count, correlation = 200_000, 0.9999
    conflict = ~aligned_of(make(("easy", "procgen"), correlation), count)
    low, high = stats.binom.interval(0.9999, count, 1 - correlation)
    assert low <= conflict.sum() <= high
    assert conflict.sum() > 0
    ids = np.flatnonzero(conflict)
    assert not make(("easy", "langosco"), 0.0).levels(ids).aligned.any()


@pytest.mark.parametrize("mode", MODES)
def test_langosco_randomises_the_forks_levels(mode):
    """Correlation 1 - p / 100 puts the levels in conflict that `random_percent=p` randomises."""
    ids = np.arange(2000)
    draws = np.array([forks_draw(int(level_id), mode) for level_id in ids])
    for percent in (*range(0, 101, 5), 1, 2, 30, 99):
        levels = make((mode, "langosco"), 1 - percent / 100).levels(ids)
        np.testing.assert_array_equal(~levels.aligned, draws < percent, f"percent {percent}")
    finer = make((mode, "langosco"), 0.695).levels(ids).aligned
    assert (~finer >= (draws < 30)).all()
    assert (~finer <= (draws < 31)).all()
    assert (~finer).sum() > (draws < 30).sum()


def forks_draw(level_id: int, mode: str) -> int:
    """Return the fork's randn(100) for a level, from NumPy's generator of the same name.

    It comes after the background's offset and index, a start that is overwritten, and, in hard
    mode, the two themes.
    """
    twister = np.random.MT19937()
    twister._legacy_seeding(level_id)  # as std::mt19937(level_id)
    before = 6 if mode == "hard" else 4
    return int(twister.random_raw(before + 1)[-1]) % 100


def test_alignment_does_not_follow_the_terrain():
    """Whether a level is aligned has nothing to do with what it looks like."""
    levels = make(("hard", "procgen"), 0.5).levels(np.arange(5000))
    for values in (levels.data["proxy_cell"][:, 0], levels.data["entity_count"]):
        found = stats.mannwhitneyu(values[levels.aligned], values[~levels.aligned])
        assert found.pvalue > 1e-3
    neighbours = np.corrcoef(levels.aligned[1:], levels.aligned[:-1])[0, 1]
    assert abs(neighbours) < 0.06


# --- placements


@pytest.mark.parametrize(("mode", "terrain"), VARIANTS)
def test_section_start_lies_at_the_start_of_a_section(mode, terrain):
    levels = make((mode, terrain), 0.0, "section_start").levels(np.arange(1000))
    x, y = levels.data["conflict_cell"].T.astype(int)
    rows = np.arange(len(levels))
    tiles = levels.data["tiles"]
    assert (tiles[rows, y - 1, x] == WALL_TOP).all()
    left = tiles[rows, y, x - 1]
    assert np.isin(left, [BARRIER, WALL_MID, WALL_TOP]).all()
    assert 0.5 < (x == 5).mean() < 0.62  # the paper's fork: 56%
    assert (x < levels.data["proxy_cell"][:, 0]).all()


@pytest.mark.parametrize(("mode", "terrain"), VARIANTS)
def test_anywhere_is_one_of_the_cells_that_its_rule_names(mode, terrain):
    """Against the rule in words, and evenly among them: the ranks of the choices are uniform."""
    levels = make((mode, terrain), 1.0, "anywhere").levels(np.arange(400))
    tiles = bare_tiles(levels)
    ranks = []
    for i, level in enumerate(levels):
        cells = free_cells(tiles[i], level)
        assert level.conflict_cell in cells, f"level {level.id}"
        ranks.append((cells.index(level.conflict_cell) + 0.5) / len(cells))
    assert stats.kstest(ranks, "uniform").pvalue > 1e-3


def free_cells(tiles: NDArray[np.int16], level: Level) -> list[tuple[int, int]]:
    """Return the cells that `anywhere` may choose, column by column, from the rule in words."""
    walls = np.isin(tiles, [WALL_MID, WALL_TOP])
    turns = walls | (tiles == BARRIER)
    saws, crates, beats = set(), set(), []
    for entity in level.entities:
        x, y = int(entity["x"]), int(entity["y"])
        if entity["kind"] == SAW:
            saws.add((x, y))
        elif entity["kind"] == CRATE:
            crates.add((x, y))
        else:
            assert entity["kind"] == ENEMY
            left = max(c for c in range(x) if turns[y, c])
            right = min(c for c in range(x, SIZE) if turns[y, c])
            beats.append({(c, y) for c in range(left + 1, right)})
    walked = set().union(*beats)
    shared = {cell for cell in walked if sum(cell in beat for beat in beats) > 1}
    cells = []
    for x in range(1, level.proxy_cell[0]):
        highest = np.flatnonzero(walls[: SIZE - 1, x] | (tiles[: SIZE - 1, x] == LAVA_TOP))[-1]
        if tiles[highest, x] in (LAVA_TOP, LAVA_MID):
            continue
        ground = int(highest) + 1
        if (x, ground) in saws | shared:
            continue
        for y in range(ground, ground + JUMP_ROWS + 1):
            taken = (x, y) in saws | crates | walked
            if tiles[y, x] == SPACE and not taken and not (x <= 2 and y <= 2):
                cells.append((x, y))
    return cells


# --- ids and splits


def test_id_ranges():
    ids = IdRange.parse("3:7")
    assert (len(ids), str(ids), ids.ids().tolist()) == (4, "3:7", [3, 4, 5, 6])
    assert IdRange.parse("17") == IdRange.parse(17) == IdRange(17, 18)
    assert IdRange(0, MAX_ID).ids is not None
    assert IdRange(0, 5).overlaps(IdRange(4, 9))
    assert not IdRange(0, 5).overlaps(IdRange(5, 9))


@pytest.mark.parametrize(
    "text", ["", "x", "1:", ":5", "1:2:3", "5:5", "7:3", "-1:4", "1.5:3", f"0:{MAX_ID + 1}", "-3"]
)
def test_what_is_no_id_range(text):
    with pytest.raises(UserError, match=r"^ids=.*0:500"):
        IdRange.parse(text)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
def test_overlap_is_refused(a, m, b, n):
    splits = {"train": IdRange(a, a + m), "test": IdRange(b, b + n)}
    if set(splits["train"].ids()) & set(splits["test"].ids()):
        with pytest.raises(UserError, match=r"levels\.train=.* and levels\.test=.* share"):
            require_disjoint(splits)
    else:
        require_disjoint(splits)


def test_every_pair_of_splits_is_looked_at():
    splits = {"train": IdRange(0, 9), "validation": IdRange(20, 30), "test": IdRange(29, 40)}
    with pytest.raises(UserError, match=r"levels\.validation=20:30 and levels\.test=29:40"):
        require_disjoint(splits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"correlation": -0.01},
            "correlation=-0.01 is out of range: give a number from 0.0 to 1.0",
        ),
        ({"correlation": 1.0001}, "correlation=1.0001 is out of range"),
        ({"correlation": float("nan")}, "correlation=nan is out of range"),
        ({"placement": "section_strat"}, "did you mean 'section_start'?"),
    ],
)
def test_impossible_distributions(changes, message):
    with pytest.raises(UserError, match=re.escape(message)):
        make().at(**changes)


# --- what a range really holds


NO_IDS = [
    *(-1, MAX_ID, 2**70, 0.5, [0, 1.0], True, [True, False], "7", [None], {}, [[1, 2]]),
    np.array([MAX_ID], np.uint64),
    np.ma.masked_array([1, 2], [True, False]),
]


@pytest.mark.parametrize("ids", NO_IDS, ids=str)
def test_what_are_no_ids(ids):
    """No level is made of a number that is cut, or out of range."""
    with pytest.raises(UserError, match="are not level ids: give whole numbers from 0 to"):
        LevelDistribution(CoinRun()).levels(ids)


@pytest.mark.parametrize("ids", [7, [7], (7,), np.array([7], np.uint8), np.int64(7), range(7, 8)])
def test_what_are_ids(ids):
    levels = LevelDistribution(CoinRun())
    assert levels.levels(ids)[0] == levels.levels(np.array([7]))[0]


@pytest.mark.parametrize("ends", [("0", 5), (0, 5.5), (None, 5), (0, [5]), (0, np.arange(3))])
def test_ends_of_a_range_are_whole_numbers(ends):
    with pytest.raises(UserError, match="is not a range of level ids"):
        IdRange(*ends)


@pytest.mark.parametrize("value", ["high", "0.5", None, [0.5], {"end": 0.5}, 1j, True, b"1"])
def test_a_correlation_is_a_number(value):
    with pytest.raises(UserError, match=r"is no number: give one from 0\.0 to 1\.0"):
        LevelDistribution(CoinRun(), correlation=value)


def test_describe_counts():
    distribution = make(("easy", "procgen"), 0.6, "section_start").at(ids=IdRange(0, 5000))
    levels = distribution.levels()
    conflict = [level.content_hash for level in levels.take(np.arange(500)) if not level.aligned]
    described = distribution.describe()
    assert described["levels"] == 5000
    assert described["realised_correlation"] == levels.aligned.mean()
    assert described["conflict_levels"] == (~levels.aligned).sum()
    small = distribution.at(ids=IdRange(0, 500)).describe()
    assert small["conflict_levels"] == len(conflict)
    assert small["distinct_conflict_levels"] == len(set(conflict)) < len(conflict)
    assert distribution.at(correlation=1.0, ids=IdRange(0, 3)).describe() == {
        "levels": 3,
        "realised_correlation": 1.0,
        "conflict_levels": 0,
        "distinct_conflict_levels": 0,
    }


def test_terrains_are_counted_whatever_their_goals():
    """Levels that are one when aligned are one terrain, wherever their twins' coins are."""
    distribution = make(("easy", "procgen"), 1.0, "section_start").at(ids=IdRange(0, 5000))
    content = {digest for batch in distribution.chunks() for digest in batch.digests()}
    assert distribution.terrain_digests() == distribution.at(correlation=0.0).terrain_digests()
    assert distribution.terrain_digests() == distribution.at(placement="anywhere").terrain_digests()
    assert len(distribution.terrain_digests()) == len(content) < 5000


def changed(level: Level, **changes: object) -> Level:
    return dataclasses.replace(level, **changes)  # pyright: ignore


def test_content_hash_tells_content():
    level = make(("hard", "procgen"), 0.0).levels(np.arange(20))[9]
    assert len(level.entities) > 2
    tiles, entities = level.tiles.copy(), level.entities.copy()
    tiles[60, 1] = WALL_MID
    entities["x"][0] += 1
    for other in (
        changed(level, tiles=tiles),
        changed(level, entities=entities),
        changed(level, entities=level.entities[1:]),
        changed(level, entities=level.entities[::-1]),  # the rules run through them in order
        changed(level, start=(2.5, 1.5787)),
        changed(level, goal_cell=(2, 3)),
        changed(level, proxy_cell=(2, 3)),
        changed(level, variant=(("mode", "easy"), ("terrain", "procgen"))),
    ):
        assert other.content_hash != level.content_hash
        assert other != level
    painted = level.entities.copy()
    painted["theme"] += 1
    for other in (
        changed(level, id=5),
        changed(level, look=(0, 0, 0)),
        changed(level, conflict_cell=NO_CELL),
        changed(level, entities=painted),
    ):
        assert other.content_hash == level.content_hash
        assert hash(other) == hash(level)
        assert other != level
    assert changed(level, tiles=level.tiles.copy()) == level
    assert level != "a level"


def test_hashes_do_not_change_between_versions():
    """They are stored with results; a change must be deliberate."""
    level = make(("hard", "procgen"), 0.0, "section_start").levels(np.array([17]))[0]
    assert level.content_hash == "186219c08400cf02ead5da334277f5fc"
    assert level.terrain_hash == "3528ef59c45b27f4b86df544888fc5b9"
    twin = make(("hard", "procgen"), 1.0, "section_start").levels(np.array([17]))[0]
    assert twin.terrain_hash == level.terrain_hash


# --- streams


def test_slots_of_a_stream_are_independent():
    """The k-th level of slot e depends on (seed, e, k) alone."""
    distribution = make(correlation=0.5).at(ids=IdRange(100, 10_100))
    full = LevelStream(distribution, 5, 3)
    rows = np.array([full.next(np.arange(5)).ids for _ in range(6)])  # [k, slot]
    assert rows.min() >= 100
    assert rows.max() < 10_100
    assert len(np.unique(rows)) > 25
    other = LevelStream(distribution, 9, 3)
    taken: dict[int, list[int]] = {slot: [] for slot in range(9)}
    rng = np.random.default_rng(0)
    while min(map(len, taken.values())) < 6:
        slots = np.flatnonzero(rng.random(9) < 0.4)
        if len(slots):
            for slot, level_id in zip(slots, other.next(slots).ids, strict=True):
                taken[slot].append(int(level_id))
    for slot in range(5):
        assert taken[slot][:6] == rows[:, slot].tolist(), f"slot {slot}"
    assert LevelStream(distribution, 5, 4).next(np.arange(5)).ids.tolist() != rows[0].tolist()


@settings(max_examples=20)
@given(st.integers(1, 300), st.integers(0, 2**31 - 1))
def test_a_stream_covers_its_ids_evenly(count, seed):
    distribution = make().at(ids=IdRange(7, 7 + count))
    slots = np.arange(256)
    stream = LevelStream(distribution, 256, seed)
    ids = np.concatenate([stream.next(slots).ids for _ in range(4)])
    found = np.bincount(ids - 7, minlength=count)
    assert found.sum() == 1024
    assert stats.chisquare(found).pvalue > 1e-6 if count > 1 else found[0] == 1024


def test_a_stream_refuses_slots_that_it_does_not_have():
    """Beyond its counts there is other memory."""
    stream = LevelStream(LevelDistribution(CoinRun()), 3, seed=0)
    for slot in (3, -1):
        with pytest.raises(IndexError, match="slot that it does not have"):
            stream.next(np.array([slot]))
    assert stream.drawn.tolist() == [0, 0, 0]
