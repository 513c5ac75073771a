"""What the commands share: hydra's multirun, printing a config, running as a module."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from typing import Any

from misgen.envs.core.errors import UserError, plain_sentence

_MULTIRUN = ("-m", "--multirun")
COMMAND = "MISGEN_COMMAND"
"""Environment variable of jobs: the command that they are part of, as it can be pasted."""


def is_multirun(argv: list[str]) -> bool:
    """Return whether hydra's multirun is asked for."""
    return any(flag in argv for flag in _MULTIRUN)


def multirun(config_name: str, job: str, argv: list[str]) -> int:
    """Hand the command line to hydra's multirun; each combination becomes a call of `job`.

    Args:
        config_name: the primary config in `misgen.configs`.
        job: `module:function` that takes a resolved config as plain data.
        argv: overrides, and `-m` among them.

    Returns:
        0, or 1 if any job failed.

    Raises:
        UserError: for a word that is no setting.
    """
    import hydra
    from omegaconf import DictConfig, OmegaConf

    from .overrides import hydra_words, unwrap, unwrap_in

    words = [word for word in argv if word not in _MULTIRUN]
    words = hydra_words(config_name, words, multirun=True)
    OmegaConf.register_new_resolver("misgen_text", unwrap, replace=True)

    def task(config: DictConfig) -> None:
        import importlib

        module, function = job.split(":")
        getattr(importlib.import_module(module), function)(
            unwrap_in(OmegaConf.to_container(config, resolve=True))
        )

    os.environ.setdefault(COMMAND, shell_words("misgen", *sys.argv[1:]))
    sys.argv = [f"misgen-{config_name}", "-m", *words]
    hydra.main(config_path="pkg://misgen.configs", config_name=config_name, version_base="1.3")(
        task
    )()
    return 0


def shell_words(*words: object) -> str:
    """Return a command as it can be pasted into a shell: quoted where needed."""
    return shlex.join(map(str, words))


def print_config(config_name: str, argv: list[str]) -> int:
    """Print the composed config as YAML."""
    from omegaconf import OmegaConf

    from .config import compose

    plain: Any = compose(config_name, [word for word in argv if word != "--cfg"])
    print(OmegaConf.to_yaml(plain), end="")
    return 0


def run_module(name: str, main: Callable[[list[str]], int]) -> int:
    """Run a command started as `python -m misgen.experiments.<name>`."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(sys.modules["__main__"].__doc__)
        return 0
    try:
        return main(sys.argv[1:])
    except UserError as error:
        print(f"misgen {name}: {plain_sentence(error)}", file=sys.stderr)
        return 2
