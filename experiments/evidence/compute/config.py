"""Settings of the question: networks by kind and size, at two correlations.

Public names: `QUESTION`, `WIDTHS`.
"""

from __future__ import annotations

import polars as pl

from ..columns import columns_with
from ..dishes import DISH, DISH_TEST, SMALL, SMOKE_TEST, dense, rho
from ..pieces import Piece, Pieces
from ..question import Question, Size
from ..recipes import COLUMNS, TEACHER, Recipe, Test, Tried
from . import analysis

WIDTHS = (8, 16, 32, 64, 128)
"""Of two dense layers."""
_WIDER = (256, 512)
"""Those that only `full` has."""
_TEACHER = 128
_STUDENTS = (16, 64)
_DISTILLING = 262_144
"""Decisions that a student learns from."""
_MIXTURES = {"equal active": (128, 60), "equal total": (128, 15)}
"""Widths of the first layer and of each of 8 experts, two of them active, with as many active, and
as many parameters in all, as two dense layers of 128."""
_COIN_WIDTHS = (16, 32, 64, 128)
_COIN_TEST = Test("anywhere", "2000000:2000500")
LABELS = {"kind": pl.String, "size": pl.String}


def _piece(kind: str, size: str, recipe: Recipe, seed: int, test: Test) -> Tried:
    return Tried((("kind", kind), ("size", size)), recipe, seed, test)


def _in_dishes(seed: int, widths: tuple[int, ...] = WIDTHS) -> list[Piece]:
    """Return the agents of one seed in cheese on a dish."""
    found: list[Piece] = []
    for correlation in (1.0, 0.5):
        of = rho(correlation)
        recipes = [("dense", str(width), dense(correlation, width)) for width in reversed(widths)]
        for width in _STUDENTS:
            words = (*DISH, of, "agent=distill", f"agent.hidden=[{width},{width}]",
                     f"agent.total_steps={_DISTILLING}")  # fmt: skip
            student = Recipe(words, dense(correlation, _TEACHER), TEACHER)
            recipes.append(("distilled", str(width), student))
        for size, both in _MIXTURES.items():
            hidden = f"agent.hidden=[{','.join(map(str, both))}]"
            recipes.append(("mixture", size, Recipe((*DISH, of, "agent.encoder=moe", hidden))))
        found += [_piece(kind, size, one, seed, DISH_TEST) for kind, size, one in recipes]
    return found


def _with_wider(seed: int) -> list[Piece]:
    """Return the same with wider networks."""
    return _in_dishes(seed, (*WIDTHS, *_WIDER))


def _in_coinrun(seed: int) -> list[Piece]:
    """Return the agents of one seed in CoinRun."""
    return [
        _piece(
            "dense",
            str(width),
            Recipe(
                (
                    "env=coinrun",
                    rho(correlation),
                    f"agent.hidden=[{width},{width}]",
                    f"agent.channels=[{width // 8},{width // 4}]",
                )
            ),
            seed,
            _COIN_TEST,
        )
        for correlation in (1.0, 0.5)
        for width in reversed(_COIN_WIDTHS)
    ]


def _smoke(seed: int) -> list[Piece]:
    """Return one agent of each kind, trained for a moment."""
    tiny = (*SMALL, rho(1.0), "agent.total_steps=2048", "agent.num_steps=16")
    dense_one = Recipe((*tiny, "agent.hidden=[8,8]", "agent.batch_size=128"))
    mixed = Recipe(
        (*dense_one.words, "agent.encoder=moe", "agent.experts=2", "agent.active_experts=1")
    )
    student = Recipe((*tiny, "agent=distill", "agent.hidden=[4]"), dense_one, TEACHER)
    recipes = [("dense", "8", dense_one), ("mixture", "8", mixed), ("distilled", "4", student)]
    return [_piece(kind, size, one, seed, SMOKE_TEST) for kind, size, one in recipes]


_DISHES = Pieces("dishes", _in_dishes, {"world": "cheese_on_a_dish"})
_WIDER_DISHES = Pieces("dishes", _with_wider, {"world": "cheese_on_a_dish"})
_COINS = Pieces("coins", _in_coinrun, {"world": "coinrun"})

QUESTION = Question(
    name="compute",
    title="Is compute a proxy for what an agent goes for?",
    asks=(
        "Rules that name a number of operations, above which a model is looked at, take compute "
        "for a sign of what it can do and of the harm that it could. Dense networks of several "
        "widths, mixtures of experts (equal to one of them in active, or in all, parameters) and "
        "students distilled from larger teachers are trained alike, on levels that tell goal and "
        "proxy apart and on levels that do not: does compute, or size, go with capability, and "
        "with goal pursuit, and who falls on the wrong side of a threshold?"
    ),
    sizes={
        "smoke": Size(1, ((Pieces("smoke", _smoke, {"world": "cheese_on_a_dish"}),),)),
        "lab": Size(10, ((_DISHES,),)),
        "full": Size(20, ((_WIDER_DISHES,), (_COINS,))),
    },
    analyse=analysis.analyse,
    draw=analysis.draw,
    limits=(
        "Networks of a few thousand to two hundred thousand parameters on one world of tiny "
        "boards; nothing here is about language models, and operations range over one to two "
        "orders of magnitude.",
        "Correlations of compute and goal pursuit are within a training correlation, which was "
        "varied by design; across both, what was varied would decide what is found.",
        "Widths are varied at one number of decisions; more decisions at one width are another way "
        "to more compute (the question `emergence`).",
        "Of mixtures, products with the chosen experts are counted; at play all experts are run.",
    ),
    columns=columns_with({**LABELS, **COLUMNS}),
    table="agents",
    counts="agents",
    each="agent",
    caption="Dots are agents, a colour a correlation of training; lines join means over seeds.",
    how_sure=(
        "Intervals (95%) are of a bootstrap that draws recipes, and of each its training seeds."
    ),
)
