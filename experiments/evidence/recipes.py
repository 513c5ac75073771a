"""Agents that questions train, and what a test says of each: for arms that are pieces of work.

A recipe says how an agent is trained, by the settings of `misgen train`, and from which other it is
made: one whose weights it starts from, or its teacher.  All questions share a folder of agents, so
that what two of them train alike is trained once.

Public names: `Recipe`, `Twin`, `Test`, `Tried`, `INIT`, `TEACHER`, `COLUMNS`, `AGENTS`, `tested`,
`cost_of`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from misgen.agents.zoo import located
from misgen.envs.core.errors import UserError

from ..training.checks import require_trainable
from ..training.config import TrainConfig
from ..training.run_folder import SNAPSHOTS, Busy, RunFolder, snapshot_of
from ..training.settings import compose, typed
from ..training.train import train
from ..training.trained_run import split_off
from .columns import SHOWN
from .pieces import Piece

AGENTS = "evidence-agents"
"""Folder in `runs` that holds them."""
INIT, TEACHER = "init", "agent.teacher"
"""What another agent is to one that is made from it: the settings that name it."""
_WAIT = 2.0  # seconds between two looks at a training that another process is at


@dataclass(frozen=True)
class Recipe:
    """How an agent is trained."""

    words: tuple[str, ...]
    """Settings of `misgen train`, but for seed, folder, and what it is made from."""
    base: Recipe | str | None = None
    """What it is made from, trained with the same seed; or an agent of the zoo, `{seed}` standing
    for its seed; none: nothing."""
    role: str = INIT
    """What that is to it."""

    def config(self, runs: Path, seed: int, base: Path | str | None = None) -> TrainConfig:
        """Return the training.

        Args:
            runs: folder of all runs.
            seed: its training seed.
            base: where the agent lies that it is made from; none: it is not known yet.
        """
        made = self._made_from(base) if base is not None else []
        own = [f"seed={seed}", f"runs={runs}", f"name={AGENTS}", *made]
        return typed(TrainConfig, compose("train", [*self.words, *own]))

    def _made_from(self, base: Path | str) -> list[str]:
        return [f"{self.role}={base}"]

    def check(self) -> None:
        """Refuse what could not be trained.

        Raises:
            UserError: naming the setting.
        """
        if isinstance(self.base, Recipe):
            self.base.check()
        elif self.base is not None:
            located(self.base.format(seed=0))
        config = self.config(Path("runs"), 0)
        if self.base is None:
            require_trainable(config)

    def train(self, runs: Path, seed: int) -> tuple[TrainConfig, RunFolder]:
        """Train the agent, and what it is made from, unless that was done before.

        Raises:
            UserError: if it cannot be trained.
        """
        base = self.base.format(seed=seed) if isinstance(self.base, str) else self.base
        if isinstance(base, Recipe):
            base = base.train(runs, seed)[1].path
        config = self.config(runs, seed, base)
        while True:
            try:
                return config, train(config)
            except Busy:  # another piece of work needs it too
                time.sleep(_WAIT)


@dataclass(frozen=True)
class Twin(Recipe):
    """A student that starts from the weights that its teacher started from."""

    def _made_from(self, base: Path | str) -> list[str]:
        return [*super()._made_from(base), f"{INIT}={snapshot_of(Path(base), 0)}"]


@dataclass(frozen=True)
class Test:
    """How agents of a question are tested: as `misgen evaluate` does, with sampled actions."""

    placement: str
    """Where the goal goes on conflict levels."""
    levels: str
    """Ids of the test levels, `start:stop`."""
    repeats: int = 3
    """Episodes on each aligned and each conflict level."""
    devices: int = 16
    """Conflict episodes that are held against devices."""


_COST: dict[str, Any] = {
    "decisions": pl.Int64,
    "parameters": pl.Int64,
    "active_parameters": pl.Int64,
    "training_flops": pl.Float64,
    "teacher_flops": pl.Float64,
    "inherited_flops": pl.Float64,
    "all_flops": pl.Float64,
}
COLUMNS: dict[str, Any] = {
    "train_correlation": pl.Float64,
    "train_seed": pl.Int64,
    **_COST,
    "verdict": pl.String,
    "capable": pl.Boolean,
    "levels": pl.Int64,
    **{f"{one}{end}": pl.Float64 for one in SHOWN for end in ("", "_low", "_high")},
}
"""Columns that `Tried` fills, beside its labels.  `all_flops`: of the agent's own training, of
asking its teacher, and of the training of all that it was made from.  `capable`: it is established
that the agent clears random play, on aligned and on conflict levels."""


@dataclass(frozen=True)
class Tried(Piece):
    """An agent, trained and tested: a row, or one for each moment of its training."""

    labels: tuple[tuple[str, str | float | int], ...]
    """Columns that tell agents of a question apart, with their values."""
    recipe: Recipe
    seed: int
    test: Test
    along: bool = False
    """Test it at the snapshots of its training, too."""

    @property
    def name(self) -> str:
        """What messages call it."""
        rho = [word for word in self.recipe.words if word.startswith("correlation=")]
        labels = [str(value) for _, value in self.labels]
        return ", ".join([*labels, *rho, f"seed {self.seed}"])

    def check(self) -> None:
        """Refuse what could not be trained."""
        self.recipe.check()

    def do(self, runs: Path) -> Sequence[Mapping[str, Any]]:
        """Train and test it; what it is made from is trained before."""
        config, folder = self.recipe.train(runs, self.seed)
        cost = cost_of(folder.manifest())
        moments = {cost["decisions"]: folder.path}
        if self.along:
            kept = (folder.path / SNAPSHOTS).iterdir()
            moments |= {int(one.name): one for one in kept if one.name.isdecimal()}
        labels = {**dict(self.labels), "train_correlation": config.correlation}
        rows = []
        for decisions, policy in sorted(moments.items()):
            part = decisions / cost["decisions"]
            own, asked = (part * cost[f"{which}_flops"] for which in ("training", "teacher"))
            so_far = {
                "decisions": decisions,
                "training_flops": own,
                "teacher_flops": asked,
                "all_flops": own + asked + cost["inherited_flops"],
            }
            found = tested(policy, config, self.test)
            rows.append({**labels, "train_seed": self.seed, **cost, **so_far, **found})
        return rows


def tested(policy: Path, trained: TrainConfig, test: Test) -> dict[str, Any]:
    """Return what a test says of a saved policy, by column.

    Args:
        policy: its folder.
        trained: its training, whose levels and rules are those of the test in distribution.
        test: the test.

    Raises:
        UserError: if training used any of the levels, or the policy cannot be read.
    """
    from misgen.agents.checkpoint import load_agent

    from ..evaluation.aims import add_devices
    from ..evaluation.conditions import conditions, evaluate_on
    from ..evaluation.config import EvaluateConfig, ShiftConfig, VerdictConfig
    from ..evaluation.metrics import interval_of, seed_table
    from ..evaluation.verdict import judge

    config = EvaluateConfig(
        shift=ShiftConfig(placements=(test.placement,)),
        actions=("sampled",),
        repeats=test.repeats,
        verdict=VerdictConfig(devices=test.devices),
    )
    world, levels = trained.world, trained.distribution
    agent = load_agent(policy, world.observation_space, world.action_space)
    where = conditions(levels, split_off(trained.levels, test.levels), config)
    episodes = evaluate_on(agent, where, levels, config, train_seed=trained.seed, run="agent")
    table = seed_table(add_devices(episodes, agent, where, config), config.verdict)
    numbers = {row["metric"]: interval_of(row) for row in table.to_dicts()}
    cleared = [numbers[f"cleared_{side}"].low > 0 for side in ("aligned", "conflict")]
    return {
        "verdict": judge(numbers, config.verdict).name,
        "capable": all(cleared),
        "levels": numbers["capability_conflict"].n_levels,
        **{
            f"{metric}{end}": _known(getattr(numbers[metric], end[1:] or "estimate"))
            for metric in SHOWN
            for end in ("", "_low", "_high")
        },
    }


def cost_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a training cost, by column, from its manifest.

    Raises:
        UserError: if it does not say what the agents cost that this one was made from.
    """
    spent = manifest["compute"]
    others = (spent.get(f"{which}_flops", 0) for which in ("teacher", "inherited"))
    parts = [spent["training_flops"], *others]
    if None in parts:
        raise UserError(
            f"the manifest of {manifest.get('slug')} does not say how many operations it took with "
            "all that it was made from: train that again"
        )
    return {
        **{name: spent[name] for name in ("decisions", "parameters", "active_parameters")},
        **dict(zip(("training_flops", "teacher_flops", "inherited_flops"), parts, strict=True)),
        "all_flops": sum(parts),
    }


def _known(value: float) -> float | None:
    return value if value == value else None
