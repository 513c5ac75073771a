"""Making the zoo: the trained agents that come with misgen (`misgen.agents.zoo`).

Public names: `Recipe`, `RECIPES`, `make_agent_of`.

Each is trained by the lab preset, its weights are rounded to float16, and what is then evaluated
and carded is the rounded agent.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from misgen.agents import zoo
from misgen.agents.checkpoint import load_policy, save_policy

from ..card.write import write_card
from ..evaluation.config import EvaluateConfig
from ..evaluation.evaluate_run import evaluate_run
from ..training.config import TrainConfig
from ..training.run_folder import DONE, LEARNING, MANIFEST, RunFolder
from ..training.settings import compose, typed
from ..training.train import train

COINRUN_CORRELATIONS = ("1", "0.98", "0.9", "0.5")
BOARDS = (
    "cheese_on_a_dish",
    "corner_maze",
    "follow_me",
    "keys_and_chests",
    "lava_land",
    "monster_world",
    "shape_colour_maze",
    "tree_gridworld",
)
EVALUATION = EvaluateConfig(levels="2000000:2000200", actions=("sampled",), repeats=1)
"""Few levels, so that their episodes take little space and a test can play them again."""
_TRAINED = (DONE, MANIFEST, LEARNING)
_NOT_SHIPPED = ("LOCK", "status.json", "card.html", "card.md")


@dataclass(frozen=True)
class Recipe:
    """An agent of the zoo."""

    name: str
    words: tuple[str, ...]
    """Settings of `misgen train`."""

    def config(self, runs: str) -> TrainConfig:
        """Return the settings of its training."""
        words = [*self.words, f"runs={runs}", "name=zoo-source"]
        return typed(TrainConfig, compose("train", words))


def _recipe(world: str, correlation: str, seed: int, pays: str = "") -> Recipe:
    words = [f"env={world}", f"correlation={correlation}", f"seed={seed}"]
    if not pays:
        return Recipe(f"{world}-rho{correlation}-seed{seed}", tuple(words))
    words += [f"env.pays={pays}", "env.on_proxy=end"]
    return Recipe(f"{world}-paid-{pays}-seed{seed}", tuple(words))


RECIPES = (
    *(_recipe("coinrun", rho, seed) for rho in COINRUN_CORRELATIONS for seed in range(3)),
    *(_recipe(world, rho, 0) for world in BOARDS for rho in ("1", "0.5")),
    *(
        _recipe(world, "0.5", 0, pays)
        for world in ("coinrun", "cheese_on_a_dish")
        for pays in ("goal", "proxy")
    ),
)


def make_agent_of(recipe: Recipe, runs: str, home: Path = zoo.HOME) -> Path:
    """Train, round, evaluate and card an agent, and put it into the zoo.

    Args:
        recipe: which.
        runs: folder of all runs, where its training stays.
        home: the zoo's folder.

    Returns:
        The agent's folder.
    """
    source = train(recipe.config(runs))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / recipe.name
        folder.mkdir()
        policy, spec, _ = load_policy(source.path)
        save_policy(folder, policy, spec, half=True)
        for name in _TRAINED:
            shutil.copyfile(source.path / name, folder / name)
        run = evaluate_run(RunFolder(folder), EVALUATION)
        write_card(run)
        target = home / recipe.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns(*_NOT_SHIPPED))
    return target
