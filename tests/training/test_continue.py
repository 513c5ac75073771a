"""Training runs that were killed, stopped or damaged, and go on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.torch

from misgen.envs.core.errors import UserError
from misgen.experiments.commands.train import NOT_DONE, main
from misgen.experiments.evaluation.result_folders import EVALUATION, kept
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import DONE, LEARNING, STATE, RunFolder
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import run_folder, train
from tests.signals import as_in_a_terminal

ROLLOUT = 8 * 16
ROLLOUTS = 6
BASE = [
    "preset=smoke",
    "agent.num_envs=8",
    "agent.num_steps=16",
    "agent.batch_size=64",
    "agent.hidden=[16]",
    "agent.epochs=1",
    "agent.normalize_reward=true",
    "levels.train=0:500",
]


def settings(runs: Path, *more: str, rollouts: int = ROLLOUTS) -> list[str]:
    return [*BASE, f"agent.total_steps={rollouts * ROLLOUT}", f"runs={runs}", *more]


def config(runs: Path, *more: str, rollouts: int = ROLLOUTS) -> TrainConfig:
    return typed(TrainConfig, compose("train", settings(runs, *more, rollouts=rollouts)))


def steps(folder: RunFolder) -> list[int]:
    return pl.read_parquet(folder.path / LEARNING)["steps"].to_list()


def weights(folder: RunFolder) -> dict[str, np.ndarray]:
    found = safetensors.torch.load_file(folder.path / "policy.safetensors")
    return {name: tensor.numpy() for name, tensor in found.items()}


WHOLE = [ROLLOUT * k for k in range(1, ROLLOUTS + 1)]


def stopped(runs: Path, rollouts: int = 1) -> RunFolder:
    """Return a run that `stop_after` stopped after some rollouts."""
    for _ in range(rollouts):
        folder = train(config(runs, "stop_after=0"))
    return folder


MADE_OF_PIECES = {
    "ppo": [],
    "ppo, no fast path": ["agent.fast=false", "agent.normalize_reward=false"],
    "boards": ["env=cheese_on_a_dish", "correlation=0.5"],
    "memory": ["agent=recurrent_ppo", "env=corner_maze", "agent.critic_lstm=true"],
    "a2c": ["agent=a2c", "agent.num_steps=8"],
    "level replay": ["env=cheese_on_a_dish", "correlation=0.5", "level_replay=0.5"],
    "never ends": ["env=tree_gridworld"],
}


@pytest.mark.parametrize("name", MADE_OF_PIECES)
def test_a_run_in_pieces_ends_as_an_undisturbed_one(name, tmp_path):
    """The same weights and the same curve, bit for bit, however often it was stopped."""
    more = MADE_OF_PIECES[name]
    if "agent=a2c" in more:
        base = [w for w in BASE if not w.startswith(("agent.batch", "agent.epochs"))]
    else:
        base = BASE

    def made(runs: Path, *words: str) -> RunFolder:
        own = [*base, f"agent.total_steps={ROLLOUTS * ROLLOUT}", f"runs={runs}", *more, *words]
        return train(typed(TrainConfig, compose("train", own)))

    whole = made(tmp_path / "whole")
    for _ in range(50):
        pieces = made(tmp_path / "pieces", "stop_after=0")
        if (pieces.path / DONE).exists():
            break
    assert len(pieces.manifest()["continued_at"]) >= ROLLOUTS - 1
    for key, weight in weights(whole).items():
        assert np.array_equal(weight, weights(pieces)[key]), key
    curves = [pl.read_parquet(one.path / LEARNING) for one in (whole, pieces)]
    curves = [curve.drop("seconds", "steps_per_second") for curve in curves]
    assert curves[0].equals(curves[1], null_equal=True)


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM ends a process at once on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_stop_saves_first(number, tmp_path):
    long = 600  # rollouts
    process = subprocess.Popen(
        [sys.executable, "-m", "misgen.experiments.commands.train",
         *settings(tmp_path / "told", rollouts=long)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=as_in_a_terminal,
    )  # fmt: skip
    folder = run_folder(config(tmp_path / "told", rollouts=long))
    deadline = time.monotonic() + 200
    while not (folder.path / LEARNING).exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(0.3)
    assert not (folder.path / STATE).exists()  # save_every is minutes
    process.send_signal(number)
    assert "interrupted" in process.communicate(timeout=200)[1]
    assert process.returncode == 130
    assert (folder.path / STATE).exists()
    assert folder.manifest()["status"] == "stopped"
    train(config(tmp_path / "told", rollouts=long))
    assert 0 < folder.manifest()["continued_at"][0] < long * ROLLOUT
    whole = train(config(tmp_path / "whole", rollouts=long))
    for name, weight in weights(whole).items():
        assert np.array_equal(weight, weights(folder)[name]), name


def test_a_state_of_an_earlier_version_is_read(tmp_path):
    """It does not say which levels ran: slots begin new episodes."""
    from misgen.agents import resume

    folder = stopped(tmp_path)
    path = folder.path / STATE
    tensors, plain = resume._read(path)
    old = {name: one for name, one in tensors.items() if not name.startswith("slots/")}
    text = json.dumps(plain)
    header = {"format": "misgen-training-state", "version": "1", "state": text}
    header["sha256"] = resume._checksum(old, text)
    path.write_bytes(safetensors.torch.save(old, header))
    assert steps(train(config(tmp_path))) == WHOLE


@pytest.mark.parametrize("how", ["ages", "actions", "drawn", "more actions"])
def test_slots_that_cannot_have_been_are_refused(how, tmp_path):
    from misgen.agents import resume

    folder = stopped(tmp_path, 2)
    path = folder.path / STATE
    tensors, plain = resume._read(path)
    if how == "ages":
        tensors["slots/ages"] += 1
    elif how == "actions":
        tensors["slots/actions"][0] = 77
    elif how == "drawn":
        tensors["drawn"][:] = 0
    else:
        tensors["slots/actions"] = tensors["slots/actions"].repeat(400, 1)
        tensors["slots/ages"][0] = len(tensors["slots/actions"])
    text = json.dumps(plain)
    header = {"format": "misgen-training-state", "version": "2", "state": text}
    header["sha256"] = resume._checksum(tensors, text)
    path.write_bytes(safetensors.torch.save(tensors, header))
    with pytest.raises(UserError, match="cannot be resumed from"):
        train(config(tmp_path))


def test_runs_of_one_rollout_each_make_a_whole_run(tmp_path):
    for k in range(ROLLOUTS):
        status = main(settings(tmp_path, "stop_after=0"))
        folder = run_folder(config(tmp_path))
        assert status == (0 if k == ROLLOUTS - 1 else NOT_DONE)
        assert steps(folder) == WHOLE[: k + 1]
    manifest = folder.manifest()
    assert manifest["status"] == "done"
    assert manifest["environment_steps"] == WHOLE[-1]
    assert manifest["continued_at"] == WHOLE[:-1]
    assert folder.marked(DONE, config(tmp_path).hash)
    assert not (folder.path / STATE).exists()
    curve = pl.read_parquet(folder.path / LEARNING)
    assert curve["seconds"].is_sorted()
    assert curve["episodes"].is_sorted()


def test_a_run_killed_half_way_goes_on(tmp_path):
    long = 400  # rollouts: seconds, long enough to be killed in
    command = [sys.executable, "-m", "misgen.experiments.commands.train"]
    process = subprocess.Popen(
        [*command, *settings(tmp_path, "save_every=0", rollouts=long)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wanted = config(tmp_path, rollouts=long)
    state = run_folder(wanted).path / STATE
    try:
        deadline = time.monotonic() + 200
        while not state.exists() and time.monotonic() < deadline:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
        time.sleep(0.1)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    folder = run_folder(wanted)
    assert not folder.marked(DONE, wanted.hash)
    folder = train(wanted)
    assert steps(folder) == [ROLLOUT * k for k in range(1, long + 1)]
    manifest = folder.manifest()
    assert manifest["environment_steps"] == long * ROLLOUT
    assert len(manifest["continued_at"]) == 1
    assert 0 < manifest["continued_at"][0] < long * ROLLOUT


def test_going_on_twice_from_one_state_gives_the_same_twice(tmp_path):
    folder = stopped(tmp_path / "a", 2)
    state = (folder.path / STATE).read_bytes()
    curve = (folder.path / LEARNING).read_bytes()
    found = []
    for name in ("a", "b"):
        folder = run_folder(config(tmp_path / name))
        folder.path.mkdir(parents=True, exist_ok=True)
        (folder.path / STATE).write_bytes(state)
        (folder.path / LEARNING).write_bytes(curve)
        found.append(weights(train(config(tmp_path / name))))
        assert steps(folder) == WHOLE
    for name, weight in found[0].items():
        assert np.array_equal(weight, found[1][name]), name


def test_the_state_holds_all_that_training_depends_on(tmp_path):
    from misgen.agents.resume import _read

    folder = stopped(tmp_path, 3)
    tensors, plain = _read(folder.path / STATE)
    assert plain["steps"] == 3 * ROLLOUT
    assert plain["cuts"] == [ROLLOUT, 2 * ROLLOUT]
    assert plain["reward"][2] > 3 * ROLLOUT - 1  # as many sums were seen as decisions
    assert (tensors["drawn"] >= 1).all()
    assert tensors["slots/actions"].shape == (tensors["slots/ages"].max(), 8)
    assert tensors["slots/sums"].shape == (8,)
    assert tensors["step/action_net.weight"].item() == 3 * ROLLOUT / 64
    assert tensors["exp_avg_sq/action_net.weight"].abs().sum() > 0


def test_what_was_done_after_the_last_state_is_redone_without_duplicates(tmp_path):
    folder = stopped(tmp_path)
    state = (folder.path / STATE).read_bytes()
    stopped(tmp_path)
    assert steps(folder) == WHOLE[:2]
    (folder.path / STATE).write_bytes(state)  # as if the second write had not come about
    assert steps(train(config(tmp_path))) == WHOLE


def test_where_and_when_files_are_written_is_no_setting_of_the_run(tmp_path):
    plain = config(tmp_path)
    assert config(tmp_path, "save_every=1", "stop_after=9").hash == plain.hash
    with pytest.raises(UserError, match="stop_after=-1"):
        config(tmp_path, "stop_after=-1")


@pytest.mark.parametrize("how", ["empty", "truncated", "flipped", "pickle", "policy"])
def test_a_damaged_state_is_refused_and_named(tmp_path, how):
    folder = stopped(tmp_path)
    path = folder.path / STATE
    data = bytearray(path.read_bytes())
    if how == "empty":
        data = bytearray()
    elif how == "truncated":
        data = data[:-100]
    elif how == "flipped":
        data[-5] ^= 1
    elif how == "pickle":
        data = bytearray(b"\x80\x04\x95") + data
    else:
        data = bytearray(safetensors.torch.save({}))
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"state\.safetensors cannot be resumed from.*delete it"):
        train(config(tmp_path))
    assert path.read_bytes() == bytes(data)
    path.unlink()
    assert steps(train(config(tmp_path))) == WHOLE  # from the beginning


def test_a_state_of_another_run_is_refused(tmp_path):
    other = stopped(tmp_path)
    mine = config(tmp_path, "seed=1")
    folder = run_folder(mine)
    folder.path.mkdir(parents=True)
    (folder.path / STATE).write_bytes((other.path / STATE).read_bytes())
    with pytest.raises(UserError, match="is the state of run"):
        train(mine)


def test_a_state_that_lacks_something_is_refused(tmp_path):
    import safetensors

    from misgen.agents import resume

    folder = stopped(tmp_path)
    path = folder.path / STATE
    tensors, _ = resume._read(path)
    with safetensors.safe_open(path, framework="pt") as file:  # pyright: ignore
        header: dict[str, Any] = file.metadata()
    del tensors["generator/numpy"]
    header["sha256"] = resume._checksum(tensors, header["state"])
    path.write_bytes(safetensors.torch.save(tensors, header))
    with pytest.raises(UserError, match=r"cannot be resumed from \(KeyError.*generator/numpy"):
        train(config(tmp_path))


@pytest.mark.slow
def test_from_pixels_train_then_evaluate(tmp_path):
    from misgen.experiments.commands.evaluate import main as evaluate

    small = [
        "preset=smoke",
        "env.observation=rgb",
        "env.max_steps=30",
        "agent.encoder=impala",
        "agent.total_steps=128",
        "agent.num_envs=8",
        "agent.num_steps=8",
        "agent.batch_size=64",
        "agent.epochs=1",
        "agent.normalize_reward=true",
        "levels.train=0:200",
        "levels.test=2000000:2000004",
        f"runs={tmp_path}",
    ]
    assert main([*small, "stop_after=0"]) == NOT_DONE
    assert main(small) == 0
    folder = run_folder(typed(TrainConfig, compose("train", small)))
    assert steps(folder) == [64, 128]
    assert evaluate([f"run={folder.path}", "actions=[greedy]"]) == 0
    (one,) = kept(folder.path, EVALUATION)
    episodes = pl.read_parquet(one.path / "episodes.parquet")
    assert episodes.filter(agent="ppo")["level_id"].n_unique() == 4
