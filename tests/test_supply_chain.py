"""Training that starts from a policy trained before, and what is left of the policy's goal."""

import json

import numpy as np
import pytest
import safetensors.torch

from misgen.agents.spec import weights_checksum
from misgen.envs.core.errors import UserError
from misgen.experiments.config import TrainConfig, compose, typed
from misgen.experiments.runs import SNAPSHOTS, RunFolder
from misgen.experiments.train import main, run_folder, train

ROLLOUT = 8 * 16
SMALL = [
    "preset=smoke",
    "agent.num_envs=8",
    "agent.num_steps=16",
    "agent.batch_size=64",
    "agent.hidden=[16]",
    "agent.epochs=1",
    f"agent.total_steps={3 * ROLLOUT}",
    "levels.train=0:500",
    "levels.test=2000000:2000020",
]


def config(runs, *more) -> TrainConfig:
    return typed(TrainConfig, compose("train", [*SMALL, f"runs={runs}", *more]))


def weights(folder) -> dict[str, np.ndarray]:
    found = safetensors.torch.load_file(folder / "policy.safetensors")
    return {name: tensor.numpy() for name, tensor in found.items()}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> RunFolder:
    """A run that others start from."""
    return train(config(tmp_path_factory.mktemp("base")))


# --- training from a policy --------------------------------------------------------------------


def test_training_starts_from_the_weights_and_leaves_snapshots(base, tmp_path):
    wanted = config(
        tmp_path, f"init={base.path}", "correlation=0.5", f"snapshots=[0,{ROLLOUT + 1}]", "seed=7"
    )
    tuned = train(wanted)
    found = sorted(path.name for path in (tuned.path / SNAPSHOTS).iterdir())
    assert found == ["000000000", f"{2 * ROLLOUT:09d}"]
    start = weights(tuned.path / SNAPSHOTS / found[0])
    assert all(np.array_equal(start[name], value) for name, value in weights(base.path).items())
    later = weights(tuned.path / SNAPSHOTS / found[1])
    assert any(not np.array_equal(later[name], value) for name, value in start.items())
    assert any(not np.array_equal(later[n], v) for n, v in weights(tuned.path).items())
    stored = tuned.manifest()["config"]
    assert stored["init_policy"] == weights_checksum(base.path)
    assert tuned.path.name.startswith("coinrun-rho0.5-seed7-tuned-")


def test_weights_are_part_of_the_settings_and_their_place_is_not(base, tmp_path):
    plain, tuned = config(tmp_path), config(tmp_path, f"init={base.path}")
    assert plain.hash != tuned.hash
    assert {"init", "init_policy", "snapshots"} & set(plain.science) == set()
    copied = tmp_path / "copy"
    copied.mkdir()
    for name in ("policy.json", "policy.safetensors"):
        (copied / name).write_bytes((base.path / name).read_bytes())
    assert config(tmp_path, f"init={copied}").hash == tuned.hash
    gone = typed(
        TrainConfig, tuned.science | {"init": str(tmp_path / "gone")}
    )  # as it is read back
    assert gone.hash == tuned.hash


def test_a_run_that_goes_on_keeps_its_snapshots(base, tmp_path):
    settings = [*SMALL, f"runs={tmp_path}", f"init={base.path}", f"snapshots=[0,{2 * ROLLOUT}]"]
    while main([*settings, "stop_after=0"]):
        pass
    tuned = run_folder(typed(TrainConfig, compose("train", settings)))
    assert tuned.manifest()["continued_at"] == [ROLLOUT, 2 * ROLLOUT]
    found = sorted(path.name for path in (tuned.path / SNAPSHOTS).iterdir())
    assert found == ["000000000", f"{2 * ROLLOUT:09d}"]
    start = weights(tuned.path / SNAPSHOTS / found[0])
    assert all(np.array_equal(start[name], value) for name, value in weights(base.path).items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("agent.hidden=[8]", "train on with the same network, agent.hidden=[16]"),
        ("agent.encoder=cnn", "agent.encoder=mlp"),
        ("env.action_set=procgen", "pass env.action_set=distinct"),
        ("snapshots=[400]", "snapshots=400 is out of range"),
    ],
)
def test_what_does_not_fit_is_refused(base, tmp_path, change, message):
    with pytest.raises(UserError) as error:
        train(config(tmp_path, f"init={base.path}", change))
    assert message in str(error.value)


def test_other_weights_and_missing_ones_are_refused(base, tmp_path):
    with pytest.raises(UserError, match="give the folder of a trained policy"):
        config(tmp_path, f"init={tmp_path}")
    with pytest.raises(UserError, match="holds other weights than when this run was set up"):
        train(config(tmp_path, f"init={base.path}", f"init_policy={'0' * 64}"))


def test_weights_that_were_changed_are_not_trained_on(base, tmp_path):
    copied = tmp_path / "copy"
    copied.mkdir()
    for name in ("policy.json", "policy.safetensors"):
        (copied / name).write_bytes((base.path / name).read_bytes())
    description = json.loads((copied / "policy.json").read_text())
    description["weights_sha256"] = "0" * 64
    (copied / "policy.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match="is not the file that"):
        train(config(tmp_path, f"init={copied}"))
