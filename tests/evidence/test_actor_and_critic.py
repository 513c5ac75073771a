"""The question of the wall that can be walked through, on walkers and critics that are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from misgen.envs.coinrun.observation import CLASSES, WINDOW
from misgen.envs.coinrun.open_end import opened
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.episode import REACHED_GOAL
from misgen.experiments.evidence.actor_and_critic import analysis
from misgen.experiments.evidence.actor_and_critic.walked import CELLS, summary, value_at, walk
from misgen.experiments.evidence.columns import ordered
from misgen.experiments.evidence.judged_agents import critic_peaks_before_the_wall
from misgen.experiments.evidence.question import question_of

WORLD = CoinRun(mode="easy", action_set="distinct", action_repeat=3)
LEVELS = LevelDistribution(WORLD, 1.0, ids=IdRange(0, 1000))
RIGHT, RIGHT_AND_JUMP = 7, 8
_WALL = CLASSES.index("wall")
_HALF = WINDOW // 2


class Walker:
    """Holds an action; its critic values what `of` says of the tiles that it sees."""

    name = "walker"

    def __init__(self, of, action=RIGHT_AND_JUMP):
        self.of = of
        self.row = np.eye(int(WORLD.action_space.n))[action]

    def start(self, slots, levels):
        """Do nothing."""

    def probabilities(self, observation, engine):
        """Return the action held."""
        return np.broadcast_to(self.row, (len(observation["tiles"]), len(self.row)))

    def value(self, observation):
        """Return what `of` says."""
        return np.array([float(self.of(tiles)) for tiles in observation["tiles"]])


def wall_near(tiles):
    """Values a wall up to the sky at its right, the nearer the better; nothing inside it."""
    full = (tiles[: _HALF + 1] == _WALL).all(axis=0)
    if full[_HALF]:
        return 0
    return max([10 - ahead for ahead in range(1, _HALF + 1) if full[_HALF + ahead]], default=0)


def found(of, **how):
    return summary(walk(Walker(of, **how), LEVELS, np.arange(400)), 400)


def test_an_open_end_looks_like_a_wall_and_is_none():
    levels = LEVELS.at(correlation=0.0, placement="anywhere").levels(np.arange(60))
    closed, open_ = (
        Engine(world, 60) for world in (dataclasses.replace(WORLD, max_steps=900), opened(WORLD))
    )
    for engine in (closed, open_):
        engine.load(np.arange(60), levels)
    ends = open_.states["proxy_cell"][:, 0]
    furthest = np.zeros((2, 60))
    seen = 0
    for _ in range(250):
        before = [engine.world.export_motion(engine.states) for engine in (closed, open_)]
        same = (before[0] == before[1]).all(axis=1)
        running = closed.episodes["running"] & open_.episodes["running"] & same
        for key in ("tiles", "body"):
            one, other = closed.observe()[key][running], open_.observe()[key][running]
            coin = one == CLASSES.index("coin") if key == "tiles" else np.zeros(one.shape, bool)
            assert (np.where(coin, 0, one) == other).all()
        seen += int(running.sum())
        for which, engine in enumerate((closed, open_)):
            engine.step(np.full(60, RIGHT_AND_JUMP))
            x = engine.world.export_motion(engine.states)[:, 0] - ends
            furthest[which] = np.maximum(furthest[which], x)
    assert seen > 500
    assert not (open_.episodes["events"] & REACHED_GOAL).any(), "there is no coin"
    assert furthest[0].max() < 0.52, "its middle stays before the wall"
    assert (furthest[1] > 3).sum() > 10


def test_a_critic_of_the_wall_peaks_before_it():
    row = found(wall_near)
    assert row["walked_through"] == row["reached"] > 30
    assert analysis.BEFORE[0] <= row["peak"] <= analysis.BEFORE[1]
    assert row["wall_adds"] > 5
    assert row["rise"] > 3
    assert row["fall"] > 5
    assert row[value_at(0)] > row[value_at(-4)] > row[value_at(2)]


def test_a_critic_that_is_blind_to_the_wall_says_nothing_of_it():
    row = found(lambda tiles: 5)
    assert (row["rise"], row["fall"], row["wall_adds"]) == (0, 0, 0)
    crates = found(lambda tiles: (tiles == CLASSES.index("crate")).sum())
    assert abs(crates["wall_adds"]) < 0.2, "no wall is in this value"


def test_who_never_comes_to_the_end_walks_through_nothing():
    row = found(wall_near, action=0)
    assert (row["reached"], row["walked_through"]) == (0, 0)
    assert "peak" not in row


def test_a_walk_is_the_same_whenever_it_is_taken():
    one, other = (walk(Walker(wall_near), LEVELS, np.arange(30), seed=3) for _ in range(2))
    assert one.equals(other)


def table(through=1.0, peak=-1, adds=3.0, seeds=10, known=True):
    """Agents that walk through in a share of 200 episodes, and whose critics peak in a cell."""
    rows = []
    for seed in range(seeds):
        critic = {value_at(cell): 5.0 - abs(cell - peak) / 2 for cell in CELLS}
        critic |= {"peak": peak, "rise": 2.0, "fall": 1.0, "wall_adds": adds + seed / 10}
        rows.append(
            {"train_correlation": 1.0, "train_seed": seed, "trained": True, "episodes": 300,
             "reached": 200, "walked_through": round(200 * through), **(critic if known else {})}
        )  # fmt: skip
    return ordered(pl.DataFrame(rows), question_of("actor_and_critic").columns, (), ())


@pytest.mark.parametrize(
    ("how", "verdict"),
    [
        ({}, "agrees"),
        ({"through": 0.1}, "against"),
        ({"peak": 3}, "against"),
        ({"through": 0.55}, "open"),
        ({"seeds": 2}, "open"),
    ],
)
def test_the_claim_is_judged_by_whole_intervals(how, verdict):
    found = analysis.analyse(table(**how))
    told, judged = critic_peaks_before_the_wall(dict(found.tables))  # pyright: ignore
    assert judged == verdict, told


def test_what_is_told_and_drawn():
    found = analysis.analyse(table())
    (row,) = found.tables["recipes"].to_dicts()
    assert (row["critics"], row["peak_before"], row["walked_through"]) == (10, 10, 2000)
    assert "walk on through the wall in 2,000 of them" in found.paragraph
    assert "peaks within two cells before the wall in 10 of 10 critics" in found.paragraph
    assert "+3.5 [+3.2, +3.7] of reward" in found.paragraph
    figure = analysis.draw(table(), found)
    assert len(figure.axes[1].get_lines()) == 11
    nobody = table(known=False).with_columns(reached=pl.lit(0), walked_through=pl.lit(0))
    nothing = analysis.analyse(nobody)
    assert "no agent of 10 comes to the end" in nothing.paragraph
    assert critic_peaks_before_the_wall(dict(nothing.tables)) is None
    analysis.draw(nobody, nothing)
