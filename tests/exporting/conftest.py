"""A run to export: finished and evaluated, its policy never trained, its episodes really played."""

import json

import pytest
import torch

from misgen.agents.checkpoint import build_policy, save_policy
from misgen.agents.config import PPOConfig
from misgen.agents.spec import PolicySpec
from misgen.experiments.commands.evaluate import evaluate_run
from misgen.experiments.evaluation.config import EvaluateConfig, ShiftConfig, VerdictConfig
from misgen.experiments.training.config import LevelsConfig, TrainConfig
from misgen.experiments.training.run_folder import DONE, MANIFEST, RunFolder

EVALUATION = EvaluateConfig(
    repeats=2, num_slots=32, references=False, verdict=VerdictConfig(devices=0)
)


def make_run(path, env, *, evaluation=EVALUATION, **settings) -> RunFolder:
    """A finished, evaluated run of a policy that was never trained."""
    levels = LevelsConfig(train="0:200", test="2000000:2000012")
    encoder = "nature" if env.get("observation") == "rgb" else "mlp"
    agent = PPOConfig(hidden=(8,), encoder=encoder)
    config = TrainConfig(env=env, agent=agent, levels=levels, seed=4, **settings)
    folder, world = RunFolder(path / f"{config.slug}-{config.hash}"), config.world
    folder.path.mkdir(parents=True)
    manifest = {
        "status": "done", "config": config.science, "config_hash": config.hash,
        "environment_steps": 1000, "wall_seconds": 1.0,
        "training_levels": {"levels": 200, "realised_correlation": 1.0, "conflict_levels": 0},
    }  # fmt: skip
    (folder.path / MANIFEST).write_text(json.dumps(manifest))
    spec = PolicySpec.of(config.agent, world.observation_space, world.action_space)
    torch.manual_seed(0)
    save_policy(folder.path, build_policy(spec), spec)
    folder.mark(DONE, config.hash)
    if evaluation is not None:
        evaluate_run(folder, evaluation)
    return folder


COINRUN = {
    "name": "coinrun", "mode": "easy", "action_set": "distinct", "action_repeat": 3,
    "max_steps": 150,
}  # fmt: skip


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> RunFolder:
    """A run in CoinRun, tested with the goal moved to two places; tests only read it."""
    shift = ShiftConfig(placements=("section_start", "off_path(2)"))
    evaluation = EvaluateConfig(**{**vars(EVALUATION), "shift": shift})
    return make_run(tmp_path_factory.mktemp("runs"), COINRUN, evaluation=evaluation)
