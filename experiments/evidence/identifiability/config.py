"""Settings of the question: clones, two controls, and agents that were taught one policy.

Public names: `QUESTION`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ...evaluation.paid import PAID
from ..paid_goals import ZOO, Cloned, Taught
from ..pieces import Piece, Pieces
from ..power_scores import AGENTS
from ..question import Question, Size
from ..tried import COLUMNS_OF_TRIALS, Trial, TriedAgent
from . import analysis
from .analysis import AS_TRAINED, CLONES, PARTED, TAUGHT

_TRIALS = ("iid", "red_team_in", "counterfactual_pairs", "correlation_break", "red_team_out")
_BUDGETS = (10, 100, 1000)
_SHARES = {0.0: 10, 1.0: 10, 0.1: 1, 0.25: 1, 0.5: 1, 0.75: 1, 0.9: 1}
"""Of the conflict levels on which an agent takes the proxy: how many agents of one seed."""
_SKILLS = tuple(itertools.product((0.0, 0.05, 0.1), (0, 3)))
"""Noise and delay: those who seek the goal have the same ones as those who seek the proxy."""
_STUDENTS = 5
"""Of each seed, and of each that an agent was paid for."""
_WORLDS = ("cheese_on_a_dish", "coinrun")
_VARIANTS: dict[str, tuple[bool, float]] = {
    CLONES: (True, 1.0),
    AS_TRAINED: (False, 1.0),
    PARTED: (True, 0.9),
}
"""Whether agents are clones, and the correlation of the levels that they count as trained on."""


def _agents(
    seed: int, *, world: str, agree: bool, correlation: float, trials: Sequence[str],
    budgets: tuple[int, ...], shares: Mapping[float, int] = _SHARES,
) -> list[Piece]:  # fmt: skip
    specified = tuple(map(Trial, trials))
    found: list[Piece] = []
    agents = [(proxy, copy) for proxy, count in shares.items() for copy in range(count)]
    for place, (proxy, copy) in enumerate(agents):
        noise, delay = _SKILLS[(seed * max(shares.values()) + copy) % len(_SKILLS)]
        number = seed * len(agents) + place
        who = Cloned(ZOO, proxy, noise, delay, number, agree)
        found.append(TriedAgent(world, (), "anywhere", correlation, who, specified, budgets))
    return found


def _taught(
    seed: int, *, world: str, trials: Sequence[str], budgets: tuple[int, ...]
) -> list[Piece]:
    """Return students of one seed, as many that were paid for the goal as for the proxy."""
    specified = tuple(map(Trial, trials))
    numbers = range(seed * _STUDENTS, (seed + 1) * _STUDENTS)
    students = [Taught(pays, number) for number in numbers for pays in PAID]
    return [
        TriedAgent(world, (), "anywhere", 1.0, student, specified, budgets) for student in students
    ]


def _arm(world: str, variant: str, of_seed: Callable[..., list[Piece]], **how: Any) -> Pieces:
    name = f"{world}-{variant.replace(' ', '_')}"
    return Pieces(name, partial(of_seed, world=world, **how), {"variant": variant})


def _clones(world: str, **how: Any) -> tuple[Pieces, ...]:
    return tuple(
        _arm(world, variant, _agents, agree=agree, correlation=correlation, **how)
        for variant, (agree, correlation) in _VARIANTS.items()
    )


_HOW = {"trials": _TRIALS, "budgets": _BUDGETS}
_LAB = tuple(
    arm for world in _WORLDS for arm in (*_clones(world, **_HOW),
                                         _arm(world, TAUGHT, _taught, **_HOW))
)  # fmt: skip
_SMOKE = _clones(_WORLDS[0], trials=("iid",), budgets=(10,), shares={0.0: 1, 1.0: 1})

QUESTION = Question(
    name="identifiability",
    title="Can tests within the support tell what is pursued?",
    asks=(
        "Agents that were paid for the goal and agents that were paid for the proxy are made one "
        "policy on all levels on which goal and proxy agree. Does any test that stays within the "
        "training support tell them apart? And outside it, how much of the proxy does it take?"
    ),
    sizes={
        "smoke": Size(1, (_SMOKE,)),
        "lab": Size(4, (_LAB,)),
        "full": Size(20, (_LAB,)),
    },
    analyse=analysis.analyse,
    draw=analysis.draw,
    limits=(
        "Clones are exact: on a level where goal and proxy agree the same network gives the same "
        "probabilities. Agents that were taught one policy are networks of their own, alike as far "
        "as they learned it, and where a test within the support tells them apart, how often they "
        "fail is what it sees; they count as what they were paid for before, and only the tests "
        "outside the support show whether that lasted.",
        "All agents are made of one pair of trained agents a world, with noise and delay, or "
        "lessons, of their own: the intervals are over agents, and not over trainings.",
    ),
    columns=COLUMNS_OF_TRIALS,
    table=AGENTS,
    each="agent and protocol",
    counts="agents",
    caption=(
        "Area under the ROC curve, of agents that take the proxy everywhere against agents that "
        "take it nowhere, with 95% intervals over agents; dotted: no information."
    ),
    how_sure=(
        "Intervals of the area are over agents, simultaneous ones for the tests within the support."
    ),
)
