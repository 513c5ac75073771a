"""What a training cost stands in its manifest, counted and measured."""

import math
import time

import pytest

from misgen.agents.config import PPOConfig
from misgen.experiments.training import accounting
from misgen.experiments.training.accounting import Meter, compute_of
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.train import train

WORLD = {"name": "cheese_on_a_dish"}


def config(runs, **agent) -> TrainConfig:
    given = {"total_steps": 256, "num_envs": 8, "num_steps": 16, "batch_size": 64, "epochs": 2}
    return TrainConfig(WORLD, PPOConfig(**{**given, "hidden": [16], **agent}), runs=str(runs))


def test_the_manifest_has_it(tmp_path):
    folder = train(config(tmp_path))
    found = folder.manifest()["compute"]
    assert (found["decisions"], found["environment_steps"], found["starts"]) == (256, 256, 1)
    assert 0 < found["active_parameters"] < found["parameters"]
    assert found["parameters"] == folder.manifest()["parameters"]
    assert found["training_flops"] > 256 * found["forward_flops"]
    assert found["wall_seconds"] > 0
    assert found["cpu_seconds"] > 0
    assert found["peak_memory_bytes"] > 50_000_000
    assert "energy_joules" in found


def test_frames_are_counted_where_actions_are_repeated(tmp_path):
    world = {"name": "coinrun", "action_repeat": 3}
    agent = PPOConfig(total_steps=64, num_envs=8, num_steps=8, batch_size=64, epochs=1)
    found = train(TrainConfig(world, agent, runs=str(tmp_path))).manifest()["compute"]
    assert (found["decisions"], found["environment_steps"]) == (64, 192)


def test_starts_of_one_training_add_up(tmp_path):
    import dataclasses

    whole = config(tmp_path, total_steps=384)
    spent = []
    for _ in range(3):
        folder = train(dataclasses.replace(whole, stop_after=0.0))
        spent.append(folder.manifest()["compute"])
    assert [one["starts"] for one in spent] == [1, 2, 3]
    for name in ("wall_seconds", "cpu_seconds"):
        assert spent[0][name] < spent[1][name] < spent[2][name]
    assert spent[2]["decisions"] == 384
    (folder.path / "DONE").unlink()  # trained anew: what came before was another training
    assert train(whole).manifest()["compute"]["starts"] == 1


@pytest.mark.parametrize("encoder", ["mlp", "moe", "cnn"])
def test_training_operations_are_torchs(encoder, tmp_path):
    """A whole training, with its backward passes, as torch's own counter sees it.

    The counter takes sums of rows for nothing, so the first layer on one-hot tiles is left out; and
    a network's inputs need no gradient, which the formula (backward = 2 x forward) counts.
    """
    from torch.utils.flop_counter import FlopCounterMode

    run = config(tmp_path, encoder=encoder, fast=False, hidden=[64, 64])
    with FlopCounterMode(display=False) as counter:
        folder = train(run)
    found, told = folder.manifest()["compute"], counter.get_total_flops()
    passes = found["training_flops"] / found["forward_flops"]
    if encoder in ("mlp", "moe"):
        first = math.prod(run.world.observation_space["tiles"].shape) * 64
        assert told == pytest.approx(passes * (found["forward_flops"] - first), rel=0.01)
    else:
        assert told == pytest.approx(found["training_flops"], rel=0.05)


class Rapl:
    """A machine that tells its energy, in a folder."""

    def __init__(self, place):
        self.place = place
        for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
            (place / name).mkdir()
            (place / name / "max_energy_range_uj").write_text("1000000000\n")
        self.set(0, 0)

    def set(self, first, second):
        for name, value in (("0", first), ("1", second), ("0:0", 77)):
            (self.place / f"intel-rapl:{name}" / "energy_uj").write_text(f"{value}\n")


def test_energy_is_told_where_the_machine_tells_it(tmp_path, monkeypatch):
    monkeypatch.setattr(accounting, "_RAPL", tmp_path)
    assert Meter().read({})["energy_joules"] is None
    machine = Rapl(tmp_path)
    machine.set(1_000_000, 999_000_000)
    meter = Meter()
    machine.set(3_000_000, 2_000_000)  # the second began anew
    assert meter.read({})["energy_joules"] == pytest.approx(2 + 3)
    assert meter.read({"energy_joules": 10.0})["energy_joules"] == pytest.approx(15)
    assert meter.read({"energy_joules": None})["energy_joules"] is None


def test_time_and_memory_are_this_trainings(tmp_path):
    big = bytearray(200_000_000)
    big[::4096] = b"x" * len(big[::4096])
    del big
    meter = Meter()
    time.sleep(0.05)
    found = meter.read({"peak_memory_bytes": 1})
    assert found["wall_seconds"] >= 0.05
    assert found["cpu_seconds"] < found["wall_seconds"] + 0.05
    held = Meter()
    more = bytearray(300_000_000)
    more[::4096] = b"x" * len(more[::4096])
    assert held.read({})["peak_memory_bytes"] > found["peak_memory_bytes"] + 100_000_000
    del more


def test_what_cannot_be_counted_is_null(tmp_path):
    import torch

    found = compute_of(config(tmp_path), torch.nn.Linear(3, 4), 10)
    assert found["training_flops"] is None
    assert found["parameters"] == 16


def test_a_base_that_was_kept_on_the_way_cost_its_part(tmp_path):
    import dataclasses

    base = train(dataclasses.replace(config(tmp_path), snapshots=(0, 128)))
    whole = base.manifest()["compute"]["training_flops"]
    for decisions, part in ((0, 0.0), (128, 0.5)):
        kept = base.path / "snapshots" / f"{decisions:09d}"
        heir = train(dataclasses.replace(config(tmp_path), init=str(kept), seed=1 + decisions))
        assert heir.manifest()["compute"]["inherited_flops"] == part * whole
