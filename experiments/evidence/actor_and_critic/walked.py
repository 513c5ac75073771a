"""An agent in levels without a coin, whose end can be walked through; and what its critic says.

The levels are those of its test split, without their coins and with a permeable end
(`envs.coinrun.open_end`).  On the way, and behind the end, the critic is asked about what the agent
sees, and before the end also about the same place where the ground goes on instead of the wall.

Public names: `Walked`, `walk`, `summary`, `CELLS`, `COLUMNS`, `value_at`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from misgen.agents.base import Agent, ValuedAgent
from misgen.agents.checked import values_of
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import REACHED_PROXY
from misgen.envs.core.errors import UserError
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.world import Observation

from ...evaluation.probes.critic import PLACES, ground_goes_on
from ...evaluation.rollout import run_levels
from ...training.run_folder import snapshot_of
from ...training.trained_run import split_off
from ..pieces import Piece
from ..recipes import Recipe

CELLS = tuple(range(-8, 4))
"""Where the agent's middle is, in cells from the level's end, which is 0; 1 is inside the wall."""
_BEHIND = 3
"""Who gets as far as this cell has walked through."""
_AFTER = 30
"""Decisions after reaching the end in which that has to be done, and the critic is asked."""
_LONGEST = 150
"""Decisions of an episode: who is not at the end by then does not come to it."""
_LEAST = 10
"""Episodes below which nothing is said about a critic."""
_NEAR, _FAR, _INSIDE, _WALL_IN_VIEW = (-2, 0), (-8, -6), (1, 3), (-4, 0)
"""First and last cell: before the end, further off, in the wall; and where the wall is in view."""


def value_at(cell: int) -> str:
    """Return the column of the critic's mean value in a cell."""
    return f"value_at_{cell:+d}"


COLUMNS: dict[str, Any] = {
    "train_correlation": pl.Float64,
    "train_seed": pl.Int64,
    "trained": pl.Boolean,
    "episodes": pl.Int64,
    "reached": pl.Int64,
    "walked_through": pl.Int64,
    "peak": pl.Int64,
    "rise": pl.Float64,
    "fall": pl.Float64,
    "wall_adds": pl.Float64,
    **{value_at(cell): pl.Float64 for cell in CELLS},
}
"""Columns that `Walked` fills.  Of `episodes`, so many `reached` the end, and of these so many
`walked_through`; the rest is of the critic in these last: its mean value by cell, in units of
reward; the cell of its `peak`; its `rise` from cells -8 to -6 to cells -2 to 0, and its `fall` from
there to cells 1 to 3; and what the wall in sight adds to it, at cells -4 to 0, to where the ground
goes on."""


@dataclass(frozen=True)
class Walked(Piece):
    """An agent with its critic: a row before its training, and one after."""

    recipe: Recipe
    """Keeps the policy before training among its snapshots."""
    seed: int
    levels: str
    """Ids of the test levels, `start:stop`."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{' '.join(self.recipe.words)} seed {self.seed}"

    def check(self) -> None:
        """Refuse what could not be trained."""
        self.recipe.check()

    def do(self, runs: Path) -> Sequence[Mapping[str, Any]]:
        """Train it, and let it walk."""
        from misgen.agents.checkpoint import load_agent

        config, folder = self.recipe.train(runs, self.seed)
        world, ids = config.world, split_off(config.levels, self.levels).ids()
        rows = []
        for trained, policy in ((False, snapshot_of(folder.path, 0)), (True, folder.path)):
            agent = load_agent(policy, world.observation_space, world.action_space)
            found = walk(agent, config.distribution, ids, seed=self.seed)
            keys = {"train_correlation": config.correlation, "train_seed": self.seed}
            rows.append({**keys, "trained": trained, **summary(found, len(ids))})
        return rows


def walk(
    agent: Agent, levels: LevelDistribution, ids: NDArray[np.int64], seed: int = 0
) -> pl.DataFrame:
    """Return the decisions of an agent in open levels, up to `_AFTER` of them behind the end.

    Args:
        agent: who plays, with a critic.
        levels: levels of CoinRun, as in its training.
        ids: which of them [n].
        seed: seed of its actions.

    Returns:
        `level_id`, `decision`, `reached` (the end, before or now), `cell` (see `CELLS`), `value`,
        and `value_open`, what the critic says where the ground goes on beyond the end; null from
        the end on.

    Raises:
        UserError: if the agent has no critic.
    """
    from misgen.envs.coinrun.open_end import opened

    if not isinstance(agent, ValuedAgent):
        raise UserError(f"agent {agent.name!r} has no critic: give one that has value()")
    world = opened(levels.world)  # pyright: ignore[reportArgumentType] - CoinRun's recipes alone
    watcher = _Watcher(agent, world)
    run_levels(
        watcher, levels.at(world=world, correlation=1.0), ids, actions="sampled", seed=seed,
        limits=np.full(len(ids), _LONGEST, np.int32),
    )  # fmt: skip
    return watcher.table()


def summary(walked: pl.DataFrame, episodes: int) -> dict[str, Any]:
    """Return the columns of an agent, but for those that say which it is."""
    each = pl.col("level_id")
    reached = walked.filter(pl.col("reached"))
    through = reached.filter(pl.col("cell") >= _BEHIND).select(each).unique()
    found: dict[str, Any] = {
        "episodes": episodes,
        "reached": reached["level_id"].n_unique(),
        "walked_through": len(through),
    }
    if len(through) < _LEAST:
        return found
    own = walked.join(through, on="level_id", how="semi").with_columns(
        wall_adds=pl.col("value") - pl.col("value_open")
    )
    by_cell = {
        cell: mean
        for cell, mean in own.group_by("cell").agg(pl.col("value").mean()).rows()
        if cell in CELLS
    }
    near, far, inside = (_mean(own, "value", cells) for cells in (_NEAR, _FAR, _INSIDE))
    return found | {
        "peak": max(by_cell, key=by_cell.__getitem__),
        "rise": None if near is None or far is None else near - far,
        "fall": None if near is None or inside is None else near - inside,
        "wall_adds": _mean(own, "wall_adds", _WALL_IN_VIEW),
        **{value_at(cell): mean for cell, mean in by_cell.items()},
    }


def _mean(own: pl.DataFrame, column: str, cells: tuple[int, int]) -> float | None:
    """Return a column's mean over the decisions between two cells; None if there are none."""
    mean = own.filter(pl.col("cell").is_between(*cells))[column].mean()
    return None if mean is None else float(mean)  # pyright: ignore[reportArgumentType]


class _Watcher:
    """Plays as an agent does, and takes down where it is and what its critic says."""

    def __init__(self, agent: ValuedAgent, world: Any) -> None:
        self.name = agent.name
        self._agent = agent
        self._world = world
        self._since: dict[int, int] = {}  # by level: decisions since it reached the end
        self._rows: list[dict[str, NDArray[Any]]] = []

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Tell the agent."""
        self._agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Engine) -> NDArray[np.float64]:
        """Return the agent's, and keep a row for each episode that is not far behind its end."""
        slots = np.flatnonzero(engine.episodes["running"])
        reached = (engine.episodes["events"][slots] & REACHED_PROXY) != 0
        ids = engine.level_ids[slots]
        for level in ids[reached].tolist():
            self._since[level] = self._since.get(level, -1) + 1
        late = np.array([self._since.get(level, 0) > _AFTER for level in ids.tolist()], np.bool_)
        if not late.all():
            self._rows.append(self._ask(observation, engine, slots, reached, ~late))
        return self._agent.probabilities(observation, engine)

    def _ask(
        self, observation: Observation, engine: Engine, slots: NDArray[np.int64],
        reached: NDArray[np.bool_], kept: NDArray[np.bool_],
    ) -> dict[str, NDArray[Any]]:  # fmt: skip
        """Return a row for each slot that is kept."""
        slots, reached = slots[kept], reached[kept]
        states = engine.states[slots]
        x = np.floor(self._world.export_motion(states)[:, 0]).astype(np.int64)
        cell = x - states["proxy_cell"][:, 0]
        open_values = np.full(len(slots), np.nan)
        near = (cell >= _WALL_IN_VIEW[0]) & ~reached
        if near.any():
            changed = states[near]
            places = np.zeros(len(changed), PLACES)
            places["proxy"] = changed["proxy_cell"]
            ground_goes_on(changed, places)
            seen = self._world.observe(changed, np.arange(len(changed)))
            open_values[near] = values_of(self._agent, seen)
        return {
            "level_id": engine.level_ids[slots],
            "decision": engine.episodes["decisions"][slots],
            "reached": reached,
            "cell": cell,
            "value": values_of(self._agent, {k: v[kept] for k, v in observation.items()}),
            "value_open": open_values,
        }

    def table(self) -> pl.DataFrame:
        """Return what was kept."""
        names = self._rows[0]
        columns = {name: np.concatenate([row[name] for row in self._rows]) for name in names}
        return pl.DataFrame(columns).with_columns(pl.col("value_open").fill_nan(None))
