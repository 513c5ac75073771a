"""What the commands share: Hydra's multirun, printing a config, running as a module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from misgen.envs.core.errors import UserError, plain_sentence
from misgen.envs.core.processes import stopping_cleanly

from ..training.terminal import prepare_streams, told_to_the_end


def is_multirun(argv: list[str]) -> bool:
    """Return whether hydra's multirun is asked for."""
    from ..training.multirun import MULTIRUN

    return any(flag in argv for flag in MULTIRUN)


def multirun(
    config_name: str, job: str, argv: list[str], check: Callable[[dict[str, Any]], object] | None
) -> int:
    """Run a command line's jobs, as `training.multirun.run_jobs` does, and tell which failed.

    Returns:
        0, or 1 if a job failed for a mistake that could not be seen before; the others are done.

    Raises:
        UserError: for a word that is not a setting, or settings that cannot be; nothing was begun.
    """
    from ..training.multirun import run_jobs

    told = run_jobs(config_name, job, argv, check)
    for text in told:
        print(f"misgen {config_name}: {text}", file=sys.stderr)
    return 1 if told else 0


def print_config(config_name: str, argv: list[str]) -> int:
    """Print the composed config as YAML."""
    from ..training.settings import compose

    return print_plain(compose(config_name, [word for word in argv if word != "--cfg"]))


def print_plain(plain: Any) -> int:
    """Print a config as YAML."""
    from omegaconf import OmegaConf

    print(OmegaConf.to_yaml(plain), end="")
    return 0


def run_module(name: str, main: Callable[[list[str]], int]) -> int:
    """Run a command started as `python -m misgen.experiments.<name>`."""
    prepare_streams()
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(sys.modules["__main__"].__doc__)
        return 0
    try:
        with stopping_cleanly():
            return told_to_the_end(lambda: main(sys.argv[1:]))
    except KeyboardInterrupt:
        print(f"misgen {name}: interrupted", file=sys.stderr)
        return 130
    except UserError as error:
        print(f"misgen {name}: {plain_sentence(error)}", file=sys.stderr)
        return 2
