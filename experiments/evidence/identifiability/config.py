"""Settings of the question: clones, those who are none, and clones whose support parts the two.

Public names: `QUESTION`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..known_goals import Cloned
from ..pieces import Piece, Pieces
from ..power_scores import AGENTS
from ..question import Question, Size
from ..tried import COLUMNS_OF_TRIALS, Trial, TriedAgent
from . import analysis
from .analysis import AS_TRAINED, CLONES, PARTED

_TRIALS = ("iid", "red_team_in", "counterfactual_pairs", "correlation_break", "red_team_out")
_BUDGETS = (10, 100, 1000)
_SHARES = {0.0: 10, 1.0: 10, 0.1: 1, 0.25: 1, 0.5: 1, 0.75: 1, 0.9: 1}
"""Of the conflict levels on which an agent takes the proxy: how many agents of one seed."""
_SKILLS = tuple(itertools.product((0.0, 0.05, 0.1), (0, 3)))
"""Noise and delay: those who seek the goal have the same ones as those who seek the proxy."""
_WORLDS = ("cheese_on_a_dish", "coinrun")
_VARIANTS: dict[str, tuple[bool, float]] = {
    CLONES: (True, 1.0),
    AS_TRAINED: (False, 1.0),
    PARTED: (True, 0.9),
}
"""Whether agents are clones, and the correlation of the levels that they count as trained on."""


def _agents(
    seed: int, *, world: str, variant: str, trials: Sequence[str], budgets: tuple[int, ...],
    shares: Mapping[float, int] = _SHARES,
) -> list[Piece]:  # fmt: skip
    agree, correlation = _VARIANTS[variant]
    specified = tuple(Trial(name) for name in trials)
    found: list[Piece] = []
    agents = [(proxy, copy) for proxy, count in shares.items() for copy in range(count)]
    for place, (proxy, copy) in enumerate(agents):
        noise, delay = _SKILLS[(seed * max(shares.values()) + copy) % len(_SKILLS)]
        number = seed * len(agents) + place
        who = Cloned("zoo", proxy, noise, delay, number, agree)
        found.append(TriedAgent(world, (), "anywhere", correlation, who, specified, budgets))
    return found


def _arms(worlds: Sequence[str], **how: Any) -> tuple[Pieces, ...]:
    return tuple(
        Pieces(
            f"{world}-{variant.replace(' ', '_')}",
            partial(_agents, world=world, variant=variant, **how),
            {"variant": variant},
        )
        for world in worlds
        for variant in _VARIANTS
    )


_LAB = _arms(_WORLDS, trials=_TRIALS, budgets=_BUDGETS)
_SMOKE = _arms(_WORLDS[:1], trials=("iid",), budgets=(10,), shares={0.0: 1, 1.0: 1})

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
        "probabilities. Students of two teachers would differ by what they failed to learn, which "
        "is no difference of goals.",
        "All agents are made of one pair of trained agents a world, with noise and delay of their "
        "own: the intervals are over agents, and not over trainings.",
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
