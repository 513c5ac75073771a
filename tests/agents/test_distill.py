"""Distillation: a student comes to do what its teacher does, and only that; its run is a run."""

import dataclasses
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from misgen.agents.checkpoint import build_policy, load_agent, save_policy
from misgen.agents.config import DistillConfig, PPOConfig, RecurrentPPOConfig
from misgen.agents.distill import DistillLearner
from misgen.agents.policy import FEW_ROWS, ROWS, PolicyAgent
from misgen.agents.spec import PolicySpec, weights_checksum
from misgen.envs.core.errors import UserError
from misgen.experiments.card.config import CardConfig
from misgen.experiments.card.write import write_card
from misgen.experiments.commands.cli import main as misgen
from misgen.experiments.commands.train import main
from misgen.experiments.evaluation.config import EvaluateConfig
from misgen.experiments.evaluation.evaluate_run import evaluate_run
from misgen.experiments.sweeps.fine_tuning import SupplyChainConfig, check
from misgen.experiments.training.checks import require_trainable, unused_of
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import RunFolder, hash_of_stored, write_json
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import run_folder, train
from misgen.experiments.training.trained_run import TrainedRun
from tests.agents.test_agents_ppo import ACTIONS, Bandit, N

QUICK: dict[str, Any] = {
    "num_envs": N, "num_steps": 32, "batch_size": 256, "learning_rate": 3e-3, "hidden": [64],
}  # fmt: skip


def save_teacher(folder: Path, env: Any, config: Any = None, seed: int = 0) -> PolicyAgent:
    """A saved agent that decides firmly, by what stands in two cells."""
    config = config or PPOConfig(hidden=[8])
    spec = PolicySpec.of(config, env.observation_space, env.action_space)
    torch.manual_seed(seed)
    network: Any = build_policy(spec)
    with torch.no_grad():
        network.action_net.weight *= 300
        seen = torch.zeros(math.prod(spec.tile_shape), spec.tile_classes, 1)
        seen[[3, 12]] = 4.0
        network.features_extractor.first.tile_weight *= seen.flatten(0, 1)
    save_policy(folder, network, spec)
    return load_agent(folder)  # pyright: ignore[reportReturnType]


def student_of(env: Any, config: DistillConfig, seed: int = 0, **more: Any) -> PolicyAgent:
    learned = DistillLearner().learn(env, config, seed, **more)
    spec = PolicySpec.of(config, env.observation_space, env.action_space)
    return PolicyAgent(learned.network, spec)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("driver", ["student", "teacher"])
def test_a_student_comes_to_do_what_its_teacher_does(driver, tmp_path):
    teacher = save_teacher(tmp_path, Bandit())
    config = DistillConfig(
        total_steps=20_480, teacher=str(tmp_path), driver=driver, encoder="moe", experts=4,
        **{**QUICK, "hidden": [64, 32]},
    )  # fmt: skip
    student = student_of(Bandit(), config)
    seen = Bandit(n=2000, seed=9).reset()
    wanted, found = teacher.probabilities(seen), student.probabilities(seen)
    uniform = np.abs(wanted - 1 / ACTIONS).sum(axis=1).mean()
    assert uniform > 0.8
    assert np.abs(wanted - found).sum(axis=1).mean() < 0.25 * uniform
    values = teacher.value(seen)
    assert np.corrcoef(values, student.value(seen))[0, 1] > 0.9
    assert np.abs(student.value(seen) - values).mean() < 0.5 * np.abs(values).mean()


def test_rewards_teach_a_student_nothing(tmp_path):
    save_teacher(tmp_path, Bandit())
    config = DistillConfig(total_steps=2048, teacher=str(tmp_path), **QUICK)

    class Rich(Bandit):
        def step_wait(self) -> Any:
            seen, rewards, done, infos = super().step_wait()
            return seen, rewards + 1000.0, done, infos

    for one, other in zip(
        *(dict(DistillLearner().learn(env, config, 0).network.named_parameters()).values()
          for env in (Bandit(), Rich())),
        strict=True,
    ):  # fmt: skip
        assert torch.equal(one, other)


def test_whoever_drives_acts(tmp_path):
    """A teacher that always does one thing; a student that has not learned does all."""
    teacher = save_teacher(tmp_path, Bandit())
    with torch.no_grad():
        teacher.network.action_net.weight.zero_()
        teacher.network.action_net.bias.copy_(torch.tensor([0.0, 0.0, 50.0, 0.0]))
    save_policy(tmp_path, teacher.network, teacher.spec)
    done = {}
    for driver in ("student", "teacher"):
        env = Bandit()
        taken: list[Any] = []

        def note(actions: Any, env: Any = env, taken: list[Any] = taken) -> None:
            taken.append(actions)
            env._actions = actions

        env.step_async = note
        config = DistillConfig(total_steps=N * 32, teacher=str(tmp_path), driver=driver, **QUICK)
        DistillLearner().learn(env, config, 0)
        done[driver] = np.concatenate(taken)
    assert set(done["teacher"]) == {2}
    assert set(done["student"]) == set(range(ACTIONS))


# --- runs


@pytest.fixture(scope="module")
def teacher_run(tmp_path_factory) -> RunFolder:
    runs = tmp_path_factory.mktemp("teachers")
    return train(typed(TrainConfig, compose("train", words(runs, "ppo", "agent.batch_size=64"))))


def words(runs: Path, agent: str, *more: str) -> list[str]:
    return [
        "env=cheese_on_a_dish", f"agent={agent}", "preset=smoke", "agent.num_envs=8",
        "agent.num_steps=16", "agent.hidden=[16]", "agent.total_steps=512", "levels.train=0:500",
        "levels.test=2000000:2000006", f"runs={runs}", *more,
    ]  # fmt: skip


def config_of(runs: Path, teacher: Path | str, *more: str) -> TrainConfig:
    own = ["agent.batch_size=64", f"agent.teacher={teacher}", *more]
    return typed(TrainConfig, compose("train", words(runs, "distill", *own)))


@pytest.mark.parametrize("driver", ["student", pytest.param("teacher", marks=pytest.mark.slow)])
def test_training_is_deterministic_and_goes_on(driver, teacher_run, tmp_path):
    given = teacher_run.path, f"agent.driver={driver}"
    whole = train(config_of(tmp_path / "whole", *given))
    cut = config_of(tmp_path / "cut", *given)
    for _ in range(5):
        folder = train(dataclasses.replace(cut, stop_after=0.0))
    assert folder.marked("DONE", cut.hash)
    assert folder.manifest()["continued_at"]
    weights = [(one.path / "policy.safetensors").read_bytes() for one in (folder, whole)]
    assert weights[0] == weights[1]
    other = train(config_of(tmp_path / "other", *given, "seed=1"))
    assert (other.path / "policy.safetensors").read_bytes() != weights[0]


def test_a_student_s_run_is_a_run(teacher_run, tmp_path):
    """Through the command: its manifest, its evaluation, its card."""
    given = ["agent.batch_size=64", f"agent.teacher={teacher_run.path}", "agent.hidden=[8]"]
    assert main(words(tmp_path, "distill", *given)) == 0
    run = run_folder(config_of(tmp_path, teacher_run.path, "agent.hidden=[8]"))
    manifest = run.manifest()
    assert (manifest["status"], manifest["algorithm"]) == ("done", "distill")
    stored = TrainedRun.read(run)
    assert stored.config.agent.teacher_policy == weights_checksum(teacher_run.path)  # pyright: ignore
    assert stored.config.slug.endswith("-distill")
    evaluate_run(run, EvaluateConfig(run=str(run.path), repeats=1))
    card = write_card(run, CardConfig(replay="5"))
    text = json.dumps(card) if isinstance(card, dict) else (run.path / "card.json").read_text()
    assert weights_checksum(teacher_run.path) in text
    assert json.loads(text)["compute"]["base_included"] is False


def test_where_a_teacher_lies_is_no_part_of_the_hash(teacher_run, tmp_path):
    shutil.copytree(teacher_run.path, tmp_path / "a, b=(copy) 1")
    here = config_of(tmp_path, teacher_run.path)
    there = config_of(tmp_path, tmp_path / "a, b=(copy) 1")
    assert here.hash == there.hash
    assert hash_of_stored(here.science) == here.hash
    assert typed(TrainConfig, here.science).hash == here.hash
    other = config_of(tmp_path, "zoo:cheese_on_a_dish-rho1-seed0")
    assert other.hash != here.hash


def test_what_it_cost_is_counted_with_what_it_was_made_from(teacher_run, tmp_path):
    """The student's passes, the teacher's, and what the teacher's own training took."""
    from torch.utils.flop_counter import FlopCounterMode

    small = ["agent.value_coef=0", "agent.hidden=[64,64]"]
    with FlopCounterMode(display=False) as counter:
        folder = train(config_of(tmp_path, teacher_run.path, *small))
    found, base = folder.manifest()["compute"], teacher_run.manifest()["compute"]
    assert found["inherited_flops"] == base["training_flops"]
    assert found["teacher_flops"] == 512 * base["forward_flops"]
    passes = found["training_flops"] / found["forward_flops"]
    assert passes == 512 + 2 * 3 * 512
    torchs = counter.get_total_flops()
    # A teacher's passes have 32 rows each, most of them empty, or 128 where that rounds otherwise,
    # which one pass of each tells; first layers are not counted.
    teacher = load_agent(teacher_run.path)
    a_pass = teacher._few_rows() or ROWS  # pyright: ignore[reportAttributeAccessIssue]
    rows, cells = 512 // 8 * a_pass, np.prod(teacher.spec.tile_shape)
    rows += ROWS + FEW_ROWS
    of_teacher = rows * (base["forward_flops"] - cells * 16)
    of_student = passes * (found["forward_flops"] - cells * 64)
    assert torchs == pytest.approx(of_student + of_teacher, rel=0.02)
    again = train(config_of(tmp_path, folder.path)).manifest()["compute"]
    assert again["inherited_flops"] == sum(
        found[name] for name in ("training_flops", "teacher_flops", "inherited_flops")
    )
    shutil.copytree(teacher_run.path, tmp_path / "old")
    for place, known in ((tmp_path / "old", base["training_flops"]), (folder.path, None)):
        manifest = json.loads((place / "manifest.json").read_text())
        del manifest["compute"]  # as of runs from before it was told
        write_json(place / "manifest.json", manifest)
        own = train(config_of(tmp_path / f"of-{place.name}", place)).manifest()["compute"]
        assert own["inherited_flops"] == known


def test_a_student_is_tuned_by_rewards_and_not_by_its_teacher(teacher_run, tmp_path):
    student = train(config_of(tmp_path, teacher_run.path))
    with pytest.raises(UserError, match=r"misgen train agent=ppo init=\.\.\."):
        check([TrainedRun.read(student)], SupplyChainConfig(base=str(student.path)))
    tuned = words(tmp_path, "ppo", "agent.batch_size=64", f"init={student.path}")
    assert train(typed(TrainConfig, compose("train", tuned))).manifest()["status"] == "done"
    assert "agent.gamma" in unused_of(config_of(tmp_path, teacher_run.path))


def test_fine_tuning_inherits_what_its_base_cost(teacher_run, tmp_path):
    tuned = typed(
        TrainConfig,
        compose("train", words(tmp_path, "ppo", "agent.batch_size=64", f"init={teacher_run.path}")),
    )
    found = train(tuned).manifest()["compute"]
    assert found["inherited_flops"] == teacher_run.manifest()["compute"]["training_flops"]
    assert "inherited_flops" not in teacher_run.manifest()["compute"]


# --- mistakes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"agent\.teacher is missing: give agent\.teacher=<folder of a trained policy>"),
        (["agent.teacher=nowhere"], r"nowhere.policy\.json cannot be read"),
        (["agent.teacher=zoo:nobody"], r"zoo:nobody is not in the zoo"),
        (["agent.teacher=zoo:coinrun-rho1-seed0"], r"the policy was trained with \d+ actions"),
        (["agent.driver=both"], r"driver='both'"),
        (["agent.teacher_policy=abc"], r"teacher_policy='abc' is not a SHA-256"),
        (["agent.epochs=0"], r"epochs=0 is not allowed"),
        (["agent.entropy=0.1"], r"agent\.entropy=0\.1 is not a known setting"),
        (["agent.value_coef=nan"], r"value_coef"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_trained(words, message, tmp_path, capsys):
    given = ["train", "env=cheese_on_a_dish", "agent=distill", f"runs={tmp_path}", *words]
    assert misgen(given) != 0
    assert re.search(message, capsys.readouterr().err)
    assert not any(tmp_path.rglob("policy.json"))


def test_other_weights_than_at_first_and_memories_are_refused(teacher_run, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(teacher_run.path, copied)
    config = config_of(tmp_path, copied)
    teacher = load_agent(copied)
    with torch.no_grad():
        teacher.network.action_net.bias += 1
    save_policy(copied, teacher.network, teacher.spec)
    with pytest.raises(UserError, match="holds other weights than when this run was set up"):
        require_trainable(config)
    save_teacher(tmp_path / "recurrent", config.world, RecurrentPPOConfig(hidden=[8], lstm_width=8))
    with pytest.raises(UserError, match="trained with recurrent_ppo and has a memory"):
        require_trainable(config_of(tmp_path, tmp_path / "recurrent"))
