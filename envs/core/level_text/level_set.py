"""Sets of hand-made levels: folders and lists of files as a distribution to test on.

Public names: `LevelSet`, `OwnIds`, `level_files`, `names_files`, `HAND_MADE`.

Each level of a set has a negative id that is derived from its content (`Level.own_id`), whatever
its file says.  So random numbers on a level depend neither on its file nor on the other levels of
the set, and no generated level has the same id.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..distribution import IdRange, LevelDistribution, Terrains
from ..errors import UserError
from ..level import Level, LevelBatch
from ..world import World
from .hand_made import level_batch, read_level

HAND_MADE = "hand_made"
"""In place of a placement, in tables of results."""
SUFFIX = ".txt"
_RANGE = re.compile(r"\s*([+-]?\d+\s*(:\s*[+-]?\d*\s*)?|all)(\s+without\s.*)?\s*")
_MEANT_AS_RANGE = re.compile(r"\w*:\w*")
_MOST_FILES = 10_000


def names_files(source: str | int | Sequence[str] | None) -> bool:
    """Return whether `levels=...` names files or a folder, and not a range of ids."""
    if source is None or isinstance(source, int):
        return False
    if not isinstance(source, str):
        return True
    return not (_RANGE.fullmatch(source) or _MEANT_AS_RANGE.fullmatch(source))


def level_files(source: str | Sequence[str], setting: str = "levels") -> list[Path]:
    """Return the level files that a folder, a file, or a list of these names.

    Of a folder they are its `.txt` files, in the order of their names; hidden ones are left out.

    Args:
        source: a path, or several.
        setting: what the user gave them as, for messages.

    Raises:
        UserError: if there is none, or one is named twice.
    """
    named = [source] if isinstance(source, str) else list(source)
    found: list[Path] = []
    for name in named:
        path = Path(name)
        found += _of_folder(path, setting) if path.is_dir() else [_existing(path, setting)]
    if not found:
        raise UserError(f"{setting}=[] is empty: give a folder of level files, or files")
    seen: dict[str, Path] = {}
    for path in found:
        before = seen.setdefault(os.path.realpath(path), path)
        if before is not path:
            raise UserError(f"{setting} names {path} twice: name each file once")
    if len(found) > _MOST_FILES:
        raise UserError(f"{setting} names {len(found)} files: a set has at most {_MOST_FILES}")
    return found


def _of_folder(folder: Path, setting: str) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{setting}={str(folder)!r} cannot be read ({error.strerror})") from None
    files = [p for p in inside if p.suffix.lower() == SUFFIX and not p.name.startswith(".")]
    if not files:
        raise UserError(
            f"{setting}={str(folder)!r} holds no level file: put some there that end in {SUFFIX}, "
            "as misgen levels edit writes them"
        )
    return files


def _existing(path: Path, setting: str) -> Path:
    try:
        there = path.exists()
    except (OSError, ValueError):
        there = False
    if not there:
        raise UserError(
            f"{setting}={str(path)!r} is neither a range of ids nor a file or folder: write "
            "start:stop, such as 2000000:2001000, or the path of a level file or of a folder of "
            "them"
        )
    return path


@dataclass(frozen=True)
class OwnIds(IdRange):
    """Ids that are no range: those of levels made by hand."""

    numbers: tuple[int, ...] = ()
    """In ascending order."""
    name: str = ""
    """What shows for them."""

    def __post_init__(self) -> None:
        """Take them as they are."""

    def __len__(self) -> int:
        """Return how many ids there are."""
        return len(self.numbers)

    def __str__(self) -> str:
        """Return how many levels there are, and a digest of them."""
        return self.name

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids at positions 0 to len - 1, int64."""
        return np.array(self.numbers, np.int64)[positions]

    def overlaps(self, other: IdRange) -> bool:
        """Return whether the two share an id."""
        return bool(set(self.numbers) & set(getattr(other, "numbers", ())))


@dataclass(frozen=True, eq=False)
class LevelSet(LevelDistribution):
    """Levels made by hand, as a distribution that holds these and no others.

    Two are equal if their ids are: these come of what the levels hold.
    """

    batch: LevelBatch = field(kw_only=True, compare=False)
    """The levels, by ascending id."""
    names: tuple[str, ...] = field(kw_only=True)
    """What each is called: its file."""

    def __post_init__(self) -> None:
        """Leave out the checks of a generator's axes: nothing is generated."""

    @classmethod
    def read(cls, source: str | Sequence[str], world: World) -> LevelSet:
        """Return the levels of a folder or of files.

        Args:
            source: as `level_files` takes it.
            world: what runs them.

        Raises:
            UserError: naming the first file that holds no level of this world, or a level that
                another file holds too, and how many more there are.
        """
        levels, wrong = [], []
        files = level_files(source)
        for path in files:
            try:
                levels.append((str(path), _named(path, world)))
            except UserError as error:
                wrong.append(str(error))
        wrong += duplicates(levels)
        if wrong:
            more = f" (and {len(wrong) - 1} more mistakes)" if len(wrong) > 1 else ""
            raise UserError(f"{wrong[0]}{more}; misgen levels check file=... names all mistakes")
        return cls.of(levels, world)

    @classmethod
    def of(cls, levels: Sequence[tuple[str, Level]], world: World) -> LevelSet:
        """Return levels, each with its name, as a set."""
        ordered = sorted(levels, key=lambda named: named[1].id)
        batch = LevelBatch.stack([level for _, level in ordered], world.level_dtype)
        return cls._made(world, batch, tuple(name for name, _ in ordered))

    @classmethod
    def _made(cls, world: World, batch: LevelBatch, names: tuple[str, ...]) -> LevelSet:
        numbers = tuple(batch.ids.tolist())
        digest = hashlib.sha256(repr(numbers).encode()).hexdigest()[:10]
        shown = f"{len(batch)} made by hand ({digest})"
        ids = OwnIds(0, 1, numbers=numbers, name=shown)
        aligned = batch.aligned
        share = float(aligned.mean()) if len(aligned) else 0.0
        return cls(world, share, HAND_MADE, ids, batch=batch, names=names)

    def levels(self, ids: NDArray[np.int64] | None = None) -> LevelBatch:
        """Return the levels of `ids` (default: all).

        Raises:
            UserError: if one of them is not in the set.
        """
        if ids is None:
            return self.batch
        wanted = np.asarray(ids, np.int64)
        own = self.batch.ids
        rows = np.searchsorted(own, wanted)
        known = rows < len(own)
        known[known] = own[rows[known]] == wanted[known]
        if not known.all():
            raise UserError(f"level {wanted[~known][0]} is none of the {self.ids}")
        return self.batch.take(rows)

    def at(self, **changes: Any) -> LevelSet:
        """Return the set under other rules (`world`), its levels as they are.

        Raises:
            UserError: for a goal axis: who made the levels put the goal where it is.
        """
        world = changes.pop("world", self.world)
        if changes:
            raise UserError(f"{', '.join(changes)} cannot be changed in levels made by hand")
        return dataclasses.replace(self, world=world)

    def some(self, rows: NDArray[np.bool_]) -> LevelSet:
        """Return the set of those levels for which `rows` [n] is true."""
        names = tuple(name for name, kept in zip(self.names, rows.tolist(), strict=True) if kept)
        return self._made(self.world, self.batch.take(rows), names)

    def twins(self) -> LevelSet:
        """Return the aligned twins, with their levels' ids, of those that have one."""
        levels = []
        for name, level in zip(self.names, self.batch, strict=True):
            twin = level if level.aligned else self.world.aligned_twin(level)
            if twin is not None:
                levels.append((name, dataclasses.replace(twin, id=level.id)))
        return self.of(levels, self.world) if levels else self.some(np.zeros(len(self.ids), bool))

    def conflict_ids(self) -> NDArray[np.int64]:
        """Return the ids of all its levels: none stays aligned for want of a place."""
        return self.batch.ids.copy()

    def terrain_digests(self) -> Terrains:
        """Return the digests of the levels' terrains, whatever their goals."""
        return Terrains(frozenset(self.batch.digests(terrain=True)), len(self.batch), sampled=False)


def _named(path: Path, world: World) -> Level:
    """Return a file's level with the id that its content has."""
    level = read_level(path, world)
    try:
        level_batch([level], world)
    except UserError as error:
        raise UserError(f"{path}: {str(error).removeprefix('level 0 ')}") from None
    return dataclasses.replace(level, id=level.own_id)


def duplicates(levels: Sequence[tuple[str, Level]]) -> list[str]:
    """Return a sentence for each level that an earlier one is the same as."""
    first: dict[str, str] = {}
    told = []
    for name, level in levels:
        before = first.setdefault(level.content_hash, name)
        if before != name:
            told.append(f"{name} holds the same level as {before}: keep one of them")
    return told
