"""The evaluations of a run, and which of them reports and cards use.

`misgen evaluate` keeps each in `<run>/evaluations/<hash>/`.  A sweep notes the hash of its own
settings in sweep.json; whatever reads the evaluation of one of its runs uses that one.  Of a run
outside a sweep, the only one is used.  Where several are left, one must be named.

Public names: `settings_of`, `key_of`, `evaluation_of`, `evaluations`, `own_key`, `again`.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from misgen.agents.spec import DESCRIPTION, weights_checksum
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.level_set import names_files

from ..training.config import config_hash
from ..training.run_folder import SWEEP, RunFolder, read_json
from ..training.trained_run import TrainedRun
from .config import EvaluateConfig, ShiftConfig
from .result_folders import EVALUATION, Kept, choose, kept, listing, refuse_old
from .settings_words import as_mapping

_SURFACE_ONLY = ("capability", "parameters", "correlations", "levels")
"""Settings of a shift that an evaluation does not use."""


def settings_of(run: TrainedRun, config: EvaluateConfig) -> dict[str, Any]:
    """Return what determines an evaluation of a run, what was left open filled in.

    Raises:
        UserError: for levels that the run was trained on, or a placement that is not known.
    """
    plain = config.science
    shift = {key: value for key, value in plain["shift"].items() if key not in _SURFACE_ONLY}
    shift["placements"] = list(run.config.world.shifts(config.shift.placements))
    levels = plain["levels"] if names_files(config.levels) else str(run.test_ids(config.levels))
    return {**plain, "actions": list(config.actions), "levels": levels, "shift": shift}


def key_of(settings: Mapping[str, Any]) -> str:
    """Return the hash that names an evaluation's folder."""
    return config_hash(settings)


def evaluation_of(folder: RunFolder, wanted: str | None = None) -> Kept | None:
    """Return a run's evaluation.

    Args:
        folder: the run's.
        wanted: what the hash of its settings begins with; none: that of the run's sweep, or the
            only one.

    Returns:
        None if the run has none, and none is named.

    Raises:
        UserError: if the one that is named or that the sweep uses is not there; if there are
            several and nothing tells which.
    """
    found = evaluations(folder)
    own = own_key(folder) if wanted is None else None
    if own is not None and found:
        for one in found:
            if one.key == own:
                return one
        raise UserError(
            f"{folder.path} was not evaluated with the settings of its sweep ({own}): run misgen"
            " sweep again, or choose another with evaluation=<beginning of its hash>: "
            f"{listing(found)}"
        )
    chosen = choose(folder.path, EVALUATION, wanted, found)
    if chosen is None:
        refuse_old(folder.path, EVALUATION)
    return chosen


def evaluations(folder: RunFolder) -> list[Kept]:
    """Return the finished evaluations of the policy that the run has now, by hash."""
    found = kept(folder.path, EVALUATION)
    if not found or not (folder.path / DESCRIPTION).is_file():
        return found
    policy = weights_checksum(folder.path)
    return [one for one in found if one.found.get("policy") == policy]


def own_key(folder: RunFolder) -> str | None:
    """Return the hash of the settings that the run's sweep evaluates with, if it noted one."""
    path = folder.path.parent / SWEEP
    if not path.is_file():
        return None
    sweep = read_json(path, "run misgen sweep again")
    named = folder.path.name in (sweep.get("runs") or ())
    return str(sweep["evaluation"]) if named and sweep.get("evaluation") else None


def again(folder: Path | str, settings: Mapping[str, Any]) -> str:
    """Return the command that evaluates a run with these settings."""
    words = ["misgen", "evaluate", f"run={folder}"]
    usual = EvaluateConfig().science | {"shift": dataclasses.asdict(ShiftConfig())}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            words += [
                f"{name}.{key}={_word(one)}"
                for key, one in value.items()
                if _plain(one) != _plain(as_mapping(usual.get(name)).get(key))
            ]
        elif _plain(value) != _plain(usual.get(name)):
            words.append(f"{name}={_word(value)}")
    return shlex.join(words)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(_quoted(str(one)) for one in value)}]"
    return str(value)


def _quoted(word: str) -> str:
    """Return a word as hydra's grammar takes it inside a list."""
    return f"'{word}'" if "(" in word else word
