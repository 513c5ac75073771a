"""The command line: ``misgen <command> [key=value ...]``.

A command is a module with ``main(argv) -> int`` whose docstring is its help. Nothing of a command
is imported before it runs: its help is read from its source, so that it is quick and never stale.
"""

import ast
import contextlib
import difflib
import errno
import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ..training.terminal import prepare_streams, told_to_the_end

COMMANDS = {
    "train": ("misgen.experiments.commands.train", "train one agent at one correlation"),
    "evaluate": (
        "misgen.experiments.commands.evaluate",
        "measure how capable an agent is, and which goal it pursues",
    ),
    "objective": (
        "misgen.experiments.commands.objective",
        "infer which objective explains an agent's behaviour",
    ),
    "sweep": (
        "misgen.experiments.commands.sweep",
        "train and evaluate agents at several correlations, and report",
    ),
    "report": ("misgen.experiments.commands.report", "rewrite a sweep's report, or compare sweeps"),
    "results": (
        "misgen.experiments.commands.results",
        "write one tidy table over any number of sweeps",
    ),
    "replay": (
        "misgen.experiments.commands.replay",
        "watch agents: write a page of replays to scrub",
    ),
    "validate": (
        "misgen.experiments.commands.validate",
        "check the evaluator on agents whose goals are known",
    ),
    "probe": (
        "misgen.experiments.commands.probe",
        "test what actor and critic follow, on counterfactual pairs",
    ),
    "robustness": (
        "misgen.experiments.commands.robustness",
        "test an agent under perturbed observations",
    ),
    "card": (
        "misgen.experiments.commands.card",
        "write an agent's evaluation card, or validate one",
    ),
    "supply-chain": (
        "misgen.experiments.commands.supply_chain",
        "measure what fine-tuning leaves of a base agent's goal",
    ),
    "compare": (
        "misgen.experiments.commands.compare",
        "find which protocol detects goal misgeneralization and at what cost",
    ),
    "evidence": (
        "misgen.experiments.commands.evidence",
        "answer a question of the literature, every training seed a row",
    ),
    "export": (
        "misgen.experiments.commands.export",
        "write a run for Inspect, Minari or the Hugging Face hub",
    ),
    "play": (
        "misgen.experiments.commands.play",
        "play, watch agents and edit levels, in a browser or a terminal",
    ),
    "lab": ("misgen.experiments.commands.lab", "write the course lab: a notebook with tests"),
    "zoo": ("misgen.experiments.commands.zoo", "list the trained agents that come with misgen"),
    "levels": (
        "misgen.experiments.commands.levels",
        "list worlds; show, edit, check, play, export levels",
    ),
}

PARTS = {
    ("sweep", part): "misgen.experiments.commands.sweep_cells"
    for part in ("status", "retry", "add", "clean")
}
"""First words of commands that have a help of their own."""

HELP = """\
misgen: train agents that can earn reward by a proxy as well as by the intended goal, then
separate the two and measure which one they pursue.

Usage: misgen <command> [key=value ...]

Commands
{commands}

Three steps to a first result
  misgen replay zoo:coinrun-rho1-seed0                 watch a trained agent run past its coin
  misgen train correlation=0.98 preset=smoke seed=3    train an agent, in under a minute
  misgen sweep                                         4 correlations x 5 seeds, and a report

Settings are Hydra overrides: key=value, in any order; lists as key=[1,0.98].
Results go to runs/, one folder per run; a sweep's report is runs/<sweep>/report.html.
`misgen <command> --help` explains a command and its settings. `misgen --version`.
"""


_SMALLER = "make smaller what is large, such as agent.num_envs, agent.num_steps, levels or jobs"


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 for a user's error, 130 if interrupted."""
    prepare_streams()
    words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    return told_to_the_end(lambda: _answer(words))


def _answer(argv: list[str]) -> int:
    """Print help, or run a command."""
    command, *rest = argv
    if command in ("-h", "--help", "help"):
        print(HELP.format(commands=_command_list()), end="")
        return 0
    if command == "--version":
        from importlib.metadata import version

        print(f"misgen {version('misgen')}")
        return 0
    if command not in COMMANDS:
        return _fail("misgen", _unknown(command))
    if {"-h", "--help"} & set(rest):
        print(command_help(PARTS.get((command, rest[0]), COMMANDS[command][0])))
        return 0
    for word in rest:
        if _unwritable(word):
            return _fail(f"misgen {command}", f"{word[:80]!a} holds a sign that no file name can")
    if not _is_somewhere():
        return _fail(
            f"misgen {command}", "the folder that this was started in is gone: change to another"
        )
    return _run(command, rest)


def command_help(module: str) -> str:
    """Return a module's docstring without importing the module (its parents are imported)."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    return ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""


def _run(command: str, argv: list[str]) -> int:
    """Run a command; a mistake of the user's becomes one sentence instead of a traceback."""
    from misgen.envs.core.processes import stopping_cleanly  # here, as it loads the engine

    try:
        with stopping_cleanly():
            return importlib.import_module(COMMANDS[command][0]).main(argv)
    except KeyboardInterrupt:
        print(f"misgen {command}: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        if error.filename is None:  # of no file: `told_to_the_end` knows what can be
            raise
        return _fail(f"misgen {command}", _of_file(error))
    except MemoryError as error:
        why = f" ({error})" if str(error) else ""
        return _fail(f"misgen {command}", f"there is not enough memory{why}: {_SMALLER}")
    except ValueError as error:
        from misgen.envs.core.errors import UserError, plain_sentence  # here: loads the engine

        if not isinstance(error, UserError):
            raise
        return _fail(f"misgen {command}", plain_sentence(error))


def _of_file(error: OSError) -> str:
    """Say that a file cannot be used, by its name."""
    name = ascii(str(error.filename))
    if error.errno == errno.ENAMETOOLONG:
        return f"{name[:80]}... is too long to name a file"
    return (
        f"{name} cannot be used ({error.strerror}): see that what is there is what it should be, "
        "and can be read and written"
    )


def _is_somewhere() -> bool:
    """Return whether there is a working directory, from which paths start."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _unwritable(word: str) -> bool:
    """Return whether a word holds what neither a terminal nor a file name can."""
    try:
        return b"\0" in os.fsencode(word)
    except UnicodeEncodeError:
        return True


def _unknown(command: str) -> str:
    """Say that there is no such command, and which one was probably meant."""
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(COMMANDS)}."
    return f"there is no command {command[:80]!r}; {hint}"


def _fail(who: str, message: str) -> int:
    with contextlib.suppress(OSError):  # nobody can be told
        print(f"{who}: {message}", file=sys.stderr)
    return 2


def _command_list() -> str:
    return "\n".join(f"  {name:<14}{line}" for name, (_, line) in COMMANDS.items())


if __name__ == "__main__":
    sys.exit(main())
