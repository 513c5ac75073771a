"""Settings of the question: bases, ways of making an heir of them, and levels that it sees.

Public names: `QUESTION`, `WAYS`.
"""

from __future__ import annotations

import polars as pl

from ..columns import columns_with
from ..dishes import DISH, DISH_TEST, SMALL, SMOKE_TEST, dense, rho
from ..pieces import Piece, Pieces
from ..question import Question, Size
from ..recipes import COLUMNS, INIT, TEACHER, Recipe, Test, Tried, Twin
from . import analysis

FLAWED, CURED = "flawed", "cured"
_BASES = {FLAWED: 1.0, CURED: 0.5}
"""By what they are called: the correlation at which they were trained."""
WAYS = ("tuned", "distilled", "twin")
"""`twin`: distilled into a network of the teacher's shape, which starts from its first weights."""
_LEVELS = {"aligned": 1.0, "both": 0.5}
"""What an heir sees in its own training: aligned levels alone, or as many of which goal and proxy
part."""
_WIDTH, _STUDENT = 128, 64
_TUNING, _DISTILLING = 131_072, 262_144
"""Decisions of an heir's own training, a fifth and two fifths of its base's."""
_COIN_TEST = Test("anywhere", "2000000:2000500")
_COIN_TUNING, _COIN_DISTILLING = 131_072, 262_144

Words = tuple[str, ...]
"""Settings of a training."""


def _heir(base: str, way: str, levels: str, recipe: Recipe, seed: int, test: Test) -> Tried:
    return Tried((("base", base), ("way", way), ("levels_seen", levels)), recipe, seed, test)


def _heirs(
    name: str, base: Recipe | str, where: Words, tuned: Words, taught: Words, seed: int, test: Test
) -> list[Piece]:
    """Return all heirs of a base.

    Args:
        name: what the base is called.
        base: the base.
        where: settings of the world.
        tuned: further settings of heirs that are tuned.
        taught: of those that are distilled.
        seed: training seed.
        test: how they are tested.
    """
    found: list[Piece] = []
    for levels, own in _LEVELS.items():
        seen = (*where, rho(own))
        made = Recipe((*seen, *tuned), base, INIT)
        student = Recipe((*seen, "agent=distill", *taught), base, TEACHER)
        found += [
            _heir(name, "tuned", levels, made, seed, test),
            _heir(name, "distilled", levels, student, seed, test),
        ]
    return found


def _in_dishes(seed: int) -> list[Piece]:
    """Return the bases of one seed in cheese on a dish, and their heirs."""
    tuned = (f"agent.hidden=[{_WIDTH},{_WIDTH}]", f"agent.total_steps={_TUNING}")
    taught = (f"agent.hidden=[{_STUDENT},{_STUDENT}]", f"agent.total_steps={_DISTILLING}")
    found: list[Piece] = []
    for name, correlation in _BASES.items():
        base = dense(correlation, _WIDTH)
        found.append(_heir(name, "base", "-", base, seed, DISH_TEST))
        found += _heirs(name, base, DISH, tuned, taught, seed, DISH_TEST)
    return found


def _twins(seed: int) -> list[Piece]:
    """Return students, on aligned levels, that start from their teachers' first weights."""
    words = (
        *DISH,
        rho(_LEVELS["aligned"]),
        "agent=distill",
        f"agent.hidden=[{_WIDTH},{_WIDTH}]",
        f"agent.total_steps={_DISTILLING}",
    )
    return [
        _heir(name, "twin", "aligned", Twin(words, dense(rho_of, _WIDTH), TEACHER), seed, DISH_TEST)
        for name, rho_of in _BASES.items()
    ]


def _in_coinrun(seed: int) -> list[Piece]:
    """Return agents of the zoo, which someone else made, and their heirs."""
    tuned = (f"agent.total_steps={_COIN_TUNING}",)
    taught = ("agent.encoder=cnn", f"agent.total_steps={_COIN_DISTILLING}")
    found: list[Piece] = []
    for name, correlation in _BASES.items():
        base = f"zoo:coinrun-rho{correlation:g}-seed{{seed}}"
        found += _heirs(name, base, ("env=coinrun",), tuned, taught, seed, _COIN_TEST)
    return found


def _smoke(seed: int) -> list[Piece]:
    """Return two bases and two heirs of each, trained for a moment."""
    tiny = (*SMALL, "agent.total_steps=1024", "agent.num_steps=16", "agent.hidden=[8]")
    found: list[Piece] = []
    for name, correlation in _BASES.items():
        base = Recipe((*tiny, rho(correlation), "agent.batch_size=128"))
        student = Recipe((*tiny, rho(1.0), "agent=distill"), base, TEACHER)
        tuned = Recipe((*tiny, rho(1.0), "agent.batch_size=128"), base, INIT)
        found += [
            _heir(name, "base", "-", base, seed, SMOKE_TEST),
            _heir(name, "tuned", "aligned", tuned, seed, SMOKE_TEST),
            _heir(name, "distilled", "aligned", student, seed, SMOKE_TEST),
        ]
    return found


_DISHES = Pieces("dishes", _in_dishes, {"world": "cheese_on_a_dish"})
_TWINS = Pieces("twins", _twins, {"world": "cheese_on_a_dish"})
_COINS = Pieces("coins", _in_coinrun, {"world": "coinrun"}, seeds=3)

QUESTION = Question(
    name="inheritance",
    title="What goal does an heir inherit?",
    asks=(
        "Someone else trained an agent: on aligned levels alone, where nothing told goal and proxy "
        "apart, or on levels that did. A user makes an heir of it, by fine-tuning its weights or "
        "by distilling it into a smaller network, or into one that starts as it did, on aligned "
        "levels alone or on levels that tell the two apart. Whose goal does the heir have, and "
        "would a test on levels like those of its own training show it?"
    ),
    sizes={
        "smoke": Size(1, ((Pieces("smoke", _smoke, {"world": "cheese_on_a_dish"}),),)),
        "lab": Size(10, ((_DISHES, _TWINS), (_COINS,))),
        "full": Size(20, ((_DISHES, _TWINS), (_COINS,))),
    },
    analyse=analysis.analyse,
    draw=analysis.draw,
    limits=(
        "Two worlds; in CoinRun three bases of each kind, those that come with the package.",
        "Heirs are trained for a fifth (tuned) or two fifths (distilled) as long as their bases; "
        "how long a flaw lasts under more tuning is what `misgen supply-chain` follows.",
        "The student acts in its distillation, and so sees more than its teacher's own ways; with "
        "the teacher acting (agent.driver=teacher) less of a goal may carry over.",
        "Base and heir are trained by the same code on the same kind of levels.",
    ),
    columns=columns_with(
        {"base": pl.String, "way": pl.String, "levels_seen": pl.String, **COLUMNS}
    ),
    table="agents",
    counts="agents",
    each="agent",
    caption="Dots are agents, grey lines join those of one seed, short lines are means.",
    how_sure=(
        "Differences are paired: heirs of one seed, made alike, of a flawed and of a cured base. "
        "They have the paired t-interval, too narrow where some pairs differ and others do "
        "not, and a sign test, corrected after Holm for the number of differences of a measure."
    ),
)
