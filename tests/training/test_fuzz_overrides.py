"""Command lines at random: whatever is given ends in work, or in one sentence.

Commands are called in this process, up to the point where their work would begin.  `FUZZ` in the
environment sets how many command lines the long test tries, `FUZZ_SEED` which.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from misgen.experiments.commands import cli
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.overrides import GROUPS
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import train
from tests.command_modules import load_commands

load_commands()


class Begun(Exception):
    """The work would begin now."""


CONFIG_OF = {
    "train": "train",
    "sweep": "sweep",
    "evaluate": "evaluate",
    "levels": "levels",
    "validate": "validate",
    "compare": "compare",
    "objective": "objective",
    "probe": "probe",
    "robustness": "robustness",
    "supply-chain": "supply_chain",
}
WORK = (
    "misgen.experiments.commands.train.train",
    "misgen.experiments.training.train.train",
    "misgen.experiments.commands.sweep_run.run",
    "misgen.experiments.commands.common.multirun",
    "misgen.experiments.commands.report.write_report",
    "misgen.experiments.commands.replay.record",
    "misgen.experiments.commands.validate.validate",
    "misgen.experiments.commands.card.write_card",
    "misgen.experiments.card.card_validation.validate_card",
    "misgen.experiments.protocols.comparison.jobs.score_all",
    "misgen.experiments.commands.level_terminal._open_editor",
    "misgen.experiments.levels.files.solve",
    "misgen.experiments.commands.level_terminal._run",
    "misgen.experiments.levels.arrays.run_actions",
    "misgen.experiments.levels.arrays._save",
    "misgen.envs.procgen.lockstep.verify",
    "misgen.agents.checkpoint.load_agent",
)
HEADS = [
    *([name] for name in CONFIG_OF if name != "levels"),
    *(["levels", what] for what in ("list", "show", "edit", "check", "play", "export", "replay")),
    *(["evaluate", "power"], ["evaluate", "protocol=iid"], ["report"], ["replay"], ["card"]),
    ["card", "validate"],
]
LETTERS = "()[]{},=:;'\"\\$#~&*?!%^|<>@`+- \t\n\x00\x1b\x7f./éß漢\u202e\ud800\udcff01eanrx"
NUMBERS = (
    *("1e400", "-1e400", "nan", "inf", "-inf", "-0", "-0.0", "0", "1", "-1", "0.5", "1.5", "2"),
    *("1e-300", "1e3", "007", "0x10", "1_000", "9" * 30, "9" * 5000, "2147483648", "1e18"),
)
WORDS = (
    *("", "null", "true", "false", "yes", "None", "???", "x", "=", "a=b", ":", "::", "0:0", "5:1"),
    *("0:10", "0:99999999999999999999", "1:", ":1", "all", "usual", "each", "off_path(3)"),
    *("off_path(0)", "off_path(99999999999999999999)", "off_path(", "anywhere", "sampled", "end"),
    *("[]", "[[]]", "[1", "1]", "[1,2]", "[1,1]", "[nan]", "[null]", "['a','b']", "[a(b),c]"),
    *("[" * 500, "{" * 500, "(" * 500, "[" * 500 + "]" * 500, "x" * 100_000, "{}", "{a: 1}"),
    *("{a: {b: c}}", "{a: nan}", "${oc.env:HOME}", "${seed}", "${", "\\${x}", "range(1,3)"),
    *("choice(1,2)", "int(x)", "glob(*)", "1,2", "a b", "'", '"', "''", "'x", "a\nb", "../..", "/"),
    *("/dev/null", ".", "~", "-", "javascript:1", "misgen_text_2f_", "misgen_text_zz_", "coinrun"),
    *("cheese_on_a_dish", "procgen_maze", "smoke", "lab", "surface", "conflict", "wandb"),
    *(
        "goal_seeker",
        "random",
        "RRUUL",
        "R*20",
        "R*99999",
        "iid",
        "harder",
        "full",
        "mlp",
        "impala",
    ),
)
KEYS = (
    *("", ".", "a..b", "a.", ".a", "é", "x", "1", "-x", "--x", "a b", "a-b", "@", "a@b", "env@x"),
    *(
        "hydra.job.name",
        "hydra.launcher.n_jobs",
        "hydra.run.dir",
        "hydra/launcher",
        "hydra",
        "x" * 999,
    ),
    *("protocol", "protocol.budget", "protocol.options.x", "protocol.name", "correlation", "seed"),
    *("train.seed", "_target_", "defaults", "shift.capability.speed", "proxy_correlations.end"),
    *("env.name", "env.size", "env.gravity", "env.x", "agent", "file", "launcher", "logger"),
)
USUAL = {"env": "coinrun", "preset": "smoke", "shift": "surface", "size": "smoke"}


@pytest.fixture(scope="module")
def a_run(tmp_path_factory) -> Path:
    """Return the folder of a finished training run."""
    runs = tmp_path_factory.mktemp("fuzz")
    words = [
        *("preset=smoke", "agent.hidden=[8]", "agent.total_steps=64", "agent.num_envs=8"),
        *("agent.num_steps=8", "agent.batch_size=64", "agent.epochs=1", f"runs={runs}"),
    ]
    return train(typed(TrainConfig, compose("train", words))).path


@pytest.fixture
def stopped(monkeypatch, tmp_path):
    """Let commands stop where their work would begin, in a folder of their own."""

    def begin(*_: Any, **__: Any) -> None:
        raise Begun

    for name in WORK:
        monkeypatch.setattr(name, begin)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)


def known_settings() -> dict[str, dict[str, str]]:
    """Return all keys of each command's composed config with their values as they are written."""

    def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
        for key, value in tree.items():
            if isinstance(value, dict):
                yield f"{prefix}{key}", "x"
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)

    found: dict[str, dict[str, str]] = {}
    for command, config in CONFIG_OF.items():
        required = {"evaluate": ["run=x"]}.get(config, [])
        groups = {name: USUAL.get(name, "x") for name in GROUPS.get(config, ())}
        found[command] = dict(leaves(compose(config, required))) | groups
    nothing: dict[str, str] = {name: "x" for name in ("run", "card", "comparison", "supply_chain")}
    pages = dict.fromkeys(("evaluation", "replays", "levels", "trust", "out"), "1")
    return found | {"report": nothing | pages, "replay": nothing | pages, "card": nothing}


def command_line(rng: random.Random, keys: dict[str, dict[str, str]], run: Path) -> list[str]:
    """Return a command line, some of it as it should be."""
    head = rng.choice(HEADS)
    words = []
    if rng.random() < 0.5:
        words.append(f"{'base' if head[0] == 'supply-chain' else 'run'}={run}")
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        words.append(_word(rng, keys[head[0]]))
    rng.shuffle(words)
    flags = [flag for flag in ("-m", "--cfg", "--x") if rng.random() < 0.02]
    return [*head, *flags, *words]


def _word(rng: random.Random, known: dict[str, str]) -> str:
    if rng.random() < 0.05:
        return _letters(rng)
    key = rng.choice(list(known))
    if rng.random() < 0.25:
        return f"{key}={known[key]}"
    if rng.random() < 0.15:
        key = rng.choice(KEYS)
    sign = rng.choice(("+", "++", "~", "+~")) if rng.random() < 0.1 else ""
    kind = rng.random()
    value = (
        rng.choice(NUMBERS) if kind < 0.4 else rng.choice(WORDS) if kind < 0.85 else _letters(rng)
    )
    equals = "" if rng.random() < 0.02 else "="
    return f"{sign}{key}{equals}{value}"


def _letters(rng: random.Random) -> str:
    return "".join(rng.choices(LETTERS, k=rng.choice((0, 1, 2, 5, 12, 40))))


def attempt(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return how a command line ended, and what is wrong with that, if anything."""
    try:
        status = cli.main(argv)
    except Begun:
        return "begun", ""
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "traceback", "".join(traceback.format_exception(error))
    finally:
        _, err = capsys.readouterr()
    if status not in (0, 1, 2):
        return "status", f"exit status {status}"
    if status == 2 and (err.count("\n") != 1 or len(err) > 2500 or not err.startswith("misgen ")):
        return "sentence", f"no one sentence: {err[:500]!r}"
    return f"status {status}", ""


def fuzz(seed: int, count: int, run: Path, capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """Try so many command lines, and fail with all that did not end as they should."""
    rng, keys = random.Random(seed), known_settings()
    seen: Counter[str] = Counter()
    wrong = []
    for at in range(count):
        argv = command_line(rng, keys, run)
        ended, why = attempt(argv, capsys)
        seen[ended] += 1
        if why:
            wrong.append(f"{at}: {[word[:80] for word in argv]}\n{why[-1500:]}")
    with capsys.disabled(), contextlib.suppress(OSError):
        if "FUZZ" in os.environ:
            print(dict(seen), *wrong[:40], sep="\n")
    assert not wrong, f"{len(wrong)} of {count} ({dict(seen)}):\n" + "\n".join(wrong[:10])
    assert seen["begun"] > count / 50, seen  # not all of them are nonsense
    return seen


def test_three_hundred_command_lines(a_run, stopped, capsys):
    fuzz(1, 300, a_run, capsys)


@pytest.mark.slow
def test_many_command_lines(a_run, stopped, capsys):
    fuzz(int(os.environ.get("FUZZ_SEED", "2")), int(os.environ.get("FUZZ", "2000")), a_run, capsys)
