"""What the commands share: hydra's multirun, printing a config, running as a module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from misgen.envs.core.errors import UserError

_MULTIRUN = ("-m", "--multirun")


def is_multirun(argv: list[str]) -> bool:
    """Return whether hydra's multirun is asked for."""
    return any(flag in argv for flag in _MULTIRUN)


def multirun(config_name: str, job: str, argv: list[str]) -> int:
    """Hand the command line to hydra's multirun; each combination becomes a call of `job`.

    Args:
        config_name: the primary config in `misgen.configs`.
        job: `module:function` that takes a resolved config as plain data.
        argv: overrides and flags, among them `-m`.

    Returns:
        0, or 1 if any job failed.
    """
    import hydra
    from omegaconf import DictConfig, OmegaConf

    def task(config: DictConfig) -> None:
        import importlib

        module, function = job.split(":")
        getattr(importlib.import_module(module), function)(
            OmegaConf.to_container(config, resolve=True)
        )

    from .config import offer_algorithms

    offer_algorithms(argv)
    sys.argv = [f"misgen-{config_name}", *argv]
    hydra.main(config_path="pkg://misgen.configs", config_name=config_name, version_base="1.3")(
        task
    )()
    return 0


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
        print(f"misgen {name}: {error}", file=sys.stderr)
        return 2
