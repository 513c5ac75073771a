"""Levels as data: one `Level`, and many as a struct of arrays.

A level holds what a world's rules need to run it and what an evaluator needs to judge it, but
nothing about the distribution that it came from.  Both forms are immutable by convention: kernels
copy from them and never write to them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import UserError

if TYPE_CHECKING:
    from .world import World

NO_CELL = (-1, -1)
_ID_BITS = 48
"""Of an own id: few enough that numbers survive JSON, enough that no two levels share one."""

ENTITY_DTYPE = np.dtype(
    [("kind", "<i2"), ("x", "<f4"), ("y", "<f4"), ("vx", "<f4"), ("theme", "<i2")]
)
"""One entity: world-specific kind, centre in cells, horizontal speed in cells a frame, look."""


class LevelError(UserError):
    """What is wrong with a level, and where in it.

    Attributes:
        cell: column and row, from 0 at the lower left; None if it is about no cell.
        entity: number of the entity in the level's list; None if it is about none.
    """

    def __init__(
        self, message: str, *, cell: tuple[int, int] | None = None, entity: int | None = None
    ) -> None:
        """Say what is wrong and where."""
        super().__init__(message)
        self.cell = cell
        self.entity = entity


@dataclass(frozen=True, eq=False)
class Level:
    """One level.

    Two levels are equal if their content is, whatever their ids (`content_hash`).
    """

    world: str
    """Name of the world whose rules run it, for example `coinrun`."""
    id: int
    """The id it was generated from.  Of a level made by hand -1, and below that once it is to be
    played: then it is derived from its content (`own_id`)."""
    tiles: NDArray[np.int16]
    """[height, width] tile codes of the world; row 0 is the bottom."""
    entities: NDArray[np.void]
    """[count] `ENTITY_DTYPE`, in the order of creation (which rules may depend on)."""
    start: tuple[float, float]
    """x, y of the agent's centre, in cells."""
    goal_cell: tuple[int, int]
    """x, y of the intended goal."""
    proxy_cell: tuple[int, int]
    """x, y of the cell whose touch is the proxy event."""
    conflict_cell: tuple[int, int]
    """x, y where the goal stands on the level's conflict twin (`goal_cell` if this is that one)."""
    look: tuple[int, ...]
    """Appearance: world-specific theme numbers."""
    variant: tuple[tuple[str, str], ...] = ()
    """World parameters that the level's meaning depends on, as name and value."""

    @property
    def aligned(self) -> bool:
        """Whether the intended goal stands where the proxy points (`World.are_aligned`)."""
        return bool(self._batch.aligned[0])

    @property
    def content_hash(self) -> str:
        """Hex digest of everything but the id, the look and the conflict twin."""
        return self._batch.digests()[0].hex()

    @property
    def own_id(self) -> int:
        """The id of a level made by hand: negative, below -1, and by its content alone."""
        content = f"{self.content_hash} {self.conflict_cell}"
        digest = hashlib.sha256(content.encode()).digest()
        return -2 - int.from_bytes(digest[:8], "big") % 2**_ID_BITS

    @property
    def terrain_hash(self) -> str:
        """Hex digest of what the agent runs through, wherever the goal is.

        The twins of a counterfactual pair share it.
        """
        return self._batch.digests(terrain=True)[0].hex()

    @property
    def _batch(self) -> LevelBatch:
        height, width = self.tiles.shape
        dtype = level_dtype((height, width), max(1, len(self.entities)), len(self.look))
        return LevelBatch.stack([self], dtype)

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same level, id and look included."""
        if not isinstance(other, Level):
            return NotImplemented
        return (
            self.id == other.id
            and self.look == other.look
            and self.content_hash == other.content_hash
            and self.conflict_cell == other.conflict_cell
            and self.entities["theme"].tolist() == other.entities["theme"].tolist()
        )

    def __hash__(self) -> int:
        """Hash by content."""
        return hash(self.content_hash)


def level_dtype(size: tuple[int, int], most_entities: int, looks: int) -> np.dtype[np.void]:
    """Return the record type of a level as kernels take it.

    Args:
        size: height and width of the tile grid.
        most_entities: room for entities.
        looks: how many theme numbers a level has.
    """
    return np.dtype(
        [
            ("id", np.int64),
            ("start", np.float32, 2),  # x, y in cells
            ("goal_cell", np.int16, 2),  # x, y
            ("proxy_cell", np.int16, 2),
            ("conflict_cell", np.int16, 2),
            ("look", np.int16, (looks,)),
            ("entity_count", np.int32),
            ("entity_x", np.float32, (most_entities,)),  # cells
            ("entity_y", np.float32, (most_entities,)),
            ("entity_vx", np.float32, (most_entities,)),  # cells a frame
            ("entity_kind", np.int16, (most_entities,)),
            ("entity_theme", np.int16, (most_entities,)),
            ("tiles", np.int16, size),  # row 0 at the bottom
        ],
        align=True,
    )


@dataclass(frozen=True, eq=False)
class LevelBatch:
    """Many levels of one world, as an array of `level_dtype` records."""

    world: str
    data: NDArray[np.void]
    """[n] records; `data["tiles"]` is [n, height, width], and so on."""
    variant: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        """Return how many levels there are."""
        return len(self.data)

    def __iter__(self) -> Iterator[Level]:
        """Yield the levels one by one."""
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Level:
        """Return level number `i` of the batch."""
        record = self.data[i]
        count = int(record["entity_count"])
        entities = np.zeros(count, ENTITY_DTYPE)
        for name in ENTITY_DTYPE.names or ():
            entities[name] = record[f"entity_{name}"][:count]
        return Level(
            world=self.world,
            id=int(record["id"]),
            tiles=record["tiles"].copy(),
            entities=entities,
            start=(float(record["start"][0]), float(record["start"][1])),
            goal_cell=_cell(record["goal_cell"]),
            proxy_cell=_cell(record["proxy_cell"]),
            conflict_cell=_cell(record["conflict_cell"]),
            look=tuple(int(v) for v in record["look"]),
            variant=self.variant,
        )

    @property
    def ids(self) -> NDArray[np.int64]:
        """The levels' ids, int64 [n]."""
        return self.data["id"]

    @property
    def aligned(self) -> NDArray[np.bool_]:
        """Whether goal and proxy coincide in each level, bool [n] (`World.are_aligned`)."""
        return _world_class(self.world).are_aligned(self.data)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> LevelBatch:
        """Return the batch of the levels at `rows` (indices, a mask or a slice)."""
        return LevelBatch(self.world, self.data[rows], self.variant)

    def digests(self, *, terrain: bool = False) -> list[bytes]:
        """Return 16 bytes for each level that tell its content, not its id nor its look.

        Args:
            terrain: leave out what differs between twins (`World.bare`).
        """
        data = _world_class(self.world).bare(self.data) if terrain else self.data
        cells = ("proxy_cell",) if terrain else ("goal_cell", "proxy_cell")
        variant = repr(self.variant).encode()
        return [_digest(record, cells, variant) for record in data]

    @classmethod
    def empty(
        cls,
        world: str,
        ids: NDArray[np.int64],
        dtype: np.dtype[np.void],
        variant: tuple[tuple[str, str], ...],
    ) -> LevelBatch:
        """Return levels of which only the ids are written, for a generator to fill."""
        data = np.zeros(len(ids), dtype)
        data["id"] = ids
        return cls(world, data, variant)

    @classmethod
    def stack(cls, levels: Sequence[Level], dtype: np.dtype[np.void]) -> LevelBatch:
        """Return single levels, all of one world, as a batch."""
        ids = np.array([level.id for level in levels], np.int64)
        batch = cls.empty(levels[0].world, ids, dtype, levels[0].variant)
        for record, level in zip(batch.data, levels, strict=True):
            count = len(level.entities)
            record["entity_count"] = count
            for name in ENTITY_DTYPE.names or ():
                record[f"entity_{name}"][:count] = level.entities[name]
            for name in ("tiles", "start", "goal_cell", "proxy_cell", "conflict_cell", "look"):
                record[name] = getattr(level, name)
        return batch


def _world_class(name: str) -> type[World]:
    from .registry import world_class  # here, as worlds are made of levels

    return world_class(name)


def _cell(pair: NDArray[np.int16]) -> tuple[int, int]:
    return int(pair[0]), int(pair[1])


def _digest(record: np.void, cells: tuple[str, ...], variant: bytes) -> bytes:
    digest = hashlib.blake2b(variant, digest_size=16)
    for name in ("tiles", "start", *cells):
        digest.update(record[name].tobytes())
    count = record["entity_count"]
    for name in ("kind", "x", "y", "vx"):
        digest.update(record[f"entity_{name}"][:count].tobytes())
    return digest.digest()
