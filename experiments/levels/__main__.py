"""Runs `python -m misgen.experiments.levels`."""

import sys

from misgen.experiments import levels
from misgen.experiments.command import run_module

__doc__ = levels.__doc__

sys.exit(run_module("levels", levels.main))
