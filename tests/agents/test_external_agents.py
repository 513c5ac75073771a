"""Agents that were trained elsewhere: what is taken for one, and that its rows are kept apart."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from misgen.agents.external.adapt import FunctionAgent, ModuleAgent, SlotMemoryAgent, as_agent
from misgen.agents.external.identity import identity_of
from misgen.agents.external.sb3 import ModelAgent, RecurrentModelAgent, load_zip
from misgen.agents.external.source import make_from
from misgen.agents.external.trial import try_agent
from misgen.agents.reference import Seeker, SeekerConfig
from misgen.envs.core.errors import UserError
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.make import distribution
from misgen.experiments.evaluation.rollout import run_levels

LEVELS = distribution("coinrun", correlation=0.5, action_set="distinct", max_steps=40)
WORLD = LEVELS.world
ACTIONS = int(WORLD.action_space.n)
IDS = np.arange(150)


def looks(observation) -> np.ndarray:
    """Return logits that depend on each row's own observation."""
    tiles = observation["tiles"].reshape(len(observation["tiles"]), -1).astype(np.float64)
    weights = np.sin(np.arange(tiles.shape[1] * ACTIONS)).reshape(tiles.shape[1], ACTIONS)
    return tiles @ weights / 20


def soft(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def network() -> nn.Module:
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(int(np.prod(WORLD.observation_space["tiles"].shape)), ACTIONS)

        def forward(self, observation):
            return self.layer(observation["tiles"].flatten(1).float() / 8)

    torch.manual_seed(0)
    return Network()


class Memory:
    """Remembers a decaying sum of what it saw, by slot; a subclass may do so wrongly."""

    def __init__(self):
        self.seen = np.zeros((1000, ACTIONS))

    def reset(self, slots):
        self.seen[slots] = 0.0

    def rows(self, slots):
        return slots

    def probabilities(self, observation, slots):
        rows = self.rows(slots)
        self.seen[rows] = 0.7 * self.seen[rows] + looks(observation)
        return soft(8 * self.seen[rows])


class ByRow(Memory):
    """Takes row k for slot k, whichever slots run."""

    def rows(self, slots):
        return np.arange(len(slots))


class NeverReset(Memory):
    """Goes on remembering the episode before."""

    def reset(self, slots):
        pass


class Together:
    """A function whose rows influence one another."""

    def __call__(self, observation):
        logits = looks(observation)
        return soft(logits - logits.mean(axis=0))


class Shifted(FunctionAgent):
    """A wrapper that gives each slot its neighbour's row."""

    def probabilities(self, observation, engine=None):
        return np.roll(super().probabilities(observation, engine), 1, axis=0)


def recurrent_model():
    from sb3_contrib import RecurrentPPO

    env = MisgenVecEnv(LEVELS, 2, 0)
    sizes = {"lstm_hidden_size": 8, "net_arch": [8]}
    return RecurrentPPO("MultiInputLstmPolicy", env, n_steps=8, policy_kwargs=sizes, seed=0)


def model(name: str):
    import stable_baselines3

    env = MisgenVecEnv(LEVELS, 2, 0)
    options = {"buffer_size": 10} if name == "DQN" else {}
    return getattr(stable_baselines3, name)("MultiInputPolicy", env, seed=0, **options)


RIGHT = {
    "function": lambda: lambda observation: soft(looks(observation)),
    "actions": lambda: lambda observation: looks(observation).argmax(axis=1),
    "torch module": network,
    "memory": Memory,
    "ppo": lambda: model("PPO"),
    "dqn": lambda: model("DQN"),
    "recurrent ppo": recurrent_model,
}
WRONG = {
    "memory by row": lambda: SlotMemoryAgent(ByRow()),
    "memory never emptied": lambda: SlotMemoryAgent(NeverReset()),
    "rows that influence one another": lambda: FunctionAgent(Together(), ACTIONS),
    "the neighbour's row": lambda: Shifted(lambda seen: soft(looks(seen)), ACTIONS),
}


def episodes(agent, num_slots: int):
    return run_levels(agent, LEVELS, IDS, actions="sampled", seed=1, num_slots=num_slots)


@pytest.mark.parametrize("kind", RIGHT)
def test_same_level_same_episode_whatever_the_batch(kind):
    agent = as_agent(RIGHT[kind](), WORLD)
    alone = episodes(agent, 1)
    assert alone["steps"].n_unique() > 1 or kind in ("actions", "dqn")
    for num_slots in (7, 64):
        assert episodes(agent, num_slots).equals(alone), num_slots


@pytest.mark.parametrize("kind", WRONG)
def test_what_mixes_up_rows_plays_other_episodes_and_is_found_out(kind):
    """The test above can fail, and the trial says so before anything is played."""
    agent = WRONG[kind]()
    agent.name = "wrong"
    alone = episodes(agent, 1)
    assert not all(episodes(agent, num_slots).equals(alone) for num_slots in (7, 64))
    with pytest.raises(UserError, match=r"'wrong' (mixes up its rows|answers differently when)"):
        try_agent(agent, LEVELS)


@pytest.mark.parametrize("kind", [*RIGHT, "planned"])
def test_the_trial_passes_whoever_keeps_rows_apart(kind):
    given = Seeker(WORLD, SeekerConfig(), "seeker") if kind == "planned" else RIGHT[kind]()
    found = try_agent(as_agent(given, WORLD), LEVELS)
    assert found.repeatable
    assert (found.answers.sum(axis=2) > 0).any(axis=1).all()


def test_kinds_are_told_apart():
    assert isinstance(as_agent(RIGHT["function"](), WORLD), FunctionAgent)
    assert isinstance(as_agent(network(), WORLD), ModuleAgent)
    assert isinstance(as_agent(Memory(), WORLD), SlotMemoryAgent)
    assert isinstance(as_agent(model("A2C"), WORLD), ModelAgent)
    assert isinstance(as_agent(recurrent_model(), WORLD), RecurrentModelAgent)


def test_a_module_plays_its_logits_in_evaluation_mode():
    net = nn.Sequential(network(), nn.Dropout(0.9))
    observation = {key: np.stack([space.sample()] * 3)
                   for key, space in WORLD.observation_space.spaces.items()}  # fmt: skip
    p = as_agent(net, WORLD).probabilities(observation, None)
    logits = net[0]({key: torch.from_numpy(one) for key, one in observation.items()})
    assert p == pytest.approx(soft(logits.detach().numpy().astype(float)), abs=1e-6)


def test_a_model_plays_what_stable_baselines3_says():
    ppo = model("PPO")
    env = MisgenVecEnv(LEVELS, 2, 5)
    observation = env.reset()
    p = as_agent(ppo, WORLD).probabilities(observation, None)
    expected = ppo.policy.get_distribution(ppo.policy.obs_to_tensor(observation)[0])
    assert p == pytest.approx(expected.distribution.probs.detach().numpy(), abs=1e-6)


def test_a_recurrent_model_remembers_as_sb3_contrib_does():
    ours, theirs = as_agent(recurrent_model(), WORLD), recurrent_model()
    batch, engine = LEVELS.levels(np.arange(3)), WORLD.make_engine(3)
    engine.load(np.arange(3), batch)
    ours.start(np.arange(3), batch)
    state, starts = None, np.ones(3, bool)
    for _ in range(6):
        seen = engine.observe()
        p = ours.probabilities(seen, engine)
        action, state = theirs.predict(seen, state, starts, deterministic=True)
        assert (p.argmax(axis=1) == action).all()
        starts = np.zeros(3, bool)
        engine.step(action)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Memory, "is a class, not an object"),
        (3, "is no agent: give a function"),
        ("no_colon", "names no agent: give module:function"),
        ("missing.zip", "does not exist"),
        (lambda seen: None, "answered None .* give an action a row"),
        (lambda seen: np.zeros((1, 2)), r"shape \(1, 2\) about 64 rows"),
        (lambda seen: np.full(64, 99), "answered action 99: the world has 9 actions"),
        (lambda seen: np.full((64, ACTIONS), 0.5), "do not add up to 1"),
        (lambda seen: seen["colour"], "failed when it was asked .KeyError: 'colour', test_ext"),
        (nn.Identity(), "a module gives logits of shape"),
    ],
)
def test_what_is_no_agent_is_refused_in_a_sentence(given, message):
    with pytest.raises(UserError, match=message):
        try_agent(as_agent(given, WORLD), LEVELS)


def test_names_of_reference_agents_are_refused():
    with pytest.raises(UserError, match="name='random' is what tables call a reference agent"):
        as_agent(Memory(), WORLD, "random")


def test_a_model_of_other_actions_or_observations_is_refused():
    other = distribution("coinrun").world
    with pytest.raises(UserError, match=r"Discrete\(9\), and coinrun has 15 actions"):
        as_agent(model("PPO"), other)
    pixels = distribution("coinrun", observation="rgb", action_set="distinct").world
    with pytest.raises(UserError, match=r"the model was trained on Dict.* and coinrun shows"):
        as_agent(model("PPO"), pixels)


@pytest.mark.parametrize("kind", ["PPO", "A2C", "DQN", "recurrent"])
def test_a_zip_is_loaded_only_where_it_is_trusted(kind, tmp_path):
    saved = recurrent_model() if kind == "recurrent" else model(kind)
    saved.save(tmp_path / "model.zip")
    with pytest.raises(UserError, match=r"can run any code while they are loaded; .*trust=true"):
        as_agent(str(tmp_path / "model.zip"), WORLD)
    loaded = load_zip(tmp_path / "model.zip", trust=True)
    assert type(loaded) is type(saved)


def test_an_untrusted_zip_runs_nothing(tmp_path, monkeypatch):
    import stable_baselines3

    model("PPO").save(tmp_path / "model.zip")
    monkeypatch.setattr(stable_baselines3.PPO, "load", lambda *a, **k: pytest.fail("loaded"))
    with pytest.raises(UserError, match="was not loaded"):
        load_zip(tmp_path / "model.zip", trust=False)


def test_what_is_no_zip_of_a_model_is_refused(tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(UserError, match="is no zip of stable-baselines3"):
        load_zip(tmp_path / "text.zip", trust=True)


@pytest.mark.parametrize(
    "data", ["[]", "3", '{"policy_class": 3}', "[" * 100_000, '{"policy_class": {"a": ', "\ud800"]
)
def test_a_zip_with_odd_settings_is_refused(data, tmp_path):
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as file:
        file.writestr("data", data.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"is no zip of stable-baselines3|does not know"):
        load_zip(tmp_path / "odd.zip", trust=True)


def test_weights_tell_agents_apart_and_answers_do_where_there_are_none():
    def who(given):
        agent = as_agent(given, WORLD, "same")
        return identity_of(agent, try_agent(agent, LEVELS), "")

    one, again, other = network(), network(), network()
    with torch.no_grad():
        other.layer.weight[0, 0] += 1
    assert who(one) == who(again)
    assert who(one).sha256 != who(other).sha256
    assert who(one).by == "weights"
    assert who(one).parameters == sum(p.numel() for p in one.parameters())
    first, second = RIGHT["function"](), RIGHT["actions"]()
    assert who(first).by == "answers"
    assert who(first).sha256 == who(RIGHT["function"]()).sha256 != who(second).sha256


def test_a_function_that_draws_its_own_actions_is_said_not_to_repeat_itself():
    rng = np.random.default_rng(0)
    agent = as_agent(lambda seen: rng.integers(0, ACTIONS, len(seen["tiles"])), WORLD)
    assert not try_agent(agent, LEVELS).repeatable


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module into a working directory of its own; return its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "strangers_module") -> str:
        import sys

        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        Path(f"{name}.py").write_text(text)
        return name

    return write


def test_a_factory_gets_what_its_parameters_name(module):
    name = module("def make(seed, action_space, extra=1): return seed, int(action_space.n), extra")
    assert make_from(f"{name}:make", WORLD, 7) == (7, ACTIONS, 1)
    name = module("class Agent:\n  def __init__(self, world): self.world = world\n")
    assert make_from(f"{name}:Agent", WORLD).world is WORLD
    name = module("AGENT = 17")
    assert make_from(f"{name}:AGENT", WORLD) == 17


@pytest.mark.parametrize(
    ("text", "attribute", "message"),
    [
        (None, "make", "there is no module absent: run misgen in the folder that holds absent.py"),
        ("import absent_too", "make", "needs the module absent_too, which is not installed"),
        ("1 / 0", "make", "cannot be imported .ZeroDivisionError: .* line 1"),
        ("def make(: pass", "make", "cannot be imported .SyntaxError"),
        ("def make(): pass", "mak", "there is no mak in .*, such as make; did you mean 'make'"),
        ("import numpy as np", "nope", "there is no nope in .*: give .* makes the agent$"),
        ("def make(): pass", "make", "returned None: let the function return the agent"),
        ("def make(obs): pass", "make", "asks for 'obs', which is none of world, .*return make"),
        ("def make():\n  raise KeyError('x')", "make", "failed .KeyError: 'x'.* line 2"),
        ("", "", "names no function: write agent=module:function"),
    ],
)
def test_what_makes_no_agent_is_refused_in_a_sentence(module, text, attribute, message):
    name = "absent" if text is None else module(text)
    with pytest.raises(UserError, match=message):
        make_from(f"{name}:{attribute}", WORLD)


@pytest.mark.parametrize("path", ["my_agent.py", "./agents/my_agent.py"])
def test_a_file_in_place_of_a_module_is_answered_with_the_module(path):
    message = "agent=my_agent:make, and run misgen in the folder that holds my_agent.py"
    with pytest.raises(UserError, match=message):
        make_from(f"{path}:make", WORLD)
