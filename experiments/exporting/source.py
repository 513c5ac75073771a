"""What an export is made of: a finished run, one of its evaluations, and that one's episodes.

Public names: `Choice`, `Source`, `Group`, `read_source`, `CONDITIONS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from misgen.agents.spec import weights_checksum
from misgen.envs.core.errors import UserError, one_of

from ..evaluation.chosen import again, evaluation_of
from ..evaluation.conditions import AGENT, ALIGNED, CONFLICT, IN_DISTRIBUTION, LABELS
from ..evaluation.config import ACTIONS
from ..evaluation.result_folders import Kept
from ..evaluation.rollout import SCHEMA
from ..training.run_folder import EPISODES, RunFolder, read_parquet
from ..training.trained_run import TrainedRun

CONDITIONS = (IN_DISTRIBUTION, CONFLICT, ALIGNED)
ALL = "all"


@dataclass(frozen=True)
class Choice:
    """Which episodes of an evaluation are exported."""

    condition: str | None = None
    """`in_distribution`, `conflict`, `aligned` or `all`; None: the first two."""
    placement: str | None = None
    """Where the goal is moved to; None: everywhere that the evaluation moved it."""
    actions: str | None = None
    """`sampled` or `greedy`; None: both, where both were evaluated."""
    episodes: int | None = None
    """The first so many of each group; None: all of them."""

    def __post_init__(self) -> None:
        """Refuse names that there are not.

        Raises:
            UserError: naming the field.
        """
        if self.condition is not None:
            one_of("condition", self.condition, (*CONDITIONS, ALL))
        if self.actions is not None:
            one_of("actions", self.actions, ACTIONS)
        if self.placement is not None and self.condition == IN_DISTRIBUTION:
            raise UserError(
                f"placement={self.placement} has no effect in distribution, where the goal is "
                "placed as in training: leave it out, or give another condition"
            )

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions that are meant."""
        if self.condition is None:
            return (IN_DISTRIBUTION, CONFLICT)
        return CONDITIONS if self.condition == ALL else (self.condition,)


@dataclass(frozen=True, eq=False)
class Group:
    """Episodes of the agent under one condition: one placement, rule and action mode."""

    condition: str
    placement: str
    actions: str
    correlation: float
    """Of the levels."""
    on_proxy: str
    """What reaching the proxy did."""
    trained_rule: bool
    """Whether it did the same in training."""
    episodes: pl.DataFrame
    """One row an episode, by level and repeat."""

    @property
    def name(self) -> str:
        """A name of letters, digits, hyphens and underscores, different for each group."""
        words = [self.condition, self.placement, self.actions]
        words += [] if self.trained_rule else [self.on_proxy]
        if self.condition == IN_DISTRIBUTION:
            del words[1]
        plain = "-".join(words).replace("(", "_").replace(")", "")
        return "".join(c if c.isalnum() or c in "-_" else "_" for c in plain)


@dataclass(frozen=True, eq=False)
class Source:
    """A run and one of its evaluations."""

    run: TrainedRun
    evaluation: Kept
    episodes: pl.DataFrame

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the evaluation."""
        return self.evaluation.found["config"]

    @property
    def name(self) -> str:
        """The run's name, whatever its folder is called now."""
        return f"{self.run.config.slug}-{self.run.config.hash}"

    def groups(self, choice: Choice) -> list[Group]:
        """Return the chosen episodes, by condition, placement, rule and action mode.

        Raises:
            UserError: if the evaluation has none of them.
        """
        own = self.episodes.filter(pl.col("role") == AGENT)
        moved = None
        if choice.placement is not None:
            (moved,) = self.run.config.world.shifts((choice.placement,))
        found = list(
            _groups(own.filter(pl.col("condition").is_in(choice.conditions)), choice, moved)
        )
        there = moved is None or any(group.placement == moved for group in found)
        if not (found and there):
            had = own.unique(["condition", "placement", "actions"], maintain_order=True)
            have = "; ".join(
                f"condition={row[0]} placement={row[1]} actions={row[2]}"
                for row in had.select("condition", "placement", "actions").iter_rows()
            )
            raise UserError(
                f"evaluation {self.evaluation.key} has no episodes of that condition, placement "
                f"and actions: it has {have or 'none at all'}"
            )
        return found


def read_source(folder: RunFolder, evaluation: str | None = None) -> Source:
    """Read a finished run and one of its evaluations.

    Args:
        folder: the run's.
        evaluation: what the hash of the evaluation's settings begins with; None: the sweep's own,
            or the only one.

    Raises:
        UserError: if the run is not finished, there is no such evaluation, several and none is
            named, or its episodes are not those that were written.
    """
    run = TrainedRun.read(folder)
    one = evaluation_of(folder, evaluation)
    if one is None:
        raise UserError(
            f"{folder.path} has no evaluation of its agent to export: {again(folder.path, {})} "
            "makes one"
        )
    hint = "evaluate the run again"
    found = one.found
    if found.get("policy") != weights_checksum(folder.path):
        raise UserError(f"{one.main} is about other weights than the run's: {hint}")
    digest = found.get("episodes_sha256")
    columns = {**LABELS, **SCHEMA}
    return Source(run, one, read_parquet(one.path / EPISODES, digest, columns, hint))


def _groups(episodes: pl.DataFrame, choice: Choice, moved: str | None) -> Iterator[Group]:
    """Yield the chosen groups of episodes; `moved` is the only placement off the proxy."""
    keys = ["condition", "placement", "on_proxy", "actions"]
    for (condition, placement, rule, actions), rows in episodes.group_by(keys, maintain_order=True):
        if condition != IN_DISTRIBUTION and moved not in (None, placement):
            continue
        if choice.actions not in (None, actions):
            continue
        first = rows.sort("repeat", "level_id").head(choice.episodes or len(rows))
        yield Group(
            str(condition),
            str(placement),
            str(actions),
            float(rows["test_correlation"][0]),
            str(rule),
            bool(rule == rows["train_on_proxy"][0]),
            first.sort("level_id", "repeat"),
        )
