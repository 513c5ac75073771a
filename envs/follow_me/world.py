"""Follow me as a `World`: parameters, and the calls into its kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.boards.grid_world import GridWorld
from ..core.boards.layouts import LAYOUTS
from ..core.errors import UserError, in_range, one_of
from ..core.level import ENTITY_DTYPE, Level, LevelBatch
from ..core.world import Symbols
from . import rules


@dataclass(frozen=True, kw_only=True)
class FollowMe(GridWorld):
    """Follow me; see the package's docstring for the specification."""

    name: ClassVar[str] = "follow_me"
    level_dtype: ClassVar = rules.LEVEL_DTYPE
    state_dtype: ClassVar = rules.STATE_DTYPE
    placements: ClassVar = dict.fromkeys(rules.PLACEMENTS)
    usual_shifts: ClassVar = ("reverse", "shuffled")
    harder: ClassVar = {"side": 13}
    symbols: ClassVar = Symbols(
        tiles={
            rules.SPACE: ".",
            rules.WALL_TILE: "#",
            **{code: str(code) for code in rules.BEACONS},
            rules.LAST: "G",
        },
        entities={rules.LEADER: ("leader", "L", "L"), rules.STOP: ("stop", "s", "s")},
        looks=("plain",),
        names={
            rules.SPACE: "free",
            rules.WALL_TILE: "wall",
            **{
                code: f"beacon {code} in the order that they are to be lit"
                for code in rules.BEACONS
            },
            rules.LAST: "the last beacon",
        },
    )
    wall_tiles: ClassVar = (rules.WALL_TILE,)
    single_tiles: ClassVar = rules.BEACONS
    refused_marks: ClassVar = {
        "X": "the proxy is where the leader stops last: list its stops in `entities:`",
        "c": "beacons are the same on the twin; leave it out",
    }
    mark_meanings: ClassVar = {"G": "the last beacon in the order that they are to be lit (one)"}
    map_rules: ClassVar = (
        "The outermost rows and columns are walls.  There are 2 to 5 beacons: 1, 2, ... and G.",
        "The leader is listed first; after it come its stops in their order, at most 5.  Without",
        "any it goes from beacon to beacon in the right order.",
    )
    goal_tile: ClassVar = rules.LAST
    proxy_tiles: ClassVar = (*rules.BEACONS, rules.LAST)
    proxy_moves: ClassVar = True
    goal_moves: ClassVar = False
    goal_is_cell: ClassVar = False
    proxies: ClassVar = ("leader",)
    classes: ClassVar = (
        "free",
        "wall",
        "dark beacon",
        "lit beacon",
        "red beacon",
        "next beacon",
        "leader",
    )
    class_of_tile: ClassVar = {
        rules.WALL_TILE: 1,
        **dict.fromkeys((*rules.BEACONS, rules.LAST), rules.DARK),
    }
    body: ClassVar = ("x", "y", "lit")
    motion: ClassVar = ("x", "y", "mover", "lit", "red", "followed", "stop")
    sprites: ClassVar = "misgen.envs.follow_me.sprites"
    planner: ClassVar = "misgen.envs.follow_me.planner:FollowMePlanner"
    goal_description: ClassVar = "all beacons, in the right order"
    proxy_description: ClassVar = "the leader, followed to its last stop"
    capability: ClassVar = {
        "side": "size of the board, in cells; odd",
        "beacons": "how many beacons there are",
    }
    capability_values: ClassVar = {"side": (7, 9, 11, 13), "beacons": (2, 3, 4)}

    side: int = 13
    """Cells along a side of the board, its border of walls included; odd."""
    layout: str = "edges"
    """Walls on the board: none (open), single ones (blocks), passages (edges), a maze (tree)."""
    beacons: int = 3
    """How many beacons there are."""
    cue_sight: int = 0
    """Cells from the agent within which the beacon that is next shows; 0: it never does."""
    mistake_cost: float = 1.0
    """Reward that is lost with a beacon entered out of turn."""
    view: int = 25
    max_steps: int = 200

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        in_range("env.side", self.side, 7, rules.LARGEST)
        if self.side % 2 == 0:
            raise UserError(f"env.side={self.side} is even: give an odd number of cells")
        one_of("env.layout", self.layout, LAYOUTS)
        in_range("env.beacons", self.beacons, 2, rules.MOST_BEACONS)
        in_range("env.cue_sight", self.cue_sight, 0, rules.LARGEST)
        in_range("env.mistake_cost", self.mistake_cost, 0.0, 100.0)

    def levels(self, ids: NDArray[np.int64], correlation: Any, placement: str) -> LevelBatch:
        """Return the levels of `ids`; pure."""
        batch, where = self.blank(ids, placement, rules.LEVEL_DTYPE)
        rules.generate(
            batch.data,
            self.side,
            LAYOUTS.index(self.layout),
            self.beacons,
            float(correlation),
            rules.PLACEMENTS.index(where.rule),
        )
        return batch

    @classmethod
    def are_aligned(cls, data: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return in which levels the leader's stops are the beacons in their order, bool [n]."""
        stops = _stops(data)
        beacons = np.isin(data["tiles"], cls.proxy_tiles).sum(axis=(1, 2))
        rising = (np.diff(stops, axis=1) > 0) | (stops[:, 1:] < 0)
        at_beacons = np.isin(stops, (-1, *cls.proxy_tiles)).all(axis=1)
        return ((stops > 0).sum(axis=1) == beacons) & rising.all(axis=1) & at_beacons

    @classmethod
    def bare(cls, data: NDArray[np.void]) -> NDArray[np.void]:
        """Return copies of levels without the leader's stops, in which twins differ."""
        bare = data.copy()
        bare["entity_count"] = 1
        bare["proxy_cell"] = bare["goal_cell"]
        return bare

    def load(self, states: NDArray[np.void], slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Put each level at its start into its slot."""
        boards = self.classify(levels.data["tiles"])
        rules.load(states, slots, levels.data, boards, self.cue_sight)

    def play(
        self, states: NDArray[np.void], episodes: NDArray[np.void], actions: NDArray[np.int64]
    ) -> None:
        """Make one decision in every running slot."""
        rules.advance(
            states,
            episodes,
            actions,
            self.action_repeat,
            self.proxy_rule,
            self.max_steps,
            self.cue_sight,
            self.mistake_cost,
        )

    def level_from_map(self, header: Mapping[str, str], level: Level) -> Level:
        """Complete a level read from text; a leader that has no `stop` lines knows the order."""
        side = rules.LARGEST
        if level.tiles.shape != (side, side):
            height, width = level.tiles.shape
            raise UserError(f"size: {width} {height} does not fit: a board has {side} {side}")
        beacons = _beacons(level.tiles)
        _require_leader(level)
        entities = level.entities
        if len(entities) == 1:
            entities = np.concatenate([entities, _tour(beacons)])
        end = int(entities["x"][-1]), int(entities["y"][-1])
        x, y = level.start
        return dataclasses.replace(
            level,
            start=(x + 0.5, y + 0.5),
            entities=entities,
            proxy_cell=end,
            conflict_cell=level.goal_cell,
        )

    def room(self, level: Level) -> tuple[int, int]:
        """Return the first and one past the last column and row within the border."""
        return 1, rules.LARGEST - 1

    def require_sound(self, level: Level) -> None:
        """Refuse a level that the rules cannot honour: without its leader or its beacons, too."""
        super().require_sound(level)
        _beacons(level.tiles)
        _require_leader(level)

    def aligned_twin(self, level: Level) -> Level:
        """Return the level with a leader that knows the order."""
        entities = np.concatenate([level.entities[:1], _tour(_beacons(level.tiles))])
        return dataclasses.replace(level, entities=entities, proxy_cell=level.goal_cell)

    def export_levels(self, levels: LevelBatch) -> dict[str, NDArray[Any]]:
        """Return levels as arrays: `seed` [n], `grid` [n, y, x], `agent`, `leader`, `stops`.

        `agent` and `leader` are x, y (float32 [n, 2]), `stops` the beacons that the leader visits,
        by number, 1 the first to light, then 0 (int16 [n, 5]).
        """
        data = levels.data
        leader = np.stack([data["entity_x"][:, 0], data["entity_y"][:, 0]], axis=1)
        stops, count = _stops(data), np.isin(data["tiles"], self.proxy_tiles).sum(axis=(1, 2))
        stops = np.where(stops == rules.LAST, count[:, None], stops)
        stops[~np.isin(stops, range(1, rules.MOST_BEACONS + 1))] = 0
        return {
            "seed": data["id"].astype(np.int32),
            "grid": data["tiles"][:, : self.side, : self.side],
            "agent": data["start"],
            "leader": leader,
            "stops": stops.astype(np.int16),
        }


def _stops(data: NDArray[np.void]) -> NDArray[np.int16]:
    """Return the tile code under each of the leader's stops, -1 after the last: int16 [n, most]."""
    rows = np.arange(len(data))[:, None]
    x, y = (data[name][:, 1:].astype(np.int64) for name in ("entity_x", "entity_y"))
    codes = data["tiles"][rows, y, x]
    there = np.arange(1, x.shape[1] + 1) < data["entity_count"][:, None]
    return np.where(there, codes, -1).astype(np.int16)


def _beacons(tiles: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Return the cells of a map's beacons, in their order.

    Raises:
        UserError: if one is missing or there twice.
    """
    found = []
    codes = sorted(code for code in tiles.ravel().tolist() if code in FollowMe.proxy_tiles)
    wanted = [*rules.BEACONS[: len(codes) - 1], rules.LAST]
    if codes != wanted or len(codes) < 2:
        raise UserError(
            "map: number the beacons 1, 2, ... in the order that they are to be lit in, and write "
            "G for the last; each once, and 2 to 5 in all"
        )
    for code in codes:
        ((y, x),) = np.argwhere(tiles == code).tolist()
        found.append((x, y))
    return found


def _require_leader(level: Level) -> None:
    """Refuse a level whose first entity, and no other, is not the leader, or with many stops.

    Raises:
        UserError: saying how the leader and its stops are listed.
    """
    kinds = level.entities["kind"].tolist()
    if kinds[:1] != [rules.LEADER] or kinds.count(rules.LEADER) > 1:
        raise UserError("entities: the first, and no other, must be the leader: leader x y right 0")
    if len(kinds) > 1 + rules.MOST_BEACONS:
        raise UserError(
            f"entities: {len(kinds) - 1} stops are too many: list at most {rules.MOST_BEACONS}"
        )


def _tour(cells: list[tuple[int, int]]) -> NDArray[np.void]:
    tour = np.zeros(len(cells), ENTITY_DTYPE)
    tour["kind"] = rules.STOP
    tour["x"], tour["y"] = (np.array(cells, np.float32) + 0.5).T
    return tour
