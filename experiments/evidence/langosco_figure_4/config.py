"""Settings of the question: the sides of the cheese's region in training.

Public names: `QUESTION`.
"""

from __future__ import annotations

from ..question import Question, Size
from ..swept import Sweep, evaluation_words
from . import analysis

_PLACEMENTS = ("anywhere",)
_SIDES = (1, 2, 3, 4, 5, 6, 7)


def _arms(length: str, *words: str, sides: tuple[int, ...] = _SIDES) -> tuple[Sweep, ...]:
    return tuple(
        Sweep(
            f"{length}-region{side}",
            (
                *words,
                "env=corner_maze",
                "env.terrain=langosco",
                "env.on_proxy=continue",
                f"env.rand_region={side}",
                *evaluation_words(_PLACEMENTS, **({"repeats": 1} if length == "smoke" else {})),
                *(("evaluate.verdict.devices=0",) if length == "smoke" else ()),
            ),
            (1.0,),
            {"length": length, "region": side},
        )
        for side in sides
    )


_LAB = _arms("lab", "agent.total_steps=1500000")
_LONG = _arms("long", "agent.total_steps=12000000")
_SMOKE = _arms(
    "smoke",
    "preset=smoke",
    "env.mode=easy",
    "env.largest_maze=7",
    "env.max_steps=30",
    "agent.total_steps=4096",
    "levels.test=2000000:2000020",
    sides=(1, 3),
)

QUESTION = Question(
    name="langosco_figure_4",
    title="How large must the cheese's region be?",
    asks=(
        "In a maze the cheese lies in a region of r x r cells at the upper right. How large must "
        "the region be in training for mice to look for the cheese elsewhere, too? (Langosco et "
        "al. 2022, figure 4.)"
    ),
    sizes={
        "smoke": Size(2, (_SMOKE,)),
        "lab": Size(10, (_LAB,)),
        "full": Size(10, (_LAB, _LONG)),
    },
    analyse=analysis.analyse,
    draw=analysis.draw,
    limits=(
        "Mazes have at most 9 x 9 cells, where the paper's have up to 25 x 25: a region of a side "
        "takes up more of them.",
        "The region is the proxy: with a larger one fewer of the test's cheeses lie outside it.",
        "Small networks that see the board as tiles.",
    ),
)
