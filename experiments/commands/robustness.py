"""Test an agent under perturbed observations: misgen robustness run=... [key=value ...].

Plays the agent of a run, or all agents of a sweep, on levels that it was not trained on, as in
training and with goal and proxy apart, while its observation is perturbed:

  noise    each tile of its window is replaced by a random class with probability p
           (of pixels: noise in an L-infinity ball of radius p x 255)
  worst    at each decision an attacker with access to the network changes up to k tiles: those that
           most lower the probability of the agent's preferred action (or its critic's value), found
           by the gradient on the one-hot window and a greedy search among the best candidates
  random   k tiles chosen at random get a random class: the effect of k changes without an attacker

The search finds a strong attack, not the strongest, so what an agent withstands is an upper bound
on its robustness.  Finished work is skipped.  Writes to robustness/<hash of settings>/ in the run's
or sweep's folder

  robustness.json      goal and capability under each attack with 95% intervals, losses, findings
  robustness.csv       the same numbers, one per row
  robustness.png       the curves, also as .svg
  robustness.parquet   one row per episode

Examples:
  misgen robustness run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen robustness run=runs/coinrun-lab                 all its runs, seeds taken together
  misgen robustness run=... per=level flips=[0,1,2,4]    few changes in a whole episode
  misgen robustness run=... target=value noise=[0]       against the critic's value

Settings (misgen robustness run=... --cfg prints them all with their values)
  run, levels     the agent's run, and the levels (default: the run's first 200 test levels)
  noise           probabilities p; 0 is added, because losses are measured from it
  flips           budgets k; 0 is added
  target, per     what the attacker lowers (action, value), and whether its budget is per decision
                  or per level
  placement       where the goal is placed on conflict levels (default: as in training)
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.episode import ON_PROXY
from misgen.envs.core.errors import in_range, one_of

from ..evaluation.config import ACTIONS
from ..evaluation.result_folders import ROBUSTNESS, place
from ..training.checks import require_room
from ..training.config import config_hash
from ..training.overrides import schema
from ..training.run_folder import (
    DONE,
    RunFolder,
    digest_beside,
    now,
    provenance,
    read_parquet,
    write_json,
    write_parquet,
    write_text,
)
from ..training.settings import compose, typed
from ..training.trained_run import TrainedRun, run_or_sweep

if TYPE_CHECKING:
    import polars as pl

    from misgen.agents.base import TrainedAgent

    from ..evaluation.rollout import Actions

JSON, CSV, EPISODES, FIGURE = (
    "robustness.json",
    "robustness.csv",
    "robustness.parquet",
    "robustness",
)
SCHEMA_VERSION = 2
MOST_LEVELS = 200
"""Test levels unless others are asked for."""


@schema("robustness")
@dataclass(frozen=True)
class RobustnessConfig:
    """Attacks on one agent, or on a sweep's."""

    run: str = ""
    """Folder of a finished run, or of a sweep."""
    levels: str | None = None
    """Level ids, as `start:stop`; none: the first test levels of the run."""
    placement: str | None = None
    """Where the goal goes on conflict levels; none: as in training."""
    noise: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    """Probabilities that a tile is replaced; of 255, radii of noise in pixels."""
    flips: tuple[int, ...] = (0, 1, 2, 4)
    """Cells that the attacker may change."""
    target: str = "action"
    """What the attacker lowers: action, value."""
    per: str = "decision"
    """How long its budget lasts: decision, level."""
    candidates: int = 16
    """Changes tried out for each one made."""
    worth: float = 0.5
    """With `per="level"`: by how much a change must lower the target to be made."""
    actions: str = "sampled"
    """Action mode: sampled, greedy."""
    on_proxy: str = "end"
    """What reaching the proxy before the goal does in the test."""
    seed: int = 0
    """Seed of noise and of sampled actions."""
    num_slots: int = 512
    """Levels played side by side; changes no result."""
    threads: int = 1
    """CPU threads; changes no result."""

    def __post_init__(self) -> None:
        """Refuse impossible values, and put 0 before attacks.

        Raises:
            UserError: naming the field.
        """
        for share in self.noise:
            in_range("noise", share, 0.0, 1.0)
        for count in self.flips:
            in_range("flips", count, 0, 64)
        one_of("target", self.target, ("action", "value"))
        one_of("per", self.per, ("decision", "level"))
        one_of("actions", self.actions, ACTIONS)
        one_of("on_proxy", self.on_proxy, ON_PROXY)
        in_range("candidates", self.candidates, 1, 1024)
        in_range("worth", self.worth, 0.0, 1e6)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("num_slots", self.num_slots, 1, 10_000)
        in_range("threads", self.threads, 1, 1024)
        object.__setattr__(self, "noise", tuple(sorted({0.0, *self.noise})))
        object.__setattr__(self, "flips", tuple(sorted({0, *self.flips})))

    @property
    def science(self) -> dict[str, Any]:
        """What determines the result, as plain data."""
        plain = dataclasses.asdict(self)
        return {k: v for k, v in plain.items() if k not in ("run", "num_slots", "threads")}


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.robustness import print_robustness
    from ..training.progress import episode_progress
    from .common import print_config

    if "--cfg" in argv:
        return print_config("robustness", argv)
    config = typed(RobustnessConfig, compose("robustness", argv))
    with episode_progress("robustness") as show:
        found = robustness(config, show)
    print_robustness(found)
    into = _folder(Path(config.run), run_or_sweep(config.run), config)
    print(f"written: {into.path / FIGURE}.png, .svg, .csv and .json")
    return 0


def robustness(
    config: RobustnessConfig, show: Callable[[int, int], object] | None = None
) -> dict[str, Any]:
    """Attack one run or all of a sweep, write the files, return what robustness.json holds.

    Sets the number of CPU threads of numba and torch in this process.

    Args:
        config: settings.
        show: called with the number of attacked plays that are done, and of all.

    Raises:
        UserError: if a run is not finished, or its training saw the levels.
    """
    import polars as pl

    from misgen.agents.threads import tune_process

    folders = run_or_sweep(config.run)
    for folder in folders:
        levels_of(TrainedRun.read(folder), config)
        require_room(folder.path, "run", config.run)
    tune_process(config.threads)
    played = []
    for number, folder in enumerate(folders):
        played.append(attack_run(folder, config))
        if show:
            show(number + 1, len(folders))
    found = _found(pl.concat(played), folders, config)
    if len(folders) > 1:
        into = _folder(Path(config.run), folders, config)
        with into.lock():
            _write(found, pl.concat(played), into)
            into.mark(DONE, into.path.name)
    return found


def attack_run(folder: RunFolder, config: RobustnessConfig) -> pl.DataFrame:
    """Attack a finished run's agent, unless that was done before, and return the episodes.

    Raises:
        UserError: if the run is not finished, or its training saw the levels.
    """
    import polars as pl

    from misgen.agents.checkpoint import load_agent

    run = TrainedRun.read(folder)
    levels = levels_of(run, config)
    key = config_hash({"config": config.science, "policy": _policy(folder)})
    into = _folder(folder.path, [folder], config)
    if not into.marked(DONE, key):
        world = run.config.world
        agent = load_agent(folder.path, world.observation_space, world.action_space)
        with into.lock():
            into.unmark(DONE)
            episodes = pl.concat(attacked(agent, levels, run, config))
            _write(_found(episodes, [folder], config), episodes, into)
            into.mark(DONE, key)
    path = into.path / EPISODES
    return read_parquet(path, digest_beside(path, JSON), hint=f"delete {DONE} beside it")


def _folder(home: Path, folders: Sequence[RunFolder], config: RobustnessConfig) -> RunFolder:
    """Return where the result with these settings lies, or would.

    Args:
        home: the run's or sweep's folder.
        folders: the runs.
        config: settings.
    """
    levels = levels_of(TrainedRun.read(folders[0]), config)
    settings = config.science | {
        "levels": str(levels["heldout"].ids),
        "placement": levels["conflict"].placement,
    }
    policies = sorted(map(_policy, folders)) if len(folders) > 1 else []
    return place(home, ROBUSTNESS, config_hash({"config": settings, "policies": policies}))


def _policy(folder: RunFolder) -> str:
    from misgen.agents.spec import weights_checksum

    return weights_checksum(folder.path)


def attacked(
    agent: TrainedAgent,
    levels: dict[str, LevelDistribution],
    run: TrainedRun,
    config: RobustnessConfig,
) -> Iterator[pl.DataFrame]:
    """Yield the episodes under each attack: labels, then `rollout.SCHEMA`."""
    import polars as pl

    from ..evaluation.robustness.attacks import NoisyEyes, TileFlips, unfit_for_flips
    from ..evaluation.rollout import run_levels

    tiles = agent.spec.tile_classes
    flips = (0,) if unfit_for_flips(agent) else config.flips
    options = {"per": config.per, "candidates": config.candidates, "worth": config.worth}
    jobs: list[tuple[str, float, Any]] = [("none", 0.0, agent)]
    jobs += [("noise", p, NoisyEyes(agent, p, tiles, config.seed)) for p in config.noise if p > 0]
    for k in [k for k in flips if k > 0]:
        jobs.append(("worst", float(k), TileFlips(agent, k, target=config.target, **options)))
        if config.per == "decision":
            tampered = TileFlips(agent, k, target="random", seed=config.seed)
            jobs.append(("random", float(k), tampered))
    for condition, distribution in levels.items():
        apart = distribution.correlation == 0
        for attack, strength, player in jobs:
            episodes = run_levels(
                player,
                distribution,
                distribution.conflict_ids() if apart else distribution.ids_to_play(),
                actions=cast("Actions", config.actions),
                seed=config.seed,
                num_slots=config.num_slots,
            )
            labels = {
                "attack": attack,
                "strength": strength,
                "condition": condition,
                "placement": distribution.placement,
                "train_correlation": float(run.config.correlation),
                "train_seed": run.config.seed,
            }
            yield episodes.select(*[pl.lit(v).alias(k) for k, v in labels.items()], pl.all())


def levels_of(run: TrainedRun, config: RobustnessConfig) -> dict[str, LevelDistribution]:
    """Return the levels as in training, and those with goal and proxy apart."""
    ids = run.test_ids(config.levels)
    if config.levels is None:
        ids = ids.first(MOST_LEVELS)
    trained = run.config.distribution
    world = dataclasses.replace(trained.world, on_proxy=config.on_proxy)
    held = trained.at(world=world, ids=ids)
    placement = config.placement or trained.placement
    return {"heldout": held, "conflict": held.at(correlation=0.0, placement=placement)}


def _found(
    episodes: pl.DataFrame, runs: Sequence[RunFolder], config: RobustnessConfig
) -> dict[str, Any]:
    from ..evaluation.robustness.drops import robustness_table
    from ..reporting.robustness import words

    found = {
        "schema_version": SCHEMA_VERSION,
        "provenance": provenance(),
        "finished": now(),
        "config": config.science,
        "runs": [one.path.name for one in runs],
        "policies": {one.path.name: _policy(one) for one in runs},
        "table": robustness_table(episodes, seed=config.seed).to_dicts(),
    }
    return found | {"words": words(found)}


def _write(found: dict[str, Any], episodes: pl.DataFrame, into: RunFolder) -> None:
    import polars as pl

    from ..evaluation.robustness.drops import TABLE
    from ..reporting.figures import write_figure
    from ..reporting.robustness import draw_robustness

    folder = into.path
    digest = write_parquet(folder / EPISODES, episodes)
    write_text(folder / CSV, pl.DataFrame(found["table"], TABLE).write_csv())
    write_figure(draw_robustness(found), folder / FIGURE)
    write_json(folder / JSON, found | {"episodes_sha256": digest})


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("robustness", main))
