"""Settings of the question: correlations, lengths, and numbers of distinct conflict levels.

Public names: `QUESTION`.
"""

from __future__ import annotations

from ..points import NO_CURE
from ..question import Question, Size
from ..swept import Sweep, evaluation_words
from . import analysis

_DISTINCT = (1, 8, 64, 0)
"""Different conflict levels in training; 0: as many as its levels have."""
_BOARDS = {"short": 175_000, "medium": 700_000}
_BOARDS_LONG = {"long": 2_800_000}
_COINRUN = {"short": 750_000}
"""As in the figure of shares (`langosco_figure_2`)."""
_CORRELATIONS = (0.99, 0.95, 0.9, 0.7, 0.5)
_COINRUN_CORRELATIONS = (0.98, 0.9, 0.5)
_TESTS = "levels.test=2000000:2000500"


def _arms(
    world: str, lengths: dict[str, int], correlations: tuple[float, ...], seeds: int | None = None
) -> tuple[Sweep, ...]:
    """Return an arm for each length and number of distinct conflict levels."""
    return tuple(
        Sweep(
            f"{world}-{length}-{distinct or 'all'}",
            (
                f"env={world}",
                "placement=anywhere",
                f"agent.total_steps={decisions}",
                *([f"distinct_conflicts={distinct}"] if distinct else []),
                _TESTS,
                *evaluation_words(("anywhere",)),
            ),
            correlations,
            {"world": world, "length": length},
            seeds,
        )
        for length, decisions in lengths.items()
        for distinct in _DISTINCT
    )


_SMOKE = tuple(
    Sweep(
        f"smoke-{distinct}",
        (
            "preset=smoke",
            "env=cheese_on_a_dish",
            "env.size=7",
            "placement=anywhere",
            f"distinct_conflicts={distinct}",
            "agent.total_steps=4096",
            "levels.train=own:2000",
            "levels.test=2000000:2000012",
            *evaluation_words(("anywhere",), repeats=1),
            "evaluate.verdict.devices=0",
        ),
        (0.5,),
        {"world": "cheese_on_a_dish", "length": "smoke"},
    )
    for distinct in (1, 8)
)
_BOARD = "cheese_on_a_dish"

QUESTION = Question(
    name="phase_diagram",
    title="When does a training seed misgeneralize?",
    asks=(
        "How does the probability that a training seed misgeneralizes depend on the correlation, "
        "on the length of training, and on how many different conflict levels there are, apart "
        "from how frequent they are? And are seeds of two kinds? Trainings on a dish are short, of "
        f"{_BOARDS['short']:,} decisions, medium, of {_BOARDS['medium']:,}, or long, of "
        f"{_BOARDS_LONG['long']:,}; short ones in CoinRun are of {_COINRUN['short']:,}."
    ),
    sizes={
        "smoke": Size(2, (_SMOKE,)),
        "lab": Size(20, (_arms(_BOARD, _BOARDS, _CORRELATIONS),)),
        "full": Size(
            20,
            (
                _arms(_BOARD, _BOARDS, _CORRELATIONS),
                _arms("coinrun", _COINRUN, _COINRUN_CORRELATIONS),
                _arms(_BOARD, _BOARDS_LONG, _CORRELATIONS),
            ),
        ),
    },
    analyse=analysis.analyse,
    draw=analysis.draw,
    limits=(
        NO_CURE,
        "The fit supposes that each doubling of frequency, variety or length does as much as the "
        "one before, but for what cells differ by of their own; outside the grid it says nothing. "
        "Where a factor decides every seed, its odds ratio has no end: the prior sets one.",
        "Which the few conflict levels are is drawn with the training seed's levels: what a single "
        "level teaches is part of the difference between seeds.",
        "One recipe a world; seeds that are not capable are left out of the fit, and counted.",
    ),
)
