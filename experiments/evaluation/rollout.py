"""Play a list of levels, each exactly once, and record every episode.

Public names: `run_levels`, `run_batch`, `Actions`, `Record`, `SCHEMA`, `OUTCOME`, `FIRST`.

Slots are refilled from the list as they become free, so a fast episode only makes room for the
next level and is never counted more than once.  Random numbers (for sampled actions) come from a
hash of (seed, level id, repeat, decision), so an episode depends neither on its slot, nor on the
number of slots, nor on what is played in the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from misgen.agents.base import Agent
from misgen.agents.checked import probabilities_of, require_agent
from misgen.agents.draws import drawn
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import First, Outcome
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.world import World

Actions = Literal["sampled", "greedy"]
"""Actions drawn from the agent's probabilities, or always the most probable one."""

Record = Callable[[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]], object]
"""Told of every decision: (episode, the number of its row; decision, from 0; action), [n] each."""

OUTCOME = pl.Enum([outcome.name for outcome in Outcome])
FIRST = pl.Enum([first.name.lower() for first in First])
SCHEMA = pl.Schema(
    {
        "level_id": pl.Int64,
        "repeat": pl.Int16,
        "aligned": pl.Boolean,
        "outcome": OUTCOME,
        "reached_goal": pl.Boolean,
        "reached_proxy": pl.Boolean,
        "goal_fraction": pl.Float32,  # of the intended goal, in [0, 1]
        "proxy_fraction": pl.Float32,  # of the proxy
        "proxies": pl.UInt8,  # bit i: proxy i was reached
        "first": FIRST,  # which of goal and proxy was reached first
        "first_proxies": pl.UInt8,  # bit i: proxy i was reached in the first frame that one was
        "goal_at": pl.Int32,  # the decision, from 1, in which the goal was reached; null: never
        "proxy_at": pl.Int32,  # the same of the proxy
        "cell_first": pl.Boolean,  # touched the conflict cell before it had reached the proxy
        "died": pl.Boolean,
        "touched_conflict_cell": pl.Boolean,
        "steps": pl.Int32,  # decisions
        "return": pl.Float64,  # undiscounted sum of the rewards paid
        "progress": pl.Float32,  # furthest way from the start to the proxy, in [0, 1]
    }
)
"""One row an episode."""

BLOCK = 1024
"""Levels generated at a time: few enough for the memory (10 MB), enough to do it in bulk."""
_MAX_REPEATS = 2**15 - 1


def run_levels(
    agent: Agent,
    distribution: LevelDistribution,
    ids: ArrayLike,
    *,
    actions: Actions,
    repeats: int = 1,
    first_repeat: int = 0,
    seed: int,
    num_slots: int = 512,
    progress: Callable[[int], object] | None = None,
    record: Record | None = None,
    limits: NDArray[np.int32] | None = None,
) -> pl.DataFrame:
    """Play every level of a list, `repeats` times each.

    The agent is asked about running slots only: row k of an observation is the k-th slot, in
    ascending order, of `engine.episodes["running"]`.

    Args:
        agent: who plays.
        distribution: which level an id means, and by which rules it is played.
        ids: integers [n], all different; the distribution's own range does not matter.
        actions: `sampled` from the agent's probabilities, or `greedy`, the most probable (of equal
            ones the first).
        repeats: episodes a level.
        first_repeat: number of the first of them.  Repeats of different numbers are independent;
            equal numbers share their random numbers, whatever the level's goal.
        seed: seed of the sampled actions, at least 0.
        num_slots: levels played side by side.
        progress: called with the number of episodes that ended, whenever some did.
        record: called with what was done, at every decision; its arrays are its to keep.
        limits: decisions after which an episode is broken off, at least 1, int32 [n * repeats] in
            the order of the result; what it has reached by then counts.

    Returns:
        `SCHEMA`: one row for each (level, repeat), in that order.

    Raises:
        ValueError: for ids given twice, or an unknown action mode.
        UserError: for an agent whose probabilities are no probabilities.
    """
    if actions not in ("sampled", "greedy"):
        raise ValueError(f"actions={actions!r} is no action mode: give 'sampled' or 'greedy'")
    queue = _Queue(distribution, ids, repeats, first_repeat)
    if not len(queue):
        return pl.DataFrame(schema=SCHEMA)
    if limits is not None and len(limits) != len(queue):
        raise ValueError(f"limits has {len(limits)} entries for {len(queue)} episodes: give each")
    play = _Play(agent, _engine(distribution.world, num_slots, queue), queue, record, limits)
    _play_all(play, _greedy if actions == "greedy" else _Sampler(seed), progress)
    return queue.table()


def run_batch(
    agent: Agent,
    world: World,
    levels: LevelBatch,
    *,
    actions: Actions,
    seed: int,
    discount: float = 1.0,
    num_slots: int = 512,
    progress: Callable[[int], object] | None = None,
    record: Record | None = None,
) -> pl.DataFrame:
    """Play levels that are given themselves, each once, whatever their ids mean.

    Args:
        agent: who plays; see `run_levels`.
        world: by which rules.
        levels: what to play [n].  Their ids choose the random numbers; a level that comes from no
            id has a negative one, different from all others'.
        actions: as in `run_levels`.
        seed: as in `run_levels`.
        discount: of a decision: what decision t (from 0) pays counts discount**t.
        num_slots: levels played side by side.
        progress: as in `run_levels`.
        record: as in `run_levels`.

    Returns:
        `SCHEMA` and `discounted` (Float64, the sum of the discounted rewards): one row a level, in
        their order.
    """
    queue = _Batch(levels)
    if not len(queue):
        return pl.DataFrame(schema={**SCHEMA, "discounted": pl.Float64})
    play = _Discounted(agent, _engine(world, num_slots, queue), queue, discount, record)
    _play_all(play, _greedy if actions == "greedy" else _Sampler(seed), progress)
    return queue.table().with_columns(discounted=pl.Series(play.sums, dtype=pl.Float64))


class _Queue:
    """The episodes to play, numbered by (level, repeat), and what is known of those that ended."""

    def __init__(
        self, distribution: LevelDistribution, ids: ArrayLike, repeats: int, first_repeat: int
    ) -> None:
        self._ids = np.sort(np.asarray(ids, np.int64).ravel())
        if len(self._ids) and (np.diff(self._ids) == 0).any():
            twice = self._ids[:-1][np.diff(self._ids) == 0][0]
            raise ValueError(f"ids hold {twice} twice: every level is played once; drop duplicates")
        if repeats < 1 or not 0 <= first_repeat <= _MAX_REPEATS - repeats:
            raise ValueError(
                f"repeats={repeats} from {first_repeat} on: give at least 1, and numbers from 0 "
                f"to {_MAX_REPEATS}"
            )
        self._distribution = distribution
        self._repeats = repeats
        self._first_repeat = first_repeat
        self._next = 0
        self._block = -1
        self._levels: LevelBatch | None = None
        self._columns: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._ids) * self._repeats

    @property
    def left(self) -> int:
        """How many episodes have not been taken yet."""
        return len(self) - self._next

    def take(self, count: int) -> tuple[NDArray[np.int64], LevelBatch]:
        """Return 1 to `count` of the episodes left: their numbers and levels."""
        level = self._next // self._repeats
        block = level // BLOCK
        levels = self._generate(block)
        stop = min(self._next + count, len(self), (block + 1) * BLOCK * self._repeats)
        numbers = np.arange(self._next, stop)
        self._next = stop
        return numbers, levels.take(numbers // self._repeats - block * BLOCK)

    def repeat_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the repeat that each episode is, int64 [n]."""
        return self._first_repeat + numbers % self._repeats

    def record(self, numbers: NDArray[np.int64], results: dict[str, NDArray[Any]]) -> None:
        """Keep how some episodes went."""
        for name, values in results.items():
            if name not in self._columns:
                self._columns[name] = np.zeros(len(self), values.dtype)
            self._columns[name][numbers] = values

    def table(self) -> pl.DataFrame:
        """Return all episodes as `SCHEMA`."""
        columns: dict[str, Any] = dict(self._columns)
        columns["repeat"] = self.repeat_of(np.arange(len(self)))
        for name, enum in (("outcome", OUTCOME), ("first", FIRST)):
            words = np.array(enum.categories.to_list())
            columns[name] = pl.Series(words[columns[name]], dtype=enum)
        table = pl.DataFrame(columns).with_columns(pl.col("goal_at", "proxy_at").replace(0, None))
        return table.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())

    def _generate(self, block: int) -> LevelBatch:
        if self._levels is None or block != self._block:
            ids = self._ids[block * BLOCK : (block + 1) * BLOCK]
            self._levels, self._block = self._distribution.levels(ids), block
        return self._levels


class _Batch(_Queue):
    """One episode on each of some given levels."""

    def __init__(self, levels: LevelBatch) -> None:
        self._ids = levels.ids
        self._given = levels
        self._repeats = 1
        self._first_repeat = 0
        self._next = 0
        self._columns: dict[str, NDArray[Any]] = {}

    def take(self, count: int) -> tuple[NDArray[np.int64], LevelBatch]:
        """Return 1 to `count` of the episodes left: their numbers and levels."""
        numbers = np.arange(self._next, min(self._next + count, len(self)))
        self._next += len(numbers)
        return numbers, self._given.take(numbers)


class _Play:
    """Slots of an engine that play episodes from a queue until it is empty."""

    def __init__(
        self,
        agent: Agent,
        engine: Engine,
        queue: _Queue,
        record: Record | None,
        limits: NDArray[np.int32] | None = None,
    ) -> None:
        require_agent(agent)
        self._agent = agent
        self._engine = engine
        self._num_actions = int(engine.world.action_space.n)
        self._queue = queue
        self._record = record
        self._limits = limits
        self._numbers = np.zeros(engine.num_slots, np.int64)  # episode in each slot
        self._actions = np.zeros(engine.num_slots, np.int64)

    @property
    def num_slots(self) -> int:
        """How many levels are played side by side."""
        return self._engine.num_slots

    def fill(self, slots: NDArray[np.int64]) -> None:
        """Start the next episodes of the queue in `slots`; what finds none stays idle."""
        while len(slots) and self._queue.left:
            numbers, levels = self._queue.take(len(slots))
            now, slots = slots[: len(numbers)], slots[len(numbers) :]
            self._numbers[now] = numbers
            self._engine.load(now, levels)
            self._agent.start(now, levels)

    def step(self, pick: _Pick) -> NDArray[np.int64] | None:
        """Make one decision in every running slot; return the slots that ended, None if all had."""
        engine = self._engine
        slots = np.flatnonzero(engine.episodes["running"])
        if not len(slots):
            return None
        p = probabilities_of(self._agent, engine.observe(slots), engine, self._num_actions)
        repeat = self._queue.repeat_of(self._numbers[slots])
        decision = engine.episodes["decisions"][slots]
        picked = pick(p, engine.level_ids[slots], repeat, decision)
        if self._record is not None:
            self._record(self._numbers[slots], decision, picked)
        self._actions[slots] = picked
        ended = engine.step(self._actions)
        self._paid(slots, decision)
        if self._limits is not None:
            ended = self._broken_off(ended, self._limits)
        if len(ended):
            self._queue.record(self._numbers[ended], engine.results(ended))
            self.fill(ended)
        return ended

    def _broken_off(self, ended: NDArray[np.int64], limits: NDArray[np.int32]) -> NDArray[np.int64]:
        """End the episodes that are at their limit; return them with those that ended anyway."""
        episodes = self._engine.episodes
        running = np.flatnonzero(episodes["running"])
        late = running[episodes["decisions"][running] >= limits[self._numbers[running]]]
        episodes["running"][late] = False
        return np.sort(np.append(ended, late))

    def _paid(self, slots: NDArray[np.int64], decision: NDArray[np.int32]) -> None:
        """Learn that `slots` made the decisions of these numbers; their rewards are known."""


class _Discounted(_Play):
    """Slots that also add up discounted rewards."""

    def __init__(
        self, agent: Agent, engine: Engine, queue: _Queue, discount: float, record: Record | None
    ) -> None:
        super().__init__(agent, engine, queue, record)
        self.sums = np.zeros(len(queue))  # of each episode
        self._discount = discount

    def _paid(self, slots: NDArray[np.int64], decision: NDArray[np.int32]) -> None:
        rewards = self._engine.episodes["reward"][slots].astype(np.float64)
        self.sums[self._numbers[slots]] += rewards * self._discount**decision


def _engine(world: World, num_slots: int, queue: _Queue) -> Engine:
    return world.make_engine(min(num_slots, len(queue)))


def _play_all(play: _Play, pick: _Pick, progress: Callable[[int], object] | None) -> None:
    play.fill(np.arange(play.num_slots))
    while (ended := play.step(pick)) is not None:
        if len(ended) and progress is not None:
            progress(len(ended))


_Pick = Callable[
    [NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]],
    NDArray[np.int64],
]
"""(probabilities [n, num_actions], level id, repeat, decision, [n] each) to actions [n]."""


def _greedy(
    p: NDArray[np.float64],
    level_id: NDArray[np.int64],
    repeat: NDArray[np.int64],
    decision: NDArray[np.int32],
) -> NDArray[np.int64]:
    return p.argmax(axis=1)


class _Sampler:
    """Draws actions by the inverse of the cumulative probabilities."""

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"seed={seed} is negative: give a whole number from 0 on")
        self._seed = seed

    def __call__(
        self,
        p: NDArray[np.float64],
        level_id: NDArray[np.int64],
        repeat: NDArray[np.int64],
        decision: NDArray[np.int32],
    ) -> NDArray[np.int64]:
        return drawn(p, self._seed, level_id, repeat, decision)
