"""Settings of the question: widths, correlations, and the moments of training that are tested.

Public names: `QUESTION`.
"""

from __future__ import annotations

import polars as pl

from ..columns import columns_with
from ..dishes import DISH_TEST, SMALL, SMOKE_TEST, dense, rho
from ..pieces import Piece, Pieces
from ..question import Question, Size
from ..recipes import COLUMNS, Recipe, Test, Tried
from . import analysis

_WIDTHS = (16, 64, 128)
_CORRELATIONS = (0.5, 1.0, 0.9)
_COIN_WIDTHS = (32, 128)
_COIN_CORRELATIONS = (0.5, 1.0)
_COIN_TEST = Test("anywhere", "2000000:2000400", repeats=2)
_COIN_MOMENTS = (0, 65536, 131072, 196608, 262144, 327680, 393216, 524288, 655360)


def _piece(width: int, recipe: Recipe, seed: int, test: Test) -> Tried:
    return Tried((("width", width),), recipe, seed, test, along=True)


def _in_dishes(seed: int) -> list[Piece]:
    """Return the agents of one seed in cheese on a dish, the longest first."""
    return [
        _piece(width, dense(correlation, width), seed, DISH_TEST)
        for width in reversed(_WIDTHS)
        for correlation in _CORRELATIONS
    ]


def _in_coinrun(seed: int) -> list[Piece]:
    """Return the agents of one seed in CoinRun: as the `lab` preset trains them, by width."""
    listed = ",".join(map(str, _COIN_MOMENTS))
    found: list[Piece] = []
    for width in reversed(_COIN_WIDTHS):
        network = (
            f"agent.hidden=[{width},{width}]",
            f"agent.channels=[{width // 8},{width // 4}]",
        )
        for correlation in _COIN_CORRELATIONS:
            words = ("env=coinrun", rho(correlation), *network, f"snapshots=[{listed}]")
            found.append(_piece(width, Recipe(words), seed, _COIN_TEST))
    return found


def _smoke(seed: int) -> list[Piece]:
    """Return two agents, trained for a moment, with two snapshots on the way."""
    tiny = (*SMALL, "agent.total_steps=2048", "agent.num_steps=16", "agent.batch_size=128")
    moments = ("agent.hidden=[8]", "snapshots=[0,1024]")
    return [
        _piece(8, Recipe((*tiny, *moments, rho(correlation))), seed, SMOKE_TEST)
        for correlation in (0.5, 1.0)
    ]


_DISHES = Pieces("dishes", _in_dishes, {"world": "cheese_on_a_dish"})
_COINS = Pieces("coins", _in_coinrun, {"world": "coinrun"})

QUESTION = Question(
    name="emergence",
    title="When does an agent come to go for the goal?",
    asks=(
        "Agents of several widths are tested at many moments of their training. When do they "
        "become capable, and when do they go for the goal: at once, or bit by bit, on a score that "
        "has no threshold? Would a test at an earlier moment have told what they go for in the end?"
    ),
    sizes={
        "smoke": Size(1, ((Pieces("smoke", _smoke, {"world": "cheese_on_a_dish"}),),)),
        "lab": Size(8, ((_DISHES,), (_COINS,))),
        "full": Size(20, ((_DISHES,), (_COINS,))),
    },
    analyse=analysis.analyse,
    draw=analysis.draw,
    limits=(
        "The learning rate falls to nothing over the training, so what looks like an end of change "
        "is in part its schedule; a longer training is no continuation of a shorter one.",
        "Moments are 30,000 to 130,000 decisions apart: a change that is sharper than that cannot "
        "be told from one that is not.",
        "Moments of one training are not independent; every interval is over training seeds.",
    ),
    columns=columns_with({"width": pl.Int64, **COLUMNS}),
    table="agents",
    counts="agents",
    each="agent at a moment of its training",
    caption="Thin lines are training seeds, thick ones their means; bars are 95% intervals.",
)
