"""Minari datasets: what Minari reads back is what the environment gives, bit for bit."""

import json
import warnings

import gymnasium
import numpy as np
import polars as pl
import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands.export import main
from misgen.experiments.exporting.minari_data import stored_space
from misgen.experiments.training.run_folder import EPISODES, file_sha256
from tests.exporting.conftest import COINRUN, EVALUATION, make_run

minari = pytest.importorskip("minari", reason="pip install 'misgen[minari]' for this test")
pytest.importorskip("h5py", reason="pip install 'misgen[minari]' for this test")


def exported(run, to, monkeypatch, *words):
    """The datasets of an export, by name, as Minari loads them."""
    assert main(["format=minari", f"run={run.path}", f"to={to}", *words]) == 0
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(to))
    return {name: minari.load_dataset(name) for name in minari.list_local_datasets()}


def require_same(dataset, env):
    """Step an environment through a dataset's actions, and compare all that comes back.

    Returns how many episodes there were.
    """
    count = 0
    metadata = dataset.storage.get_episode_metadata(dataset.episode_indices)
    for episode, about in zip(dataset.iterate_episodes(), metadata, strict=True):
        seen = [env.reset(seed=about["seed"], options=about["options"])[0]]
        paid, over, out = [], [], []
        for action in episode.actions:
            observation, reward, terminated, truncated, _ = env.step(action)
            seen.append(observation)
            paid.append(reward)
            over.append(terminated)
            out.append(truncated)
        assert set(episode.observations) == set(seen[0])
        for name, stored in episode.observations.items():
            assert np.array_equal(stored, np.stack([one[name] for one in seen])), name
        assert episode.rewards.tolist() == paid
        assert episode.terminations.tolist() == over
        assert episode.truncations.tolist() == out
        assert [*over[:-1], *out[:-1]].count(True) == 0
        assert over[-1] or out[-1]
        assert (episode.infos["level_id"] == about["level_id"]).all()
        assert len(episode.infos["level_id"]) == len(seen)
        count += 1
    return count


def test_each_episode_comes_back_from_its_seed_and_options(run, tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = exported(run, tmp_path / "out", monkeypatch, "condition=all")
    (file,) = run.path.glob(f"evaluations/*/{EPISODES}")
    rows = pl.read_parquet(file).filter(pl.col("role") == "agent")
    assert len(found) == 2 + 2 * 2 * 2, "conditions x placements x action modes"
    assert sum(len(one) for one in found.values()) == len(rows)
    for name, dataset in found.items():
        assert require_same(dataset, dataset.recover_environment()) == len(dataset), name
    twins = found["misgen/coinrun/aligned-off_path_2-sampled-v0"].storage
    repeats = [one["repeat"] for one in twins.get_episode_metadata(range(twins.total_episodes))]
    assert sorted(set(repeats)) == [0, 1]


def test_gymnasium_makes_the_same_episodes_from_the_specification(run, tmp_path, monkeypatch):
    found = exported(run, tmp_path / "out", monkeypatch, "condition=conflict", "actions=greedy")
    dataset = found["misgen/coinrun/conflict-section_start-greedy-v0"]
    settings = {k: v for k, v in dataset.env_spec.kwargs.items() if k != "world"}
    env = gymnasium.make("misgen.envs:misgen/CoinRun-v0", **settings)
    assert require_same(dataset, env) == 12
    other = gymnasium.make("misgen.envs:misgen/CoinRun-v0", **{**settings, "correlation": 1.0})
    with pytest.raises((AssertionError, UserError)):
        require_same(dataset, other)


def test_metadata_hold_what_the_evaluation_stored(run, tmp_path, monkeypatch):
    found = exported(run, tmp_path / "out", monkeypatch, "episodes=5", "actions=sampled")
    (file,) = run.path.glob(f"evaluations/*/{EPISODES}")
    rows = pl.read_parquet(file).filter(
        pl.col("role") == "agent",
        pl.col("actions") == "sampled",
        pl.col("condition") == "in_distribution",
    )
    dataset = found["misgen/coinrun/in_distribution-sampled-v0"]
    assert len(dataset) == 5
    metadata = list(dataset.storage.get_episode_metadata(dataset.episode_indices))
    for about, row in zip(metadata, rows.head(5).iter_rows(named=True), strict=True):
        assert about["total_steps"] == row["steps"]
        assert about["options"]["level_ids"].tolist() == [row["level_id"]]
        for name in ("outcome", "first", "reached_goal", "return", "repeat", "aligned", "died"):
            assert about[name] == row[name], name


@pytest.mark.parametrize(
    "env",
    [
        {"name": "keys_and_chests", "max_steps": 60},
        {**COINRUN, "observation": "rgb", "max_steps": 30},
    ],
    ids=["keys_and_chests", "pixels"],
)
def test_other_worlds_and_pixels_come_back_exactly(env, tmp_path, monkeypatch):
    run = make_run(tmp_path, env, evaluation=EVALUATION)
    found = exported(run, tmp_path / "out", monkeypatch, "episodes=3")
    for dataset in found.values():
        count = require_same(dataset, dataset.recover_environment())
        assert count == len(dataset)
        assert 1 <= count <= 3
    assert len(found["misgen/" + env["name"] + "/in_distribution-sampled-v0"]) == 3


def test_what_minari_would_compress_is_stored_as_signed_integers():
    box = gymnasium.spaces.Box
    space = gymnasium.spaces.Dict(
        {"a": box(0, 7, (13, 13), np.uint8), "b": box(0, 255, (64, 64, 3), np.uint8),
         "c": box(-1, 1, (4,), np.float32)}
    )  # fmt: skip
    stored = stored_space(space)
    assert [stored[name].dtype for name in "abc"] == [np.int8, np.int16, np.float32]
    assert stored["b"].high.max() == 255
    assert stored["a"].low.min() == 0


def test_an_episode_that_the_agent_does_not_play_is_refused(tmp_path):
    run = make_run(tmp_path, COINRUN)
    (file,) = run.path.glob(f"evaluations/*/{EPISODES}")
    pl.read_parquet(file).with_columns(pl.col("steps") + 1).write_parquet(file)
    summary = file.with_name("summary.json")
    words = ["format=minari", f"run={run.path}", f"to={tmp_path / 'out'}"]
    with pytest.raises(UserError, match="SHA-256 differs"):
        main(words)
    found = json.loads(summary.read_text())
    summary.write_text(json.dumps({**found, "episodes_sha256": file_sha256(file)}))
    with pytest.raises(UserError, match="does not do what is stored"):
        main(words)
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == [run.path.name], "nothing is left behind"


def test_levels_made_by_hand_are_refused_as_no_id_gives_them_back():
    from types import SimpleNamespace

    from misgen.experiments.exporting.minari_data import _evaluate_config

    source = SimpleNamespace(
        settings={"levels": "made by hand: 0123456789"}, evaluation=SimpleNamespace(key="abcdef")
    )
    with pytest.raises(UserError, match="evaluation abcdef is of levels made by hand"):
        _evaluate_config(source)
