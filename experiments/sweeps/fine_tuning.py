"""Fine-tune base agents, train others from scratch beside them, and test both on the way.

Public names: `SupplyChainConfig`, `supply_chain`, `is_one_run`, `find_bases`, `check`,
`result_folder`, `training`, `train_from`, `play`, `tests_of`, `Snapshot`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.episode import ON_PROXY
from misgen.envs.core.errors import UserError, in_range, one_of

from ..evaluation.config import ACTIONS
from ..evaluation.presentation import Presentation
from ..evaluation.result_folders import SUPPLY_CHAIN, place
from ..training.config import TrainConfig, config_hash, require_name
from ..training.overrides import schema
from ..training.run_folder import (
    DONE,
    SNAPSHOTS,
    RunFolder,
    digest_beside,
    now,
    provenance,
    read_parquet,
    write_json,
    write_parquet,
    write_text,
)
from ..training.settings import typed
from ..training.trained_run import TrainedRun, run_or_sweep

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from ..evaluation.rollout import Actions

JSON, CSV, EPISODES, FIGURE = (
    "supply_chain.json",
    "supply_chain.csv",
    "supply_chain.parquet",
    "supply_chain",
)
SCHEMA_VERSION = 3
MOST_LEVELS = 300
"""Test levels unless others are asked for."""
TRAINING_SEED = 1000
"""Added to a base's training seed: the fine-tuning sees its levels in another order."""
_TESTS = "tests"
"""Folder of a snapshot that holds a folder for each set of tests that it was played on."""
_TESTS_JSON = "tests.json"
"""File in such a folder that holds the hash of its episodes."""
_NO_SCIENCE = ("runs", "name", "num_slots", "threads")


@schema("supply_chain")
@dataclass(frozen=True)
class SupplyChainConfig:
    """A fine-tuning of one base agent, or of several."""

    base: str = ""
    """Folder of a finished run, or of a sweep."""
    base_correlation: float = 1.0
    """Of a sweep: the correlation at which the bases were trained."""
    most: int = 3
    """Of a sweep: how many bases at most."""
    correlation: float = 0.5
    """Of the levels of the fine-tuning."""
    steps: int = 1_048_576
    """Decisions of fine-tuning."""
    snapshots: tuple[int, ...] = (0, 16384, 65536, 131072, 262144, 524288, 1048576)
    """Decisions after which the agent is tested; the next rollout's end counts."""
    scratch: bool = True
    """Train from scratch beside each fine-tuning, on the same levels for as long."""
    placement: str | None = None
    """Where the goal goes on the test's conflict levels; none: as in training."""
    levels: str | None = None
    """Test level ids, as `start:stop`; none: the first of those that the bases set aside."""
    actions: str = "sampled"
    """Action mode: sampled, greedy."""
    on_proxy: str | None = None
    """What reaching the proxy before the goal does in the test; none: what it did in training."""
    seed: int = 0
    """Seed of sampled actions."""
    gone: float = 0.1
    """The proxy is gone where it is reached first on fewer conflict levels."""
    planned: bool = True
    """Find out, with the world's planner, which goals can be reached."""
    runs: str = "runs"
    """Folder that holds all runs."""
    name: str = "supply-chain"
    """Folder in `runs` for all that comes of it."""
    num_slots: int = 512
    """Levels played side by side; changes no result."""
    threads: int = 1
    """CPU threads; changes no result."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        for name in ("base_correlation", "correlation", "gone"):
            in_range(name, getattr(self, name), 0.0, 1.0)
        in_range("most", self.most, 1, 10_000)
        in_range("threads", self.threads, 1, 1024)
        in_range("num_slots", self.num_slots, 1, 10_000)
        in_range("seed", self.seed, 0, 2**31 - 1)
        one_of("actions", self.actions, ACTIONS)
        if self.on_proxy is not None:
            one_of("on_proxy", self.on_proxy, ON_PROXY)
        require_name("name", self.name)
        if not self.snapshots:
            raise UserError("snapshots=[] is empty: give some, such as [0,65536]")
        for steps in self.snapshots:
            in_range("snapshots", steps, 0, self.steps)

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        return Path(self.runs) / self.name


@dataclass(frozen=True)
class Snapshot:
    """An agent at some step of a training that was kept."""

    base: TrainedRun
    kind: str
    """`tuned` or `scratch`."""
    steps: int
    """Decisions of this training."""
    path: Path
    """Folder of its policy."""


def supply_chain(
    config: SupplyChainConfig,
    presentation: Presentation,
    tell: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Fine-tune, test, write all files, and return what supply_chain.json holds.

    Sets the number of CPU threads of numba and torch in this process.

    Args:
        config: settings.
        presentation: puts the result into words and draws it.
        tell: called with a sentence whenever a training or a test begins.

    Raises:
        UserError: if there is no base, or the test levels overlap with a training.
    """
    import polars as pl

    from misgen.agents.threads import tune_process

    from ..evaluation.inheritance import gone_table, inheritance_seeds, inheritance_table

    bases = find_bases(config)
    rounded = check(bases, config)
    trained = {base.config.agent.whole_rollouts(config.steps) for base in bases}
    if trained != {config.steps}:
        real = " or ".join(f"{steps:,}" for steps in sorted(trained))
        tell(f"steps={config.steps:,} are trained for {real}: whole rollouts")
    for base, snapshots in rounded.items():
        moved = [f"{a:,} after {b:,}" for a, b in snapshots.items() if a != b]
        if moved:
            tell(f"{base}: tested at the end of a rollout: {', '.join(moved)}")
    tune_process(config.threads)
    played = []
    for base in bases:
        for snapshot in train_from(base, config, tell):
            tell(f"{snapshot.path.parent.parent.name}: test after {snapshot.steps:,} decisions")
            played.append(play(snapshot, config))
    episodes = pl.concat(played)
    found = {
        "schema_version": SCHEMA_VERSION,
        "provenance": provenance(),
        "finished": now(),
        "config": dataclasses.asdict(config),
        "trained_steps": sorted(trained),
        "snapshots": {
            base: {str(asked): kept for asked, kept in snapshots.items()}
            for base, snapshots in rounded.items()
        },
        "on_proxy": {
            "trained": sorted({base.config.world.on_proxy for base in bases}),
            "played": sorted({base.config.world.under(config.on_proxy).on_proxy for base in bases}),
        },
        "bases": [
            {
                "run": base.folder.path.name,
                "policy": _checksum(base.folder.path),
                "config_hash": base.manifest.get("config_hash"),
                "environment_steps": base.manifest.get("environment_steps"),
            }
            for base in bases
        ],
        "gone": gone_table(episodes, config.gone).to_dicts(),
        "table": inheritance_table(episodes).to_dicts(),
        "seeds": inheritance_seeds(episodes).to_dicts(),
    }
    found["words"] = presentation.sentences(found)
    _write(found, episodes, result_folder(config), presentation)
    return found


def check(bases: list[TrainedRun], config: SupplyChainConfig) -> dict[str, dict[int, int]]:
    """Refuse what could not be trained or tested; return when snapshots are really kept.

    Returns:
        By base: the decisions asked for, and those after which the policy is kept, at a rollout's
        end.

    Raises:
        UserError: naming the setting.
    """
    from ..training.checks import require_room, require_trainable

    found = {}
    for base in bases:
        if base.config.agent.policies:
            raise UserError(
                f"base={base.folder.path} was trained with agent={base.config.agent.algorithm}, "
                "which learns from another agent and from no rewards, and so would its fine-tuning:"
                " train it on with misgen train agent=ppo init=..., or give a base that learned "
                "from rewards"
            )
        tests_of(base, config)
        for tuned in (True, False) if config.scratch else (True,):
            settings = training(base, config, tuned)
            require_trainable(settings)
            found[base.folder.path.name] = settings.kept_snapshots
    require_room(config.folder, "runs", config.runs)
    return found


def result_folder(config: SupplyChainConfig) -> RunFolder:
    """Return where the result with these settings lies, or would."""
    plain = dataclasses.asdict(config)
    plain["base"] = sorted(_checksum(base.folder.path) for base in find_bases(config))
    key = config_hash({k: v for k, v in plain.items() if k not in _NO_SCIENCE})
    return place(config.folder, SUPPLY_CHAIN, key)


def is_one_run(config: SupplyChainConfig) -> bool:
    """Return whether `base` names one run, and no sweep.

    Raises:
        UserError: if it names nothing.
    """
    if config.base in ("", "???"):
        raise UserError("base is missing: give base=runs/<sweep>, or base=runs/<sweep>/<run>")
    (first, *others) = run_or_sweep(config.base)
    return not others and first.path == Path(config.base)


def find_bases(config: SupplyChainConfig) -> list[TrainedRun]:
    """Return the base agents.

    Raises:
        UserError: if none is finished.
    """
    if is_one_run(config):
        return [TrainedRun.read(RunFolder(Path(config.base)))]
    done = [
        TrainedRun.read(folder)
        for folder in run_or_sweep(config.base)
        if folder.marked(DONE, str(folder.manifest().get("config_hash")))
    ]
    bases = [run for run in done if run.config.correlation == config.base_correlation]
    if not bases:
        raise UserError(
            f"base={config.base} holds no finished run at correlation {config.base_correlation:g}: "
            "train one, or give base_correlation=..."
        )
    return sorted(bases, key=lambda run: run.config.seed)[: config.most]


def train_from(
    base: TrainedRun, config: SupplyChainConfig, tell: Callable[[str], object]
) -> Iterator[Snapshot]:
    """Fine-tune a base, and train from scratch beside it; yield the snapshots of both."""
    from ..evaluation.inheritance import SCRATCH, TUNED
    from ..training.train import train

    kinds = (TUNED, SCRATCH) if config.scratch else (TUNED,)
    for kind in kinds:
        settings = training(base, config, kind == TUNED)
        tell(f"{settings.slug} from {base.folder.path.name if settings.init else 'scratch'}")
        folder = train(settings)
        for path in sorted((folder.path / SNAPSHOTS).iterdir()):
            if path.name.isdecimal():  # file managers leave files of their own
                yield Snapshot(base, kind, int(path.name), path)


def training(base: TrainedRun, config: SupplyChainConfig, tuned: bool) -> TrainConfig:
    """Return the training run that goes on from a base, or its twin from scratch."""
    stored = {key: value for key, value in base.config.science.items() if key[:4] != "init"}
    changes = {
        "agent": stored["agent"] | {"total_steps": config.steps, "threads": config.threads},
        "correlation": config.correlation,
        "seed": base.config.seed + TRAINING_SEED,
        "snapshots": list(config.snapshots),
        "runs": config.runs,
        "name": config.name,
    }
    start = {"init": str(base.folder.path)} if tuned else {}
    return typed(TrainConfig, {**stored, **changes, **start})


def play(snapshot: Snapshot, config: SupplyChainConfig) -> pl.DataFrame:
    """Return the snapshot's episodes in all tests; what was played before is read."""
    import polars as pl

    from misgen.agents.checkpoint import load_agent

    from ..evaluation.rollout import SCHEMA, run_levels

    base = snapshot.base.config
    tests = tests_of(snapshot.base, config)
    key = config_hash(
        {
            "policy": _checksum(snapshot.path),
            "tests": {name: _describe(levels) for name, levels in tests.items()},
            "actions": config.actions,
            "seed": config.seed,
            "planned": config.planned,
        }
    )
    folder = RunFolder(snapshot.path / _TESTS / key)
    if not folder.marked(DONE, key):
        agent = load_agent(snapshot.path, base.world.observation_space, base.world.action_space)
        tables = []
        for name, levels in tests.items():
            episodes = run_levels(
                agent,
                levels,
                _ids(name, levels),
                actions=cast("Actions", config.actions),
                seed=config.seed,
                num_slots=config.num_slots,
            )
            known = _with_reach(name, episodes, levels, config)
            tables.append(known.with_columns(condition=pl.lit(name)))
        with folder.lock():
            folder.unmark(DONE)
            digest = write_parquet(folder.path / EPISODES, pl.concat(tables))
            write_json(folder.path / _TESTS_JSON, {"episodes_sha256": digest})
            folder.mark(DONE, key)
    labels = {
        "kind": pl.lit(snapshot.kind),
        "steps": pl.lit(snapshot.steps, pl.Int64),
        "train_seed": pl.lit(base.seed, pl.Int64),
    }
    path, hint = folder.path / EPISODES, f"delete {DONE} beside it"
    columns = {**SCHEMA, "condition": pl.String}
    return (
        read_parquet(path, digest_beside(path, _TESTS_JSON), columns, hint)
        .rename({"steps": "decisions"})
        .with_columns(**labels)
    )


def tests_of(base: TrainedRun, config: SupplyChainConfig) -> dict[str, LevelDistribution]:
    """Return the levels of each test.

    Raises:
        UserError: if the base was trained on any of them.
    """
    from ..evaluation.inheritance import ALIGNED, AS_BASE, AS_TUNED, CONFLICT

    ids = base.test_ids(config.levels)
    if config.levels is None:
        ids = ids.first(MOST_LEVELS)
    trained = base.config.distribution
    as_base = trained.at(world=trained.world.under(config.on_proxy), ids=ids)
    conflict = as_base.at(correlation=0.0, placement=config.placement or trained.placement)
    return {
        AS_BASE: as_base,
        AS_TUNED: as_base.at(correlation=config.correlation),
        CONFLICT: conflict,
        ALIGNED: conflict.at(correlation=1.0),
    }


def _ids(test: str, levels: LevelDistribution) -> NDArray[np.int64]:
    """Return the ids that a test plays: of both twins, those with a place for the goal."""
    from ..evaluation.inheritance import ALIGNED, CONFLICT

    return levels.conflict_ids() if test in (CONFLICT, ALIGNED) else levels.ids_to_play()


def _with_reach(
    test: str, episodes: pl.DataFrame, levels: LevelDistribution, config: SupplyChainConfig
) -> pl.DataFrame:
    """Return episodes with `goal_in_reach`; null but on conflict levels."""
    import polars as pl

    from ..evaluation.inheritance import CONFLICT
    from ..evaluation.references import goals_in_reach

    if test != CONFLICT or not config.planned:
        return episodes.with_columns(goal_in_reach=pl.lit(None, pl.Boolean))
    known = goals_in_reach(levels, _ids(test, levels))
    return episodes.join(known, on="level_id", how="left", maintain_order="left")


def _describe(levels: LevelDistribution) -> list[Any]:
    world = dataclasses.asdict(levels.world)
    return [world, levels.correlation, levels.placement, str(levels.ids)]


def _checksum(folder: Path) -> str:
    from misgen.agents.spec import weights_checksum

    return weights_checksum(folder)


def _write(
    found: dict[str, Any], episodes: pl.DataFrame, into: RunFolder, presentation: Presentation
) -> None:
    import polars as pl

    from ..evaluation.inheritance import TABLE

    folder = into.path
    with into.lock():
        into.unmark(DONE)
        digest = write_parquet(folder / EPISODES, episodes)
        write_text(folder / CSV, pl.DataFrame(found["table"], TABLE).write_csv())
        presentation.picture(found, folder / FIGURE)
        write_json(folder / JSON, found | {"episodes_sha256": digest})
        into.mark(DONE, into.path.name)
