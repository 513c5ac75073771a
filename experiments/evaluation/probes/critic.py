"""What a critic values: the same place with and without the goal, and the level's end.

Public names: `probe_critic`, `STATES`, `SCENES`, `REACH`, `ground_goes_on`.

The agent plays both levels of counterfactual pairs (`pairs`), once each, and goes on after it has
reached the proxy.  Wherever it gets, its
critic is asked about the same body, enemies and terrain in four *scenes*, of which only one is
real:

| scene | the goal stands | beyond the proxy's cell |
|---|---|---|
| `at_end` | at the proxy | the level's end |
| `moved` | where the conflict level has it | the level's end |
| `no_goal` | nowhere | the level's end |
| `no_end` | nowhere | the ground goes on: the end cannot be seen |

So a difference of values is the effect of one thing being in view, at otherwise equal observations,
and no trend along the way can pass for it.  A thing is *in view* where the observation changes with
it.  All values are in units of reward.

`tracking` summarises these values.  A scene that never occurred in training (a level's end
without its goal, where the two always came together) tests how the critic generalizes, which is
the question here, and not how well it predicts.

The goal is put in and taken out by the world's `goal_tile` and the levels' own cells.  How an end
is hidden is the one thing that depends on the kind of world: `ground_goes_on` suits platform games.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from misgen.agents.base import Agent, ValuedAgent
from misgen.agents.checked import values_of
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import REACHED_PROXY
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.world import Observation, World

from ..conditions import AGENT, ALIGNED, CONFLICT, LABELS
from ..rollout import Actions, run_levels

SCENES = ("at_end", "moved", "no_goal", "no_end")
STATES = pl.Schema(
    {
        **LABELS,
        "level_id": pl.Int64,
        "decision": pl.Int32,  # from 0
        "after_end": pl.Int32,  # decisions since the proxy was reached; -1 before that
        "distance": pl.Float64,  # from the body to the conflict goal's cell, in cells
        **{f"value_{scene}": pl.Float64 for scene in SCENES},  # in units of reward
        "sees_at_end": pl.Boolean,  # the goal at the end would be in view
        "sees_moved": pl.Boolean,  # the moved goal would be in view
        "sees_end": pl.Boolean,  # the level's end is in view
    }
)
"""What `probe_critic` returns: one row a decision.  `condition` is the level that was played;
`test_correlation` is that of the pair's conflict level in both."""
REACH = 15
"""Decisions that are kept after the proxy was reached, unless others are asked for."""

PLACES = np.dtype([("proxy", np.int16, 2), ("conflict", np.int16, 2), ("start", np.float32, 2)])
"""Of a level: x, y of the proxy's and the conflict goal's cell, and of the start, in cells."""
HideEnd = Callable[[NDArray[np.void], NDArray[np.void]], None]
"""Takes the level's end out of the `tiles` of state records [n], in place, given `PLACES` [n]."""


def ground_goes_on(states: NDArray[np.void], places: NDArray[np.void]) -> None:
    """Continue each level beyond its proxy's cell, away from the start, as it is at that cell.

    In CoinRun the wall at the level's end becomes more of the ground in front of it.

    Args:
        states: records with `tiles` [n, height, width], changed in place; no goal is in them.
        places: `PLACES` [n].
    """
    for tiles, place in zip(states["tiles"], places, strict=True):
        x = int(place["proxy"][0])
        if x > place["start"][0]:
            tiles[:, x + 1 :] = tiles[:, x, None]
        else:
            tiles[:, : max(x, 0)] = tiles[:, x, None]


def require_movable_goal(world: World) -> None:
    """Refuse a world in whose states the goal cannot be moved.

    Raises:
        UserError: saying what to run instead.
    """
    if "tiles" not in (world.state_dtype.names or ()):
        raise UserError(
            f"the critic of an agent of {world.name} cannot be probed: the probe removes the"
            " goal from a state, which is possible in CoinRun only; misgen evaluate "
            "protocol=counterfactual_pairs run=... tests the actor, and misgen objective run=..."
            "infers its objective"
        )


def probe_critic(
    agent: Agent,
    distribution: LevelDistribution,
    ids: ArrayLike,
    *,
    actions: Actions = "sampled",
    seed: int = 0,
    labels: Mapping[str, Any] | None = None,
    hide_end: HideEnd = ground_goes_on,
    after: int = REACH,
    num_slots: int = 256,
    progress: Callable[[int], object] | None = None,
) -> pl.DataFrame:
    """Play pairs, and ask the critic about each state in all scenes.

    Args:
        agent: who plays; it must have a critic (`ValuedAgent`).
        distribution: its world and placement make the pairs; correlation and range do not matter.
        ids: level ids [n], all different.
        actions: `sampled` or `greedy`.
        seed: seed of the sampled actions.
        labels: values of `conditions.LABELS` that the agent and its training have; others are null.
        hide_end: takes the level's end out of view.
        after: decisions that are kept after the proxy was reached.
        num_slots: levels played side by side; changes no result.
        progress: called with the number of episodes that ended, whenever some did.

    Returns:
        `STATES`, sorted by condition, level and decision.

    Raises:
        UserError: if the agent has no critic, or the world's states have no tiles.
    """
    if not isinstance(agent, ValuedAgent):
        raise UserError(f"agent {agent.name!r} has no critic: probe one that has value()")
    world = dataclasses.replace(distribution.world, on_proxy="continue")
    require_movable_goal(world)
    tables = []
    for condition, correlation in ((CONFLICT, 0.0), (ALIGNED, 1.0)):
        watcher = _Watcher(agent, world, hide_end, after)
        played = distribution.at(world=world, correlation=correlation)
        run_levels(
            watcher, played, ids, actions=actions, seed=seed, num_slots=num_slots,
            progress=progress,
        )  # fmt: skip
        given = {
            **dict.fromkeys(LABELS), "role": AGENT, "agent": agent.name, "noise": 0.0,
            "actions": actions, "on_proxy": world.on_proxy, **(labels or {}),
            "condition": condition, "placement": played.placement, "test_correlation": 0.0,
        }  # fmt: skip
        named = [pl.lit(given[name], dtype).alias(name) for name, dtype in LABELS.items()]
        tables.append(watcher.table().select(*named, pl.all()))
    return pl.concat(tables)


class _Watcher:
    """An agent that plays as another does, and asks that one's critic on the way."""

    def __init__(self, agent: ValuedAgent, world: World, hide_end: HideEnd, after: int) -> None:
        self.name = agent.name
        self._agent = agent
        self._world = world
        self._hide_end = hide_end
        self._after = after
        self._places = np.zeros(0, PLACES)  # by slot
        self._since = np.zeros(0, np.int32)  # by slot: decisions since the proxy, -1 before
        self._rows: list[dict[str, NDArray[Any]]] = []

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Take note of the levels' cells."""
        missing = int(slots.max(initial=-1)) + 1 - len(self._places)
        if missing > 0:
            self._places = np.concatenate([self._places, np.zeros(missing, PLACES)])
            self._since = np.concatenate([self._since, np.zeros(missing, np.int32)])
        for name, source in (("proxy", "proxy_cell"), ("conflict", "conflict_cell")):
            self._places[name][slots] = levels.data[source]
        self._places["start"][slots] = levels.data["start"]
        self._since[slots] = -1
        self._agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Engine) -> NDArray[np.float64]:
        """Return the agent's, and keep what its critic says."""
        slots = np.flatnonzero(engine.episodes["running"])
        self._since[slots[(engine.episodes["events"][slots] & REACHED_PROXY) != 0]] += 1
        kept = slots[self._since[slots] <= self._after]
        if len(kept):
            self._rows.append(self._ask(kept, engine))
        return self._agent.probabilities(observation, engine)

    def table(self) -> pl.DataFrame:
        """Return what was kept, without the labels."""
        schema = pl.Schema({k: v for k, v in STATES.items() if k not in LABELS})
        if not self._rows:
            return pl.DataFrame(schema=schema)
        columns = {name: np.concatenate([row[name] for row in self._rows]) for name in schema}
        return pl.DataFrame(columns).cast(schema).sort("level_id", "decision")

    def _ask(self, slots: NDArray[np.int64], engine: Engine) -> dict[str, NDArray[Any]]:
        """Return a row for each of `slots`: values and what is in view."""
        states, places = engine.states[slots], self._places[slots]
        position = self._world.export_motion(states)[:, :2]
        away = position - (places["conflict"] + 0.5)
        row: dict[str, NDArray[Any]] = {
            "level_id": engine.level_ids[slots],
            "decision": engine.episodes["decisions"][slots],
            "after_end": self._since[slots],
            "distance": np.hypot(away[:, 0], away[:, 1]),
        }
        scenes = self._scenes(states, places)
        base = next(scenes)
        values = values_of(self._agent, base)
        row["value_no_goal"] = values
        for name, sees in (("moved", "moved"), ("at_end", "at_end"), ("no_end", "end")):
            shown = next(scenes)
            differs = _differs(base, shown)
            asked = values.copy()
            if differs.any():
                asked[differs] = values_of(self._agent, {k: v[differs] for k, v in shown.items()})
            row[f"value_{name}"], row[f"sees_{sees}"] = asked, differs
        return row

    def _scenes(self, states: NDArray[np.void], places: NDArray[np.void]) -> Iterator[Observation]:
        """Yield what is seen in the scenes no_goal, moved, at_end, no_end; changes `states`."""
        world, every = self._world, np.arange(len(states))
        free = next(iter(world.symbols.tiles))
        for name in ("proxy", "conflict"):
            _put(states, places[name], free)
        yield world.observe(states, every)
        for name in ("conflict", "proxy"):
            _put(states, places[name], world.goal_tile)
            yield world.observe(states, every)
            _put(states, places[name], free)
        self._hide_end(states, places)
        yield world.observe(states, every)


def _put(states: NDArray[np.void], cells: NDArray[np.int16], tile: int) -> None:
    """Write `tile` at x, y of `cells` [n, 2] in each state; where there is no cell, nowhere."""
    rows = np.flatnonzero(cells[:, 0] >= 0)
    states["tiles"][rows, cells[rows, 1], cells[rows, 0]] = tile


def _differs(one: Observation, other: Observation) -> NDArray[np.bool_]:
    """Return which rows of two observations differ, bool [n]."""
    parts = [(one[key] != other[key]).reshape(len(one[key]), -1).any(axis=1) for key in sorted(one)]
    return np.any(parts, axis=0)
