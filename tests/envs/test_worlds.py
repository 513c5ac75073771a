"""What every registered world promises; a new one is found by its name.

The worlds on Procgen are left to `test_procgen_backend.py`.
"""

from __future__ import annotations

import dataclasses
import importlib
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium
import numba
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray
from omegaconf import OmegaConf
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import misgen.envs  # noqa: F401 (registers the worlds)
from misgen.agents.reference import Seeker, SeekerConfig
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.placement import USUAL
from misgen.envs.core.planning.planned import plans_at_start
from misgen.envs.core.planning.planner import make_planner
from misgen.envs.core.registry import entries, make_world
from misgen.envs.core.views.vector_env import MisgenVectorEnv
from misgen.envs.core.world import World
from misgen.experiments.evaluation import validation
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.levels.arrays import run_actions
from misgen.experiments.training.settings import compose

NAMES = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]
HEADINGS = (
    "Description",
    "Intended goal",
    "Proxy goals (and when they coincide)",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Info",
    "Version History",
)
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CORRELATIONS = (1.0, 0.8, 0.4, 0.0)
LEVELS = 60
"""Levels that reference agents are played on."""
CHOSEN = ("goal_seeker", "proxy_seeker", "uniformly random", "idle")
_SLOTS, _STEPS = 6, 40


@dataclasses.dataclass(frozen=True)
class Subject:
    """A world under test, and what several tests need of it."""

    name: str

    @cached_property
    def world(self) -> World:
        """The world with its defaults."""
        return make_world(self.name)

    @cached_property
    def small(self) -> dict[str, Any]:
        """Name and parameters in the lab preset, where boards are small and planning is quick."""
        return dict(compose("train", [f"env={self.name}", "preset=lab"])["env"])

    @cached_property
    def strict(self) -> World:
        """That world, in which a proxy ends the episode."""
        return make_world(**{**self.small, "on_proxy": "end"})

    @cached_property
    def placements(self) -> tuple[str, ...]:
        """Where its tests move the goal."""
        return self.world.shifts([USUAL])

    def levels(self, correlation: float, placement: str = USUAL, count: int = 200) -> LevelBatch:
        """Return the first levels."""
        return self.world.levels(np.arange(count), correlation, placement)

    def states(self, levels: LevelBatch) -> NDArray[np.void]:
        """Return the levels at their starts."""
        states = np.zeros(len(levels), self.world.state_dtype)
        self.world.load(states, np.arange(len(levels)), levels)
        return states


@pytest.fixture(params=NAMES, scope="session")
def subject(request) -> Subject:
    return Subject(request.param)


def test_the_worlds_are_found():
    assert {"coinrun", "corner_maze", "shape_colour_maze"} <= set(NAMES)


# --- what is written about it


def test_specification(subject: Subject):
    package, entry = entries()[subject.name]
    text = importlib.import_module(package).__doc__ or ""
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    places = [
        next((k for k, h in enumerate(headings) if h.startswith(wanted)), None)
        for wanted in HEADINGS
    ]
    assert None not in places, f"no heading {HEADINGS[places.index(None)]!r} in {package}"
    assert places == sorted(places), f"headings of {package} are in another order: {headings}"
    assert entry.env_id in text.splitlines()[0]
    missing = [f.name for f in dataclasses.fields(subject.world) if f"`{f.name}`" not in text]
    assert not missing, f"{package} does not name the parameters {missing}"


def test_yaml_holds_the_defaults(subject: Subject):
    written: Any = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"env/{subject.name}.yaml"))
    fields = dataclasses.fields(subject.world)
    assert written == {"name": subject.name, **{f.name: f.default for f in fields}}


def test_names_fit(subject: Subject):
    world = subject.world
    assert world.goal_description
    assert world.proxy_description
    assert set(world.capability) <= {f.name for f in dataclasses.fields(world)}
    assert {name.partition("(")[0] for name in subject.placements} <= set(world.placements)
    assert 0 <= world.no_op < world.action_space.n
    assert 0 < len(world.proxies) <= 8


# --- its environments


def test_gymnasium_check(subject: Subject):
    env_id = entries()[subject.name][1].env_id
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(env_id, correlation=0.5).unwrapped, skip_render_check=True)


def test_stable_baselines_check(subject: Subject):
    env = gymnasium.make(entries()[subject.name][1].env_id, correlation=0.5).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # It would have windows of tiles flattened; the encoders here read them as they are.
        warnings.filterwarnings("ignore", "Your observation tiles has an unconventional shape")
        check_env_sb3(env, skip_render_check=True)


@pytest.mark.parametrize("observation", ["grid", "rgb"])
def test_vector_view(subject: Subject, observation: str):
    env: Any = gymnasium.make_vec(
        entries()[subject.name][1].env_id,
        num_envs=3,
        correlation=0.5,
        max_steps=7,
        observation=observation,
    )
    seen, infos = env.reset(seed=0)
    assert seen in env.observation_space
    assert infos["level_id"].shape == (3,)
    idle = np.full(3, env.unwrapped.distribution.world.no_op)
    frames, ends = np.zeros(3, int), 0
    for _ in range(20):
        seen, reward, terminated, truncated, infos = env.step(idle)
        frames += 1
        assert seen in env.observation_space
        assert (reward.dtype, terminated.dtype, truncated.dtype) == (np.float32, np.bool_, np.bool_)
        assert not (terminated & truncated).any()
        done = terminated | truncated
        assert (done == (frames == 7))[~terminated].all(), (
            "a time-out at another frame than the 7th"
        )
        if done.any():
            ends += int(done.sum())
            steps = infos["final_info"]["steps"]
            np.testing.assert_array_equal(steps[done], frames[done])
            assert all(one in env.single_observation_space for one in infos["final_obs"][done])
        frames[done] = 0
    assert ends >= 6


# --- determinism


def record(subject: Subject, seed: int, slots: int = _SLOTS, threads: int = 1) -> dict[str, Any]:
    """Return all that a run shows, [steps, slots, ...] each; actions depend on step and slot."""
    numba.set_num_threads(threads)
    distribution = LevelDistribution(subject.world, 0.5, ids=IdRange(0, 1000))
    env = MisgenVectorEnv(
        distribution.at(world=dataclasses.replace(subject.world, max_steps=25)), slots
    )
    chosen = np.random.default_rng(0).integers(0, int(subject.world.action_space.n), (_STEPS, 50))
    seen, _ = env.reset(seed=seed)
    found: dict[str, list[Any]] = {key: [values] for key, values in seen.items()}
    found |= {"reward": [], "terminated": [], "truncated": [], "level": []}
    for t in range(_STEPS):
        seen, reward, terminated, truncated, _ = env.step(chosen[t, :slots])
        for key, values in seen.items():
            found[key].append(values)
        for key, values in (
            ("reward", reward),
            ("terminated", terminated),
            ("truncated", truncated),
            ("level", env.engine.level_ids.copy()),
        ):
            found[key].append(values)
    return {key: np.stack(values) for key, values in found.items()}


@pytest.fixture(scope="session")
def recorded(subject: Subject) -> dict[str, Any]:
    return record(subject, seed=0)


def assert_same_record(one: dict[str, Any], other: dict[str, Any], slots: int = _SLOTS) -> None:
    for key, values in one.items():
        same = (values[:, :slots] == other[key][:, :slots]).reshape(len(values), slots, -1).all(-1)
        assert same.all(), f"{key} differs first at step, slot {np.argwhere(~same)[0].tolist()}"


def test_the_same_seed_gives_the_same(subject: Subject, recorded):
    assert_same_record(recorded, record(subject, seed=0))


def test_another_seed_gives_something_else(subject: Subject, recorded):
    other = record(subject, seed=1)
    assert (recorded["level"] != other["level"]).any()
    assert any((recorded[key] != other[key]).any() for key in subject.world.observation_space)


def test_neither_slots_nor_threads_change_anything(subject: Subject, recorded):
    assert_same_record(recorded, record(subject, seed=0, slots=3), slots=3)
    assert_same_record(recorded, record(subject, seed=0, slots=50))
    if numba.config.NUMBA_NUM_THREADS > 1:  # pyright: ignore
        assert_same_record(recorded, record(subject, seed=0, threads=2))


# --- its levels


def test_correlation_is_nested_and_terrain_depends_on_the_id_alone(subject: Subject):
    for placement in subject.placements:
        batches = [subject.levels(rho, placement) for rho in CORRELATIONS]
        aligned = np.stack([batch.aligned for batch in batches])
        assert aligned[0].all(), placement
        assert (aligned[:-1] >= aligned[1:]).all(), f"{placement}: not nested"
        can_part = ~aligned[-1]
        assert can_part.mean() > 0.2, f"{placement}: the goal hardly ever parts from the proxy"
        for rho, row in zip(CORRELATIONS, aligned, strict=True):
            spread = 4 * np.sqrt(max(rho * (1 - rho), 1e-9) / can_part.sum())
            share = row[can_part].mean()
            assert abs(share - rho) <= spread, f"{placement}: {share:.2f} aligned at {rho}"
        digests = [batch.digests(terrain=True) for batch in batches]
        assert all(one == digests[0] for one in digests), f"{placement}: correlation moves terrain"
        for batch, row in zip(batches, aligned, strict=True):  # nothing but the twins occurs
            twins = batches[-1].data.copy()
            twins[row] = batches[0].data[row]
            for name in twins.dtype.names:  # not the bytes: they hold gaps between fields
                np.testing.assert_array_equal(batch.data[name], twins[name], placement)


def test_levels_are_pure(subject: Subject):
    ids = np.random.default_rng(0).permutation(40)
    together = subject.world.levels(np.arange(40), 0.5, subject.placements[0])
    apart = subject.world.levels(ids, 0.5, subject.placements[0])
    for k, level_id in enumerate(ids):
        assert apart.data[k].tobytes() == together.data[level_id].tobytes(), f"level {level_id}"


def test_levels_differ(subject: Subject):
    assert len(set(subject.levels(1.0).digests())) > 100


def test_text_round_trip(subject: Subject):
    for placement in subject.placements:
        for correlation in (1.0, 0.0):
            for level in subject.levels(correlation, placement, count=12):
                text = level_to_text(level, subject.world)
                again = level_from_text(text, subject.world)
                assert again == level, f"level {level.id} at {correlation}, {placement}:\n{text}"
                assert again.content_hash == level.content_hash
                assert again.aligned == level.aligned


def test_export(subject: Subject, tmp_path: Path):
    levels = subject.levels(0.0, count=20)
    arrays = subject.world.export_levels(levels)
    np.testing.assert_array_equal(arrays["seed"], levels.ids)
    assert arrays["grid"].shape[0] == 20
    np.savez(tmp_path / "levels.npz", **arrays)
    with np.load(tmp_path / "levels.npz", allow_pickle=False) as read:
        for name, values in arrays.items():
            np.testing.assert_array_equal(read[name], values)


def test_replay(subject: Subject):
    n = int(subject.world.action_space.n)
    actions = np.random.default_rng(1).integers(0, n, (4, 15))
    found = run_actions(LevelDistribution(subject.world, 0.0, ids=IdRange(0, 4)), actions)
    agent, length = found["agent"], found["length"]
    assert agent.shape == (4, 16, 4)
    assert not np.isnan(agent[:, 0]).any()
    for k in range(4):
        assert np.isnan(found["reward"][k, length[k] :]).all()
        assert not np.isnan(found["reward"][k, : length[k]]).any()
    assert (agent[:, 1:] != agent[:, :1])[~np.isnan(agent[:, 1:])].any(), "nobody moved"


# --- what the agent sees


def test_the_agent_sees_neither_the_id_nor_the_alignment(subject: Subject):
    """Where nothing within sight differs between two levels, they look the same."""
    world = subject.world
    sight = getattr(world, "view", 13) // 2 + 1
    compared = 0
    for placement in subject.placements:
        one, other = (subject.levels(rho, placement) for rho in (1.0, 0.0))
        renamed = LevelBatch(one.world, one.data.copy(), one.variant)
        renamed.data["id"] += 1_000_000
        slots = np.arange(len(one))
        seen = [world.observe(subject.states(batch), slots) for batch in (one, other, renamed)]
        x, y = np.floor(one.data["start"]).astype(int).T
        rows, columns = np.indices(one.data["tiles"].shape[1:])
        far = (abs(columns - x[:, None, None]) > sight) | (abs(rows - y[:, None, None]) > sight)
        alike = ((one.data["tiles"] == other.data["tiles"]) | far).all(axis=(1, 2))
        for name in ("entity_count", "entity_x", "entity_y", "entity_kind"):
            alike &= (one.data[name] == other.data[name]).reshape(len(one), -1).all(axis=1)
        for name in ("goal_cell", "proxy_cell"):  # what stands there may look otherwise
            for batch in (one, other):
                cx, cy = batch.data[name].astype(int).T
                alike &= (np.maximum(abs(cx - x), abs(cy - y)) > sight) | (cx < 0)
        alike &= one.aligned & ~other.aligned
        compared += int(alike.sum())
        for key in world.observation_space:
            np.testing.assert_array_equal(seen[0][key], seen[2][key], err_msg="the id shows")
            np.testing.assert_array_equal(
                seen[0][key][alike], seen[1][key][alike], err_msg=f"{placement}: alignment shows"
            )
    if compared == 0:
        pytest.skip("whatever differs between twins is in sight from the start")


def test_pictures(subject: Subject):
    states = subject.states(subject.levels(0.0, count=8))
    pictures = [subject.world.picture(state, 90, 120) for state in states]
    for picture in pictures:
        assert picture.shape == (90, 120, 3)
        assert picture.dtype == np.uint8
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 8
    assert any((picture != pictures[0]).any() for picture in pictures)


# --- agents whose goal is known


def seek(subject: Subject, placement: str, target: str) -> tuple[NDArray[np.bool_], Any]:
    """Return which conflict levels a planner can solve, and the seeker's episodes there."""
    ids = np.arange(3_000_000, 3_000_000 + LEVELS)
    distribution = LevelDistribution(subject.strict, 0.0, placement)
    levels = distribution.levels(ids)
    ids = ids[~levels.aligned]
    plans = plans_at_start(make_planner(subject.strict), distribution.levels(ids), target)
    seeker = Seeker(subject.strict, SeekerConfig(goal_share=float(target == "goal")), target)
    return plans.solved, run_levels(seeker, distribution, ids, actions="greedy", seed=0)


def test_seekers_reach_what_they_seek(subject: Subject):
    """A proxy that lies on the only way to the goal ends the episode: such a level has no way."""
    for placement in subject.strict.shifts([USUAL]):
        solved, episodes = seek(subject, placement, "goal")
        reached = episodes["goal_fraction"].to_numpy()
        assert solved.mean() > 0.5, f"{placement}: {1 - solved.mean():.0%} cannot be solved"
        assert reached[solved].mean() > 0.9, f"{placement}: {reached[solved].mean():.0%} reached"
        solved, episodes = seek(subject, placement, "proxy")
        reached = episodes["proxy_fraction"].to_numpy()
        goal = episodes["goal_fraction"].to_numpy()
        assert np.maximum(reached, goal)[solved].mean() > 0.9, placement
        assert reached[solved].mean() > 0.2, placement


def test_no_verdict_is_wrong(subject: Subject, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # threads would wait for other tests' workers
    known = validation.references
    monkeypatch.setattr(
        validation, "references", lambda world: [r for r in known(world) if r.name in CHOSEN]
    )
    first = subject.strict.shifts([USUAL])[:1]
    config = validation.ValidateConfig(subject.small, LEVELS, placements=first)
    cases = list(validation.validate(config))
    assert {case.agent for case in cases} == set(CHOSEN)
    wrong = [(c.agent, c.placement, c.verdict.name, c.verdict.reasons) for c in cases if c.wrong]
    assert not wrong
    for seeker in CHOSEN[:2]:
        told = {case.verdict.name for case in cases if case.agent == seeker}
        assert told - {"undetermined"}, f"nothing is said of the {seeker}"
