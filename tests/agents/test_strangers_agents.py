"""Agents that others write: what is plainly meant as probabilities is taken, all else refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from misgen.agents.checked import probabilities_of, values_of
from misgen.agents.scripted import RandomAgent
from misgen.agents.wrappers import Mixture, PerturbedAgent, PerturbedValuedAgent
from misgen.envs.core.errors import UserError
from misgen.envs.make import distribution
from misgen.experiments.evaluation.probes.critic import probe_critic
from misgen.experiments.evaluation.rollout import run_batch, run_levels
from misgen.experiments.reporting.pictures.examples import trace

MAZE = distribution("corner_maze", action_set="distinct", max_steps=30, correlation=0.5)
COINRUN = distribution("coinrun", action_set="distinct", max_steps=20)
IDS = np.arange(6)
ROW = [0.5, 0.25, 0.125, 0.0625, 0.0625]


class Stranger:
    """Answers what it is told to, for `n` slots; its critic likewise."""

    name = "stranger"

    def __init__(self, answer: Callable[[int], Any], value: Callable[[int], Any] = np.zeros):
        self.answer = answer
        self.worth = value

    def start(self, slots, levels):
        pass

    def probabilities(self, observation, engine):
        return self.answer(len(next(iter(observation.values()))))

    def value(self, observation):
        return self.worth(len(next(iter(observation.values()))))


def rows(n: int) -> np.ndarray:
    return np.tile(ROW, (n, 1))


def soft(n: int, dtype: torch.dtype) -> torch.Tensor:
    """Return a network's softmax in some precision; its rows add up to 1 as nearly as that."""
    logits = torch.linspace(-2, 3, n * 5).reshape(n, 5).to(dtype)
    return torch.softmax(logits, dim=1)


def play(agent: Any, actions: Any = "sampled", **options: Any) -> pl.DataFrame:
    return run_levels(agent, MAZE, IDS, actions=actions, seed=3, **options)


MEANT: dict[str, Callable[[int], Any]] = {
    "list": lambda n: rows(n).tolist(),
    "tuple of lists": lambda n: tuple(rows(n).tolist()),
    "tensor": lambda n: torch.tensor(rows(n)),
    "float32 tensor": lambda n: torch.tensor(rows(n), dtype=torch.float32),
    "tensor with gradient": lambda n: torch.tensor(rows(n), requires_grad=True),
    "bfloat16 tensor": lambda n: torch.tensor(rows(n), dtype=torch.bfloat16),
    "float16": lambda n: rows(n).astype(np.float16),
    "float32": lambda n: rows(n).astype(np.float32),
    "longdouble": lambda n: rows(n).astype(np.longdouble),
    "columns first": lambda n: np.asfortranarray(rows(n)),
    "read only": lambda n: np.broadcast_to(np.array(ROW), (n, 5)),
    "other byte order": lambda n: rows(n).astype(">f8"),
    "a hair below 0": lambda n: np.add(rows(n), [0, 0, 0, 0, -1e-18]),
}
WRONG: dict[str, tuple[Callable[[int], Any], str]] = {
    "NaN": (lambda n: rows(n) * np.nan, "are not finite"),
    "one NaN": (lambda n: np.add(rows(n), [0, 0, 0, 0, np.nan]), "are not finite"),
    "infinite": (lambda n: np.add(rows(n), [np.inf, 0, 0, 0, 0]), "are not finite"),
    "both infinities": (lambda n: np.add(rows(n), [np.inf, -np.inf, 0, 0, 0]), "are not finite"),
    "negative": (lambda n: np.tile([1.2, -0.2, 0, 0, 0], (n, 1)), "are negative somewhere"),
    "logits": (lambda n: np.tile([2.0, -1, 0, 3, 1], (n, 1)), "are negative somewhere"),
    "positive logits": (lambda n: np.tile([2.0, 1, 0, 3, 1], (n, 1)), "do not add up to 1"),
    "nothing": (lambda n: np.zeros((n, 5)), "do not add up to 1"),
    "too little": (lambda n: 0.99 * rows(n), "do not add up to 1"),
    "too much": (lambda n: 1.001 * rows(n), "do not add up to 1"),
    "too much, float32": (lambda n: (1.001 * rows(n)).astype(np.float32), "do not add up to 1"),
    "too much, float16": (lambda n: (1.02 * rows(n)).astype(np.float16), "do not add up to 1"),
    "too much, bfloat16": (lambda n: torch.tensor(1.06 * rows(n), dtype=torch.bfloat16), "add up"),
    "the last row": (lambda n: np.r_[rows(n - 1), np.ones((1, 5))], "in row 5"),
    "percent": (lambda n: 100 * rows(n), "do not add up to 1"),
    "counts": (lambda n: np.ones((n, 5), np.int64), "do not add up to 1"),
    "truth": (lambda n: np.eye(5, dtype=bool)[np.zeros(n, int)], "truth values of shape (6, 5)"),
    "complex": (lambda n: rows(n).astype(complex), "(ndarray)"),
    "None": (lambda n: None, "None (NoneType)"),
    "words": (lambda n: [["left"] * 5] * n, "(list)"),
    "objects": (lambda n: rows(n).astype(object), "(ndarray)"),
    "ragged": (lambda n: [[1.0]] + [[0.5, 0.5]] * (n - 1), "(list)"),
    "a pair": (lambda n: (rows(n), None), "(tuple)"),
    "a distribution": (lambda n: torch.distributions.Categorical(torch.tensor(rows(n))), "(Cat"),
    "actions": (lambda n: np.zeros(n, np.int64), "shape (6,)"),
    "one row": (lambda n: np.array(ROW), "shape (5,)"),
    "transposed": (lambda n: rows(n).T, "shape (5, 6)"),
    "another action": (lambda n: np.full((n, 4), 0.25), "shape (6, 4)"),
    "another slot": (lambda n: rows(n + 1), "shape (7, 5)"),
    "a dimension more": (lambda n: rows(n)[:, :, None], "shape (6, 5, 1)"),
}


@pytest.mark.parametrize("mode", ["sampled", "greedy"])
@pytest.mark.parametrize("kind", MEANT)
def test_probabilities_that_are_meant(kind, mode):
    """The same episodes as the same numbers in float64 (all are sums of powers of two)."""
    assert play(Stranger(MEANT[kind]), mode).equals(play(Stranger(rows), mode))


@pytest.mark.parametrize("mode", ["sampled", "greedy"])
@pytest.mark.parametrize("kind", WRONG)
def test_probabilities_that_are_refused(kind, mode):
    given, message = WRONG[kind]
    batch = {"world": MAZE.world, "levels": MAZE.levels(IDS), "seed": 3, "discount": 0.9}
    for run in (play, lambda agent, mode: run_batch(agent, actions=mode, **batch)):
        with pytest.raises(UserError, match=re.escape(message)) as error:
            run(Stranger(given), mode)
        assert "agent 'stranger' gave" in str(error.value)
        assert "\n" not in str(error.value)
        assert "give each action's probability in each slot" in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_softmax_of_a_network_in_any_precision(dtype):
    """Scaled to add up to 1, whatever its rounding; also as a longer float or a list."""
    observation = {"tiles": np.zeros((200, 3))}
    p = soft(200, dtype)
    forms: list[Any] = [p]
    if dtype is not torch.bfloat16:
        forms += [p.float(), p.double().numpy(), p.tolist()]
    for form in forms:
        found = probabilities_of(Stranger(lambda n, f=form: f), observation, None, 5)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found, p.double().numpy(), rtol=0.02)
    play(Stranger(lambda n: soft(n, dtype)))


def test_ours_pass_as_they_are():
    """The very array: no result of any agent changes in its last bit."""
    p = np.random.default_rng(0).dirichlet(np.ones(5), 40)
    p[0] *= 1 + 9e-7
    found = probabilities_of(Stranger(lambda n: p), {"tiles": np.zeros((40, 3))}, None, 5)
    assert found is p


def test_whole_numbers_are_a_choice():
    one = play(Stranger(lambda n: np.eye(5, dtype=np.int64)[np.full(n, 3)]))
    assert one.equals(play(Stranger(lambda n: np.eye(5)[np.full(n, 3)])))


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (None, "has no start() and no probabilities()"),
        (object(), "has no start() and no probabilities()"),
        (torch.nn.Linear(2, 2), "has no start() and no probabilities()"),
        (lambda observation: 0, "has no start() and no probabilities()"),
        (Stranger, "is a class, not an object"),
    ],
)
def test_what_is_no_agent(agent, message):
    with pytest.raises(UserError, match=re.escape(message)):
        play(agent)


def test_agents_without_a_name():
    class Nameless:
        def start(self, slots, levels):
            pass

        def probabilities(self, observation, engine):
            return None

    with pytest.raises(UserError, match="agent 'Nameless' gave None"):
        play(Nameless())


# --- where else agents are asked


@pytest.mark.parametrize("kind", ["NaN", "None", "actions", "truth", "too much"])
def test_agents_within_agents(kind):
    agent = Stranger(WRONG[kind][0])
    fine = RandomAgent(5)
    for outer in (
        PerturbedAgent(agent, "noisy", noise=0.5),
        PerturbedValuedAgent(agent, "late", delay=2),
        Mixture(fine, agent, "mixed", 0.5),
        Mixture(agent, fine, "mixed", 1.0),
    ):
        with pytest.raises(UserError, match="agent 'stranger' gave"):
            play(outer)


def test_tensors_within_agents():
    given, ours = Stranger(MEANT["tensor with gradient"]), Stranger(rows)
    for noise in (0.0, 0.5):
        one, other = (play(PerturbedAgent(agent, "noisy", noise=noise)) for agent in (given, ours))
        assert one.equals(other)
    one, other = (play(Mixture(agent, RandomAgent(5), "m", 0.5)) for agent in (given, ours))
    assert one.equals(other)


@pytest.mark.parametrize("greedy", [True, False])
def test_pictures(greedy):
    levels = MAZE.levels(IDS)
    ours = trace(Stranger(rows), MAZE.world, levels, greedy=greedy)
    theirs = trace(Stranger(MEANT["bfloat16 tensor"]), MAZE.world, levels, greedy=greedy)
    assert [np.array_equal(a.xy, b.xy) for a, b in zip(ours, theirs, strict=True)] == [True] * 6
    with pytest.raises(UserError, match="agent 'stranger' gave"):
        trace(Stranger(WRONG["NaN"][0]), MAZE.world, levels, greedy=greedy)


@pytest.mark.parametrize(
    "value",
    [np.ones, lambda n: np.ones((n, 1)), lambda n: [1] * n, lambda n: torch.ones(n),
     lambda n: torch.ones(n, 1, requires_grad=True), lambda n: torch.ones(n, dtype=torch.bfloat16),
     lambda n: np.ones(n, np.float16)],
)  # fmt: skip
def test_values_that_are_meant(value):
    found = values_of(Stranger(rows, value), {"tiles": np.zeros((4, 2))})
    assert found.dtype == np.float64
    assert found.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda n: None, "gave None (NoneType) as values"),
        (lambda n: 1.0, "gave numbers of shape () as values"),
        (lambda n: np.ones(n + 1), "gave numbers of shape (5,) as values"),
        (lambda n: np.ones((n, 5)), "gave numbers of shape (4, 5) as values"),
        (lambda n: np.ones(n, bool), "gave truth values of shape (4,) as values"),
        (lambda n: ["a"] * n, "(list) as values"),
        (lambda n: np.full(n, np.nan), "gave the value nan"),
        (lambda n: np.full(n, -np.inf), "gave the value -inf"),
    ],
)
def test_values_that_are_refused(value, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        values_of(Stranger(rows, value), {"tiles": np.zeros((4, 2))})
    assert "agent 'stranger'" in str(error.value)


def test_the_critic_probe():
    def row(n):
        return np.full((n, 9), 1 / 9)

    probe = {"seed": 0, "labels": {"train_seed": 0}}
    found = probe_critic(Stranger(row, torch.ones), COINRUN, np.arange(2), **probe)
    assert found["value_no_goal"].to_list() == [1.0] * len(found)
    with pytest.raises(UserError, match="agent 'stranger' gave the value nan"):
        probe_critic(Stranger(row, lambda n: np.full(n, np.nan)), COINRUN, np.arange(2), **probe)
