"""Hydra's multirun: every combination of values is a job.

Public names: `run_jobs`, `is_installed`, `MULTIRUN`.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import math
import os
import sys
import tempfile
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError, did_you_mean

from .options import offer_others
from .overrides import hydra_words, unwrap, unwrap_in
from .settings import compose
from .shell import COMMAND, command_line

MULTIRUN = ("-m", "--multirun")
"""Flags that ask for it."""
_MOST_CHECKED = 200
"""Jobs of a multirun that are all checked before the first one begins."""
_LAUNCHERS = ("launcher=", "+launcher=", "hydra.", "+hydra.", "++hydra.")
"""Overrides that say how jobs are run, and are no part of one."""


def run_jobs(
    config_name: str, job: str, argv: list[str], check: Callable[[dict[str, Any]], object] | None
) -> list[str]:
    """Hand the command line to hydra's multirun; each combination becomes a call of `job`.

    Args:
        config_name: the primary config in `misgen.configs`.
        job: `module:function` that takes a resolved config as plain data.
        argv: overrides and flags, among them `-m`.
        check: called with the config of each job before the first one begins, unless it is None;
            raises a `UserError` for what cannot be done.

    Returns:
        A sentence for each job that failed for a mistake that could not be seen before; the others
        are done.

    Raises:
        UserError: for a word that is not a setting, or settings that cannot be; nothing was begun.
    """
    import hydra
    from omegaconf import DictConfig, OmegaConf

    words = [word for word in argv if word not in MULTIRUN]
    words = hydra_words(config_name, words, multirun=True)
    offer_others(words)
    OmegaConf.register_new_resolver("misgen_text", unwrap, replace=True)
    if check is not None:
        _check_jobs(config_name, words, check)
    os.environ.setdefault(COMMAND, command_line())
    with tempfile.TemporaryDirectory(prefix="misgen-") as failures:

        def task(config: DictConfig) -> None:  # in a process of its own, with some launchers
            plain = unwrap_in(OmegaConf.to_container(config, resolve=True))
            _run_job(job, typing.cast("dict[str, Any]", plain), failures)

        sys.argv = [f"misgen-{config_name}", "-m", *words]
        hydra.main(config_path="pkg://misgen.configs", config_name=config_name, version_base="1.3")(
            task
        )()
        return [path.read_text(encoding="utf-8") for path in sorted(Path(failures).iterdir())]


def _run_job(job: str, plain: dict[str, Any], failures: str) -> None:
    """Call a job; a mistake of the user's is written down, and does not stop the other jobs."""
    module, function = job.split(":")
    try:
        getattr(importlib.import_module(module), function)(plain)
    except UserError as error:
        handle, _ = tempfile.mkstemp(dir=failures)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(str(error))


def _check_jobs(
    config_name: str, words: list[str], check: Callable[[dict[str, Any]], object]
) -> None:
    """Compose and check the config of every job; of very many, with each of the values once."""
    lists = [_values(config_name, word) for word in words]
    jobs: Iterable[Sequence[str]] = itertools.product(*lists)
    if math.prod(map(len, lists)) > _MOST_CHECKED:
        most = max(map(len, lists))
        jobs = [[values[min(i, len(values) - 1)] for values in lists] for i in range(most)]
    for job in jobs:
        own = [word for word in job if not word.startswith(_LAUNCHERS)]
        check(compose(config_name, own))


def _values(config_name: str, word: str) -> list[str]:
    """Return the overrides that a word of the command line stands for: `a=1,2` for two.

    Raises:
        UserError: if it cannot be read, or a launcher is not there.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if word.startswith(("launcher=", "+launcher=")):
        _require_launcher(word.partition("=")[2])
    try:
        override = OverridesParser.create().parse_override(word)
        if not override.is_sweep_override():
            return [word]
        key = override.get_key_element()
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    except HydraException:
        compose(config_name, [word])  # says what is wrong with it
        raise UserError(f"{word!r} cannot be read: write key=value, or key=value,value") from None


def is_installed(name: str) -> bool:
    """Return whether the package of one of hydra's launchers is installed."""
    try:
        return importlib.util.find_spec(f"hydra_plugins.hydra_{name}_launcher") is not None
    except ModuleNotFoundError:  # none of hydra's plugins is
        return False


def _require_launcher(name: str) -> None:
    """Refuse a launcher that there is none of, or whose package is not installed."""
    import misgen.configs

    folder = Path(next(iter(misgen.configs.__path__))) / "launcher"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name == "null":
        return
    if name not in known:
        raise UserError(
            f"launcher={name} is not known: use one of {', '.join(known)}, or none to run one "
            f"after the other{did_you_mean(name, known)}"
        )
    if not is_installed(name):
        raise UserError(
            f"launcher={name} needs the package hydra-{name}-launcher, which is not installed: "
            f"pip install hydra-{name}-launcher, or leave it out to run one after the other"
        )
