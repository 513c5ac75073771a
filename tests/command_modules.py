"""The modules of the commands that have a config of hydra's, for tests that go over all configs.

Public name: `load_commands`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import misgen.configs

CONFIGS = Path(next(iter(misgen.configs.__path__)))


def load_commands() -> None:
    """Import the command of each primary config, and with it what its settings are."""
    for path in CONFIGS.glob("*.yaml"):
        importlib.import_module(f"misgen.experiments.commands.{path.stem}")
