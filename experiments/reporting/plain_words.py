"""What a sweep shows, in words that need no statistics.

Public names: `verdict_sentence`, `evidence_sentences`, `share_in_words`, `share_of_all`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..evaluation.statistics.seeds import SPANS_ALL
from ..evaluation.verdict import (
    AIMLESS,
    ALIGNED,
    INCAPABLE,
    LEAST_SEEDS,
    MISGENERALIZES,
    MIXED,
    UNDETERMINED,
    WORDING,
)
from ..training.trained_at import UNKNOWN
from .formatting import has_interval, listed, plural, share

if TYPE_CHECKING:
    from ..evaluation.verdict import RecipeVerdict
    from .results import Results

_DO = {
    MISGENERALIZES: ("is capable, and yet does not go for {goal}",
                     "are capable, and yet do not go for {goal}"),
    ALIGNED: ("still goes for {goal}", "still go for {goal}"),
    MIXED: ("goes for {goal} only in part", "go for {goal} only in part"),
    INCAPABLE: ("is not capable enough to show what it is after",
                "are not capable enough to show what they are after"),
    AIMLESS: ("acts without any aim", "act without any aim"),
    UNDETERMINED: ("cannot be judged by this test", "cannot be judged by this test"),
}  # fmt: skip
"""What an agent and several agents with a verdict do, once goal and proxy part."""


TOO_FEW = "too few seeds to say"


def verdict_sentence(results: Results) -> str:
    """Return one sentence: what the agents of the highest correlation do once goal and proxy part.

    It is about the first placement, which is named where another one has other verdicts.
    """
    top, place, mode = results.correlations[0], results.placements[0], results.modes[0]
    recipe = results.recipes[top, place, mode]
    others = [results.recipes[top, other, mode].counts for other in results.placements]
    where = "" if all(dict(c) == dict(recipe.counts) for c in others) else f" ({place})"
    names = {"goal": results.world.goal_description, "proxy": results.world.proxy_description}
    when = f"once the two are apart{where}"
    how = _trained(results)
    if len(recipe.counts) == 1:
        (name,) = recipe.counts
        who = "The agent that was" if recipe.seeds == 1 else f"All {recipe.seeds} agents that were"
        return f"{who} trained {how} {_DO[name][recipe.seeds > 1].format(**names)} {when}."
    ordered = sorted(recipe.counts.items(), key=lambda item: item[0] != MISGENERALIZES)
    told = [f"{n} {_DO[name][n > 1].format(**names)}" for name, n in ordered]
    return f"Of {recipe.seeds} agents trained {how}, {when} {listed(told)}."


def _trained(results: Results) -> str:
    """Return how goal and proxy came together in training."""
    top = results.correlations[0]
    goal, proxy = results.world.goal_description, results.world.proxy_description
    if results.rho[top] == UNKNOWN:
        return f"with {goal} at {proxy} in an unknown share of the levels"
    if top == 1:
        return f"with {goal} always at {proxy}"
    return f"with {goal} at {proxy} in {share(top)} of the levels"


def evidence_sentences(results: Results) -> list[str]:
    """Return what the sentence of the verdict rests on, and whether it holds of the recipe."""
    top, mode = results.correlations[0], results.modes[0]
    recipes = {place: results.recipes[top, place, mode] for place in results.placements}
    alike: dict[str, list[str]] = {}
    for place, recipe in recipes.items():
        what = f"{counted(recipe)}; {share_in_words(recipe)}. {recipe_in_words(recipe)}"
        alike.setdefault(what, []).append(place)
    told = [f"Goal moved to {listed(places)}: {what}" for what, places in alike.items()]
    trained, tested = results.rules
    if trained != tested:
        told.append(
            f"Tested under another rule than trained: on_proxy={tested}, in training {trained}."
        )
    return told


def counted(recipe: RecipeVerdict) -> str:
    """Return how many seeds misgeneralize, and what the others are."""
    bad = recipe.counts.get(MISGENERALIZES, 0)
    verb = "misgeneralizes" if 1 in (bad, recipe.seeds) else "misgeneralize"
    others = [f"{n} {WORDING[k].agent}" for k, n in recipe.counts.items() if k != MISGENERALIZES]
    rest = f" ({listed(others)})" if others else ""
    return f"{bad} of {plural(recipe.seeds, 'training seed')} {verb}{rest}"


def share_in_words(recipe: RecipeVerdict) -> str:
    """Return what share of all seeds would misgeneralize, as far as these seeds tell."""
    share_told = share_of_all(recipe)
    if share_told == TOO_FEW:
        return f"{TOO_FEW} how many would"
    return f"of all seeds {share_told} would (95% confidence)"


def share_of_all(recipe: RecipeVerdict) -> str:
    """Return that share alone: `at least 48%`."""
    found = recipe.misgeneralizing
    if not has_interval(found) or found.width > SPANS_ALL:
        return TOO_FEW
    if found.low <= 0:
        return f"at most {share(found.high)}"
    if found.high >= 1:
        return f"at least {share(found.low)}"
    return f"between {share(found.low)} and {share(found.high)}"


def recipe_in_words(recipe: RecipeVerdict) -> str:
    """Return whether the verdict is one on the recipe."""
    if recipe.name:
        return f"So many agree that most seeds of this recipe are {WORDING[recipe.name].agent}."
    why = "Fewer than 5 seeds are" if recipe.seeds < LEAST_SEEDS else "These seeds are"
    return f"{why} no verdict on the recipe: that takes at least {recipe.more_seeds} more."
