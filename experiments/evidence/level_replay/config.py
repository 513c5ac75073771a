"""Settings of the question: worlds, shares of conflict levels, and of levels that are replayed.

Public names: `QUESTION`.
"""

from __future__ import annotations

import polars as pl

from ..columns import COLUMNS
from ..question import OVER_SEEDS, Question, Size
from ..swept import Sweep, evaluation_words
from . import analysis

_WORLDS = {"cheese_on_a_dish": 700_000, "corner_maze": 1_500_000}
"""With decisions of a training."""
_LONG = {"cheese_on_a_dish": 2_800_000, "corner_maze": 6_000_000}
_CORRELATIONS = (0.999, 0.99, 0.97)
_SHARES = (0.0, 0.5)
_TESTS = "levels.test=2000000:2000500"


def _arms(length: str, decisions: dict[str, int]) -> tuple[Sweep, ...]:
    return tuple(
        Sweep(
            f"{length}-{world}-replay{share:g}",
            (
                f"env={world}",
                "placement=anywhere",
                f"agent.total_steps={steps}",
                *([f"level_replay={share:g}"] if share else []),
                _TESTS,
                *evaluation_words(("anywhere",)),
            ),
            _CORRELATIONS,
            {"world": world, "length": length, "replay": share},
        )
        for world, steps in decisions.items()
        for share in _SHARES
    )


_SMOKE = tuple(
    Sweep(
        f"smoke-replay{share:g}",
        (
            "preset=smoke",
            "env=cheese_on_a_dish",
            "env.size=7",
            "placement=anywhere",
            "agent.total_steps=4096",
            *([f"level_replay={share:g}"] if share else []),
            "levels.train=own:2000",
            "levels.test=2000000:2000012",
            *evaluation_words(("anywhere",), repeats=1),
            "evaluate.verdict.devices=0",
        ),
        (0.9,),
        {"world": "cheese_on_a_dish", "length": "smoke", "replay": share},
    )
    for share in _SHARES
)

QUESTION = Question(
    name="level_replay",
    title="Do levels chosen by regret mend it?",
    asks=(
        "Few training levels tell goal and proxy apart. If half of the levels that an agent plays "
        "are drawn again from those on which it missed most of the goal, does it learn what the "
        "rare ones teach? (Minimax regret: arXiv 2507.03068, cheese in the corner and on a dish.)"
    ),
    sizes={
        "smoke": Size(2, (_SMOKE,)),
        "lab": Size(10, (_arms("lab", _WORLDS),)),
        "full": Size(20, (_arms("lab", _WORLDS), _arms("long", _LONG))),
    },
    analyse=analysis.analyse,
    draw=analysis.draw,
    limits=(
        "Levels are chosen by the part of the goal that the latest episode missed, undiscounted: "
        "the regret where all of the goal can be reached. Detours cost nothing, and levels that an "
        "agent fails for want of skill are replayed as those that it fails for its goal.",
        "Agents learn from new levels as well; the paper's robust variant learns from replayed "
        "ones alone, and its strongest one edits levels.",
        "Small networks, and trainings of seconds: the paper's are hundreds of times longer, and "
        "their agents fail few levels for want of skill.",
        "An episode ends when the proxy is reached first, as the worlds' lab preset has it.",
    ),
    columns={**COLUMNS, "conflict_share": pl.Float64},
    caption=(
        "Dots are training seeds, larger marks their means or shares, bars 95% intervals; a line a "
        "world and way of drawing levels."
    ),
    how_sure=(
        f"{OVER_SEEDS} Differences are paired: seeds with the same levels and first weights, "
        "drawn evenly and by regret; they have the paired t-interval and a sign test, corrected "
        "after Holm for the number of differences."
    ),
)
