"""What a world must provide to the rest of the project.

A world is a set of rules: how levels are generated from ids, what happens in a frame, what an
agent sees.  It holds its parameters but no state; states are arrays that the engine owns.
`registry.py` finds worlds.
"""

from __future__ import annotations

import dataclasses
import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .episode import ON_PROXY, PAYS
from .errors import UserError, in_range, one_of
from .level import Level, LevelBatch
from .level_text.sound import goal_moved, require_sound
from .modality import GRID, MODALITIES, Modality
from .placement import ALL, USUAL, Placement

if TYPE_CHECKING:
    from .drawing.scene import Scenes, Sheet
    from .engine import Engine

Observation = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Symbols:
    """How a world's levels are written as text."""

    tiles: Mapping[int, str]
    """Character of each tile code; the first is free space."""
    entities: Mapping[int, tuple[str, str, str]]
    """Name of each entity kind, and its character when it looks left and right."""
    looks: tuple[str, ...]
    """Name of each theme number."""
    names: Mapping[int, str] = field(default_factory=dict)
    """What each tile code is, for people."""


@dataclass(frozen=True, kw_only=True)
class World(ABC):
    """Rules of a world with their parameters; subclasses add the world's own."""

    name: ClassVar[str]
    level_dtype: ClassVar[np.dtype[np.void]]
    state_dtype: ClassVar[np.dtype[np.void]]
    placements: ClassVar[Mapping[str, int | None]]
    """Rules by which the goal is moved, with their usual distance or None; see `Placement`."""
    usual_shifts: ClassVar[tuple[str, ...]]
    """Placements that a test uses unless others are asked for."""
    symbols: ClassVar[Symbols]
    goal_tile: ClassVar[int]
    proxy_tiles: ClassVar[tuple[int, ...]] = ()
    """Tile codes that are proxies themselves, the first that a level has being its proxy's cell."""
    entity_speeds: ClassVar[Mapping[int, float]]
    proxy_description: ClassVar[str]
    goal_description: ClassVar[str]
    palette: ClassVar[str]
    """Module with the world's `PALETTE`, for pictures; loaded when one is drawn."""
    proxies: ClassVar[tuple[str, ...]] = ("proxy",)
    """Name of each proxy; bit i of an episode's `proxies` is the i-th."""
    proxy_moves: ClassVar[bool] = False
    """Whether it is the proxy that stands elsewhere on a conflict level, and not the goal."""
    goal_moves: ClassVar[bool] = True
    """Whether the goal is in one cell, and in another on a conflict level than on its aligned twin:
    then it can be measured how much its place draws an agent there (the pull)."""
    goal_is_cell: ClassVar[bool] = True
    """Whether the goal is to be in a cell.  Where it is several things, `goal_cell` is one of them,
    and whether a planned proxy-seeker reaches the goal by accident is read off its events."""
    engine: ClassVar[str] = "misgen.envs.core.engine:Engine"
    """`module:Class` of the engine that runs its levels; by name, as engines are made of worlds."""
    planner: ClassVar[str] = ""
    """`module:Class` of the world's planner; empty if it has none."""
    held_action: ClassVar[int | None] = None
    """An action that, held, reaches the proxy at times: the simplest heuristic; or None."""
    capability: ClassVar[Mapping[str, str]] = {}
    """Parameters that make a capability shift, and what each one does."""
    capability_values: ClassVar[Mapping[str, tuple[float, ...]]] = {}
    """Values that each of them takes in a surface, unless others are asked for; one that is not
    named is varied only if values are given."""
    harder: ClassVar[Mapping[str, Any]] = {}
    """Parameters of harder levels, as protocol `harder` plays them; empty: none are known."""
    search_space: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Lowest and highest value of the parameters that protocol `regret_search` varies: of whole
    numbers where the parameter is one."""
    search_shifts: ClassVar[tuple[str, ...]] = ()
    """Placements that a red team and `regret_search` choose from; empty: the usual ones."""
    end_can_be_hidden: ClassVar[bool] = False
    """Whether the cell of the proxy is the end of a level whose `tiles` can be made to go on beyond
    it, so that protocol `critic_probe` can put it out of view."""
    runs_any_level: ClassVar[bool] = True
    """Whether it runs levels that no generator made."""
    any_size: ClassVar[bool] = False
    """Whether a map may be smaller than the largest level."""
    wall_tiles: ClassVar[tuple[int, ...]] = ()
    """Tile codes that nothing enters."""
    single_tiles: ClassVar[tuple[int, ...]] = ()
    """Tile codes, beside the goal's, of which a level has one at most."""
    refused_marks: ClassVar[Mapping[str, str]] = {}
    """Of the signs `X` and `c`, those that mean nothing here, and what to draw instead."""
    mark_meanings: ClassVar[Mapping[str, str]] = {}
    """What `X` and `c` mean where that is not what they usually do, for people."""
    map_rules: ClassVar[tuple[str, ...]] = ()
    """Lines on what a map needs beside a start and a goal, for people."""
    out_of_reach: ClassVar[str] = "a way leads there, but none that the rules allow"
    """Why a goal cannot be reached where no wall is the reason."""

    action_repeat: int = 1
    """Frames that a decision lasts (1: the original)."""
    max_steps: int = 1000
    """Time-out, in frames."""
    on_proxy: str = "continue"
    """What reaching the proxy before the goal does: continue, end or penalty."""
    pays: str = "world"
    """What reward is for: `world`, as its rules say; `goal` or `proxy`, 10 for all of it and
    nothing else, so that it is known of an agent what it was paid to want."""

    def __post_init__(self) -> None:
        """Check the parameters.

        Raises:
            UserError: naming the first that is impossible.
        """
        one_of("env.on_proxy", self.on_proxy, ON_PROXY)
        one_of("env.pays", self.pays, tuple(PAYS))
        if self.on_proxy == "penalty" and self.pays != "world":
            raise UserError(
                f"env.pays={self.pays} leaves no room for the punishment of env.on_proxy=penalty: "
                "give env.on_proxy=end, or env.pays=world"
            )
        in_range("env.action_repeat", self.action_repeat, 1, 100)
        in_range("env.max_steps", self.max_steps, 1, 1_000_000)

    def under(self, on_proxy: str | None) -> Self:
        """Return the world under another rule of what reaching the proxy does; None: its own."""
        return dataclasses.replace(self, on_proxy=on_proxy or self.on_proxy)

    def make_engine(self, num_slots: int) -> Engine:
        """Return an engine with `num_slots` slots that runs this world's levels."""
        module, _, name = self.engine.partition(":")
        return getattr(importlib.import_module(module), name)(self, num_slots)

    def shifts(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return placements as they are written in results, `usual` and `all` spelt out.

        Raises:
            UserError: if there is no such placement, or one is named twice.
        """
        several = {USUAL: self.usual_shifts, ALL: tuple(self.placements)}
        spelt = [one for name in names for one in several.get(name, (name,))]
        found = [str(Placement.parse(name, self.placements)) for name in spelt]
        for placement in found:
            if found.count(placement) > 1:
                raise UserError(f"placements={','.join(spelt)} names {placement} more than once")
        return tuple(found)

    @property
    @abstractmethod
    def observation_space(self) -> spaces.Dict:
        """Space of one agent's observation."""

    @property
    @abstractmethod
    def action_space(self) -> spaces.Discrete:
        """Space of one agent's action."""

    @property
    def modality(self) -> Modality:
        """Which kind of observation it gives: what its parameter `observation`, if any, says."""
        return MODALITIES[getattr(self, "observation", GRID.option)]

    @property
    def no_op(self) -> int:
        """The action that does nothing."""
        return 4

    @property
    def action_codes(self) -> NDArray[np.int64]:
        """Which of Procgen's 15 actions each action is, int64 [actions]."""
        return np.arange(int(self.action_space.n))

    @abstractmethod
    def levels(self, ids: NDArray[np.int64], correlation: Any, placement: str) -> LevelBatch:
        """Return the levels of `ids` [n]; pure.

        Args:
            ids: level ids.
            correlation: a number; for a world with several proxies also a mapping with one each.
            placement: where the goal goes on a conflict level.
        """

    def blank(
        self,
        ids: NDArray[np.int64],
        placement: str,
        dtype: np.dtype[np.void],
        variant: tuple[tuple[str, str], ...] = (),
    ) -> tuple[LevelBatch, Placement]:
        """Return levels of `ids` that are still to be filled, and where the goal goes in them.

        Args:
            ids: level ids.
            placement: as for `levels`.
            dtype: of a level's record.
            variant: as for `LevelBatch.empty`.

        Raises:
            UserError: for a placement that the world does not have.
        """
        where = Placement.parse(placement, self.placements)
        ids = np.ascontiguousarray(ids, np.int64)
        return LevelBatch.empty(self.name, ids, dtype, variant), where

    @property
    def proxy_rule(self) -> int:
        """What reaching the proxy before the goal does: an index into `ON_PROXY`, for kernels."""
        return ON_PROXY.index(self.on_proxy)

    @classmethod
    def are_aligned(cls, data: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return in which levels (records [n]) goal and proxy coincide, bool [n].

        Here: where the goal's cell is the proxy's.  A world whose goal is no cell says otherwise.
        """
        same = data["goal_cell"] == data["proxy_cell"]
        return same[:, 0] & same[:, 1]

    @classmethod
    def bare(cls, data: NDArray[np.void]) -> NDArray[np.void]:
        """Return copies of levels (records [n]) without what differs between twins.

        Here: where the goal is, on the level and on its twin; these cells are free.
        """
        free = next(iter(cls.symbols.tiles))
        bare = data.copy()
        rows = np.arange(len(bare))
        for name in ("goal_cell", "proxy_cell", "conflict_cell"):
            x, y = bare[name].T
            inside = x >= 0
            bare["tiles"][rows[inside], y[inside], x[inside]] = free
        if cls.proxy_moves:
            bare["proxy_cell"] = bare["goal_cell"]
        return bare

    @abstractmethod
    def load(self, states: NDArray[np.void], slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Put each level at its start into its slot."""

    @abstractmethod
    def advance(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""

    @abstractmethod
    def observe(self, states: NDArray[np.void], slots: NDArray[np.int64]) -> Observation:
        """Return freshly allocated observations of `slots`, one row each."""

    def picture(
        self, state: np.void, height: int, width: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> NDArray[np.uint8]:
        """Return a picture of one slot for people, uint8 [height, width, 3].

        Args:
            state: the slot's record.
            height: pixels.
            width: pixels.
            shift: cells by which the picture's middle lies right of and above the agent.

        Raises:
            UserError: if the world draws none.
        """
        raise UserError(f"{self.name} draws no pictures: leave render_mode out")

    def in_picture(
        self, state: np.void, height: int, width: int, shift: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[float, float, float, float]:
        """Return what `picture` shows: its left and lower edge, width and height, in cells.

        Arguments as for `picture`.  Here: the whole of the level.
        """
        rows, columns = self.level_dtype["tiles"].shape
        return 0.0, 0.0, float(columns), float(rows)

    def sheet(self, texels: int) -> Sheet:
        """Return the sprites that `scenes` name, `texels` pixels a cell.

        Raises:
            UserError: if the world draws none.
        """
        raise UserError(f"{self.name} has no sprites, so that there are no replays to look at")

    def scenes(self, states: NDArray[np.void]) -> Scenes:
        """Return what states [t] of boards of one size show.

        Raises:
            UserError: if the world draws none.
        """
        raise UserError(f"{self.name} has no sprites, so that there are no replays to look at")

    @abstractmethod
    def level_from_map(self, header: Mapping[str, str], level: Level) -> Level:
        """Complete a level read from text: variant, start and whatever the map leaves open."""

    def room(self, level: Level) -> tuple[int, int]:
        """Return the first and one past the last column and row in which a level has free cells."""
        return 0, max(level.tiles.shape)

    def require_sound(self, level: Level) -> None:
        """Refuse a level that the rules cannot honour: things in walls, or beyond the board.

        Raises:
            LevelError: naming what is wrong, and where.
        """
        require_sound(level, self.wall_tiles, self.room(level), self._entity_names)

    @property
    def _entity_names(self) -> dict[int, str]:
        return {kind: name for kind, (name, *_) in self.symbols.entities.items()}

    def aligned_twin(self, level: Level) -> Level | None:
        """Return the level as it would be aligned: what it is compared with to tell accidents.

        Here: the same with the goal where the proxy is.  None where a level does not say what its
        twin is; a world then says in `no_twin` what is missing.
        """
        return goal_moved(level, self.goal_tile, next(iter(self.symbols.tiles)))

    no_twin: ClassVar[str] = ""
    """Why `aligned_twin` is None."""

    @abstractmethod
    def export_levels(self, levels: LevelBatch) -> dict[str, NDArray[Any]]:
        """Return levels as arrays in the layout of the world's original program."""

    @abstractmethod
    def export_motion(self, states: NDArray[np.void]) -> NDArray[np.float32]:
        """Return x, y, vx, vy of the agent in each slot, float32 [n, 4]."""
