"""The original CoinRun, one level at a time, and what its saved state holds.

The layout is that of `serialize` in game, basic-abstract-game, entity, randgen, grid and
games/coinrun of https://github.com/openai/procgen, `procgen/src`: little-endian, no padding.
Importing this module imports Procgen, where it is installed, and with it the old gym.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from procgen import ProcgenGym3Env

ENTITY = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "vx", "vy", "rx", "ry")),
        *((name, "<i4") for name in ("type", "image_type", "image_theme", "render_z")),
        *((name, "<i4") for name in ("will_erase", "collides_with_entities")),
        *((name, "<f4") for name in ("collision_margin", "rotation", "vrot")),
        *((name, "<i4") for name in ("is_reflected", "fire_time", "spawn_time", "life_time")),
        *((name, "<i4") for name in ("expire_time", "use_abs_coords")),
        ("friction", "<f4"),
        *((name, "<i4") for name in ("smart_step", "avoids_collisions", "auto_erase")),
        *((name, "<f4") for name in ("alpha", "health", "theta", "grow_rate", "alpha_decay")),
        ("climber_spawn_x", "<f4"),
    ]
)
TRAIL = 59
"""Entity type of the dust behind the agent, which is drawn and touches nothing."""
_END = 0xCAFECAFE
_LARGEST = 2**17  # bytes; a state has some 37,000


@dataclass(frozen=True)
class SavedState:
    """What matters of a saved state."""

    level_seed: int
    cur_time: int
    entities: NDArray[np.void]
    """`ENTITY` records without trails, the agent first."""
    background_index: int
    grid: NDArray[np.int32]
    """[y, x] tile codes, row 0 at the bottom."""
    last_agent_y: np.float32
    wall_theme: int
    has_support: bool
    is_on_crate: bool


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        """Return the next values, by `struct`'s letters."""
        values = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return values

    def array(self, dtype: Any, count: int) -> NDArray[Any]:
        """Return the next `count` items."""
        values = np.frombuffer(self._data, dtype, count, self._at).copy()
        self._at += values.nbytes
        return values

    def skip_string(self) -> None:
        (length,) = self.take("i")
        self._at += length

    def skip_generator(self) -> None:
        self.take("i")  # is_seeded
        self.skip_string()


def parse(data: bytes) -> SavedState:
    """Read a saved state to its end marker."""
    read = _Reader(data)
    # Game
    read.take("i")  # version
    read.skip_string()  # name
    read.take("12i")  # options
    read.take("5i")  # grid_step, level_seed_low, level_seed_high, game_type, game_n
    read.skip_generator()  # of level seeds
    read.skip_generator()  # of the level
    read.take("fii")  # reward, done, level_complete
    read.take("ii")  # action, timeout
    level_seed, *_ = read.take("4i")  # and prev_level_seed, episodes_remaining, episode_done
    read.take("ifi")  # last_reward_timer, last_reward, default_action
    _, cur_time, _ = read.take("3i")  # fixed_asset_seed, cur_time, is_waiting_for_step
    # BasicAbstractGame
    _, count = read.take("ii")  # grid_size
    entities = read.array(ENTITY, count)
    _, background_index, *_ = read.take("iiff")
    read.take("f3i3f")  # char_dim, actions, mixrate, maxspeed, max_jump
    read.take("5f3i")  # action velocity, centre, random_agent_start, ..., step_rand_int
    read.skip_generator()  # of assets
    read.take("3i6f")  # main size, out_of_bounds_object, unit, ..., min_visibility
    width, height, cells = read.take("3i")
    grid = read.array("<i4", cells).reshape(height, width)
    # CoinRun
    last_agent_y, wall_theme, has_support, _, is_on_crate, *_ = read.take("f4iff")
    (end,) = read.take("I")
    if end != _END:
        raise ValueError(f"the state does not end where it should: {end:#x}")
    return SavedState(
        level_seed=level_seed,
        cur_time=cur_time,
        entities=entities[entities["type"] != TRAIL],
        background_index=background_index,
        grid=grid,
        last_agent_y=np.float32(last_agent_y),
        wall_theme=wall_theme,
        has_support=bool(has_support),
        is_on_crate=bool(is_on_crate),
    )


class StockLevel:
    """One level of the original; it starts again when it ends."""

    def __init__(self, level_id: int, mode: str) -> None:
        self._env: Any = ProcgenGym3Env(
            num=1,
            env_name="coinrun",
            distribution_mode=mode,
            start_level=level_id,
            num_levels=1,
            num_threads=0,
        )
        self._buffer = self._env._ffi.new(f"char[{_LARGEST}]")

    def state(self) -> SavedState:
        """Return what the level is like now."""
        length = self._env.call_c_func("get_state", 0, self._buffer, _LARGEST)
        return parse(bytes(self._env._ffi.buffer(self._buffer, length)))

    def step(self, action: int) -> tuple[float, bool]:
        """Move on by one frame; return the reward and whether the episode ended with it."""
        self._env.act(np.array([action]))
        reward, _, first = self._env.observe()
        return float(reward[0]), bool(first[0])
