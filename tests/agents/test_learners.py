"""Algorithms beside PPO: that they learn, are saved, played, taken up again, and can be added."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from gymnasium import spaces

from misgen.agents import ValuedAgent, algorithms
from misgen.agents.a2c import A2CLearner
from misgen.agents.algorithms import OWN, Algorithm, algorithm, algorithm_title, make_learner
from misgen.agents.base import TrainedAgent
from misgen.agents.checkpoint import build_policy, load_agent, save_policy
from misgen.agents.config import (
    A2CConfig,
    ClippedConfig,
    DQNConfig,
    LearnerConfig,
    PPOConfig,
    RecurrentPPOConfig,
)
from misgen.agents.learner import Learned
from misgen.agents.recurrent_ppo import RecurrentAgent
from misgen.agents.spec import PolicySpec
from misgen.agents.warm_start import initial_weights
from misgen.envs.core import extensions
from misgen.envs.core.errors import UserError
from misgen.envs.core.modality import MODALITIES, modality_of
from misgen.envs.core.registry import entries, make_world
from misgen.envs.make import distribution
from misgen.experiments.evaluation.result_folders import EVALUATION, ROBUSTNESS, Kind, kept
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.training.config import TrainConfig, config_hash
from misgen.experiments.training.run_folder import DONE, LEARNING, STATE, RunFolder
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import run_folder, train
from tests.agents.test_agents_ppo import ACTIONS, Bandit, N, TinyWorld

NAMES = sorted(set(OWN) - {"distill"})  # which takes a teacher: test_distill
OTHERS = [name for name in NAMES if name != "ppo"]
TINY = {  # by algorithm: a training of a second
    "ppo": ["agent.num_steps=16", "agent.batch_size=64", "agent.epochs=1"],
    "recurrent_ppo": [
        "agent.num_steps=16", "agent.batch_size=64", "agent.epochs=1", "agent.lstm_width=8"
    ],
    "a2c": [],
    "dqn": ["agent.learning_starts=64", "agent.target_every=64", "agent.batch_size=32"],
}  # fmt: skip


def words(runs: Path, name: str, *more: str) -> list[str]:
    return [
        "env=cheese_on_a_dish", f"agent={name}", "preset=smoke", "agent.num_envs=8",
        "agent.hidden=[16]", "agent.total_steps=512", "levels.train=0:500",
        "levels.test=2000000:2000006", f"runs={runs}", *TINY[name], *more,
    ]  # fmt: skip


def config(runs: Path, name: str, *more: str) -> TrainConfig:
    return typed(TrainConfig, compose("train", words(runs, name, *more)))


def learn(env: TinyWorld, settings: LearnerConfig, seed: int = 0, **more: Any) -> Learned:
    return make_learner(settings.algorithm).learn(env, settings, seed, **more)


def agent_of(env: TinyWorld, settings: LearnerConfig, learned: Learned) -> TrainedAgent:
    spec = PolicySpec.of(settings, env.observation_space, env.action_space)
    spec = dataclasses.replace(spec, reward_scale=learned.reward_scale)
    return make_learner(settings.algorithm).agent(learned.network, spec, "mine")


class Engine:
    """As much of an engine as an agent with a memory looks at: which slots run."""

    def __init__(self, running: Any) -> None:
        self.episodes = {"running": np.array(running, bool)}


# --- learning

_QUICK: dict[str, Any] = {"gamma": 0.0, "learning_rate": 3e-3, "hidden": [64]}


@pytest.mark.parametrize(
    ("settings", "least"),
    [
        (A2CConfig(total_steps=60_000, num_envs=N, num_steps=8, **_QUICK), 0.9),
        (
            A2CConfig(
                total_steps=60_000, num_envs=N, num_steps=8, rms_prop=False,
                normalize_reward=True, **_QUICK,
            ),
            0.9,
        ),
        (
            DQNConfig(
                total_steps=16_000, num_envs=N, batch_size=128, train_every=1, gradient_steps=3,
                learning_starts=1000, target_every=1000, **_QUICK,
            ),
            0.85,
        ),
    ],
    ids=["a2c", "a2c adam", "dqn"],
)  # fmt: skip
def test_every_algorithm_learns_a_contextual_bandit(settings, least):
    env = Bandit()
    agent = agent_of(env, settings, learn(env, settings))
    fresh = Bandit(n=2000, seed=1)
    agent.start(np.arange(2000), None)  # pyright: ignore[reportArgumentType]
    p = agent.probabilities(fresh.reset(), Engine(np.ones(2000)))
    assert p.sum(axis=1) == pytest.approx(1)
    assert p[np.arange(2000), fresh.right_actions()].mean() > least


class Recall(TinyWorld):
    """Two decisions: the first observation names the action that the second one has to be."""

    def reset(self) -> Any:
        self._second, self.cue = False, None
        return self._look()

    def _look(self) -> dict[str, np.ndarray]:
        seen = super()._look()
        if self._second:
            seen["tiles"][:] = 0
        else:
            self.cue = seen["tiles"][:, 2, 2] % ACTIONS
        seen["body"][:] = 0
        return seen

    def step_wait(self) -> Any:
        right = self._second & (self._actions == self.cue)
        done = np.full(self.num_envs, self._second)
        end = {"outcome": "GOAL", "steps": 2, "return": 0.0}
        infos = [end | {"reached_goal": bool(r)} if d else {} for r, d in zip(right, done)]  # noqa: B905
        self._second = not self._second
        return self._look(), np.where(right, 10, 0).astype(np.float32), done, infos


def recalled(settings: ClippedConfig) -> float:
    """Return the probability that what was learned recalls the cue."""
    agent = agent_of(env := Recall(), settings, learn(env, settings))
    test = Recall(n=500, seed=9)
    agent.start(np.arange(500), None)  # pyright: ignore[reportArgumentType]
    agent.probabilities(test.reset(), Engine(np.ones(500)))
    cue = test.cue
    seen, *_ = test.step(np.zeros(500, np.int64))
    p = agent.probabilities(seen, Engine(np.ones(500)))  # pyright: ignore[reportArgumentType]
    return p[np.arange(500), cue].mean()


@pytest.mark.slow
def test_what_has_a_memory_recalls_and_what_has_none_cannot():
    small: dict[str, Any] = {
        "num_envs": N, "num_steps": 16, "batch_size": 128, "learning_rate": 3e-3, "entropy": 0.0,
        "hidden": [64],
    }  # fmt: skip
    with_memory = RecurrentPPOConfig(total_steps=40_000, lstm_width=32, **small)
    assert recalled(with_memory) > 0.9
    assert recalled(PPOConfig(total_steps=20_000, **small)) < 0.35


@pytest.mark.parametrize("name", OTHERS)
def test_same_seed_same_weights_other_seed_other_weights(name, tmp_path):
    settings = config(tmp_path, name).agent
    settings = dataclasses.replace(settings, num_envs=N, total_steps=1024)

    def weights(seed: int) -> dict[str, torch.Tensor]:
        return dict(learn(Bandit(), settings, seed).network.named_parameters())

    first, second, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_short_rollouts_are_reported_now_and_then():
    records = []
    settings = A2CConfig(total_steps=20_000, num_envs=N, num_steps=5)
    learn(Bandit(), settings, callback=records.append)
    steps = [record["steps"] for record in records]
    assert steps[0] == 5 * N
    assert (np.diff(steps[:-1]) >= 4096).all()
    assert steps[-1] == 20_000


# --- playing


def loud(name: str, seed: int = 0, **settings: Any) -> TrainedAgent:
    """An agent whose untrained network decides firmly, so that what it remembers shows."""
    world = distribution("cheese_on_a_dish").world
    own = OWN[name].config(hidden=[16], **settings)
    spec = PolicySpec.of(own, world.observation_space, world.action_space)
    torch.manual_seed(seed)
    network = build_policy(spec)
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.startswith("lstm"):
                parameter *= 8
            elif key.startswith(("action_net", "q_net")):
                parameter *= 1000 if name == "recurrent_ppo" else 30
    return make_learner(name).agent(network, spec, name)


def played(agent: Any, num_slots: int, actions: Any = "sampled") -> pl.DataFrame:
    levels = distribution("cheese_on_a_dish", max_steps=15)
    return run_levels(agent, levels, range(40), actions=actions, seed=1, num_slots=num_slots)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("actions", ["sampled", "greedy"])
def test_a_memory_s_episode_depends_on_no_slot_and_no_batch(actions, layers):
    agent = loud("recurrent_ppo", lstm_width=8, lstm_layers=layers)
    alone = played(agent, 1, actions)
    for slots in (3, 40, 7, 200):
        assert played(agent, slots, actions).equals(alone), slots


class MixedUp(RecurrentAgent):
    """Takes row k of an observation for slot k, whichever slots run."""

    def probabilities(self, observation: Any, engine: Any) -> Any:
        n = len(observation["tiles"])
        return super().probabilities(observation, Engine([True] * n))


class Forgetful(RecurrentAgent):
    """Forgets after every decision."""

    def probabilities(self, observation: Any, engine: Any) -> Any:
        self._memory[:] = 0
        return super().probabilities(observation, engine)


class Haunted(RecurrentAgent):
    """Remembers the episode before."""

    def start(self, slots: Any, levels: Any = None) -> None:
        before = self._memory.copy()
        super().start(slots, levels)
        self._memory[:, :, : before.shape[2]] = before


@pytest.mark.parametrize("fault", [MixedUp, Forgetful, Haunted])
def test_that_test_finds_memories_that_go_wrong(fault):
    agent: Any = loud("recurrent_ppo", lstm_width=8)
    right = played(agent, 40)  # slots are not filled again: between those that run, some do not
    wrong = played(fault(agent.network, agent.spec, "wrong"), 40 if fault is MixedUp else 7)
    assert not wrong.equals(right)


def test_a_memory_agrees_with_sb3_contrib_s():
    agent: Any = loud("recurrent_ppo", lstm_width=8)
    policy, spec = agent.network, agent.spec
    tiles = np.random.default_rng(0).integers(0, spec.tile_classes, (6, 5, *spec.tile_shape))
    body = np.random.default_rng(1).normal(size=(6, 5, spec.body_size)).astype(np.float32)
    agent.start(np.arange(5))
    states = policy.empty_memory(5)
    for now in range(6):
        seen = {"tiles": tiles[now].astype(np.uint8), "body": body[now]}
        if now == 3:  # a new episode in one slot
            agent.start(np.array([2]))
        starts = torch.zeros(5)
        starts[2] = float(now == 3)
        with torch.no_grad():
            tensors = {key: torch.from_numpy(value) for key, value in seen.items()}
            wanted, states = policy.get_distribution(tensors, states, starts)
        p = agent.probabilities(seen, Engine([True] * 5))
        np.testing.assert_allclose(p, wanted.distribution.probs.numpy(), atol=1e-5)


def test_a_memory_is_asked_about_running_slots_only():
    agent: Any = loud("recurrent_ppo", lstm_width=8)
    agent.start(np.arange(4))
    seen = {
        "tiles": np.zeros((2, *agent.spec.tile_shape), np.uint8),
        "body": np.zeros((2, agent.spec.body_size), np.float32),
    }
    with pytest.raises(ValueError, match="2 observations for 3 running slots"):
        agent.probabilities(seen, Engine([True, True, False, True]))
    assert not isinstance(agent, ValuedAgent)  # its critic remembers too


def test_action_values_are_played_as_they_were_explored():
    agent: Any = loud("dqn", exploration_final=0.1)
    spec = agent.spec
    rng = np.random.default_rng(0)
    seen = {
        "tiles": rng.integers(0, spec.tile_classes, (300, *spec.tile_shape)).astype(np.uint8),
        "body": rng.normal(size=(300, spec.body_size)).astype(np.float32),
    }
    p = agent.probabilities(seen)
    with torch.no_grad():
        q = agent.network({key: torch.from_numpy(value) for key, value in seen.items()}).numpy()
    assert (p.argmax(axis=1) == q.argmax(axis=1)).all()
    assert p.max(axis=1) == pytest.approx(0.9 + 0.1 / spec.num_actions)
    assert p.min(axis=1) == pytest.approx(0.1 / spec.num_actions)
    assert isinstance(agent, ValuedAgent)
    assert agent.value(seen) == pytest.approx(q.max(axis=1) / spec.reward_scale, rel=1e-4)
    assert played(agent, 3).equals(played(agent, 40))


# --- saving and loading


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("encoder", ["mlp", "moe", "cnn", "impala", "nature"])
def test_a_policy_is_what_it_was_after_saving(name, encoder, tmp_path):
    pixels = encoder in ("impala", "nature")
    world = make_world("cheese_on_a_dish", observation="rgb" if pixels else "grid")
    channels = [] if encoder == "nature" else [4, 4]
    hidden = [8, 8] if encoder == "moe" else [8]
    own = OWN[name].config(encoder=encoder, hidden=hidden, channels=channels)
    space = world.observation_space, world.action_space
    spec = PolicySpec.of(own, *space)
    network = build_policy(spec)
    save_policy(tmp_path, network, spec)
    loaded = load_agent(tmp_path, *space)
    assert loaded.name == loaded.spec.algorithm == name
    assert loaded.spec == spec
    for key, parameter in network.named_parameters():
        assert torch.equal(parameter, dict(loaded.network.named_parameters())[key])


def description(tmp_path: Path, name: str) -> tuple[dict[str, Any], Any]:
    world = make_world("cheese_on_a_dish")
    space = world.observation_space, world.action_space
    spec = PolicySpec.of(OWN[name].config(hidden=[8]), *space)
    save_policy(tmp_path, build_policy(spec), spec)
    return json.loads((tmp_path / "policy.json").read_text()), space


def test_a_policy_from_before_there_were_algorithms_is_ppo_s(tmp_path):
    document, space = description(tmp_path, "ppo")
    assert document.pop("algorithm") == "ppo"
    assert document.pop("settings") == {}
    (tmp_path / "policy.json").write_text(json.dumps(document))
    assert load_agent(tmp_path, *space).name == "ppo"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("ppo", {"algorithm": "os.system"}, r"policy\.json: algorithm='os\.system' is not an alg"),
        ("ppo", {"algorithm": 7}, r"algorithm=7 is not a text"),
        ("ppo", {"algorithm": "dqn"}, r"field settings\.exploration_final is missing"),
        ("ppo", {"algorithm": "a2c", "settings": 3}, ""),
        (
            "dqn",
            {"settings": {"exploration_final": 2}},
            r"settings\.exploration_final=2 is not all",
        ),
        ("dqn", {"settings": {"exploration_final": "x"}}, r"settings\.exploration_final='x'"),
        ("dqn", {"settings": None}, r"settings\. is not a JSON object"),
        ("dqn", {"algorithm": "ppo"}, r"is (missing|not part of the network)"),
        (
            "recurrent_ppo",
            {"settings": {"lstm_width": 10**9, "lstm_layers": 1, "critic_lstm": True}},
            r"settings\.lstm_width=1000000000 is not allowed: give a whole number from 1 to 4096",
        ),
        (
            "recurrent_ppo",
            {"settings": {"lstm_width": 64, "lstm_layers": 1, "critic_lstm": True}},
            r"asks for float32",
        ),
        (
            "recurrent_ppo",
            {"settings": {"lstm_width": 128, "lstm_layers": 1, "critic_lstm": "yes"}},
            r"settings\.critic_lstm='yes' must be true or false",
        ),
    ],
)
def test_a_description_that_is_wrong_is_refused_by_field(name, change, message, tmp_path):
    document, space = description(tmp_path, name)
    (tmp_path / "policy.json").write_text(json.dumps(document | change))
    if not message:  # another algorithm of the same network is no mistake that weights can show
        assert load_agent(tmp_path, *space).name == "a2c"
        return
    with pytest.raises(UserError, match=message):
        load_agent(tmp_path, *space)


@pytest.mark.parametrize("length", [0x0580, 0x0880 - 0x0300 + 0x0200, 0x4B50])
def test_weights_whose_header_s_length_looks_like_a_pickle_are_read(length, tmp_path):
    document, space = description(tmp_path, "dqn")
    file = tmp_path / "policy.safetensors"
    data = file.read_bytes()
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    data = length.to_bytes(8, "little") + header.ljust(length) + data[8 + len(header) :]
    file.write_bytes(data)
    document["weights_sha256"] = hashlib.sha256(data).hexdigest()
    (tmp_path / "policy.json").write_text(json.dumps(document))
    assert load_agent(tmp_path, *space).name == "dqn"


def test_weights_of_another_network_do_not_start_a_training(tmp_path):
    world = make_world("cheese_on_a_dish")
    space = world.observation_space, world.action_space
    for name in NAMES:
        spec = PolicySpec.of(OWN[name].config(hidden=[8], activation="relu"), *space)
        save_policy(tmp_path / name, build_policy(spec), spec)

    def start(base: str, own: LearnerConfig) -> dict[str, torch.Tensor]:
        return initial_weights(tmp_path / base, own, *space)

    small: dict[str, Any] = {"hidden": [8], "activation": "relu"}
    assert start("ppo", A2CConfig(**small)).keys() == start("a2c", PPOConfig(**small)).keys()
    with pytest.raises(UserError, match=r"algorithm=dqn \(exploration_final=0\.05\).*agent=ppo"):
        start("dqn", PPOConfig(**small))
    with pytest.raises(UserError, match=r"lstm_width=128.*lstm_width=64"):
        start("recurrent_ppo", RecurrentPPOConfig(lstm_width=64, **small))
    own = DQNConfig(num_envs=N, total_steps=20_000, **small)
    before = start("dqn", own)
    assert all(value.isfinite().all() for value in before.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_training_starts_from_the_weights_it_is_given(name, tmp_path):
    base = train(config(tmp_path, name))
    tuned = config(tmp_path, name, f"init={base.path}", "snapshots=[0]")
    folder = train(tuned)
    space = tuned.world.observation_space, tuned.world.action_space
    first = load_agent(folder.path / "snapshots" / "000000000", *space).network
    before = dict(load_agent(base.path, *space).network.named_parameters())
    after = dict(load_agent(folder.path, *space).network.named_parameters())
    for key, parameter in first.named_parameters():
        assert torch.equal(parameter, before[key]), key
    assert not all(torch.equal(before[key], after[key]) for key in before)


# --- going on


@pytest.mark.parametrize("name", ["ppo", "a2c", "recurrent_ppo"])
def test_going_on_twice_from_one_state_gives_the_same_twice(name, tmp_path):
    first = train(config(tmp_path / "a", name, "stop_after=0", "agent.anneal=true"))
    kept = {file: (first.path / file).read_bytes() for file in (STATE, LEARNING)}
    found = []
    for where in ("a", "b"):
        own = config(tmp_path / where, name, "agent.anneal=true")
        folder = run_folder(own)
        folder.path.mkdir(parents=True, exist_ok=True)
        for file, data in kept.items():
            (folder.path / file).write_bytes(data)
        found.append((train(own).path / "policy.safetensors").read_bytes())
        manifest = folder.manifest()
        assert manifest["continues"] is True
        assert len(manifest["continued_at"]) == 1
        assert manifest["environment_steps"] >= 512
        assert manifest["gradients"] == ("closed form" if name == "ppo" else "autograd")
    assert found[0] == found[1]


def test_a_replay_buffer_is_not_kept_and_its_run_starts_again(tmp_path):
    with pytest.raises(UserError, match=r"stop_after=5 does not go with agent=dqn, whose runs"):
        config(tmp_path, "dqn", "stop_after=5")
    own = config(tmp_path, "dqn", "save_every=0")

    def kill(record: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(own, kill)
    folder = run_folder(own)
    assert not (folder.path / STATE).exists()
    assert not folder.marked(DONE, own.hash)
    train(own)
    manifest = folder.manifest()
    assert manifest["status"] == "done"
    assert manifest["continues"] is False
    assert manifest["continued_at"] == []
    assert pl.read_parquet(folder.path / LEARNING)["steps"].to_list()[-1] == 512


# --- settings


def test_the_hash_of_a_ppo_run_is_what_it_was_but_for_the_way_to_its_gradients():
    def hash_without(words: list[str]) -> str:
        science = typed(TrainConfig, compose("train", words)).science
        agent = {key: value for key, value in science["agent"].items() if key != "fast"}
        return config_hash(science | {"agent": agent})

    smoke = typed(TrainConfig, compose("train", ["env=cheese_on_a_dish", "preset=smoke"]))
    before = ["levels.train=0:100000"]  # as all seeds had
    assert hash_without(["env=cheese_on_a_dish", "preset=smoke", *before]) == "ffbdbefe2c"
    recurrent = ["agent=recurrent_ppo", "placement=section_start", *before]
    assert typed(TrainConfig, compose("train", recurrent)).hash == "36bdb62a01"
    assert "algorithm" not in smoke.science["agent"]
    assert smoke.slug == "cheese_on_a_dish-rho1-seed0"


@pytest.mark.parametrize("name", NAMES)
def test_yaml_repeats_the_defaults_and_a_manifest_is_read_back(name, tmp_path):
    plain = compose("train", [f"agent={name}", "preset=none"])
    own = typed(TrainConfig, plain)
    assert own.agent == OWN[name].config()
    assert type(own.agent) is OWN[name].config
    assert typed(TrainConfig, json.loads(json.dumps(own.science))).hash == own.hash


def test_algorithms_differ_in_hash_and_name():
    runs = [typed(TrainConfig, compose("train", [f"agent={name}"])) for name in NAMES]
    assert len({run.hash for run in runs}) == len({run.slug for run in runs}) == len(NAMES)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["agent=pppo"],
            r"agent=pppo is not known: use one of a2c, distill, dqn, ppo, recurrent_ppo",
        ),
        (
            ["agent=dqn", "agent.clip=0.1"],
            r"agent\.clip=0\.1 is not a known setting(?!.*'agent\.clip')",
        ),
        (["agent=dqn", "agent.buffersize=9"], r"did you mean 'agent\.buffer_size'"),
        (["env=cheese_on_a_dish", "env.dish_chanels=9"], r"did you mean 'env\.dish_channels'"),
        (["agent=a2c", "agent.epochs=3"], r"agent\.epochs=3 is not a known setting"),
        (["agent.algorithm=dqn"], r"is a setting of .*ppo.* and not of dqn.*agent=dqn"),
        (["agent.algorithm=sac"], r"agent\.algorithm='sac' is not an algorithm: use one of ppo, "),
        (["agent.algorithm=external"], r"is no algorithm: .* misgen evaluate agent=my_module:make"),
        (["agent=dqn", "agent.exploration_final=2"], r"exploration_final=2\.0 is not allowed"),
        (["agent=dqn", "agent.learning_starts=9000000"], r"learning_starts=9000000 is not below"),
        (["agent=dqn", "agent.buffer_size=10"], r"buffer_size=10 is less than batch_size=128"),
        (["agent=dqn", "agent.target_every=3"], r"target_every=3 is less than num_envs=32"),
        (["agent=recurrent_ppo", "agent.lstm_layers=0"], r"lstm_layers=0.*from 1 to 8"),
        (["agent=a2c", "agent.rms_prop=1"], r"agent\.rms_prop=1 must be true or false"),
    ],
)
def test_a_mistake_in_an_algorithm_s_settings_is_named(argv, message):
    with pytest.raises(UserError, match=message):
        typed(TrainConfig, compose("train", argv))


def test_a_config_of_another_algorithm_s_name_is_refused():
    with pytest.raises(UserError, match="does not belong to PPOConfig, whose is 'ppo'"):
        PPOConfig(algorithm="dqn")


def test_titles():
    assert [algorithm_title(name) for name in NAMES] == ["A2C", "DQN", "PPO", "Recurrent PPO"]
    assert algorithm_title("somebody's agent") == "somebody's agent"


# --- other packages' algorithms


@dataclass
class PatientConfig(A2CConfig):
    """A stranger's settings."""

    algorithm: str = "patient"
    patience: int = 3

    def passes(self, steps: int) -> None:
        """Not counted."""


class PatientLearner(A2CLearner):
    """A stranger's learner."""


PATIENT = Algorithm(PatientConfig, f"{__name__}:PatientLearner", "Patient A2C")
LOST = Algorithm(PatientConfig, f"{__name__}:NoSuchLearner", "Lost")
NO_ALGORITHM = 7


@pytest.fixture
def installed(monkeypatch):
    """Return a function that installs entry points as if packages had brought them."""

    def install(*points: tuple[str, str]) -> None:
        found = [EntryPoint(name, value, algorithms.GROUP) for name, value in points]
        monkeypatch.setattr(
            extensions, "entry_points", lambda group: found if group == algorithms.GROUP else []
        )
        algorithms._others.cache_clear()

    yield install
    monkeypatch.undo()
    algorithms._others.cache_clear()


def test_a_stranger_s_algorithm_trains_is_evaluated_and_carded(installed, tmp_path):
    from misgen.experiments.card.write import write_card
    from misgen.experiments.commands.evaluate import main as evaluate
    from misgen.experiments.commands.train import main

    installed(("patient", f"{__name__}:PATIENT"))
    TINY["patient"] = ["agent.patience=5"]
    argv = words(tmp_path, "patient")
    assert main(argv) == 0
    own = typed(TrainConfig, compose("train", argv))
    assert isinstance(own.agent, PatientConfig)
    assert own.agent.patience == 5
    folder = run_folder(own)
    assert folder.manifest()["algorithm"] == "patient"
    assert evaluate([f"run={folder.path}", "actions=[greedy]"]) == 0
    assert "patient" in set(pl.read_parquet(only(folder, EVALUATION) / "episodes.parquet")["agent"])
    card = write_card(folder)
    assert card["agent"]["algorithm"] == "Patient A2C"
    assert card["compute"]["training_flops"] is None
    assert "not counted" in (folder.path / "card.md").read_text()
    installed()
    with pytest.raises(UserError, match=r"'patient' is not an algorithm: .*install the package"):
        load_agent(folder.path, own.world.observation_space, own.world.action_space)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([("ppo", "their:X")], "misgen itself both have an algorithm called 'ppo': uninstall"),
        ([("new", "a:X"), ("new", "b:X")], "both have an algorithm called 'new'"),
    ],
)
def test_names_that_are_taken_twice_are_refused(installed, points, message):
    installed(*points)
    for name in ("new", "ppo"):
        with pytest.raises(UserError, match=message):
            algorithm(name)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:X", r"'new' of .* cannot be imported \(no_such_module:X"),
        (f"{__name__}:NOTHING", "cannot be imported"),
        (f"{__name__}:NO_ALGORITHM", "is not an Algorithm whose config has algorithm='new'"),
        (f"{__name__}:PATIENT", "is not an Algorithm whose config has algorithm='new'"),
    ],
)
def test_a_stranger_s_mistake_is_named_and_harms_nobody_else(installed, value, message):
    installed(("new", value))
    assert (
        typed(TrainConfig, compose("train", [])).agent
        == typed(TrainConfig, compose("train", ["agent=ppo"])).agent
    )
    with pytest.raises(UserError, match=message):
        typed(TrainConfig, compose("train", ["agent=new"]))


def test_a_learner_that_is_not_there_is_named(installed):
    installed(("patient", f"{__name__}:LOST"))
    with pytest.raises(UserError, match="test_learners:NoSuchLearner, which cannot be imported"):
        make_learner("patient")


# --- end to end


def only(folder: RunFolder, kind: Kind) -> Path:
    """Return the folder of the one result of a kind."""
    (one,) = kept(folder.path, kind)
    return one.path


@pytest.mark.parametrize("name", NAMES)
def test_trained_evaluated_attacked_and_carded(name, tmp_path):
    from misgen.experiments.card.card_validation import validate_card
    from misgen.experiments.card.write import write_card
    from misgen.experiments.commands.evaluate import main as evaluate
    from misgen.experiments.commands.robustness import main as robustness
    from misgen.experiments.commands.train import main
    from misgen.experiments.evaluation.robustness.run import EPISODES

    argv = words(tmp_path, name)
    assert main(argv) == 0
    folder: RunFolder = run_folder(typed(TrainConfig, compose("train", argv)))
    assert folder.manifest()["algorithm"] == name
    assert evaluate([f"run={folder.path}", "repeats=1"]) == 0
    episodes = pl.read_parquet(only(folder, EVALUATION) / "episodes.parquet")
    assert set(episodes.filter(role="agent")["agent"]) == {name}
    assert set(episodes.filter(role="floor")["agent"]) == {"random"}
    assert (
        robustness([f"run={folder.path}", "noise=[0.2]", "flips=[1]", "levels=2000000:2000004"])
        == 0
    )
    attacks = set(pl.read_parquet(only(folder, ROBUSTNESS) / EPISODES)["attack"])
    assert attacks == {"none", "noise", "decoy"} | (
        set() if name == "recurrent_ppo" else {"worst", "random", "goal"}
    )
    card = write_card(folder)
    assert card["agent"]["algorithm"] == algorithm_title(name)
    assert card["compute"]["training_flops"] > 0
    assert validate_card(card, folder.path) == []


def test_cost_of_a_memory_and_of_action_values_by_hand():
    from misgen.experiments.training.compute import network_cost

    plain, memory, values = (
        network_cost(loud(name, **more).network)
        for name, more in (
            ("ppo", {}),
            ("recurrent_ppo", {"lstm_width": 8}),
            ("dqn", {}),
        )
    )
    world = distribution("cheese_on_a_dish").world
    actions = int(world.action_space.n)
    assert plain.forward_flops is not None
    encoder = plain.forward_flops - 2 * 16 * (actions + 1)
    assert values.forward_flops == encoder + 2 * 16 * actions
    lstm = 2 * 4 * 8 * (16 + 8)  # four gates from 16 features and 8 remembered numbers
    assert memory.forward_flops == encoder + 2 * lstm + 2 * 8 * (actions + 1)


def test_passes_of_each_algorithm_by_hand():
    def ratio(settings: LearnerConfig, steps: int) -> float:
        passes = settings.passes(steps)
        assert passes is not None
        return passes.forward + 2 * passes.backward

    assert ratio(PPOConfig(epochs=3), 1000) == 1000 * (1 + 3 * 3)
    assert ratio(A2CConfig(), 1000) == 1000 * (1 + 3)
    own = DQNConfig(
        num_envs=10, train_every=2, gradient_steps=3, batch_size=32, learning_starts=100
    )
    assert ratio(own, 1100) == 1100 + 50 * 3 * 32 * 4


# --- what an observation is


@pytest.mark.parametrize("name", [name for name in entries() if not name.startswith("procgen")])
@pytest.mark.parametrize("option", sorted(MODALITIES))
def test_a_world_s_modality_is_its_space_s_and_its_observations_(name, option):
    world = make_world(name, observation=option)
    assert world.modality is MODALITIES[option] is modality_of(world.observation_space)
    engine = world.make_engine(1)
    engine.load(np.zeros(1, np.int64), distribution(name).levels(np.zeros(1, np.int64)))
    assert tuple(engine.observe()) == world.modality.keys
    assert isinstance(world.observation_space, spaces.Dict)


def test_what_is_no_observation_has_no_modality():
    assert modality_of({"tiles"}) is None
    assert modality_of({"tiles", "body"}) is MODALITIES["grid"]
    assert modality_of({"rgb"}) is MODALITIES["rgb"]
