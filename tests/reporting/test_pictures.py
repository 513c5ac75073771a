"""Pictures of levels: what moves in the level moves in the picture; ways are drawn as taken."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from misgen.agents.config import PPOConfig
from misgen.agents.spec import PolicySpec
from misgen.envs.core.drawing.palette import Style
from misgen.envs.core.episode import Outcome
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import entries, make_world
from misgen.envs.make import distribution
from misgen.experiments.commands import pictures
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.reporting.pictures import cutout, examples, paths
from misgen.experiments.training.run_folder import RunFolder, hash_of_stored, write_json

RIGHT_AND_JUMP = 8
LEVELS = distribution(
    "coinrun",
    placement="anywhere",
    start_level=2_000_000,
    num_levels=200,
    action_set="distinct",
    action_repeat=3,
)


class Runner:
    """Jumps to the right, whatever it sees."""

    name = "runner"

    def start(self, slots, levels):
        pass

    def probabilities(self, observation, engine):
        n = len(observation["tiles"])
        return np.broadcast_to(np.eye(9)[RIGHT_AND_JUMP], (n, 9))


def pixels(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return np.asarray(Image.open(buffer).convert("RGB"), np.int32)


def pair(level_id):
    ids = np.array([level_id])
    return [LEVELS.at(correlation=rho).levels(ids)[0] for rho in (1.0, 0.0)]


def changed_cells(first, second, window):
    """Return the cells, x and y, in which two drawings of one window differ."""
    left, right, bottom, top = window
    height, width = first.shape[:2]
    rows, columns = np.nonzero(np.abs(first - second).max(axis=2) > 24)
    x = left + columns / width * (right - left)
    y = top - rows / height * (top - bottom)
    return np.unique(np.stack([x, y], axis=1).astype(int), axis=0)


def drawn(level, window, ways=()):
    """Return the drawing without its frame, so that pixels are cells."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=((window[1] - window[0]) * 0.2, (window[3] - window[2]) * 0.2))
    ax = figure.add_axes((0, 0, 1, 1))
    paths.draw_level(level, LEVELS.world, ways, ax=ax, window=window)
    ax.axis("off")
    return pixels(figure)


def test_the_picture_changes_where_the_coin_is_and_nowhere_else():
    aligned, shifted = pair(2_000_104)
    window = (0, 36, 0, 20)
    changed = changed_cells(drawn(aligned, window), drawn(shifted, window), window)
    goals = np.array([aligned.goal_cell, shifted.goal_cell])
    distance = np.abs(changed[:, None] - goals[None]).max(axis=2)
    assert (distance.min(axis=1) <= 1).all()
    assert (distance.min(axis=0) == 0).all()


def test_a_path_is_drawn_where_it_goes():
    level = pair(2_000_104)[0]
    window = (0, 36, 0, 20)
    path = np.array([[2.5, 12.5], [20.5, 12.5]])
    changed = changed_cells(drawn(level, window), drawn(level, window, [path]), window)
    assert set(range(3, 20)) <= set(changed[:, 0].tolist())
    assert set(changed[:, 1].tolist()) <= {11, 12, 13}


def test_the_window_holds_all_that_matters():
    for level in LEVELS.levels(np.arange(2_000_000, 2_000_050)):
        left, right, bottom, top = cutout.window_of(level, LEVELS.world)
        for x, y in (level.start, level.goal_cell, level.proxy_cell, level.conflict_cell):
            assert left < x < right
            assert bottom < y < top
        assert 0 <= left < right <= 64
        assert 0 <= bottom < top <= 64


def test_trace_follows_the_agent_frame_by_frame():
    ids = np.arange(2_000_000, 2_000_020)
    levels = LEVELS.levels(ids)
    for level, way in zip(levels, examples.trace(Runner(), LEVELS.world, levels), strict=True):
        np.testing.assert_allclose(way.xy[0], level.start)
        steps = np.abs(np.diff(way.xy, axis=0))
        assert (steps <= [0.51, 1.51]).all()
        if way.outcome == Outcome.GOAL:
            assert np.abs(way.xy[-1] - np.add(level.goal_cell, 0.5)).max() < 1.1


@pytest.mark.parametrize("name", [n for n in entries() if not n.startswith("procgen")])
def test_ways_begin_in_the_middle_of_the_agent_in_every_world(name):
    from misgen.agents.scripted import RandomAgent

    where = distribution(name, max_steps=3)
    levels = where.levels(np.arange(2))
    agent = RandomAgent(int(where.world.action_space.n))
    for level, way in zip(levels, examples.trace(agent, where.world, levels), strict=True):
        np.testing.assert_allclose(way.xy[0], level.start, atol=1e-6)


def test_a_level_is_shown_on_which_it_goes_as_it_mostly_does():
    """Of levels that are as legible, one on which the agent dies shows nothing."""
    chosen = examples.example_of(LEVELS, list(range(2_000_000, 2_000_040)), Runner())
    assert chosen.traces is not None
    assert chosen.traces[0].outcome is Outcome.GOAL


def test_what_is_said_below_a_pair_needs_no_symbols():
    example = examples.example_of(LEVELS, [2_000_104], Runner())
    ways, world = example.traces, LEVELS.world
    assert ways is not None
    told = [paths._what_they_do(ways, world, rho) for rho in (None, 1.0, 0.98, 0.0)]
    assert [one[0].partition(":")[0] for one in told] == [
        "The agent",
        "An agent that was trained on such levels alone",
        "An agent that was trained with 98% such levels",
        "An agent that was trained on no such level",
    ]
    for name in entries():
        world = make_world(name) if not name.startswith("procgen") else world
        assert all("ρ" not in line for line in paths._titles(world))


def test_trace_plays_as_the_evaluator_does():
    world = make_world("coinrun", action_set="distinct", action_repeat=3, on_proxy="end")
    ids = np.arange(2_000_000, 2_000_060)
    for rho in (1.0, 0.0):
        where = LEVELS.at(correlation=rho, world=world)
        played = run_levels(Runner(), where, ids, actions="greedy", seed=0)
        traces = examples.trace(Runner(), LEVELS.world, where.levels(ids))
        assert played["outcome"].to_list() == [way.outcome.name for way in traces]
        touched = played["touched_conflict_cell"].to_list()
        assert touched == [way.touched_conflict_cell for way in traces]


def test_sampled_ways_depend_on_the_seed_alone():
    from misgen.agents.scripted import RandomAgent

    def ways(seed):
        levels = LEVELS.levels(np.arange(2_000_000, 2_000_004))
        traces = examples.trace(RandomAgent(9), LEVELS.world, levels, greedy=False, seed=seed)
        return [way.xy.tolist() for way in traces]

    assert ways(0) == ways(0)
    assert ways(0) != ways(1)


def both_twins(agent, ids):
    """Return greedy episodes as the evaluation writes them."""
    world = make_world("coinrun", action_set="distinct", action_repeat=3, on_proxy="end")
    tables = [
        run_levels(
            agent, LEVELS.at(correlation=rho, world=world), ids, actions="greedy", seed=0
        ).with_columns(condition=pl.lit(condition))
        for condition, rho in (("aligned", 1.0), ("conflict", 0.0))
    ]
    return pl.concat(tables).with_columns(
        role=pl.lit("agent"),
        agent=pl.lit("ppo"),
        placement=pl.lit("anywhere"),
        actions=pl.lit("greedy"),
    )


def test_the_level_picked_shows_what_the_agent_does_most_often():
    episodes = both_twins(Runner(), LEVELS.ids.ids())
    ids, choice = examples.pick_levels(episodes, LEVELS, "greedy")
    traces = examples.example_of(LEVELS, ids, Runner()).traces
    assert traces is not None
    before, after = traces
    assert before.outcome == Outcome.GOAL
    assert not before.touched_conflict_cell
    assert after.outcome == Outcome.PROXY  # it is blind: it cannot have turned to the coin
    assert choice.endswith("it reaches the level's end first")


def test_a_level_is_picked_even_where_the_agent_never_succeeds():
    episodes = both_twins(Runner(), LEVELS.ids.ids()).with_columns(reached_goal=False)
    ids, choice = examples.pick_levels(episodes, LEVELS, "greedy")
    assert set(ids) <= set(LEVELS.ids.ids())
    assert choice == "picked as easy to read"


def test_a_pair_is_drawn_without_an_agent():
    example = examples.example_of(LEVELS, [2_000_104])
    assert example.traces is None
    assert pixels(paths.draw_pair(example, LEVELS.world)).std() > 10


@pytest.mark.parametrize(("pick", "columns"), [(min, 2), (max, 1)])
def test_wide_levels_stand_one_above_the_other(pick, columns):
    level = pick(LEVELS.levels(), key=lambda level: level.proxy_cell[0])
    aligned, shifted = pair(level.id)
    figure = paths.draw_pair(examples.Example(aligned, shifted, None), LEVELS.world)
    places = {ax.get_subplotspec() for ax in figure.axes}
    assert {place.get_gridspec().ncols for place in places if place} == {columns}


@pytest.mark.parametrize("name", entries())
def test_every_world_has_a_palette_for_all_it_has(name):
    world = make_world(name)
    palette = cutout.palette_of(world)
    if palette is None:
        state = np.zeros((), world.state_dtype)
        state["side"] = 9
        assert world.picture(state, 36, 36).shape == (36, 36, 3)
        return
    assert set(palette.entities) == set(world.symbols.entities)
    assert set(palette.tiles) <= set(world.symbols.tiles)
    assert world.goal_tile in palette.tiles


def test_a_shape_that_cannot_be_drawn_is_refused():
    from misgen.envs.core.drawing.palette import SHAPES
    from misgen.experiments.reporting.pictures.shapes import DRAWN

    assert set(SHAPES) == DRAWN
    with pytest.raises(UserError, match="palette shape='sphere'"):
        Style("sphere", "#000000", "#000000")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run folder with an untrained policy."""
    from misgen.agents.checkpoint import build_policy, save_policy

    folder = RunFolder(tmp_path_factory.mktemp("sweep") / "run")
    spec = PolicySpec.of(PPOConfig(), LEVELS.world.observation_space, LEVELS.world.action_space)
    save_policy(folder.path, build_policy(spec), spec)
    env = {"name": "coinrun", "action_set": "distinct", "action_repeat": 3, "max_steps": 60}
    config = {"env": env, "agent": {}, "correlation": 0.5, "seed": 0}
    manifest = {"config": config, "config_hash": hash_of_stored(config)}
    write_json(folder.path / "manifest.json", manifest)
    return folder


def test_command_draws_a_pair(run, tmp_path, capsys):
    out = tmp_path / "docs" / "pair.png"
    arguments = [f"run={run.path}", f"out={out}", "id=2000104", "placement=anywhere"]
    assert pictures.main(arguments) == 0
    assert Image.open(out).width == 1600
    assert "level 2000104, as asked for" in capsys.readouterr().out


def test_command_needs_an_evaluation_to_pick_by(run):
    with pytest.raises(UserError, match=r"give id=\.\.\., or run misgen evaluate"):
        pictures.main([f"run={run.path}"])


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        ([], "run is missing"),
        (["run=nowhere"], "manifest.json does not exist"),
        (["run=x", "idd=3"], "did you mean 'id'"),
        (["run=x", "out=a.gif"], "use one of .png, .svg"),
        (["run=x", "actions=best"], "use one of greedy, sampled"),
    ],
)
def test_mistakes_are_explained(argv, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=hint):
        pictures.main(argv)
    assert list(tmp_path.iterdir()) == []
