"""What callers hand the engine, in all views: what is meant is taken, all else is one sentence."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import entries
from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.core.views.single_env import MisgenEnv
from misgen.envs.core.views.vector_env import MisgenVectorEnv
from misgen.envs.make import distribution
from misgen.envs.procgen.library import installed

SLOTS = 3
WORLDS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name.startswith("procgen") and installed() is None, reason="Procgen is not installed"
        ),
    )
    for name in entries()
]
MAZE = distribution("corner_maze", action_set="distinct", max_steps=40)


def loaded(levels: LevelDistribution, slots: int = SLOTS) -> Engine:
    engine = levels.world.make_engine(slots)
    engine.load(np.arange(slots), levels.levels(np.arange(slots)))
    return engine


def kept(engine: Engine) -> bytes:
    return engine.states.tobytes() + engine.episodes.tobytes()


def as_three(one: Any) -> Any:
    return [one] * SLOTS


MEANT: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "tuple": tuple,
    "int64": np.array,
    "int8": lambda a: np.array(a, np.int8),
    "uint64": lambda a: np.array(a, np.uint64),
    "other byte order": lambda a: np.array(a, ">i4"),
    "column": lambda a: np.array(a)[:, None],
    "list of lists": lambda a: [[one] for one in a],
    "every second": lambda a: np.repeat(a, 2)[::2],
    "backwards": lambda a: np.array(a[::-1])[::-1],
    "read only": lambda a: np.broadcast_to(np.array(a), (SLOTS,)),
    "tensor": torch.tensor,
    "int32 tensor": lambda a: torch.tensor(a, dtype=torch.int32),
    "column tensor": lambda a: torch.tensor(a)[:, None],
    "NumPy scalars": lambda a: [np.int32(one) for one in a],
    "nothing masked": np.ma.masked_array,
}
WRONG: dict[str, tuple[Any, str]] = {
    "too long": (np.zeros(4, np.int64), r"shape (4,)"),
    "far too long": (np.zeros(100_000, np.int64), r"shape (100000,)"),
    "too short": ([0, 0], r"shape (2,)"),
    "empty": (np.zeros(0, np.int64), r"shape (0,)"),
    "one for all": (1, r"shape ()"),
    "a row": (np.zeros((1, 3), np.int64), r"shape (1, 3)"),
    "two columns": (np.zeros((3, 2), np.int64), r"shape (3, 2)"),
    "three dimensions": (np.zeros((3, 1, 1), np.int64), r"shape (3, 1, 1)"),
    "negative": ([0, -1, 0], "actions[1]=-1 is not an action"),
    "out of range": ([0, 0, 5], "actions[2]=5 is not an action"),
    "huge": ([2**62, 0, 0], "actions[0]=4611686018427387904 is not an action"),
    "huge unsigned": (np.array([0, 2**64 - 1, 0], np.uint64), "actions[1]=18446744073709551615"),
    "beyond 64 bits": ([0, 2**70, 0], "no numbers (object)"),
    "column, out of range": ([[0], [9], [0]], "actions[1]=9 is not an action"),
    "NaN": (as_three(np.nan), "fractions (floating point)"),
    "infinite": (as_three(np.inf), "fractions (floating point)"),
    "fractions": (as_three(1.5), "fractions (floating point)"),
    "whole fractions": (np.ones(3), "fractions (floating point)"),
    "half precision": (np.ones(3, np.float16), "fractions (floating point)"),
    "logits": (torch.zeros(3, requires_grad=True), "fractions (floating point)"),
    "bfloat16": (torch.zeros(3, dtype=torch.bfloat16), "fractions (floating point)"),
    "complex": (as_three(1j), "complex numbers"),
    "truth": (as_three(True), "truth values"),
    "None": (None, "actions=None are no numbers (object)"),
    "Nones": (as_three(None), "no numbers (object)"),
    "words": (as_three("left"), "no numbers (<U4)"),
    "digits": (as_three("1"), "no numbers (<U1)"),
    "bytes": (b"abc", "no numbers (|S3)"),
    "objects": (np.array([0, 1, 2], object), "no numbers (object)"),
    "dates": (np.zeros(3, "M8[D]"), "no numbers (datetime64[D])"),
    "a mapping": ({0: 1}, "no numbers (object)"),
    "a set": ({0, 1, 2}, "no numbers (object)"),
    "a generator": ((i for i in range(3)), "no numbers (object)"),
    "ragged": ([[0], [0, 1], [0]], "no array of numbers"),
    "one masked": (np.ma.masked_array([0, 0, 0], [False, True, False]), "no array of numbers"),
    "a tensor without data": (torch.zeros(3, dtype=torch.int64, device="meta"), "no array of"),
}


@pytest.mark.parametrize("kind", MEANT)
def test_actions_that_are_meant(kind):
    """They do what the same numbers as int64 do, and are left as they were."""
    given = MEANT[kind]([0, 3, 4])
    before = copy.deepcopy(given)
    one, other = loaded(MAZE), loaded(MAZE)
    for _ in range(3):
        one.step(np.array([0, 3, 4]))
        other.step(given)
    assert kept(one) == kept(other)
    assert np.array_equal(np.asarray(before), np.asarray(given))


@pytest.mark.parametrize("kind", WRONG)
def test_actions_that_are_refused(kind):
    """In one sentence, with what is wanted, and nothing has moved, in any of the views."""
    given, message = WRONG[kind]
    engine = loaded(MAZE)
    gym_view, sb3_view = MisgenVectorEnv(MAZE, SLOTS), MisgenVecEnv(MAZE, SLOTS)
    gym_view.reset(seed=0)
    sb3_view.reset()
    for one, step in ((engine, engine.step), (gym_view.engine, gym_view.step),
                      (sb3_view.engine, sb3_view.step)):  # fmt: skip
        before = kept(one)
        with pytest.raises(UserError, match=re.escape(message)) as error:
            step(given)
        assert kept(one) == before
        assert "\n" not in str(error.value)
        assert "give whole numbers from 0 to 4, one for each of 3 slots" in str(error.value)
        one.step(np.zeros(SLOTS, np.int64))  # and it goes on


class OnDevice:
    """Like a tensor on an accelerator, which NumPy cannot read before it is copied from there."""

    def __init__(self, here: torch.Tensor) -> None:
        self._here = here

    def detach(self) -> OnDevice:
        return self

    def cpu(self) -> torch.Tensor:
        return self._here

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def test_actions_may_lie_on_a_device():
    """The view for stable-baselines3 also keeps them, so that a training can go on."""
    one, other = MisgenVecEnv(MAZE, SLOTS), MisgenVecEnv(MAZE, SLOTS)
    one.reset()
    other.reset()
    given: Any = OnDevice(torch.tensor([0, 3, 4]))
    one.step(np.array([0, 3, 4]))
    other.step(given)
    assert kept(one.engine) == kept(other.engine)
    here, there = one.position(), other.position()
    assert here is not None
    assert there is not None
    assert np.array_equal(here.actions, there.actions)


@pytest.mark.parametrize("name", WORLDS)
def test_every_world_checks(name):
    levels = distribution(name)
    actions = int(levels.world.action_space.n)
    engine = loaded(levels)
    before = kept(engine)
    for given in ([0, 0], [0] * 500, [0, 0, actions], [-1, 0, 0], [np.nan] * 3, None):
        with pytest.raises(UserError, match="actions"):
            engine.step(given)  # pyright: ignore[reportArgumentType]
    assert kept(engine) == before
    last = np.full((SLOTS, 1), actions - 1)
    engine.step(last)
    assert engine.episodes["decisions"].tolist() == [1] * SLOTS
    wrong = [0, 1, 2, SLOTS]
    for slots in (wrong, [-1], [0.5], [[0]], None, "0", [0, 0]):
        with pytest.raises(UserError, match="slots"):
            engine.load(slots, levels.levels(np.arange(1)))  # pyright: ignore[reportArgumentType]
    for slots in (wrong, [-1], [0.5], [[0]], "0"):
        with pytest.raises(UserError, match="slots"):
            engine.observe(slots)  # pyright: ignore[reportArgumentType]
        with pytest.raises(UserError, match="slots"):
            engine.infos(slots)  # pyright: ignore[reportArgumentType]
    engine.observe(np.array([2, 0]))


def test_where_nothing_runs_any_whole_number_will_do():
    engine = loaded(MAZE)
    engine.episodes["running"][1] = False
    before = engine.states[1].tobytes()
    for number in (99, -1, 2**62, -(2**63)):
        engine.step(np.array([0, number, 4]))
        engine.step(np.array([[0], [number], [4]]))
    assert engine.states[1].tobytes() == before
    assert engine.episodes["decisions"].tolist() == [8, 0, 8]
    with pytest.raises(UserError, match=r"actions\[2\]=-1"):
        engine.step(np.array([0, -1, -1]))


@pytest.mark.parametrize(
    "action",
    [3, np.int64(3), np.uint8(3), np.array(3), np.array([3]), np.array([[3]]), [3], torch.tensor(3),
     torch.tensor([3])],
)  # fmt: skip
def test_single_actions_that_are_meant(action):
    one, other = MisgenEnv(MAZE), MisgenEnv(MAZE)
    for env, given in ((one, np.int64(3)), (other, action)):
        env.reset(seed=0)
        env.step(given)
    assert kept(one.engine) == kept(other.engine)


@pytest.mark.parametrize(
    "action",
    [5, -1, 1.0, np.nan, True, np.True_, None, "3", [3, 3], [], {}, 2**70, torch.tensor(1.0),
     np.array([[3, 3]]), object()],
)  # fmt: skip
def test_single_actions_that_are_refused(action):
    env = MisgenEnv(MAZE)
    env.reset(seed=0)
    before = kept(env.engine)
    with pytest.raises(UserError, match=r"give one whole number from 0 to 4"):
        env.step(action)
    assert kept(env.engine) == before


# --- how many, which ones


@pytest.mark.parametrize("count", [0, -1, 2.0, 1.5, np.nan, True, None, "3", [3], 10**9, 2**70])
def test_numbers_of_slots_that_are_refused(count):
    for make in (MAZE.world.make_engine, lambda n: MisgenVectorEnv(MAZE, n),
                 lambda n: MisgenVecEnv(MAZE, n)):  # fmt: skip
        with pytest.raises(UserError, match=r"num_(slots|envs)=.* give (one from 1 on|a number)"):
            make(count)


@pytest.mark.parametrize("count", [np.int64(2), np.uint8(2)])
def test_numbers_of_slots_that_are_meant(count):
    assert MAZE.world.make_engine(count).num_slots == 2
    assert MisgenVectorEnv(MAZE, count).num_envs == MisgenVecEnv(MAZE, count).num_envs == 2


def test_levels_that_are_not_for_the_slots():
    engine = loaded(MAZE)
    before = kept(engine)
    levels = MAZE.levels(np.arange(3))
    for given, message in (
        (levels.take(slice(2)), "2 levels were given for 3 slots"),
        (distribution("coinrun").levels(np.arange(3)), "do not run in 'corner_maze'"),
        (distribution("cheese_on_a_dish").levels(np.arange(3)), "do not run in 'corner_maze'"),
        (None, "not a LevelBatch"),
        ([1, 2, 3], "not a LevelBatch"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            engine.load(np.arange(3), given)  # pyright: ignore[reportArgumentType]
        assert kept(engine) == before


@pytest.mark.parametrize("seed", [-1, 1.5, "0", np.nan, True, 2**63, [], {}])
def test_seeds_that_are_refused(seed):
    for reset in (MisgenEnv(MAZE).reset, MisgenVectorEnv(MAZE, 2).reset):
        with pytest.raises(UserError, match=r"seed=.* is not a seed: give a whole number"):
            reset(seed=seed)
    view = MisgenVecEnv(MAZE, 2)
    with pytest.raises(UserError, match=r"seed=.* is not a seed: give a whole number"):
        view.seed(seed)
    with pytest.raises(UserError, match=r"seed=.* is not a seed: give a whole number"):
        MisgenVecEnv(MAZE, 2, seed=seed)


def test_numpys_seeds_are_seeds():
    for make in (MisgenEnv, lambda levels: MisgenVectorEnv(levels, 2)):
        env: Any = make(MAZE)
        one, other = env.reset(seed=np.int64(7))[1], env.reset(seed=7)[1]
        assert np.array_equal(one["level_id"], other["level_id"])


@pytest.mark.parametrize(
    "options",
    [5, [17, 18], "level_ids", {"level_ids": None}, {"level_ids": 3}, {"level_ids": [1, 2, 3]},
     {"level_ids": []}, {"level_ids": [1.0, 2.0]}, {"level_ids": [True, False]},
     {"level_ids": ["1", "2"]}, {"level_ids": [[1], [2, 3]]}, {"level_ids": [0, -1]},
     {"level_ids": [0, 2**70]}, {"levels": None}, {"levels": 3}, {"levels": [1, 2]}, {3: 4}],
)  # fmt: skip
def test_options_that_are_refused(options):
    """And the slots run on as they did."""
    env = MisgenVectorEnv(MAZE, 2)
    env.reset(seed=0)
    before = kept(env.engine)
    with pytest.raises(UserError):
        env.reset(options=options)
    assert kept(env.engine) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([{"level_ids": [1]}], "set_options was given [{'level_ids': [1]}] for 2 slots"),
        ([{"level_ids": [1]}] * 3, "for 2 slots: give one dictionary for all, or a list"),
        (3, "set_options was given 3 for 2 slots"),
        ("level_ids", "set_options was given 'level_ids' for 2 slots"),
        ([{"level_ids": [1]}, {}], "the options of slot 1 are {}"),
        ([{}, {"level_ids": [1]}], "the options of slot 1"),
        ([{"level_ids": [1]}, {"level_ids": [2, 3]}], "has 2 entries for one slot"),
        ([{"level_ids": []}, {"level_ids": [2, 3]}], "has 0 entries for one slot"),
        ([{"level_ids": [1]}, 7], "the options of slot 1 are 7"),
        ([{"level_ids": "a"}, {"level_ids": "b"}], "are not level ids"),
        ({"level_ids": [1, 2, 3]}, "has 3 ids for 2 slots"),
        ({"seeds": [1, 2]}, "reset option='seeds' is not known"),
    ],
)
def test_set_options_that_are_refused(options, message):
    env = MisgenVecEnv(MAZE, 2)
    env.set_options(options)
    with pytest.raises(UserError, match=re.escape(message)):
        env.reset()


@pytest.mark.parametrize(
    "options",
    [{"level_ids": [5, 9]}, [{"level_ids": [5]}, {"level_ids": [9]}],
     [{"level_ids": 5}, {"level_ids": np.int64(9)}], {"level_ids": np.array([[5], [9]])}],
)  # fmt: skip
def test_set_options_that_are_meant(options):
    env = MisgenVecEnv(MAZE, 2)
    env.set_options(options)
    env.reset()
    assert env.engine.level_ids.tolist() == [5, 9]
