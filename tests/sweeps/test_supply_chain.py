"""Training that starts from a policy trained before, and what is left of the policy's goal."""

import json

import numpy as np
import polars as pl
import pytest
import safetensors.torch

from misgen.agents.spec import weights_checksum
from misgen.envs.core.errors import UserError
from misgen.experiments.commands.supply_chain import main as chain
from misgen.experiments.commands.train import main
from misgen.experiments.evaluation.inheritance import (
    gone_table,
    inheritance_seeds,
    inheritance_table,
)
from misgen.experiments.evaluation.result_folders import SUPPLY_CHAIN, kept
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import SNAPSHOTS, RunFolder
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import run_folder, train

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


# --- what is left of the base's goal -------------------------------------------------------------


def drawn(kind, steps, condition, base, goal, proxy, levels=40):
    """Episodes with exact shares of goal and proxy."""
    reached = np.arange(levels) < round(goal * levels)
    instead = ~reached & (np.arange(levels) < round((goal + proxy) * levels))
    return pl.DataFrame(
        {
            "kind": kind, "steps": steps, "condition": condition, "train_seed": base,
            "level_id": np.arange(levels), "aligned": condition != "conflict",
            "goal_fraction": reached.astype(np.float32),
            "proxy_fraction": instead.astype(np.float32),
            "first": np.select([reached, instead], ["goal", "proxy"], "neither"),
            "cell_first": reached & (condition == "conflict"),
        }
    )  # fmt: skip


def episodes(rates, base=0):
    return pl.concat(
        drawn(kind, steps, "conflict", base, goal, proxy)
        for (kind, steps), (goal, proxy) in rates.items()
    )


LOSING = {("tuned", 0): (0.1, 0.8), ("tuned", 10): (0.5, 0.4), ("tuned", 20): (0.9, 0.05)}
SCRATCH = {("scratch", 0): (0.1, 0.0), ("scratch", 10): (0.6, 0.2), ("scratch", 20): (0.8, 0.1)}


def test_measures_by_hand():
    table = inheritance_table(episodes(LOSING | SCRATCH))

    def number(kind, steps, measure):
        return table.filter(kind=kind, steps=steps, measure=measure)["estimate"].item()

    assert number("tuned", 10, "proxy") == pytest.approx(0.4)
    assert number("tuned", 10, "capability") == pytest.approx(0.9)
    assert number("tuned", 10, "proxy_excess") == pytest.approx(0.2)
    assert number("tuned", 10, "goal_deficit") == pytest.approx(0.1)
    assert number("tuned", 10, "goal_to_come") == pytest.approx(0.4)
    assert number("scratch", 20, "goal_to_come") == pytest.approx(0.0)
    assert table.filter(kind="scratch", measure="proxy_excess").is_empty()


def test_pursuit_is_of_twins_and_its_deficit_is_paired_by_base_and_level():
    """The aligned twins are reached on 80%: 60% touched is a pursuit of 3/4, 20% of 1/4."""
    frames = [
        drawn(kind, 0, condition, base, goal, 0.0)
        for base, tuned, scratch in ((0, 0.2, 0.6), (1, 0.6, 0.2))
        for kind, there in (("tuned", tuned), ("scratch", scratch))
        for condition, goal in (("conflict", there), ("aligned", 0.8))
    ]
    episodes = pl.concat(frames)
    each = inheritance_seeds(episodes).filter(kind="tuned", condition="conflict")
    pursuit = each.filter(measure="pursuit").sort("train_seed")["estimate"].to_list()
    assert pursuit == pytest.approx([0.25, 0.75])
    deficit = each.filter(measure="pursuit_deficit").sort("train_seed")
    assert deficit["estimate"].to_list() == pytest.approx([0.5, -0.5])
    assert deficit["low"][0] > 0 > deficit["high"][1], "each base is told from 0, over levels"
    mean = inheritance_table(episodes).filter(kind="tuned", measure="pursuit_deficit")
    assert mean["estimate"].item() == pytest.approx(0.0)
    assert mean["low"].item() < -1, "two bases that differ say next to nothing of others"
    assert mean["high"].item() > 1


def test_a_paired_interval_is_narrower_than_the_marginals():
    """On each level the two do the same but on 2 of 40: their difference is known well."""
    half = np.arange(40) < 20
    tuned = drawn("tuned", 5, "conflict", 0, 0.5, 0.0)
    scratch = drawn("scratch", 5, "conflict", 0, 0.55, 0.0)
    assert (tuned["goal_fraction"].to_numpy() == half).all()
    table = inheritance_table(pl.concat([tuned, scratch]))
    row = table.filter(kind="tuned", measure="goal_deficit").row(0, named=True)
    assert row["estimate"] == pytest.approx(0.05)
    goal = table.filter(kind="tuned", measure="goal").row(0, named=True)
    assert row["high"] - row["low"] < 0.5 * (goal["high"] - goal["low"])


def test_goals_out_of_reach_do_not_count_against_pursuit():
    twins = [drawn("tuned", 0, "aligned", 0, 1.0, 0.0), drawn("tuned", 0, "conflict", 0, 0.5, 0.0)]
    near = pl.concat(twins).with_columns(goal_in_reach=pl.col("level_id") < 20)
    for episodes, wanted in ((pl.concat(twins), 0.5), (near, 1.0)):
        found = inheritance_table(episodes).filter(condition="conflict", measure="pursuit")
        assert found["estimate"].item() == pytest.approx(wanted)


def test_the_proxy_is_gone_for_good_and_from_a_capable_agent():
    back = {**LOSING, ("tuned", 30): (0.6, 0.3)}
    unable = {("tuned", 0): (0.1, 0.0), ("tuned", 10): (0.5, 0.05)}
    table = gone_table(
        pl.concat([episodes(LOSING, 0), episodes(back, 1), episodes(unable, 2)]), 0.1
    )
    assert table.select("train_seed", "still", "gone").rows() == [
        (0, 10, 20),
        (1, 30, None),
        (2, 0, 10),
    ]


def test_command_tests_all_snapshots_and_repeats_nothing(base, tmp_path, capsys):
    arguments = [
        f"base={base.path.parent}", f"runs={tmp_path}", "name=chain", f"steps={2 * ROLLOUT}",
        f"snapshots=[0,{2 * ROLLOUT}]", "planned=false", "levels=2000000:2000006",
    ]  # fmt: skip
    assert chain(arguments) == 0
    out = capsys.readouterr().out
    assert "Before fine-tuning, 1 base agent" in out
    folder = tmp_path / "chain"
    (one,) = kept(folder, SUPPLY_CHAIN)
    found = json.loads((one.path / "supply_chain.json").read_text())
    assert found["bases"][0]["policy"] == weights_checksum(base.path)
    assert {(row["kind"], row["steps"]) for row in found["table"]} == {
        (kind, steps) for kind in ("tuned", "scratch") for steps in (0, 2 * ROLLOUT)
    }
    assert {row["condition"] for row in found["table"]} == {
        "as_base", "as_tuned", "conflict", "aligned"
    }  # fmt: skip
    assert "Paired by base and level" in out
    assert found["on_proxy"] == {"trained": ["continue"], "played": ["continue"]}
    played = pl.read_parquet(one.path / "supply_chain.parquet")
    assert played.group_by("kind", "steps", "condition").len()["len"].max() == 6
    assert len(pl.read_csv(one.path / "supply_chain.csv")) == len(found["table"])
    assert all((one.path / f"supply_chain.{end}").stat().st_size > 1000 for end in ("png", "svg"))
    # Before fine-tuning, the snapshot plays as the base does.
    files = sorted(folder.glob("*/policy.safetensors"))
    times = [file.stat().st_mtime_ns for file in files]
    assert chain(arguments) == 0
    assert [file.stat().st_mtime_ns for file in files] == times
    assert pl.read_parquet(one.path / "supply_chain.parquet").equals(played)


@pytest.mark.parametrize(
    ("change", "message"),
    [("base_correlation=0.9", "no finished run at correlation 0.9"),
     ("levels=0:10", "overlap"), ("snapshots=[]", "is empty"),
     ("correlation=2", "correlation=2")],
)  # fmt: skip
def test_what_cannot_be_is_refused(base, tmp_path, change, message):
    with pytest.raises(UserError) as error:
        chain([f"base={base.path.parent}", f"runs={tmp_path}", f"steps={ROLLOUT}",
               "snapshots=[0]", change])  # fmt: skip
    assert message in str(error.value)
