"""Procgen's saved state: what a game writes of itself, read and edited field by field.

Public names: `SavedState`, `ENTITY_DTYPE`, `TRAIL`, `GENERATORS`.

The layout is that of `serialize` in game, basic-abstract-game, entity, randgen, grid and the game
itself, in `procgen/src` of https://github.com/openai/procgen: little-endian, no padding, no names.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENTITY_DTYPE = np.dtype(
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
"""An entity; centre and radii in cells, the agent first."""
TRAIL = 59
"""Entity type of the dust behind an enemy, which is drawn and touches nothing."""

# Runs of fields: a name for each that is used, and how many others to skip.
_INT, _FLOAT = "<i4", "<f4"
_GENERATOR = "generator"
GENERATORS = ("level_seeds", "level", "assets")
"""Fields that hold a random generator, as text: of level ids, of the level, of pictures."""
_GAME = (
    (_INT, "version"),
    ("text", "name"),
    (_INT, 12),  # options
    (_INT, "grid_step", "level_seed_low", "level_seed_high", "game_type", "game_n"),
    (_GENERATOR, "level_seeds"),
    (_GENERATOR, "level"),
    (_FLOAT, "reward"),
    (_INT, "done", "level_complete", "action", "timeout"),
    (_INT, "level_seed", "prev_level_seed", "episodes_remaining", "episode_done"),
    (_INT, "last_reward_timer"),
    (_FLOAT, "last_reward"),
    (_INT, "default_action", "fixed_asset_seed", "cur_time", "is_waiting_for_step"),
)
_ABSTRACT_GAME = (
    (_INT, "grid_size"),
    ("entities", "entities"),
    (_INT, "use_procgen_background", "background_index"),
    (_FLOAT, "bg_tile_ratio", "bg_pct_x", "char_dim"),
    (_INT, "last_move_action", "move_action", "special_action"),
    (_FLOAT, 8),  # mixrate, maxspeed, max_jump, the action's velocities, the view's centre
    (_INT, "random_agent_start", "has_useful_vel_info", "step_rand_int"),
    (_GENERATOR, "assets"),
    (_INT, 3),  # size, out_of_bounds_object
    (_FLOAT, 6),  # the view
    ("grid", "grid"),
)
_OWN = {
    "coinrun": (
        (_FLOAT, "last_agent_y"),
        (_INT, "wall_theme", "has_support", "facing_right", "is_on_crate"),
        (_FLOAT, "gravity", "air_control"),
    ),
    "maze": ((_INT, "maze_dim", "world_dim"),),
}
"""Fields of each game beyond those that all have."""
_END = 0xCAFECAFE


class SavedState:
    """A saved state whose fields can be read and written by name.

    `state["timeout"][0] = 5` writes; `state["grid"]` is int32 [height, width], row 0 at the bottom;
    `state["entities"]` is `ENTITY_DTYPE` [count].
    """

    def __init__(self, data: bytes) -> None:
        """Read a game's `get_state`.

        Raises:
            ValueError: if it is not laid out as expected.
        """
        self._data = bytearray(data)
        self._fields = _walk(self._data)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a field's values as an array that shares memory with the state."""
        at, dtype, shape = self._fields[name]
        count = int(np.prod(shape))
        return np.frombuffer(self._data, dtype, count, at).reshape(shape)

    def __bytes__(self) -> bytes:
        """Return what `set_state` takes."""
        return bytes(self._data)

    def copy(self) -> SavedState:
        """Return a copy that can be changed alone."""
        other = object.__new__(SavedState)
        other._data, other._fields = bytearray(self._data), self._fields
        return other

    def differing(self, other: SavedState) -> list[str]:
        """Return the names of the fields that differ."""
        return [n for n in self._fields if self[n].tobytes() != other[n].tobytes()]

    def with_entities(self, entities: NDArray[np.void]) -> SavedState:
        """Return the state with other entities (`ENTITY_DTYPE` [n])."""
        at, dtype, (before,) = self._fields["entities"]
        last = at + before * ENTITY_DTYPE.itemsize
        grown = (len(entities) - before) * ENTITY_DTYPE.itemsize
        count = struct.pack("<i", len(entities))
        other = object.__new__(SavedState)
        other._data = self._data[: at - 4] + count + entities.tobytes() + self._data[last:]
        other._fields = {
            name: (first + grown if first > at else first, kind, shape)
            for name, (first, kind, shape) in self._fields.items()
        } | {"entities": (at, dtype, (len(entities),))}
        return other

    def without_generators(self) -> bytes:
        """Return all bytes but those of the random generators, whose lengths vary."""
        data = bytearray(self._data)
        for name in reversed(GENERATORS):
            at, _, (length,) = self._fields[name]
            del data[at - 4 : at + length]
        return bytes(data)


_Fields = dict[str, tuple[int, Any, tuple[int, ...]]]
"""Name of a field to its first byte, type and shape."""


def _walk(data: bytearray) -> _Fields:
    """Find every field of a saved state."""
    fields: _Fields = {}
    at = _read(data, 0, _GAME, fields)
    first, _, shape = fields["name"]
    game = data[first : first + shape[0]].decode()
    if game not in _OWN:
        raise ValueError(f"the state is of game {game!r}: known are {', '.join(_OWN)}")
    at = _read(data, at, (*_ABSTRACT_GAME, *_OWN[game]), fields)
    (end,) = struct.unpack_from("<I", data, at)
    if end != _END or at + 4 != len(data):
        raise ValueError(f"the state does not end where it should: {end:#x} at {at} of {len(data)}")
    return fields


def _read(data: bytearray, at: int, layout: Any, fields: _Fields) -> int:
    """Add the fields of `layout`, which begin at byte `at`; return the byte after them."""

    def integer() -> int:
        nonlocal at
        at += 4
        return struct.unpack_from("<i", data, at - 4)[0]

    for kind, *names in layout:
        if kind in (_INT, _FLOAT):
            for name in names:
                if isinstance(name, str):
                    fields[name] = (at, kind, (1,))
                at += 4 if isinstance(name, str) else 4 * name
            continue
        if kind == _GENERATOR:
            integer()  # is_seeded
        if kind == "grid":
            width, height, _ = integer(), integer(), integer()
            dtype, shape = _INT, (height, width)
        else:
            dtype = ENTITY_DTYPE if kind == "entities" else "u1"
            shape = (integer(),)
        fields[names[0]] = (at, dtype, shape)
        at += int(np.prod(shape)) * np.dtype(dtype).itemsize
    return at
