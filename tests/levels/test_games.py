"""A game goes back and forth; an agent beside it says the same as alone; animations show it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from misgen.agents.known import agent_named
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.painting import move
from misgen.envs.core.registry import entries, make_world
from misgen.experiments.commands import cli
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.levels.game import Game
from misgen.experiments.levels.watching import Watched

NATIVE = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]


def game_of(name: str, level: int = 3, correlation: float = 0.0) -> Game:
    world = make_world(name)
    return Game(world, LevelDistribution(world, correlation).levels(np.array([level])))


@pytest.mark.parametrize("name", NATIVE)
def test_going_back_and_forth_leads_to_the_same_states(name):
    game = game_of(name)
    rng = np.random.default_rng(1)
    states = [game.engine.states.copy()]
    while game.running and game.at < 12:
        game.step(int(rng.integers(game.world.action_space.n)), "human")
        states.append(game.engine.states.copy())
    for at in (3, 0, 12, 7, 7, 99, -4):
        game.go_to(at)
        assert game.at == min(max(at, 0), len(game.actions))
        assert (game.engine.states == states[game.at]).all()


def test_another_action_forgets_what_came_after():
    game = game_of("cheese_on_a_dish")
    watched = Watched(agent_named("goal_seeker", game.world), game)
    while game.running:
        game.step(watched.answer().action, "agent")
    told = len(game.events)
    assert told
    game.go_to(1)
    game.step(game.world.no_op, "human")
    assert (len(game.actions), game.who[-1], game.at) == (2, "human", 2)
    assert len(game.path) == 3
    assert not game.events
    assert game.running


@pytest.mark.parametrize("seed", [0, 5])
def test_an_agent_that_is_watched_plays_as_it_is_evaluated(seed):
    """Decision by decision the same episode as that of an evaluation with the same seed."""
    game = game_of("cheese_on_a_dish", level=7)
    agent = agent_named("random", game.world)
    taken: list[int] = []
    run_levels(
        agent,
        LevelDistribution(game.world, 0.0),
        [7],
        actions="sampled",
        seed=seed,
        record=lambda episode, decision, action: taken.append(int(action[0])),
    )
    watched = Watched(agent, game, seed=seed)
    while game.running:
        game.step(watched.answer().action, "agent")
    assert game.actions == taken


class Counting:
    """An agent with a memory: it takes the number of states it was asked in as its action."""

    name = "counting"

    def start(self, slots, levels):
        self.asked = 0

    def probabilities(self, observation, engine):
        p = np.eye(5)[[self.asked % 5]]
        self.asked += 1
        return p


def test_an_agent_with_a_memory_sees_every_state_whoever_acts():
    game = game_of("cheese_on_a_dish")
    watched = Watched(Counting(), game)
    still = game.world.no_op
    for _ in range(4):
        game.step(still, "human")
    assert watched.answer().action == 4, "asked in the states before, too"
    assert watched.answer().action == 4, "and not twice in one"
    game.go_to(2)
    assert watched.answer().action == 2
    game.go_to(1)
    game.step(still, "human")
    game.step(still, "human")
    assert watched.answer().action == 3


def test_a_game_goes_on_where_the_goal_is_elsewhere_unless_it_went_otherwise():
    game = game_of("cheese_on_a_dish", level=5)
    watched = Watched(agent_named("goal_seeker", game.world), game)
    game.step(watched.answer().action, "agent")
    game.step(watched.answer().action, "agent")
    world, level = game.world, game.level

    def with_goal_at(cell):
        return level_batch([move(level, world, level.goal_cell, cell)], world)

    far = next(c for c in ((4, 9), (5, 9), (6, 9)) if level.tiles[c[1], c[0]] == 0)
    other = game.replayed_on(with_goal_at(far))
    assert other is not None
    assert (other.at, other.path) == (2, game.path[:3])
    stood = tuple(int(k) for k in game.path[1])
    assert game.replayed_on(with_goal_at(stood)) is None, "the goal would have been reached"


@pytest.mark.parametrize("ending", ["gif", "webp"])
@pytest.mark.parametrize("overlay", [False, True])
@pytest.mark.parametrize(
    ("world", "who", "seen"),
    [("cheese_on_a_dish", "agent=goal_seeker", 3), ("coinrun", "actions=E*12", 1)],
)
def test_an_animation_marks_goal_proxy_and_path(
    ending, overlay, world, who, seen, tmp_path, capsys
):
    out = tmp_path / f"play.{ending}"
    argv = [f"env={world}", "id=5", "correlation=0", who, f"out={out}", "scale=192"]
    if overlay:
        argv.append("overlay=true")
    assert cli.main(["levels", "play", *argv, "env.max_steps=12"]) == 0
    with Image.open(out) as picture:
        assert picture.size == (192, 192 + 22 * overlay)
        assert picture.n_frames > 2  # pyright: ignore
        picture.seek(picture.n_frames - 1)  # pyright: ignore
        colours = np.asarray(picture.convert("RGB"), np.int64).reshape(-1, 3)
    path, goal, proxy = (0x2F, 0x6F, 0xED), (0xF2, 0xB7, 0x05), (0xD6, 0x40, 0x9F)
    for mark in (path, goal, proxy)[:seen]:  # in CoinRun the goal is out of the picture
        near = (np.abs(colours - mark).max(axis=1) < 40).sum()
        assert not overlay or near > 10, mark


def test_marks_need_a_file(capsys):
    argv = ["levels", "play", "env=cheese_on_a_dish", "actions=.", "overlay=true"]
    assert cli.main(argv) == 2
    assert "overlay" in capsys.readouterr().err
