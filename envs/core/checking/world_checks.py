"""Whether a world keeps the promises that all worlds make.

    from misgen.envs import check_world

    check_world("night_watch", size=7)

What takes agents and the evaluator, `misgen validate env=night_watch` checks.

Public names: `check_world`, `CHECKS`, `WorldError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import environments, levels, seekers, writing
from .subject import Subject, WorldError

CHECKS: dict[str, Callable[[Subject], None]] = {
    "specification": writing.check_specification,
    "names": writing.check_names,
    "values": writing.check_values,
    "gymnasium": environments.check_gymnasium,
    "stable-baselines3": environments.check_stable_baselines,
    "vector view": environments.check_vector_view,
    "seeds": environments.check_same_seed,
    "batches": environments.check_batches,
    "correlation": levels.check_correlation,
    "twins": levels.check_twins,
    "purity": levels.check_purity,
    "text": levels.check_text,
    "export": levels.check_export,
    "motion": levels.check_motion,
    "sight": levels.check_sight,
    "pictures": levels.check_pictures,
    "seekers": seekers.check_seekers,
}
"""The checks, by name, in the order in which they are made."""


def check_world(name: str, **small: Any) -> None:
    """Check that a registered world keeps the promises that all worlds make.

    Takes some seconds, and a minute where kernels are compiled first.

    Args:
        name: the world's name.
        small: parameters with which its levels are small and planning is quick.

    Raises:
        UserError: if there is no such world or parameter.
        WorldError: naming every check that fails, and what it found.
    """
    subject = Subject(name, small)
    _ = subject.world, subject.strict
    failed = []
    for check, run in CHECKS.items():
        try:
            run(subject)
        except Exception as error:
            what = (
                f"{error}" if isinstance(error, WorldError) else f"{type(error).__name__}: {error}"
            )
            failed.append((f"{check}: {what}", error))
    if failed:
        lines = "\n".join(f"  {text}" for text, _ in failed)
        raise WorldError(
            f"{name} fails {len(failed)} of {len(CHECKS)} checks:\n{lines}"
        ) from failed[0][1]


__all__ = ["CHECKS", "WorldError", "check_world"]
