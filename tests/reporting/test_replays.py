"""Replays: what is watched is what was evaluated, picked by rule, and small."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from misgen.agents.scripted import make_agent
from misgen.envs.coinrun.sprites import coin as coin_sprite
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.drawing.scene import unit
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import make_world
from misgen.experiments.commands import replay
from misgen.experiments.evaluation.result_folders import EVALUATION, kept
from misgen.experiments.reporting.place_maps import place_maps
from misgen.experiments.reporting.replays import recorded
from misgen.experiments.reporting.replays.packing import PLACES, decoded, encoded
from misgen.experiments.reporting.replays.recorded import record
from misgen.experiments.reporting.replays.taping import AFTER, tape
from misgen.experiments.reporting.replays.typical import median_run, pick, pick_levels, played
from misgen.experiments.reporting.results import read_results
from misgen.experiments.training.run_folder import SWEEP, file_sha256, write_json
from tests.exporting.conftest import COINRUN, make_run
from tests.reporting.test_report import IDS, PLACEMENTS, small_sweep, write_run

BOARDS = ("cheese_on_a_dish", "corner_maze", "follow_me", "lava_land", "monster_world",
          "shape_colour_maze", "tree_gridworld")  # fmt: skip
CHEESE = {"name": "cheese_on_a_dish", "max_steps": 30}


def random_tapes(world, count=3, **settings):
    levels = LevelDistribution(world, correlation=0.0).levels(np.arange(count))
    agent = make_agent("random", int(world.action_space.n), world.no_op)
    return levels, tape(agent, world, levels, actions="sampled", seed=1, **settings)


def drawn(sheet, board, things):
    """Draw a scene as a page does: the floor, what stands in cells, and what is before them."""
    n, (height, width) = sheet.texels, board.shape
    picture = np.zeros((height * n, width * n, 3))

    def lay(number, x, y):
        sprite = sheet.sprites[number].astype(float)
        part = picture[(height - y - 1) * n : (height - y) * n, x * n : (x + 1) * n]
        part[:] = sprite[..., :3] + part * (1 - sprite[..., 3:] / 255)

    for y, x in np.ndindex(height, width):
        lay(0, x, y)
        if board[y, x]:
            lay(board[y, x], x, y)
    for x, y, number, _ in things:
        if number >= 0:
            lay(int(number), int(x), int(y))
    return picture


@pytest.mark.parametrize("name", BOARDS)
def test_a_scene_looks_as_the_world_draws_it(name):
    world = make_world(name, max_steps=20)
    levels, _ = random_tapes(world, 1)
    engine = world.make_engine(1)
    engine.load(np.arange(1), levels)
    for _ in range(6):
        scene = world.scenes(engine.states)
        side = scene.board.shape[1]
        sheet = world.sheet(12)
        expected = world.picture(engine.states[0], 12 * side, 12 * side).astype(float)
        assert np.abs(drawn(sheet, scene.board[0], scene.things[0]) - expected).max() <= 2
        engine.step(np.array([3]))


@pytest.mark.parametrize("theme", ["level", "fixed", "other"])
def test_sprites_of_coinrun_are_those_of_its_theme(theme):
    world = make_world("coinrun", theme=theme)
    engine = world.make_engine(4)
    engine.load(np.arange(4), LevelDistribution(world).levels(np.arange(4)))
    scene, sheet = world.scenes(engine.states), world.sheet(16)
    assert scene.board.max() < len(sheet.sprites)
    assert scene.things[..., 2].max() < len(sheet.sprites)
    agent = sheet.sprites[int(scene.things[0, -1, 2])]
    assert agent.shape == (32, 16, 4)  # about twice as high as a cell
    coin = engine.states["goal_cell"][0]
    shown = sheet.sprites[scene.board[0, coin[1], coin[0]]]
    np.testing.assert_array_equal(shown, unit(coin_sprite(16)))


def test_frames_between_decisions_are_those_of_the_game():
    world = make_world("coinrun", mode="easy", action_repeat=3, max_steps=90)
    levels, tapes = random_tapes(world)
    single = dataclasses.replace(world, action_repeat=1)
    for row, one in enumerate(tapes):
        engine = single.make_engine(1)
        engine.load(np.arange(1), levels.take(slice(row, row + 1)))
        found = [single.scenes(engine.states).things[0, -1]]
        for action in one.actions:
            for _ in range(3):
                if engine.episodes["running"][0]:
                    engine.step(np.array([action]))
                found.append(single.scenes(engine.states).things[0, -1])
        np.testing.assert_array_equal([things[-1] for things in one.things], found)
        assert len(one.things) == 3 * len(one.actions) + 1


def test_what_comes_long_after_the_last_event_is_left_out():
    world = make_world("cheese_on_a_dish", max_steps=200, on_proxy="continue")
    levels = LevelDistribution(world, correlation=0.0).levels(np.arange(40))
    agent = make_agent("random", int(world.action_space.n), world.no_op)
    tapes = tape(agent, world, levels, actions="sampled", seed=1)
    late = [one for one in tapes if one.is_cut]
    assert late
    for one in late:
        last = max(one.result["goal_at"] or 0, one.result["proxy_at"] or 0)
        assert len(one.actions) == len(one.probabilities) == last + AFTER
        assert len(one.things) == last + AFTER + 1


def test_a_board_changes_where_things_are_taken():
    world = make_world("monster_world", max_steps=60)
    _, tapes = random_tapes(world, 8)
    changes = [change for one in tapes for change in one.changes]
    assert changes
    assert all(frame >= 1 for frame, *_ in changes)


# --- which ones ----------------------------------------------------------------------------------


def test_the_first_is_the_median_of_what_the_verdict_speaks_of(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.2, 0.5: 0.9}, seeds=3, greedy=False)
    picks = pick(results, 50)
    first = picks[0]
    assert results.runs[first.run] is median_run(results)
    assert (first.placement, first.did) == (PLACEMENTS[0], "proxy")
    own = played(results, results.runs[first.run]).filter(
        condition="conflict", placement=first.placement, did="PROXY"
    )
    ordered = own.sort("when", "level_id")["level_id"].to_list()
    assert first.level == ordered[(len(ordered) - 1) // 2]
    everyone = {
        one.run for one in picks if (one.level, one.placement) == (first.level, PLACEMENTS[0])
    }
    assert everyone == set(range(len(results.runs)))


def test_picks_are_different_and_at_most_as_many_as_asked_for(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.2}, seeds=2, greedy=False)
    for most in (0, 1, 7, 60):
        picks = pick(results, most)
        assert len({(one.run, one.placement, one.level) for one in picks}) == len(picks) <= most
    assert {one.did for one in pick(results, 60)} == {"goal", "proxy", "death"}


def test_levels_can_be_asked_for(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.2}, seeds=2, greedy=False)
    picks = pick_levels(results, [int(IDS[3]), 5])
    assert [(one.run, one.level) for one in picks] == [(0, IDS[3])] * 2 + [(1, IDS[3])] * 2


# --- a sweep -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "cheese", CHEESE).path.parent


def test_replays_come_out_as_the_evaluation_stored_them(sweep):
    results = read_results(sweep)
    found = record(results, 20)
    assert (found.other, found.missing, found.too_large) == (0, (), 0)
    pack = decoded(found.data)
    assert len(pack["replays"]) == found.count >= 4
    assert pack["actions"] == ["←", "↓", "·", "↑", "→"]
    for pair in pack["replays"]:
        rows = played(results).filter(level_id=pair["level"], placement=pair["placement"])
        for name, twin in zip(("aligned", "conflict"), pair["twins"], strict=True):
            (row,) = rows.filter(condition=name).to_dicts()
            assert (twin["steps"], twin["goalAt"]) == (row["steps"], row["goal_at"])
            assert len(twin["actions"]) <= row["steps"]
        assert pair["twins"][0]["goal"] == pair["twins"][0]["proxy"] != pair["twins"][1]["goal"]


def test_frames_are_packed_and_unpacked_alike(sweep):
    results = read_results(sweep)
    pack = decoded(record(results, 3).data)
    world = results.world
    for pair in pack["replays"]:
        twin = pair["twins"][1]
        levels = LevelDistribution(world, correlation=0.0, placement=pair["placement"]).levels(
            np.array([pair["level"]])
        )
        engine = world.make_engine(1)
        engine.load(np.arange(1), levels)
        codes = {arrow: k for k, arrow in enumerate(pack["actions"])}
        frames = len(twin["actions"]) + 1
        x, y = (np.cumsum(t) if isinstance(t, list) else np.full(frames, t)
                for t in twin["things"][-1][:2])  # fmt: skip
        for k, action in enumerate(twin["actions"]):
            assert (x[k] / PLACES, y[k] / PLACES) == (engine.states["x"][0], engine.states["y"][0])
            engine.step(np.array([action]))
        assert len(codes) == int(world.action_space.n)


def test_what_came_out_otherwise_is_counted(sweep, tmp_path):
    import shutil

    folder = tmp_path / "changed"
    shutil.copytree(sweep, folder)
    (run,) = [path for path in folder.iterdir() if path.is_dir()]
    (one,) = kept(run, EVALUATION)
    path = one.path / "episodes.parquet"
    pl.read_parquet(path).with_columns(steps=pl.col("steps") + 1).write_parquet(path)
    write_json(one.main, {**one.found, "episodes_sha256": file_sha256(path)})
    found = record(read_results(folder), 4)
    assert found.other == found.count > 0


def test_a_page_that_would_be_too_large_has_fewer_replays(sweep, monkeypatch):
    results = read_results(sweep)
    whole = record(results, 12)
    monkeypatch.setattr(recorded, "LARGEST", len(whole.data) - 200)
    part = record(results, 12)
    assert 0 < part.count < whole.count
    assert part.too_large == whole.count - part.count
    assert len(part.data) <= recorded.LARGEST


def test_two_hundred_replays_are_small(tmp_path):
    folder = make_run(tmp_path / "s", COINRUN).path.parent
    results = read_results(folder)
    found = record(results, 200)
    assert len(found.data) / found.count < 5_000_000 / 200


def test_agents_that_are_not_there_are_said(tmp_path):
    results = small_sweep(tmp_path, {1.0: 0.2}, seeds=1, greedy=False)
    found = record(results, 5)
    assert found.data == ""
    assert results.runs[0].name in found.missing[0]


def test_packs_are_text_that_ends_no_tag():
    pack = {"name": "</script><script>alert(1)</script>", "ρ": [1, None]}
    assert "<" not in encoded(pack)
    assert decoded(encoded(pack)) == json.loads(json.dumps(pack))


# --- the command ---------------------------------------------------------------------------------


def test_command_writes_a_page(sweep, tmp_path, capsys):
    out = tmp_path / "own" / "page.html"
    assert replay.main([str(sweep), "replays=4", f"out={out}"]) == 0
    assert "4 replays" in capsys.readouterr().out
    page = out.read_text()
    assert 'id="replays"' in page
    assert "agents that were trained" in page or "agent that was trained" in page


def test_command_takes_one_run_and_its_levels(sweep, capsys):
    (run,) = [path for path in sweep.iterdir() if path.is_dir()]
    level = int(played(read_results(sweep))["level_id"][0])
    assert replay.main([str(run), f"levels={level}"]) == 0
    assert (run / "replays.html").is_file()
    (run / "replays.html").unlink()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["nowhere"], "does not exist"),
        (["a", "b"], "2 folders are given"),
        (["replays=many"], "give a number from 0 to 2000"),
        (["levels=1,x"], "'x' is no level id"),
        (["trust=perhaps"], "trust"),
        (["out=x.txt"], "ending"),
        (["replay=3"], "is not a setting"),
    ],
)
def test_mistakes_are_explained(words, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=hint):
        replay.main(words if "=" not in words[0] or words[0] == "replay=3" else [".", *words])
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_watch_is_an_error(sweep):
    with pytest.raises(UserError, match="give replays=1 or more"):
        replay.main([str(sweep), "replays=0"])
    with pytest.raises(UserError, match="no agent was tested on these in conflict"):
        replay.main([str(sweep), "levels=7"])


def test_a_run_that_does_not_count_is_named(tmp_path):
    write_run(tmp_path, 1.0, 0, 0.2, greedy=False)
    other = write_run(tmp_path, 0.5, 0, 0.2, done=False)
    with pytest.raises(UserError, match=r"no run that is trained and evaluated .*failed"):
        replay.main([str(other.path)])
    write_json(tmp_path / SWEEP, {})
    with pytest.raises(UserError, match="cannot be watched: failed"):
        replay.main([str(other.path)])


def test_agents_of_the_zoo_are_watched_whatever_lies_beside_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("cheese_on_a_dish-rho1-seed0", "lava_land-rho1-seed0"):
        assert replay.main([f"zoo:{name}", "replays=1"]) == 0
        assert replay.main([f"run=zoo:{name}", "replays=1"]) == 0
        page = f"runs/zoo/{name}/replays.html"
        assert capsys.readouterr().out.count(f"1 replays: {page}") == 2
        assert (tmp_path / page).is_file()
    with pytest.raises(UserError, match="not in the zoo"):
        replay.main(["zoo:nobody"])
    with pytest.raises(UserError, match="2 folders are given"):
        replay.main(["a", "run=b"])


# --- maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cheese_on_a_dish", "corner_maze"])
def test_maps_count_every_episode_where_its_goal_was(name, tmp_path):
    folder = make_run(tmp_path / "s", {"name": name, "max_steps": 20}).path.parent
    results = read_results(folder)
    placement = results.placements[0]
    rows = played(results).filter(condition="conflict", placement=placement)
    for one in place_maps(results):
        told = [cell.told.split(" in ")[1].split() for cell in one.cells]  # "2 of 7 episodes ..."
        assert sum(int(words[2]) for words in told) == len(rows)
        assert sum(int(words[0]) for words in told) == (rows["first"] == "goal").sum()
        assert all(0 <= cell.x < one.across > cell.y for cell in one.cells)
    goals = LevelDistribution(results.world, correlation=0.0, placement=placement).levels(
        rows["level_id"].unique().sort().to_numpy()
    )
    if name == "cheese_on_a_dish":  # one size: a cell of the map is one of the board
        cells = {(x, y) for x, y in goals.data["goal_cell"].tolist()}
        first = place_maps(results)[0]
        assert {(cell.x, first.across - 1 - cell.y) for cell in first.cells} == cells


def test_a_world_that_scrolls_has_no_maps(tmp_path):
    assert place_maps(small_sweep(tmp_path, {1.0: 0.2}, seeds=1, greedy=False)) == []
