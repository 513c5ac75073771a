"""What is found out before the first second of work: whether an evaluation can be done.

Public name: `require_evaluable`.  What concerns trainings, and folders, is in `training.checks`.
"""

from __future__ import annotations

import typing

from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.level_set import names_files

from ..training.config import TrainConfig
from ..training.trackers import require_trackers
from ..training.trained_run import split_off
from .conditions import conditions
from .config import EvaluateConfig
from .hand_made import hand_made_conditions


def require_evaluable(run: TrainConfig, config: EvaluateConfig, sweep: bool = False) -> None:
    """Refuse an evaluation that cannot be made of a run that is trained by these settings.

    Raises:
        UserError: naming the setting.
    """
    if sweep and config.shift.parameters:
        raise UserError(
            f"evaluate.shift.parameters={list(config.shift.parameters)} is not available in a"
            " sweep: leave it out, and run misgen evaluate run=<the sweep's folder> shift=surface "
            "after it"
        )
    require_trackers(config.logger)
    if config.levels is not None and names_files(config.levels):
        hand_made_conditions(run.distribution, config.levels, config)
        return
    try:
        test = split_off(run.levels, typing.cast("str | None", config.levels))
    except UserError as error:
        named = "levels.test=" if config.levels is None else "levels="
        named = f"evaluate.{named}" if sweep and config.levels else named
        raise UserError(str(error).replace("levels.test=", named)) from None
    conditions(run.distribution, test, config)
