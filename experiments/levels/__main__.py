"""Runs `python -m misgen.experiments.levels`."""

import sys

from .. import levels
from ..commands.common import run_module

__doc__ = levels.__doc__

sys.exit(run_module("levels", levels.main))
