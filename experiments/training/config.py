"""What a training run is: its settings, its levels, and the hash that identifies it.

Public names: `TrainConfig`, `LevelsConfig`, `KEPT_FOR_TESTS`, `config_hash`,
`id_range`, `require_name`, `without_places`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from misgen.agents.config import DEFAULT_ALGORITHM, LearnerConfig
from misgen.agents.spec import weights_checksum
from misgen.envs.core.distribution import IdRange, LevelDistribution, require_disjoint
from misgen.envs.core.errors import UserError, in_range
from misgen.envs.core.id_range import ALL_IDS, MAX_ID
from misgen.envs.core.placement import USUAL
from misgen.envs.core.registry import make_world
from misgen.envs.core.world import World

from .overrides import schema
from .trackers import require_known

KEPT_FOR_TESTS = IdRange(20_000_000, 400_000_000)
"""Ids that `levels.train=all` leaves alone: those of protocols and of the truth that they are
compared with, and room for tests of one's own.  The training levels of each seed lie behind."""
_OWN = re.compile(r"own:(\d{1,10})")


@dataclass(frozen=True)
class LevelsConfig:
    """Level ids of each split, as `start:stop`; they must not overlap.

    One of the three may be `all`: all ids that the others leave; of training (or validation) also
    without `KEPT_FOR_TESTS`.  Of training, `own:100000` are so many levels of the training seed's
    own, so that what seeds have in common is the recipe and not a draw of levels.
    """

    train: str = "own:100000"
    """Levels the agent learns from."""
    validation: str = "1000000:1010000"
    """Levels for choosing settings."""
    test: str = "2000000:2001000"
    """Levels that only the evaluation sees."""

    def __post_init__(self) -> None:
        """Refuse ranges that cannot be read, or that overlap.

        Raises:
            UserError: naming the ranges.
        """
        require_disjoint(self.ranges)

    def of_seed(self, seed: int) -> LevelsConfig:
        """Return the levels of one training seed, `own` written out."""
        own = _OWN.fullmatch(str(self.train).strip())
        if own is None:
            return self
        count = int(own[1])
        places = (MAX_ID - KEPT_FOR_TESTS.stop) // count if count else 0
        if not places:
            raise UserError(
                f"levels.train={self.train} asks for {count} levels: give a number from 1 to "
                f"{MAX_ID - KEPT_FOR_TESTS.stop}, or start:stop"
            )
        start = KEPT_FOR_TESTS.stop + seed % places * count
        return dataclasses.replace(self, train=f"{start}:{start + count}")

    @property
    def ranges(self) -> dict[str, IdRange]:
        """The id range of each split; of `own` training levels that of seed 0."""
        if _OWN.fullmatch(str(self.train).strip()):
            return self.of_seed(0).ranges
        given = {name: str(getattr(self, name)).strip() for name in ("train", "validation", "test")}
        whole = [name for name, text in given.items() if text == ALL_IDS]
        found = {name: id_range(f"levels.{name}", text) for name, text in given.items()}
        if len(whole) > 1:
            raise UserError(
                f"levels.{whole[0]} and levels.{whole[1]} are both {ALL_IDS}: one split can have"
                " all ids that the others do not use; give the other as start:stop"
            )
        for name in whole:
            others = [ids for other, ids in found.items() if other != name]
            kept = [] if name == "test" else [KEPT_FOR_TESTS]
            found[name] = IdRange.everything((*others, *kept))
        return found


@schema("train")
@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    env: dict[str, Any]
    """World name and its parameters."""
    agent: LearnerConfig
    """How the agent learns: the settings of its algorithm."""
    levels: LevelsConfig = field(default_factory=LevelsConfig)
    """Level ids of each split."""
    correlation: float = 1.0
    """Probability that the goal stands where the proxy points in a training level."""
    proxy_correlations: dict[str, float] = field(default_factory=dict)
    """Of single proxies, by name, where a world has several; `correlation` is that of the rest."""
    placement: str = USUAL
    """Where the goal goes on a conflict level."""
    distinct_conflicts: int = 0
    """How many different conflict levels training has, their share unchanged; 0: all there are."""
    level_replay: float = 0.0
    """Share of the levels that are drawn again, from those on which the agent missed most of the
    goal (prioritized level replay, by regret)."""
    seed: int = 0
    """Training seed: of weights, actions, and levels: their order, and which they are, if `own`."""
    runs: str = "runs"
    """Folder that holds all runs."""
    name: str = "single"
    """Sweep that the run belongs to, a folder in `runs`."""
    logger: dict[str, bool] = field(default_factory=dict)
    """Trackers that numbers go to beside the local files, which are always written: whether each is
    asked for, by name (`trackers`)."""
    save_every: float = 5.0
    """Minutes between two writes of the state that a killed run continues from."""
    stop_after: float | None = None
    """Minutes after which to stop with the state written; the same command then continues."""
    init: str | None = None
    """Folder of a trained policy whose weights the training starts from; none: fresh weights."""
    init_policy: str | None = None
    """SHA-256 of those weights: noted when the run is set up, and held to."""
    snapshots: tuple[int, ...] = ()
    """Decisions after which the policy is kept too, in `snapshots/`, at the next rollout's end."""

    def __post_init__(self) -> None:
        """Check what no field can check alone.

        Raises:
            UserError: naming the field.
        """
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("level_replay", self.level_replay, 0.0, 1.0)
        require_name("name", self.name)
        require_known(self.logger)
        in_range("save_every", self.save_every, 0, 1e6)
        if self.stop_after is not None:
            in_range("stop_after", self.stop_after, 0, 1e6)
            if not self.agent.continues:
                raise UserError(
                    f"stop_after={self.stop_after:g} does not go with "
                    f"agent={self.agent.algorithm}, whose runs cannot be resumed: leave it "
                    "out, or give another algorithm"
                )
        for steps in self.snapshots:
            in_range("snapshots", steps, 0, self.agent.total_steps)
        if not self.init and (self.init_policy or self.init is not None):
            raise UserError(
                f"init={self.init!r} with init_policy={self.init_policy!r} names no policy to "
                "start from: give init=<folder of a trained policy>, or neither for new weights"
            )
        if self.init_policy is not None and not re.fullmatch("[0-9a-f]{64}", self.init_policy):
            raise UserError(
                f"init_policy={self.init_policy[:70]!r} is not a SHA-256: leave it out, init=... "
                "alone says which weights training starts from"
            )
        if self.init is not None and self.init_policy is None:
            object.__setattr__(self, "init_policy", weights_checksum(self.init))
        for place, checksum in self.agent.policies.items():
            if getattr(self.agent, place) and not getattr(self.agent, checksum):
                found = weights_checksum(getattr(self.agent, place))
                object.__setattr__(
                    self, "agent", dataclasses.replace(self.agent, **{checksum: found})
                )
        object.__setattr__(self, "levels", self.levels.of_seed(self.seed))
        object.__setattr__(self, "placement", self.distribution.placement)

    @cached_property
    def world(self) -> World:
        """The world with its parameters."""
        parameters = dict(self.env)
        return make_world(parameters.pop("name", "coinrun"), **parameters)

    @cached_property
    def distribution(self) -> LevelDistribution:
        """The levels that the agent is trained on."""
        train = self.levels.ranges["train"]
        own = tuple(sorted(self.proxy_correlations.items()))
        return LevelDistribution(
            self.world, self.correlation, self.placement, train, own, self.distinct_conflicts
        )

    @property
    def kept_snapshots(self) -> dict[int, int]:
        """After how many decisions each of `snapshots` is really kept: at a rollout's end."""
        return {asked: self.agent.whole_rollouts(asked) for asked in self.snapshots}

    @property
    def science(self) -> dict[str, Any]:
        """What determines the result, as plain data: all but where files and numbers go, and when.

        (A run that was stopped goes on as if it had not been; its manifest says where.)
        """
        plain = dataclasses.asdict(self) | {"agent": self.agent.science}
        kept = {key: plain[key] for key in plain if key not in _NO_SCIENCE}
        unused = [key for key in _OPTIONAL if not kept[key]]
        return {key: value for key, value in kept.items() if key not in unused}

    @property
    def slug(self) -> str:
        """Short name of the run for people."""
        tuned = "-tuned" if self.init_policy else ""
        own = self.agent.algorithm
        learner = "" if own == DEFAULT_ALGORITHM else f"-{own}"
        known = "correlation" not in self.agent.unknown
        rho = f"{self.correlation:g}" if known else "-unknown"
        return f"{self.world.name}-rho{rho}-seed{self.seed}{learner}{tuned}"

    @property
    def hash(self) -> str:
        """Short hash of `science`, wherever the weights that it starts or learns from lie."""
        return config_hash(without_places(self.science))


_OPTIONAL = (
    "proxy_correlations", "distinct_conflicts", "level_replay", "init", "init_policy", "snapshots",
)  # fmt: skip
"""Settings that are left out of `science` where they are not used."""
_NO_SCIENCE = ("runs", "name", "logger", "save_every", "stop_after")


def id_range(field_name: str, text: str) -> IdRange:
    """Return the level ids that a setting gives.

    Raises:
        UserError: naming the setting, if it gives none.
    """
    try:
        return IdRange.parse(text)
    except UserError as error:
        raise UserError(str(error).replace("ids=", f"{field_name}=", 1)) from None


def without_places(science: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's settings without where policies lie: `x` beside `x_policy`, its weights' hash.

    Args:
        science: what `TrainConfig.science` returns, or a manifest holds.
    """
    kept = {key: value for key, value in science.items() if key != "init"}
    agent = kept.get("agent")
    if isinstance(agent, Mapping):
        kept["agent"] = {key: agent[key] for key in agent if f"{key}_policy" not in agent}
    return kept


def config_hash(plain: Mapping[str, Any]) -> str:
    """Return 10 hex digits that identify plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:10]


def require_name(field_name: str, value: str) -> str:
    """Return `value` if it can name a folder.

    Raises:
        UserError: if it cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", value):
        raise UserError(
            f"{field_name}={value!r} cannot name a folder: use letters, digits, dot, dash and "
            "underscore, beginning with a letter or digit"
        )
    return value
