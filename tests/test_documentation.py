"""What the documentation says to type works: every command is composed, and cheap ones are run.

Commands come from fenced shell blocks and inline code of the Markdown files, and from the help of
the commands.  A command is taken as far as it can be without training or playing anything: its
settings are composed and checked, and what names a run that is not there must fail for that alone.
"""

from __future__ import annotations

import ast
import importlib.util
import itertools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from misgen.agents import zoo
from misgen.experiments.commands import cli
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.settings import compose, typed

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

FENCE = re.compile(r"^```(?:sh|bash|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ANY_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:misgen|make|python -m) [^`]+)`")
PLACEHOLDERS = {
    "world": "cheese_on_a_dish",
    "sweep": "no-such-sweep",
    "run": "no-such-run",
    "question": "maze_2",
    "command": "train",
}
SHELL = {"until", "while", "do", "done", "then", "fi", ":", "cd", "cp", "git", ".", "pre-commit"}
"""Words of the shell, and programs that are not ours."""
EXTERNAL = re.compile(r"(?:.*/)?(pip|python\d?)$")
CONFIG_ONLY = ("train", "sweep", "compare", "validate", "evidence")
"""Commands that would start work at once: only their settings are looked at."""
CHEAP_LEVELS = ("list", "show", "edit")
MISSING = re.compile(r"no-such-|runs/|my_|mine")
"""What is in names of files and folders that are not there when the test runs."""
WHOSE = re.compile("(run|agent)=")
READERS = re.compile(r"^(env|agent)=(my_|mine|awr$|moth_and_lantern$)")
"""A world or an algorithm that readers write themselves, or of the packages in examples/."""
PACKAGED = ("awr", "detours", "moth_and_lantern")
"""What the packages in examples/ add, which are not installed here; tests/test_examples.py has."""
ZOO = re.compile(r"zoo:([\w.-]+)")


def shell_lines(text: str) -> Iterator[str]:
    """Yield the commands of a Markdown page."""
    for block in FENCE.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    for inline in INLINE.findall(ANY_FENCE.sub("", text)):
        yield " ".join(inline.split())


def help_lines(module: str) -> Iterator[str]:
    """Yield the commands in a command's help, without what is said beside them."""
    for line in cli.command_help(module).splitlines():
        if re.match(r"\s+(misgen|until misgen) ", line):
            yield re.split(r"\s{2,}", line.strip())[0]


def commands_of(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line of shell, placeholders filled in, comments left out."""
    filled = re.sub(r"<(\w+)>", lambda found: PLACEHOLDERS.get(found[1], "no-such-thing"), line)
    filled = re.sub(r"(?<==)\.\.\.(?=\s|$)", "no-such-thing", filled)
    filled = filled.replace("$RUN", "no-such-run")
    lexer = shlex.shlex(filled, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = [word for word in lexer if word != "..."]
    for is_end, group in itertools.groupby(words, lambda word: set(word) <= set(";&|")):
        command = [word for word in group if word not in ("until", "while", "do", "done", ":")]
        if not is_end and command:
            yield command


def documented() -> list[tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = {}
    for page in PAGES:
        for line in shell_lines(page.read_text(encoding="utf-8")):
            for command in commands_of(line):
                found.setdefault(shlex.join(command), (page.name, command))
    for name, (module, _) in cli.COMMANDS.items():
        for line in help_lines(module):
            for command in commands_of(line):
                found.setdefault(shlex.join(command), (f"misgen {name} --help", command))
    return list(found.values())


DOCUMENTED = documented()


def test_there_is_something_to_test():
    assert len(DOCUMENTED) > 60
    assert {command[0] for _, command in DOCUMENTED} >= {"misgen", "make", "python"}


@pytest.mark.parametrize(
    ("where", "command"), DOCUMENTED, ids=[shlex.join(command)[:90] for _, command in DOCUMENTED]
)
def test_documented_command(where, command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program, *words = command
    if program == "misgen":
        check_misgen(words, tmp_path, capsys)
    elif program == "make":
        check_make(words, tmp_path, capsys)
    elif program == "python" and words[:1] == ["-m"]:
        check_module(words[1:])
    elif program == "python" and words[:1] == ["-c"]:
        compile(words[1], where, "exec")
    elif program == "python":
        assert (ROOT / words[0]).is_file(), f"{where}: there is no {words[0]}"
    else:
        assert program in SHELL or EXTERNAL.match(program) or (ROOT / program).exists(), where


def check_misgen(words: list[str], folder: Path, capsys) -> None:
    """Take a command as far as it can be without work."""
    if not words or words[0].startswith("-"):
        assert cli.main(words) == 0
        return
    name, *settings = words
    assert name in cli.COMMANDS, f"there is no command {name!r}"
    if name != "train":  # which only reads them
        settings = [of_the_zoo(word) for word in settings]
    if "--help" in settings or not settings:
        assert cli.main([name, "--help"]) == 0
    elif (name, settings[0]) in cli.PARTS:
        given = [word for word in settings[1:] if "=" in word]
        known_to_help(name, given, cli.command_help(cli.PARTS[name, settings[0]]))
    elif name in CONFIG_ONLY:
        for one in combinations(settings):
            check_config(name, one, capsys)
    elif name == "levels":
        check_levels(settings, folder)
    elif name == "lab" and settings[0] in ("open", "run"):  # minutes, or a server
        known_to_help(name, settings[1:], cli.command_help(cli.COMMANDS[name][0]))
    elif "--cfg" in settings:
        assert cli.main(words) == 0
    elif name == "play":  # it would serve its page until somebody ends it
        known_to_help(name, settings, cli.command_help(cli.COMMANDS[name][0]))
        assert cli.main([*words, "--cfg"]) == 0
    else:
        check_until_missing(name, settings, capsys)


def of_the_zoo(word: str) -> str:
    """Return a word with a run that is not there in place of an agent of the zoo, which is."""
    found = ZOO.search(word)
    assert found is None or found[1] in zoo.names(), word
    return ZOO.sub("no-such-run", word)


def combinations(settings: list[str]) -> Iterator[list[str]]:
    """Yield the settings of each job of a multirun; of other commands, those that there are."""
    if "-m" not in settings:
        yield settings
        return
    lists = []
    for word in settings:
        key, _, value = word.partition("=")
        if word != "-m":
            lists.append([f"{key}={one}" for one in value.split(",")])
    yield from map(list, itertools.product(*lists))


def check_config(name: str, settings: list[str], capsys) -> None:
    """Compose and, where the settings are a training's, check the values."""
    if of_readers := [word for word in settings if READERS.search(word)]:
        if cli.main([name, *settings, "--cfg"]) != 0:  # not installed here: that must be what fails
            said = capsys.readouterr().err
            assert any(word.split("=")[1] in said for word in of_readers), said
        return
    own = [word for word in settings if not word.startswith(("launcher=", "hydra."))]
    own = [re.sub(r"^init=no-such.*", "init=null", word) for word in own]
    own = [re.sub(r"^init=runs.*", "init=null", word) for word in own]
    assert cli.main([name, *[word for word in own if word != "--cfg"], "--cfg"]) == 0, (
        capsys.readouterr().err
    )
    if name == "train":
        typed(TrainConfig, compose("train", [word for word in own if word != "--cfg"]))


def check_levels(settings: list[str], folder: Path) -> None:
    """Run what is cheap; of the rest see that help knows the settings."""
    what = settings[0]
    text = cli.command_help(cli.COMMANDS["levels"][0])
    assert f"misgen levels {what}" in text
    packaged = any(READERS.search(word) for word in settings)
    if what in CHEAP_LEVELS and not packaged and not any("<" in word for word in settings):
        settings = [word for word in settings if not word.startswith("open=")]
        assert cli.main(["levels", *settings]) == 0
        assert not any(word.startswith("out=") for word in settings) or any(folder.iterdir())
        return
    known_to_help("levels", settings[1:], text)


def check_until_missing(name: str, settings: list[str], capsys) -> None:
    """Run a command on a run that is not there: that, and nothing else, must be what fails."""
    known_to_help(name, settings, cli.command_help(cli.COMMANDS[name][0]))
    if name == "export":
        skip_without_extra(settings)
    if name == "evaluate" and settings[0] != "power" and not any(map(WHOSE.match, settings)):
        settings = [*settings, "run=no-such-run"]  # where the text mentions a setting alone
    status = cli.main([name, *settings])
    said = capsys.readouterr()
    assert status in (0, 2), said.err
    missing = {
        part
        for word in settings
        for part in re.split(r"[=:,\[\]]", word)
        if MISSING.search(part) or part in PACKAGED or "/" in part or part.endswith(".json")
    }
    assert status == 0 or any(part in said.err for part in missing), said.err


def skip_without_extra(settings: list[str]) -> None:
    """Skip the test of an export whose library is not installed."""
    kind = next(word.partition("=")[2] for word in settings if word.startswith("format="))
    library = {"inspect": "inspect_ai", "hub": "huggingface_hub"}.get(kind, kind)
    pytest.importorskip(library, reason=f"misgen[{kind}] is not installed")


def known_to_help(name: str, settings: list[str], text: str) -> None:
    for word in settings:
        key = re.match(r"[+~]*(\w+)[\w.]*=", word)
        if key is not None:
            assert re.search(rf"\b{key[1]}\b", text), f"misgen {name} --help says nothing of {word}"


def check_make(words: list[str], folder: Path, capsys) -> None:
    """See that make knows the target and the variables, and check what it would run of ours."""
    target = next((word for word in words if "=" not in word), "help")
    assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), f"no target {target!r}"
    for word in words:
        variable = word.partition("=")[0]
        assert "=" not in word or re.search(rf"\b{variable}\b", MAKEFILE), variable
    if shutil.which("make") is None or target not in ("sweep", "compare", "report"):
        return
    given = [word.replace("no-such-thing", "x") for word in words if word != target]
    # As from a shell, also where these tests run under `make test ARGS=...`.
    apart = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "ARGS"))
    }
    told = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "-o", ".venv/ready", target, *given],
        capture_output=True, text=True, check=True, env=apart,
    )  # fmt: skip
    told_lines = told.stdout.replace("\\\n", " ").splitlines()
    _, *ours = shlex.split(next(line for line in told_lines if "bin/misgen" in line))
    check_misgen(ours, folder, capsys)


def check_module(words: list[str]) -> None:
    """See that a module is there and that its help knows the settings."""
    module, *settings = words
    if module in ("pytest", "pip", "venv"):
        return
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"there is no module {module}"
    assert spec.origin is not None
    main = Path(spec.origin)
    if spec.submodule_search_locations:
        main = main.parent / "__main__.py"
    text = main.read_text(encoding="utf-8")
    for word in settings:
        key = re.match(r"--(\w+)|(\w+)=", word)
        if key is not None:
            assert re.search(rf"\b{key[1] or key[2]}\b", text), f"{module} knows nothing of {word}"


FOLDERS = ("envs", "agents", "configs", "experiments", "tests", "benchmarks", "docs", "examples")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`")
DOTTED = re.compile(r"\bmisgen\.(?:envs|agents|configs|experiments)(?:\.\w+)*")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_the_documentation_exist(page):
    text = page.read_text(encoding="utf-8")
    for path in PATH.findall(text):
        mine = "my_world" in path  # what the reader is to write
        assert mine or (ROOT / path).exists(), f"{page.name}: there is no {path}"
    for link in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", text):
        assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link} leads nowhere"


def texts() -> list[Path]:
    """Return the files whose names of modules must be right."""
    sources = [
        path
        for folder in ("envs", "agents", "configs", "experiments", "benchmarks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".yaml")
    ]
    return [*PAGES, *sorted(sources)]


def test_names_of_modules_are_right_everywhere():
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in texts()
        for name in DOTTED.findall(path.read_text(encoding="utf-8"))
        if "__" not in name and not is_there(name)
    ]
    assert not wrong, "\n".join(wrong)


def is_there(name: str) -> bool:
    """Return whether a dotted name is a module, or is defined in one (or in a class of it)."""
    parts = name.split(".")[1:]
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:end])
        file = path.with_suffix(".py") if not path.is_dir() else path / "__init__.py"
        if file.is_file() or path.is_dir():
            rest = parts[end:]
            return not rest or (file.is_file() and defines(file, rest[0]))
    return False


def defines(file: Path, name: str) -> bool:
    """Return whether a module defines, imports or mentions a name at its top level."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return True
        if isinstance(node, ast.ImportFrom | ast.Import):
            if any((alias.asname or alias.name) == name for alias in node.names):
                return True
        elif isinstance(node, ast.Assign | ast.AnnAssign) and any(
            (isinstance(part, ast.Name) and part.id == name)
            or (isinstance(part, ast.Constant) and part.value == name)  # in `__all__`, found late
            for part in ast.walk(node)
        ):
            return True
    return False
