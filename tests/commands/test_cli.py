"""The command line: light, helpful, and one sentence for a user's mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.commands import cli

HEAVY = {"torch", "stable_baselines3", "numba", "numpy", "scipy", "hydra", "polars", "matplotlib"}


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Return a function that installs a module as the command ``train``."""

    def install(body: str) -> None:
        (tmp_path / "a_command.py").write_text(f'"""Explain\n\nmyself.\n"""\n{body}\n')
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "a_command", raising=False)
        monkeypatch.setitem(cli.COMMANDS, "train", ("a_command", "a command"))

    return install


def test_help_teaches_and_is_complete(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in cli.COMMANDS)
    assert "runs/" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("argv", [[], ["-h"], ["help"]])
def test_other_ways_to_help(argv, capsys):
    assert cli.main(argv) == 0
    assert capsys.readouterr().out == cli.HELP.format(commands=cli._command_list())


@pytest.mark.parametrize("argv", [["--help"], ["nonsense"], ["--version"]])
def test_nothing_heavy_is_imported(argv):
    done = run_python(
        "import sys; from misgen.experiments.commands import cli\n"
        f"cli.main({argv!r}); print(*sys.modules, sep='\\n')"
    )
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(done.stdout.split()) == set()


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command_imports_nothing_heavy(name):
    done = run_python(
        "import sys; from misgen.experiments.commands import cli\n"
        f"cli.main([{name!r}, '--help']); print('---', *sys.modules, sep='\\n')"
    )
    assert done.returncode == 0, done.stderr
    text, _, modules = done.stdout.rpartition("---\n")
    assert f"misgen {name}" in text
    assert {*HEAVY, cli.COMMANDS[name][0]} & set(modules.split()) == set()


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("misgen 0.")


@pytest.mark.parametrize(
    ("word", "hint"), [("trian", "did you mean 'train'?"), ("xyz", "the commands are train,")]
)
def test_unknown_command(word, hint, capsys):
    assert cli.main([word]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"misgen: there is no command {word!r}; {hint}")
    assert err.count("\n") == 1


def test_command_gets_its_arguments_and_gives_the_status(command, capsys):
    command("def main(argv):\n    print(argv)\n    return 7")
    assert cli.main(["train", "seed=3", "env=coinrun"]) == 7
    assert capsys.readouterr().out == "['seed=3', 'env=coinrun']\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_of_a_command_is_its_docstring(command, flag, capsys):
    command("raise RuntimeError('imported')")
    assert cli.main(["train", "seed=3", flag]) == 0
    assert capsys.readouterr().out == "Explain\n\nmyself.\n"


def test_user_error_is_one_sentence(command, capsys):
    command(
        "from misgen.envs.core.errors import UserError\n"
        "def main(argv):\n    raise UserError('correlation is 2; it is from 0 to 1.')"
    )
    assert cli.main(["train"]) == 2
    assert capsys.readouterr().err == "misgen train: correlation is 2; it is from 0 to 1.\n"
    assert issubclass(UserError, ValueError)


def test_other_errors_keep_their_traceback(command):
    command("def main(argv):\n    raise ValueError('a bug')")
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["train"])


def test_too_little_memory_is_a_sentence(command, capsys):
    command("def main(argv):\n    import numpy as np\n    np.zeros((10**9, 10**6))")
    assert cli.main(["train"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("misgen train: there is not enough memory (Unable to allocate")
    assert said.count("\n") == 1


def test_a_file_that_is_something_else_is_named(command, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for body, why in (
        (f"import os; os.listdir({str(tmp_path / 'file')!r})", "Not a directory"),
        (f"open({str(tmp_path)!r})", "Is a directory"),
        (f"open({str(tmp_path / 'none')!r})", "No such file or directory"),
    ):
        command(f"def main(argv):\n    {body}")
        assert cli.main(["train"]) == 2
        said = capsys.readouterr().err
        assert str(tmp_path) in said
        assert f"cannot be used ({why}): see that" in said


def test_a_reader_that_leaves_is_no_error():
    """As in `misgen levels show | head -1`: no traceback."""
    code = (
        "import sys; from misgen.experiments.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    argv = [sys.executable, "-u", "-c", code, "levels", "show", "id=0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate()
    assert (process.returncode, said) == (1, b"")


CODE = "import sys; from misgen.experiments.commands.cli import main; sys.exit(main(sys.argv[1:]))"
posix = pytest.mark.skipif(os.name != "posix", reason="needs /dev/full, and a shell")


@posix
@pytest.mark.parametrize("argv", [["--help"], ["levels", "list"], ["train", "--cfg"]])
def test_an_output_that_takes_no_more_is_a_sentence(argv):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", CODE, *argv], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"misgen: the output could not be written (No space left on device)\n"


@posix
def test_a_mistake_that_nobody_can_be_told_keeps_its_status():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", CODE, "nonsense"], stderr=full, check=False)
    assert done.returncode == 2


@posix
def test_streams_that_are_closed_are_read_and_written_as_nothing():
    line = 'exec "$0" -c "$1" levels play env=cheese_on_a_dish id=3 actions=U <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", line, sys.executable, CODE], check=False).returncode == 0
    line = 'exec "$0" -c "$1" levels play env=cheese_on_a_dish id=3 <&-'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, CODE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("misgen levels: ")


@posix
def test_a_working_directory_that_is_gone_is_a_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli.main(["train", "preset=smoke"]) == 2
    assert "the folder that this was started in is gone" in capsys.readouterr().err


def test_interrupt(command, capsys):
    command("def main(argv):\n    raise KeyboardInterrupt")
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err == "misgen train: interrupted\n"
