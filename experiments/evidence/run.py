"""Do what a question asks for: its arms, some seeds at a time.

Public names: `check`, `carry_out`.
"""

from __future__ import annotations

from collections.abc import Iterator

from .config import EvidenceConfig
from .question import Arm

FIRST, GROWTH = 2, 3
"""Seeds of a stage's arms at first, and by what they are multiplied each time: few times, as the
processes that work on an arm begin anew."""


def check(config: EvidenceConfig) -> None:
    """Refuse what could not be done, before anything is begun.

    Raises:
        UserError: naming the setting.
    """
    for stage in config.stages:
        for arm in stage:
            arm.check(config)


def carry_out(config: EvidenceConfig) -> Iterator[list[str]]:
    """Do what is not done yet, some seeds at a time.

    Others may do so at the same time: each piece of work is done once.

    Yields:
        After every arm's part, the names of the pieces that could not be done.

    Raises:
        UserError: if a folder cannot be written to, or jobs cannot be started.
    """
    for arm, seeds in _order(config):
        yield arm.carry_out(config, seeds)


def _order(config: EvidenceConfig) -> Iterator[tuple[Arm, int]]:
    """Yield arms and their seeds so far: the arms of a stage grow together."""
    for stage in config.stages:
        so_far, done = FIRST, 0
        while done < max(config.seeds_of(arm) for arm in stage):
            for arm in stage:
                seeds = min(so_far, config.seeds_of(arm))
                if seeds > done:
                    yield arm, seeds
            so_far, done = so_far * GROWTH, so_far
