"""`misgen levels` list, edit, check and play: levels as files that people make."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.legend import legend
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.registry import entries, make_world, world_class
from misgen.experiments.commands import cli
from misgen.experiments.levels.playing import read_keys

WORLDS = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]
EASY = ["env=corner_maze", "env.mode=easy", "env.action_set=distinct"]


def levels(*argv: str) -> int:
    return cli.main(["levels", *argv])


@pytest.fixture
def maze(tmp_path, monkeypatch, capsys) -> Path:
    """Return the file of a conflict level of the corner maze."""
    monkeypatch.chdir(tmp_path)
    assert levels("edit", *EASY, "id=3", "correlation=0", "out=maze.txt") == 0
    capsys.readouterr()
    return Path("maze.txt")


# --- list


def test_list_has_every_world_with_its_goal_and_placements(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert levels("list") == 0
    text = capsys.readouterr().out
    for name, (_, entry) in entries().items():
        world = world_class(name)
        assert f"{name}  {entry.env_id}" in text
        for word in (world.goal_description, *world.placements, *world.capability, *world.proxies):
            assert word in text, (name, word)


# --- edit


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("correlation", [1, 0])
def test_a_level_goes_through_its_file_unchanged(name, correlation, tmp_path, capsys):
    """With all that teaches how to edit it."""
    file = tmp_path / "level.txt"
    world = make_world(name)
    batch = LevelDistribution(world, correlation, ids=IdRange(5, 6)).levels()
    text = level_to_text(batch[0], world, ("Level 5", "", *legend(world)))
    file.write_text(text)
    again = level_from_text(file.read_text(), world)
    assert again == batch[0]
    assert again.variant == batch[0].variant
    for sign in world.symbols.tiles.values():
        assert re.search(rf"^#   {re.escape(sign)} ", text, re.MULTILINE), sign
    assert all(len(line) <= 140 for line in text.splitlines())


def test_edit_writes_what_show_shows_and_checks_it(tmp_path, capsys):
    file = tmp_path / "level.txt"
    arguments = [*EASY, "id=3", "correlation=0"]
    assert levels("edit", *arguments, f"out={file}") == 0
    out = capsys.readouterr().out
    assert "in conflict: goal at (11, 7), proxy at (11, 11)" in out
    assert levels("show", *arguments) == 0
    shown = capsys.readouterr().out
    world = make_world("corner_maze", mode="easy")
    assert level_from_text(file.read_text(), world) == level_from_text(
        shown.rpartition("#")[0], world
    )


def editor(tmp_path: Path, code: str) -> str:
    """Return an editor that runs Python on the file's text, `t`."""
    script = tmp_path / "editor.py"
    script.write_text(
        f"import sys, pathlib\np = pathlib.Path(sys.argv[1])\nt = p.read_text()\n{code}\n"
        "p.write_text(t)\n"
    )
    return f"{sys.executable} {script}"


def test_edit_opens_the_editor_and_takes_the_id_from_a_level_that_changed(
    tmp_path, monkeypatch, capsys
):
    file = tmp_path / "level.txt"
    move = "t = t.replace('###.#...#..C#', '###.#...#.C.#')"
    monkeypatch.setenv("EDITOR", editor(tmp_path, move))
    monkeypatch.delenv("VISUAL", raising=False)
    assert levels("edit", *EASY, "id=3", "correlation=0", f"out={file}", "open=true") == 0
    out = capsys.readouterr().out
    assert "its id is now -1" in out
    assert "goal at (10, 7)" in out
    level = level_from_text(file.read_text(), make_world("corner_maze", mode="easy"))
    assert (level.id, level.goal_cell) == (-1, (10, 7))
    before = file.read_text()
    monkeypatch.setenv("EDITOR", editor(tmp_path, "pass"))
    assert levels("edit", f"out={file}", "open=true") == 0, "it opens what is there, as it is"
    assert file.read_text() == before


def test_what_edit_cannot_write_leaves_the_file_as_it_was(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "level.txt"
    move = "t = t.replace('###.#...#..C#', '###.#...#.C.#')"
    monkeypatch.setenv("EDITOR", editor(tmp_path, move))
    monkeypatch.delenv("VISUAL", raising=False)
    arguments = [*EASY, "id=3", "correlation=0", f"out={file}"]
    with monkeypatch.context() as patch:
        patch.setattr("misgen.envs.core.files.replace", full)
        assert levels("edit", *arguments) == 2
        assert not file.exists()
        assert "level.txt could not be written (No space left" in capsys.readouterr().err
    assert levels("edit", *arguments) == 0
    with monkeypatch.context() as patch:
        patch.setattr("misgen.envs.core.files.replace", full)
        assert levels("edit", *arguments, "open=true") == 2
    level = level_from_text(file.read_text(), make_world("corner_maze", mode="easy"))
    assert (level.id, level.goal_cell) == (3, (10, 7)), "the edit is there, the id is not taken"


def test_edit_says_what_is_wrong_with_an_edit(tmp_path, monkeypatch, capsys):
    file = tmp_path / "level.txt"
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor(tmp_path, "t = t.replace('..C#', '..?#')"))
    assert levels("edit", *EASY, "id=3", "correlation=0", f"out={file}", "open=true") == 1
    assert "'?' at column 11, row 7 means nothing: use one of .#CAXc" in capsys.readouterr().out
    monkeypatch.delenv("EDITOR")
    assert levels("edit", f"out={file}", "open=true") == 2
    assert "EDITOR is not set" in capsys.readouterr().err


# --- check


def test_check_names_the_line_and_the_column(maze, capsys):
    lines = maze.read_text().splitlines()
    number = next(k for k, line in enumerate(lines) if "C#" in line and not line.startswith("# "))
    lines[number] = lines[number].replace("C", "?")
    maze.write_text("\n".join(lines))
    assert levels("check", f"file={maze}") == 1
    out = capsys.readouterr().out
    column = lines[number].index("?") + 1
    assert out.startswith(f"maze.txt: line {number + 1}, column {column}: map: '?'")
    assert "use one of .#CAXc" in out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: 3", "id: three", "line 3: id: 'three' should be a whole number"),
        ("look: 5", "lok: 5", "line 5: lok: is not known in a level's header"),
        ("map:\n#  x13", "map:\n#  x12", "map: 24 rows"),
        ("###A", "###.", "map: there is no start A"),
        ("size: 25 25", "size: 25", "line 6: size: '25' should be 2 whole numbers"),
    ],
)
def test_check_names_what_is_wrong(old, new, message, maze, capsys):
    text = maze.read_text()
    assert old in text
    maze.write_text(text.replace(old, new))
    code = levels("check", f"file={maze}")
    captured = capsys.readouterr()
    assert message in captured.out + captured.err
    assert code in (1, 2)


def test_check_plans(maze, capsys):
    assert levels("check", f"file={maze}") == 0
    out = capsys.readouterr().out
    world = make_world("corner_maze", mode="easy")
    level = level_from_text(maze.read_text(), world)
    assert f"content  {level.content_hash}" in out
    assert "goal     in reach, 16 decisions away" in out
    assert "proxy    in reach, 20 decisions away" in out
    assert "note" not in out


def test_check_fails_where_the_goal_is_walled_in(maze, capsys):
    text = maze.read_text().replace("###.#...#..C#", "###.#...###C#")
    text = text.replace("###.#.#.....#\n#####", "###.#.#....##\n#####").replace(
        "#.###.#\n", "#.#####\n"
    )
    maze.write_text(text)
    assert levels("check", f"file={maze}") == 1
    out = capsys.readouterr().out
    assert "goal     out of reach" in out
    assert "write id: -1" in out, "the header still names the level that it was"


def test_check_takes_world_and_parameters_from_the_file_unless_told(maze, capsys):
    assert levels("check", f"file={maze}") == 0
    capsys.readouterr()
    assert levels("check", f"file={maze}", "env.mode=hard") == 1
    assert "level 0 is made for mode=easy, the world has mode=hard" in capsys.readouterr().out
    assert levels("check", f"file={maze}", "env=coinrun") in (1, 2)
    captured = capsys.readouterr()
    assert "world: 'corner_maze' is not 'coinrun'" in captured.out + captured.err
    assert levels("check", "file=nowhere.txt") == 2
    assert "nowhere.txt cannot be read" in capsys.readouterr().err
    assert levels("check") == 2
    assert "file is missing" in capsys.readouterr().err


# --- play


def test_play_an_action_string(maze, capsys):
    assert levels("play", f"file={maze}", "actions=U*2R*2U*2") == 0
    out = capsys.readouterr().out
    assert "outcome none yet" in out
    assert "steps 6" in out
    first, last = (re.findall(r"^###.*A.*$", part, re.M) for part in out.split("\n\n"))
    assert first != last


@pytest.mark.parametrize(
    ("agent", "outcome", "steps"),
    [("goal_seeker", "GOAL", 16), ("proxy_seeker", "PROXY", 500), ("idle", "TIMEOUT", 500)],
)
def test_play_an_agent(agent, outcome, steps, maze, capsys):
    assert levels("play", f"file={maze}", f"agent={agent}") == 0
    out = capsys.readouterr().out
    assert f"outcome {outcome}" in out
    assert f"steps {steps}" in out
    assert ("decision 16: the goal is reached (the cheese)" in out) == (outcome == "GOAL")
    assert ("decision 20: the proxy is reached" in out) == (outcome == "PROXY")


def test_play_is_repeatable_and_draws(maze, capsys):
    argv = ["play", f"file={maze}", "agent=random", "seed=3", "env.max_steps=12"]
    assert levels(*argv, "out=play.gif", "scale=64") == 0
    first = capsys.readouterr().out
    with Image.open("play.gif") as picture:
        assert picture.size == (64, 64)
        durations = []  # in which equal pictures are one
        for k in range(picture.n_frames):  # pyright: ignore
            picture.seek(k)
            durations.append(picture.info["duration"])
        assert sum(durations) == 12 * 80 + 1000
    assert levels(*argv) == 0
    assert capsys.readouterr().out == first.replace("play.gif: 13 pictures\n", "")


def test_play_a_level_of_an_id(capsys):
    assert levels("play", "env=tree_gridworld", "env.side=5", "env.trees=3", "actions=..") == 0
    out = capsys.readouterr().out
    assert len(out.split("\n\n")[0].splitlines()) == 5


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["agent=seeker"], "agent='seeker' is not known: use one of goal_seeker, proxy_seeker"),
        (["actions=RRJ"], "'J' at place 3 is not an action here: use LD.UR"),
        (["actions=RQ"], "'Q' at place 2 is not an action here"),
        (["actions=R", "agent=idle"], "agent and actions exclude each other"),
        ([], "there is no player: give agent=goal_seeker"),
        (["actions=R", "out=play.png"], "out='play.png' cannot be written: give a .gif"),
    ],
)
def test_mistakes_in_play(argv, message, maze, capsys):
    assert levels("play", f"file={maze}", "env.action_set=distinct", *argv) == 2
    assert message in capsys.readouterr().err


def test_letters_are_actions_of_the_worlds_own_set():
    board = make_world("corner_maze", action_set="distinct")
    assert read_keys("LD.UR", board) == [0, 1, 2, 3, 4]
    assert read_keys("R*3L", board) == [4, 4, 4, 0]
    everything = make_world("corner_maze", action_set="procgen")
    assert read_keys("ZLQD.UCRE", everything) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    with pytest.raises(UserError, match="is not an action here"):
        read_keys("r", board)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_play_at_the_keyboard(maze):
    """Up, up, space, a key that means nothing, x: on a terminal of our own."""
    ours, theirs = os.openpty()
    code = (
        "import sys; from misgen.experiments.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", code, "levels", "play", f"file={maze}"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            close_fds=True,
        ) as process,
        open(ours, "r+b", buffering=0) as terminal,
    ):
        too_long = threading.Timer(120, process.kill)  # then reading ends, and the test fails
        too_long.daemon = True
        too_long.start()
        terminal.write(b"\x1b[A")  # before anything listens
        os.close(theirs)
        shown, told = b"", False
        with contextlib.suppress(OSError):  # the other end is closed
            while chunk := terminal.read(1024):
                shown += chunk
                if not told and b"x quits" in shown:
                    terminal.write(b"\x1b[A mx")
                    told = True
    assert process.returncode == 0, shown
    assert b"steps 3" in shown
    assert b"outcome none yet" in shown


def test_play_a_trained_agent(tmp_path, monkeypatch, capsys):
    """In its own world, where the file does not say otherwise."""
    monkeypatch.chdir(tmp_path)
    tiny = ["agent.total_steps=64", "agent.num_envs=4", "agent.num_steps=16", "agent.batch_size=64"]
    small = ["env=tree_gridworld", "env.side=5", "env.trees=3", "env.view=9"]
    argv = ["train", *small, "preset=none", *tiny, "levels.train=0:50", "runs=runs"]
    assert cli.main(argv) == 0
    (run,) = Path("runs/single").glob("tree_gridworld-*")
    capsys.readouterr()
    assert levels("play", f"agent={run}", "id=4", "env.max_steps=9") == 0
    out = capsys.readouterr().out
    assert "steps 9" in out
    assert len(out.split("\n\n")[0].splitlines()) == 5
    assert np.isfinite(float(re.search(r"return (\S+),", out)[1]))  # pyright: ignore
