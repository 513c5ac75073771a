"""What CoinRun's pixels show, and what they do not."""

from typing import Any

import gymnasium
import numba
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import misgen.envs  # noqa: F401 (registers the worlds)
from misgen.envs.coinrun import pixels, sprites
from misgen.envs.coinrun.constants import (
    BARRIER,
    CRATE,
    GOAL,
    INVISIBLE_GOAL,
    LAVA_MID,
    LAVA_TOP,
    SIZE,
    SPACE,
    WALL_MID,
    WALL_TOP,
)
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.errors import UserError
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.core.views.vector_env import MisgenVectorEnv

N = 24
SLOTS = np.arange(N)
CLEAR = np.array([0, 0, 0, 0], np.uint8)


def engine(theme: str = "level", correlation: float = 1.0, n: int = N, steps: int = 40) -> Engine:
    """Return an engine whose agents have run to the right for some steps."""
    world = CoinRun(observation="rgb", theme=theme)
    found = Engine(world, n)
    found.load(np.arange(n), LevelDistribution(world, correlation).levels(np.arange(n)))
    rng = np.random.default_rng(0)
    for _ in range(steps):
        found.step(rng.choice([6, 7, 8, 8], n))
    return found


def flat(code: int) -> dict[str, np.ndarray]:
    """Return textures of one colour a kind: wall mid 1, wall top 2, lava 3, its top 4, coin 5."""
    textures = pixels.atlas("fixed")
    blocks, things = np.zeros_like(textures.blocks), np.zeros_like(textures.things)
    blocks[0], blocks[1], blocks[2] = 1, 2, 3
    things[0], things[1] = (4, 4, 4, 255), (5, 5, 5, 255)
    return {
        "blocks": blocks,
        "things": things,
        "agents": np.full_like(textures.agents, code),
        "backgrounds": np.zeros_like(textures.backgrounds),
    }


SHOWN = {WALL_MID: 1, WALL_TOP: 2, LAVA_MID: 3, LAVA_TOP: 4, GOAL: 5}


def test_the_window_is_that_of_procgen_pixel_by_pixel():
    running = engine("fixed")
    states = running.states
    states["count"] = 0  # tiles alone; the agent is transparent
    rng = np.random.default_rng(1)
    codes = np.array([*SHOWN, SPACE, BARRIER, INVISIBLE_GOAL], np.int16)
    states["tiles"] = rng.choice(codes, (N, SIZE, SIZE))
    # At any sub-cell position, and at the world's edges.
    states["x"], states["y"] = rng.uniform(0, SIZE, (2, N)).astype(np.float32)
    picture = pixels.draw(states, SLOTS, pixels.atlas("fixed")._replace(**flat(0)))
    middles = (np.arange(64) + 0.5) * 13 / 64
    for slot in SLOTS:
        x = states["x"][slot].astype(float) - 6.5 + middles
        y = states["y"][slot].astype(float) + 6.5 - middles
        columns, rows = np.floor(x).astype(int), np.floor(y).astype(int)
        inside = ((rows >= 0) & (rows < SIZE))[:, None] & ((columns >= 0) & (columns < SIZE))
        tiles = states["tiles"][slot][rows.clip(0, 63)][:, columns.clip(0, 63)]
        tiles = np.where(inside, tiles, WALL_MID)
        wanted = np.vectorize(lambda code: SHOWN.get(code, 0))(tiles)
        # A pixel whose middle lies on a cell's edge up to rounding may fall to either side.
        sure = (np.abs(x - np.round(x)) > 1e-3) & (np.abs(y - np.round(y)) > 1e-3)[:, None]
        np.testing.assert_array_equal(picture[slot, ..., 0][sure], wanted[sure], f"slot {slot}")


def test_agent_and_entities_stand_where_they_are():
    running = engine("fixed", n=1, steps=0)
    states = running.states
    states["tiles"], states["count"] = SPACE, 1
    states["x"], states["y"] = 20.3, 20.6
    states["kind"][0, 0], states["ex"][0, 0], states["ey"][0, 0] = CRATE, 23.5, 18.5
    textures = pixels.atlas("fixed")._replace(**flat(255))
    picture = pixels.draw(states, np.zeros(1, np.int64), textures)[0].any(axis=2)
    scale = 64 / 13
    boxes = [  # left, right, bottom, top
        (19.8, 20.8, 20.6 - 0.5787, 20.6 - 0.5787 + 2 * 0.5787 * 1.7415),
        (23.0, 24.0, 18.0, 19.0),
    ]
    wanted = np.zeros((64, 64), bool)
    for left, right, bottom, top in boxes:
        x, y = (
            (np.arange(64) + 0.5) / scale + 20.3 - 6.5,
            20.6 + 6.5 - (np.arange(64) + 0.5) / scale,
        )
        wanted |= ((y > bottom) & (y < top))[:, None] & ((x > left) & (x < right))
    # The crate's own edge is drawn softly: compare what lies a pixel inside and outside.
    assert (picture & ~_grown(wanted)).sum() == 0
    assert (~picture & _shrunk(wanted)).sum() == 0


def _grown(mask: np.ndarray) -> np.ndarray:
    around = np.pad(mask, 1)
    shifts = [(a, b) for a in range(3) for b in range(3)]
    return np.any([around[a : a + 64, b : b + 64] for a, b in shifts], axis=0)


def _shrunk(mask: np.ndarray) -> np.ndarray:
    return ~_grown(~mask)


def test_a_pair_differs_in_the_coins_alone():
    aligned, conflict = engine(correlation=1.0, steps=0), engine(correlation=0.0, steps=0)
    differing = 0
    for cell in ("goal_cell", "proxy_cell"):
        for found in (aligned, conflict):
            found.states["x"], found.states["y"] = (conflict.states[cell] + 0.5).T
        a, b = aligned.observe()["rgb"], conflict.observe()["rgb"]
        for slot in SLOTS:
            allowed = np.zeros((64, 64), bool)
            for x, y in (conflict.states["goal_cell"][slot], conflict.states["proxy_cell"][slot]):
                left = (x - conflict.states["x"][slot] + 6.5) * 64 / 13
                top = (conflict.states["y"][slot] + 6.5 - y - 1) * 64 / 13
                rows = slice(max(0, int(top) - 1), max(0, int(top) + 7))
                allowed[rows, max(0, int(left) - 1) : max(0, int(left) + 7)] = True
            changed = (a[slot] != b[slot]).any(axis=2)
            assert not (changed & ~allowed).any(), slot
            differing += changed.any()
    assert differing > N  # the coin itself is seen


def test_what_must_not_be_seen_is_not():
    running = engine()
    before = running.observe()["rgb"]
    tiles = running.states["tiles"]
    tiles[(tiles == SPACE)] = BARRIER
    tiles[:, 1::2][tiles[:, 1::2] == BARRIER] = INVISIBLE_GOAL
    for field in ("goal_cell", "proxy_cell", "conflict_cell"):
        running.states[field] = 3
    running.level_ids[:] = 7
    assert np.array_equal(running.observe()["rgb"], before)


def test_a_picture_depends_on_neither_slot_nor_batch_nor_threads():
    running = engine()
    together = running.observe()["rgb"]
    for slot in (0, 5, N - 1):
        assert np.array_equal(running.observe(np.array([slot]))["rgb"][0], together[slot])
    order = np.random.default_rng(0).permutation(N)
    assert np.array_equal(running.observe(order)["rgb"], together[order])
    numba.set_num_threads(2)
    assert np.array_equal(running.observe()["rgb"], together)


def test_who_goes_left_looks_left():
    running = engine("fixed", n=1, steps=0)
    states = running.states
    states["tiles"], states["count"] = SPACE, 0
    states["x"], states["y"] = 20.5, 20.5
    flat_sky = pixels.atlas("fixed")
    textures = flat_sky._replace(backgrounds=np.full_like(flat_sky.backgrounds, 90))
    pictures = []
    for vx in (0.2, -0.2):
        states["vx"] = vx
        pictures.append(pixels.draw(states, np.zeros(1, np.int64), textures)[0])
    right, left = (picture.astype(int) for picture in pictures)
    assert not np.array_equal(right, left)
    assert np.abs(right - left[:, ::-1]).mean() < 0.5 * np.abs(right - left).mean()


def test_frames_of_the_agent():
    running = engine("fixed", n=1, steps=0)
    frames = {}
    for name, vx, vy, x in [("stand", 0, 0, 5), ("step", 0.3, 0, 6.2), ("jump", 0.3, 0.5, 6.2)]:
        running.states["vx"], running.states["vy"], running.states["x"] = vx, vy, x
        frames[name] = pixels._agent_frame(running.states[0])
    assert frames == {"stand": sprites.STAND, "step": sprites.STEP_B, "jump": sprites.JUMP}


def test_a_fixed_theme_looks_the_same_whatever_the_level_s_numbers():
    running = engine("fixed")
    before = running.observe()["rgb"]
    running.states["look"] += 1
    running.states["theme"] += 1
    assert np.array_equal(running.observe()["rgb"], before)
    varied = engine("level")
    before = varied.observe()["rgb"]
    varied.states["look"] += 1
    assert (varied.observe()["rgb"] != before).any(axis=(1, 2, 3)).all()


def test_other_looks_are_disjoint_from_the_level_s_and_all_looks_differ():
    textures = {theme: pixels.atlas(theme) for theme in ("level", "other")}
    for name in ("agents", "enemies", "crates", "backgrounds"):
        both = np.concatenate([getattr(one, name) for one in textures.values()])
        assert len({look.tobytes() for look in both}) == len(both), name
    walls = np.concatenate([one.blocks[:-1] for one in textures.values()])
    assert len({look.tobytes() for look in walls}) == len(walls) == 2 * 2 * 6
    # Coin, saw and lava are the same everywhere.
    assert np.array_equal(textures["level"].things, textures["other"].things)
    assert np.array_equal(textures["level"].blocks[-1], textures["other"].blocks[-1])


def test_the_theme_changes_no_rule():
    runs = [engine(theme) for theme in pixels.THEMES]
    for name in ("x", "y", "vx", "vy"):
        first = runs[0].states[name]
        assert all(np.array_equal(first, other.states[name]) for other in runs[1:])


def test_sprites_are_premultiplied_and_their_looks_distinct():
    for kind in sprites.SETS:
        for n in (16, 40):
            painted = sprites.agent(kind, 0, sprites.STAND, n)
            assert painted.shape == (round(2.0156 * n), n, 4)
            assert painted.dtype == np.float32
            assert painted.min() >= 0
            assert painted.max() <= 1 + 1e-6
            assert (painted[..., :3] <= painted[..., 3:] + 1e-5).all()


@pytest.mark.parametrize("x", [0.0, 31.7, 63.99])
@pytest.mark.parametrize("y", [0.0, 63.99])
def test_the_edge_of_the_world_can_be_drawn(x, y):
    running = engine(n=2, steps=0)
    running.states["x"], running.states["y"] = x, y
    assert running.observe()["rgb"].std() > 0


def test_the_views_hold_their_spaces():
    distribution = LevelDistribution(CoinRun(observation="rgb"))
    env: Any = gymnasium.make("misgen/CoinRun-v0", observation="rgb", theme="other")
    check_env(env.unwrapped, skip_render_check=True)
    vector = MisgenVectorEnv(distribution, 3)
    first, _ = vector.reset(seed=0)
    assert first["rgb"].shape == (3, 64, 64, 3)
    assert vector.observation_space.contains(first)
    venv = MisgenVecEnv(distribution, 3)
    venv.reset()
    for _ in range(80):
        seen, _, done, infos = venv.step(np.full(3, 8))
        assert seen["rgb"].dtype == np.uint8
        for slot in np.flatnonzero(done):
            assert infos[slot]["terminal_observation"]["rgb"].shape == (64, 64, 3)
            return
    pytest.fail("no episode ended")


def test_pictures_come_at_any_size():
    for size in (64, 100, 333):
        env: Any = gymnasium.make("misgen/CoinRun-v0", render_mode="rgb_array", render_size=size)
        observation, _ = env.reset(seed=3)
        assert set(observation) == {"tiles", "body"}  # whatever the agent sees
        assert env.render().shape == (size, size, 3)
        assert env.render().dtype == np.uint8
    small = gymnasium.make("misgen/CoinRun-v0", render_mode="rgb_array", render_size=64)
    rgb: Any = gymnasium.make("misgen/CoinRun-v0", observation="rgb")
    small.reset(options={"level_ids": [5]})
    seen, _ = rgb.reset(options={"level_ids": [5]})
    assert np.array_equal(small.render(), seen["rgb"])  # pyright: ignore


def test_a_picture_of_nothing_and_unknown_settings_are_refused():
    env: Any = gymnasium.make("misgen/CoinRun-v0", render_mode="rgb_array").unwrapped
    with pytest.raises(UserError, match="reset first"):
        env.render()
    with pytest.raises(UserError, match="render_mode='human'"):
        gymnasium.make("misgen/CoinRun-v0", render_mode="human")
    with pytest.raises(UserError, match=r"env.observation='pixels'.*grid, rgb"):
        CoinRun(observation="pixels")
    with pytest.raises(UserError, match=r"env.theme='levels'.*did you mean 'level'"):
        CoinRun(theme="levels")


def test_a_window_can_be_moved_off_the_agent():
    running = engine("fixed", n=2, steps=0)
    states = running.states
    states["y"] = 15.0
    states["x"] = [10.0, 13.0]
    states["tiles"][1] = states["tiles"][0]
    states["count"] = 0
    textures = pixels.atlas("fixed")
    textures = textures._replace(agents=np.zeros_like(textures.agents))
    moved = pixels.draw(states, np.array([0]), textures, shift=(3.0, 0.0))
    assert np.array_equal(moved[0], pixels.draw(states, np.array([1]), textures)[0])


def test_the_readme_s_picture_can_be_drawn(tmp_path):
    from PIL import Image

    from misgen.experiments.commands.pixel_pictures import main

    out = tmp_path / "pixels.png"
    assert main([f"out={out}", "id=240", "cells=16", "height=208"]) == 0
    with Image.open(out) as picture:
        assert picture.size[0] == 256
    with pytest.raises(UserError, match="'idd' is not a setting"):
        main(["idd=3"])
