"""Sets of level files: ids of their own, twins, and evaluations and protocols on them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from misgen.agents.scripted import RandomAgent
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.level_set import LevelSet, level_files, names_files
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.placement import USUAL
from misgen.envs.core.registry import entries, make_world
from misgen.envs.keys_and_chests.constants import CHEST, KEY
from misgen.envs.monster_world.rules import MONSTER, SPACE
from misgen.envs.monster_world.world import MonsterWorld
from misgen.experiments.commands import cli
from misgen.experiments.evaluation.config import EvaluateConfig, ShiftConfig
from misgen.experiments.evaluation.fingerprint import fingerprint
from misgen.experiments.evaluation.hand_made import conditions_of, hand_made_conditions, set_report
from misgen.experiments.evaluation.references import Reference, reference_episodes
from misgen.experiments.evaluation.result_folders import PROTOCOL, kept
from misgen.experiments.evaluation.rollout import run_levels
from tests.hand_made_boards import draw

NATIVE = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]
DRAWN = ("monster_world", "keys_and_chests")
"""Worlds whose twins say more than a level does; what that is, is drawn by its content."""
WORLD = make_world("corner_maze", mode="easy", action_set="distinct", max_steps=40)
CONFLICT = [3, 4, 7, 8]


def write(folder: Path, world=WORLD, ids=CONFLICT, correlation=0.0, stem="level") -> Path:
    """Write levels as a person's files: they all say that they have no id."""
    folder.mkdir(exist_ok=True)
    for level in world.levels(np.array(ids), correlation, USUAL):
        text = level_to_text(level, world).replace(f"\nid: {level.id}\n", "\nid: -1\n")
        (folder / f"{stem}{level.id}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "set")


# --- ids


def test_each_level_has_an_id_of_its_own_that_its_content_gives(folder, tmp_path):
    levels = LevelSet.read(str(folder), WORLD)
    ids = levels.batch.ids.tolist()
    assert len(set(ids)) == len(CONFLICT)
    assert all(number < -1 for number in ids), "no generated level has it"
    assert all(number > -(2**53) for number in ids), "JSON keeps it"
    assert ids == sorted(ids)
    renamed = tmp_path / "other"
    renamed.mkdir()
    for k, path in enumerate(sorted(folder.iterdir(), reverse=True)):
        shutil.copy(path, renamed / f"{k}.txt")
    assert LevelSet.read(str(renamed), WORLD).batch.ids.tolist() == ids
    few = [str(path) for path in sorted(folder.iterdir())[:2]]
    assert set(LevelSet.read(few, WORLD).batch.ids.tolist()) < set(ids)
    assert fingerprint(str(renamed)) == fingerprint(str(folder)) != fingerprint(few)


def test_an_id_in_the_header_does_not_count(folder):
    before = LevelSet.read(str(folder), WORLD).batch.ids.tolist()
    path = folder / "level3.txt"
    path.write_text(path.read_text().replace("id: -1", "id: 2000000"))
    assert LevelSet.read(str(folder), WORLD).batch.ids.tolist() == before


def test_random_numbers_differ_from_level_to_level_and_not_with_what_is_beside(folder):
    agent = RandomAgent(5)
    levels = LevelSet.read(str(folder), WORLD)
    all_of_them = run_levels(agent, levels, levels.ids.ids(), actions="sampled", seed=0)
    for path in folder.iterdir():
        one = LevelSet.read(str(path), WORLD)
        alone = run_levels(agent, one, one.ids.ids(), actions="sampled", seed=0)
        same = all_of_them.filter(pl.col("level_id") == one.batch.ids[0])
        assert alone.equals(same)
    assert all_of_them["progress"].n_unique() > 1


@pytest.mark.parametrize("name", ["monster_world", "tree_gridworld"])
def test_chance_within_a_level_is_its_own(name, tmp_path):
    """Monsters' ways and regrowth depend on the level's id."""
    world = make_world(name)
    levels = LevelSet.read(str(write(tmp_path / "set", world, [1, 2, 3])), world)
    assert len(set(levels.batch.ids.tolist())) == 3


# --- which files


@pytest.mark.parametrize(
    ("source", "files"),
    [("0:10", False), (" 7 ", False), (None, False), ("2000000:", False), ("my_folder", True),
     ("./7", True), (("a.txt", "b.txt"), True), ("a:b", False)],
)  # fmt: skip
def test_files_are_told_from_ranges(source, files):
    assert names_files(source) == files


def test_a_folder_is_its_text_files_by_name(folder):
    (folder / "notes.md").write_text("no level")
    (folder / ".hidden.txt").write_text("no level")
    assert [path.name for path in level_files(str(folder))] == [f"level{i}.txt" for i in CONFLICT]
    assert len(level_files([str(folder / "level3.txt"), str(folder / "level4.txt")])) == 2


def test_what_is_no_set_is_named(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    file = str(folder / "level3.txt")
    for source, message in (
        (str(empty), "holds no level file"),
        ([], "is empty"),
        ([file, file], "twice"),
        ([file, str(folder)], "twice"),
        ("nowhere", "neither a range of ids nor a file or folder"),
        ("a\0b", "neither a range"),
    ):
        with pytest.raises(UserError, match=message):
            level_files(source)


def test_links_that_lead_nowhere_are_named_as_files_that_cannot_be_read(folder):
    (folder / "circle.txt").symlink_to("circle.txt")
    (folder / "gone.txt").symlink_to("nowhere")
    assert len(level_files(str(folder))) == len(CONFLICT) + 2
    with pytest.raises(UserError, match=r"circle\.txt cannot be read .*1 more mistake"):
        LevelSet.read(str(folder), WORLD)


def test_mistakes_in_a_set_name_the_file(folder):
    shutil.copy(folder / "level3.txt", folder / "zcopy.txt")
    with pytest.raises(UserError, match=r"zcopy\.txt holds the same level as .*level3\.txt"):
        LevelSet.read(str(folder), WORLD)
    (folder / "bad.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"bad\.txt: the first line must be .*1 more mistake"):
        LevelSet.read(str(folder), WORLD)
    with pytest.raises(UserError, match=r"level3\.txt: is made for mode=easy, the world has mode"):
        LevelSet.read(str(folder / "level3.txt"), make_world("corner_maze", mode="hard"))


# --- twins


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("terrain", ["procgen", "langosco"])
def test_the_twin_of_a_generated_level_is_the_generated_twin(name, terrain):
    parameters = {"terrain": terrain} if name == "coinrun" else {}
    world = make_world(name, **parameters)
    for placement in world.shifts(["usual"])[:2] if not parameters else ["section_start"]:
        aligned = list(world.levels(np.arange(30), 1.0, placement))
        for level, wanted in zip(world.levels(np.arange(30), 0.0, placement), aligned, strict=True):
            if level.aligned:
                continue
            twin = world.aligned_twin(level)
            assert twin is not None
            assert twin.aligned
            assert twin.conflict_cell == level.conflict_cell
            if name in DRAWN:
                assert twin.terrain_hash == wanted.terrain_hash
                again = world.aligned_twin(level)
                assert again is not None
                assert twin.content_hash == again.content_hash
                level_batch([twin], world)
                continue
            assert twin.content_hash == wanted.content_hash
            assert twin.conflict_cell == wanted.conflict_cell


def things(level, kind):
    chosen = level.entities[level.entities["kind"] == kind]
    return {(int(thing["x"]), int(thing["y"])) for thing in chosen}


def test_the_twin_of_a_board_with_keys_has_its_chests_where_keys_were():
    world = make_world("keys_and_chests", mode="easy")
    for placement in ("apart(2)", "many_keys", "ratio(3)", "few"):
        for level in world.levels(np.arange(20), 0.0, placement.replace("few", "many_keys")):
            if placement == "few":  # fewer than two keys to a chest
                first = int(np.argmax(level.entities["kind"] == KEY))
                level = dataclasses.replace(level, entities=np.delete(level.entities, first))
            if level.aligned:
                continue
            twin = world.aligned_twin(level)
            assert twin is not None
            keys, chests = things(level, KEY), things(level, CHEST)
            assert things(twin, KEY) | things(twin, CHEST) == keys
            assert len(things(twin, CHEST)) == max(len(keys) - len(chests), -(-len(keys) // 2))
            assert twin.goal_cell in things(twin, CHEST)
            read = level_from_text(level_to_text(twin, world), world)
            assert read.content_hash == twin.content_hash


def test_the_twin_of_a_board_with_monsters_has_more_of_them():
    world = MonsterWorld()
    for level in world.levels(np.arange(20), 0.0, "few(2)"):
        twin = world.aligned_twin(level)
        assert twin is not None
        assert twin.entities[:2].tolist() == level.entities.tolist()
        assert len(things(twin, MONSTER)) == world.shields
        cells = things(twin, MONSTER) - things(level, MONSTER)
        assert all(twin.tiles[y, x] == SPACE for x, y in cells)
        assert (int(level.start[0]), int(level.start[1])) not in cells


def test_a_board_without_room_for_monsters_has_no_twin():
    world = MonsterWorld()
    crowded = draw(world, "#Asas.##", "#")
    assert world.aligned_twin(crowded) is None
    report = set_report(conditions_of(LevelSet.of([("a", crowded)], world)))
    assert report is not None
    assert "too few free cells for them" in report["notes"][0]
    roomy = draw(world, "#Asas..##", "#")
    assert things(world.aligned_twin(roomy), MONSTER) == {(5, 1), (6, 1)}


def test_a_set_is_played_as_its_conflict_levels_and_their_twins(folder):
    write(folder, ids=[20, 21], correlation=1.0, stem="aligned")
    levels = LevelSet.read(str(folder), WORLD)
    held, conflict, twin = conditions_of(levels)
    assert (held.name, conflict.name, twin.name) == ("in_distribution", "conflict", "aligned")
    assert len(conflict.ids) == 4
    assert not conflict.distribution.levels().aligned.any()
    assert twin.ids.tolist() == conflict.ids.tolist()
    assert twin.distribution.levels().aligned.all()
    assert len(held.ids) == 6
    report = set_report([held, conflict, twin])
    assert report is not None
    assert report["notes"] == []
    assert [row["side"] for row in report["files"]] == ["aligned"] * 2 + ["conflict"] * 4
    assert conflict.distribution.describe()["realised_correlation"] == 0


def test_what_a_set_cannot_say_is_said(tmp_path):
    world = make_world("monster_world")
    levels = LevelSet.read(str(write(tmp_path / "set", world)), world)
    held, conflict, twin = conditions_of(levels)
    assert held.ids.tolist() == conflict.ids.tolist() == twin.ids.tolist()
    first, second = set_report([conflict])["notes"]  # pyright: ignore
    assert "4 of 4 conflict levels have no aligned twin" in first
    assert "too few free cells" in first
    assert "no level is aligned" in second
    aligned = LevelSet.read(str(write(tmp_path / "aligned", world, correlation=1.0)), world)
    assert set_report(conditions_of(aligned))["notes"][0].startswith("no level is in conflict")  # pyright: ignore


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("who", ["goal_seeker", "proxy_seeker"])
def test_planned_seekers_walk_on_hand_made_levels(name, who, tmp_path):
    """As on the generated levels that these are copies of."""
    world = make_world(name, **({"mode": "easy"} if name == "coinrun" else {}))
    ids = [i for i in range(4) if not world.levels(np.array([i]), 0.0, USUAL)[0].aligned]
    levels = LevelSet.read(str(write(tmp_path / "set", world, ids)), world)
    generated = LevelDistribution(world, 0.0, ids=IdRange(0, 4))
    wanted = reference_episodes(generated, Reference(who), np.array(ids))
    found = reference_episodes(levels, Reference(who), levels.ids.ids())
    id_of = {world.levels(np.array([i]), 0.0, USUAL)[0].own_id: i for i in ids}
    assert len(found) == len(wanted) == len(ids)
    if name in ("monster_world", "tree_gridworld"):
        return  # there chance depends on the id
    renamed = found.with_columns(pl.col("level_id").replace_strict(id_of)).sort("level_id")
    assert renamed.equals(wanted.sort("level_id"))


# --- evaluations


def test_settings_of_generated_levels_are_refused():
    training = LevelDistribution(WORLD)
    for config, message in (
        (EvaluateConfig(backend="procgen"), "backend=procgen runs only the original"),
        (EvaluateConfig(shift=ShiftConfig(placements=("anywhere",))), "leave shift out"),
    ):
        with pytest.raises(UserError, match=message):
            hand_made_conditions(training, "anything", config)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return the folder of a run that learned nothing."""
    runs = tmp_path_factory.mktemp("runs")
    tiny = ["agent.total_steps=64", "agent.num_envs=4", "agent.num_steps=16", "agent.batch_size=64"]
    argv = ["env=corner_maze", "env.mode=easy", "env.action_set=distinct", "env.max_steps=40"]
    split = ["levels.train=0:50", "levels.validation=60:70", "levels.test=100:105"]
    assert cli.main(["train", *argv, "preset=none", *tiny, *split, f"runs={runs}"]) == 0
    (found,) = runs.glob("single/corner_maze-*")
    return found


def test_evaluate_a_folder_and_a_list(run, folder, capsys, monkeypatch):
    write(folder, ids=[20, 21], correlation=1.0, stem="aligned")
    quick = ["repeats=2", "verdict.devices=0"]
    assert cli.main(["evaluate", f"run={run}", f"levels={folder}", *quick]) == 0
    out = capsys.readouterr().out
    assert "6 made by hand" in out
    first = summary_of(run)
    assert first["config"]["levels"].startswith("made by hand: ")
    assert len(first["levels"]["hand_made"]["files"]) == 6
    assert cli.main(["evaluate", f"run={run}", f"levels={folder}", *quick]) == 0
    assert "evaluated with these settings before" in capsys.readouterr().err
    path = folder / "level3.txt"
    path.rename(folder / "renamed.txt")
    assert cli.main(["evaluate", f"run={run}", f"levels={folder}", *quick]) == 0
    assert "before" in capsys.readouterr().err, "names do not matter"
    monkeypatch.chdir(folder)
    two = ["evaluate", f"run={run}", "levels=[level4.txt,level7.txt]", *quick]
    assert cli.main(two) == 0
    captured = capsys.readouterr()
    assert "2 made by hand" in captured.out
    assert "before" not in captured.err
    assert cli.main(["evaluate", f"run={run}", "levels=nowhere"]) == 2
    assert "neither a range of ids nor a file" in capsys.readouterr().err


def summary_of(run: Path) -> dict:
    (file,) = run.rglob("summary.json")
    return json.loads(file.read_text())


def test_protocols_on_a_set(run, folder, capsys):
    for protocol, episodes in (("iid", 4), ("counterfactual_pairs", 8)):
        assert cli.main(["evaluate", f"protocol={protocol}", f"run={run}", f"levels={folder}"]) == 0
        (one,) = kept(run, PROTOCOL)
        found = one.found
        assert one.path.name == f"{protocol}-{one.key}"
        assert found["levels"].startswith("4 made by hand")
        assert found["points"][0]["episodes"] == episodes
        assert len(found["level_files"]) == 4
        shutil.rmtree(one.path)
    for argv, message in (
        (["protocol=red_team_in", f"levels={folder}"], "draws its levels itself"),
        (["protocol=iid", "levels=0:10"], "has ids of its own"),
    ):
        assert cli.main(["evaluate", f"run={run}", *argv]) == 2
        assert message in capsys.readouterr().err


def test_other_commands_refuse_files(run, folder, capsys):
    assert cli.main(["evaluate", f"run={run}", f"levels={folder}", "shift=surface"]) == 2
    assert "leave" in (said := capsys.readouterr().err) or "does not play" in said


# --- check


def test_check_a_folder_and_a_list(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert cli.main(["levels", "check", "file=set"]) == 0
    out = capsys.readouterr().out
    assert out.count("a level of corner_maze, in conflict") == 4
    assert out.endswith("4 of 4 files hold a level that can be run\n")
    assert cli.main(["levels", "check", "file=[set/level3.txt,set/level4.txt]"]) == 0
    assert "2 of 2" in capsys.readouterr().out
    shutil.copy("set/level3.txt", "set/zcopy.txt")
    Path("set/bad.txt").write_text("nothing")
    other = make_world("cheese_on_a_dish")
    write(folder, other, [5], stem="cheese")
    assert cli.main(["levels", "check", "file=set"]) == 1
    captured = capsys.readouterr()
    assert "bad.txt: the first line must be" in captured.out
    assert "zcopy.txt holds the same level as set/level3.txt" in captured.out
    assert "a level of cheese_on_a_dish" in captured.out, "each file says which world it is of"
    assert "6 of 7 files" in captured.out
    assert cli.main(["levels", "check", "file=[]"]) == 2
    assert "file=[] is empty" in capsys.readouterr().err
