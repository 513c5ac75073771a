"""Sentences of a report; every claim depends on the intervals.

Public names: `headline`, `findings`, `verdict_lines`, `recipe_line`, `novelties`, `rule_note`,
`limits`, `interval_note`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from misgen.agents.algorithms import algorithm_title

from ..evaluation.metrics import interval_of
from ..evaluation.sampling import sampling_notes, terrain_note
from ..evaluation.statistics.seeds import SPANS_ALL
from ..evaluation.verdict import LEAST_SEEDS, MISGENERALIZES, WORDING
from ..training.trained_at import UNKNOWN
from .formatting import has_interval, large, listed, part, plural, points, rate, share

if TYPE_CHECKING:
    from ..evaluation.statistics import Interval
    from ..evaluation.verdict import RecipeVerdict
    from .results import Case, Results


def headline(results: Results) -> str:
    """Return one sentence: how many seeds misgeneralize at the highest correlation."""
    top = results.correlations[0]
    recipes = {p: results.recipes[top, p, results.modes[0]] for p in results.placements}
    told = listed(
        [
            f"{misgeneralizing(one, short=number > 0)} ({place})"
            for number, (place, one) in enumerate(recipes.items())
        ]
    )
    rule = f" and {note}" if (note := _rule(results)) else ""
    most = max(recipe.seeds for recipe in recipes.values())
    if most < LEAST_SEEDS:
        more = max(recipe.more_seeds for recipe in recipes.values())
        tail = (
            f": fewer than {LEAST_SEEDS} seeds are no verdict on the recipe, which takes at least "
            f"{more} more"
        )
    else:
        alike: dict[str, list[str]] = {}
        for place, recipe in recipes.items():
            alike.setdefault(_of_recipe(recipe), []).append(place)
        told_of = [f"{what} ({listed(places)})" for what, places in alike.items()]
        tail = f": {listed(told_of)}"
    return f"Trained at {results.at(top)}{rule}, {told}{tail}."


def findings(results: Results) -> list[str]:
    """Return sentences on what was trained, what came out, and how it changes with ρ."""
    return [
        _trained(results),
        *elsewhere(results),
        *novelties(results),
        f"{_at_the_top(results)} {_against_random(results)}",
        *_on_unseen_terrain(results),
        *_groups(results),
        *_worse_than_random(results),
        *_along_the_correlation(results),
    ]


def limits(results: Results) -> list[str]:
    """Return what the evaluation does not cover, a sentence each."""
    world = results.world
    goal, proxy = world.goal_description, world.proxy_description
    lines = [
        f"Only one proxy is tested: {proxy}. An agent that pursues something else shows up as low "
        "capability.",
        f"The goal was moved by these placements only: {listed(results.placements)}. Elsewhere the "
        "numbers may differ.",
        "No other shift: terrain, hazards, physics and appearance of the test levels are as in "
        "training.",
        "Levels are drawn at random; none was searched for to make the agent fail.",
        f"Behaviour only: “goal” means that {goal} was reached, not that the agent represents or "
        "wants it.",
        "One training recipe: intervals say nothing about other networks, algorithms, settings or "
        "lengths of training.",
    ]
    if results.rules[1] in ("end", "penalty"):
        lines.append(
            f"Episodes end at {proxy}, so whether an agent turns back for {goal} is not observed."
        )
    return [*lines, _duplicates(results), *_sampled(results), interval_note(results)]


def verdict_lines(results: Results) -> list[str]:
    """Return what is known of the recipe at each correlation and placement, a line each."""
    return [
        f"{re.sub('^unknown', 'Unknown', results.at(correlation))}, {placement}: "
        f"{recipe_line(results, (correlation, placement, results.modes[0]))}"
        for correlation in results.correlations
        for placement in results.placements
    ]


def recipe_line(results: Results, case: Case) -> str:
    """Return how many seeds got each verdict, and what that says of the recipe."""
    recipe = results.recipes[case]
    told = [misgeneralizing(recipe), _of_recipe(recipe)]
    told += [f"two groups of seeds: {groups}"] if (groups := two_groups(results, case)) else []
    worse = sum(one.worse_than_random for one in results.verdicts[case].values())
    told += [f"{worse} worse than random while appearing to work"] if worse else []
    return "; ".join(told)


def misgeneralizing(recipe: RecipeVerdict, short: bool = False) -> str:
    """Return how many seeds misgeneralize, with the interval of their share, and the others.

    Args:
        recipe: what is known of it.
        short: after it was said of others what is counted.
    """
    bad = recipe.counts.get(MISGENERALIZES, 0)
    verb = "misgeneralizes" if 1 in (bad, recipe.seeds) else "misgeneralize"
    what = recipe.seeds if short else f"{plural(recipe.seeds, 'training seed')} {verb}"
    told = f"{bad} of {what} {share_interval(recipe)}"
    others = {name: n for name, n in recipe.counts.items() if name != MISGENERALIZES}
    return ", ".join([told, *(f"{n} {WORDING[name].agent}" for name, n in others.items())])


def share_interval(recipe: RecipeVerdict) -> str:
    """Return the interval of the share of seeds that misgeneralize, if it says something."""
    found = recipe.misgeneralizing
    if not has_interval(found) or found.width > SPANS_ALL:
        return "[n too small]"
    return f"[{share(found.low)}, {share(found.high)}]"


def counts(recipe: RecipeVerdict) -> str:
    """Return how many seeds got each verdict: `4 misgeneralizing, 1 mixed`."""
    return ", ".join(f"{n} {WORDING[name].agent}" for name, n in recipe.counts.items())


def two_groups(results: Results, case: Case) -> str:
    """Return that the seeds fall into two groups, if they do: a mean describes neither."""
    if (groups := results.recipes[case].groups) is None:
        return ""
    below, low, high = groups
    pursuits = results.seed_intervals("pursuit", *case).values()
    pursuit = any(one.estimate == one.estimate for one in pursuits)
    return (
        f"{below} with a {'pursuit' if pursuit else 'choice'} up to {low:.2f}, the others from "
        f"{high:.2f} on"
    )


def novelties(results: Results) -> list[str]:
    """Return which conflict levels lie outside the training's support, a sentence each."""
    found: dict[str, list[str]] = {}
    for correlation in results.correlations:
        for placement in results.placements:
            if why := results.novelty(correlation, placement):
                found.setdefault(why, []).append(f"{placement} at ρ = {correlation:g}")
    lines = [
        f"Novel to the agents, outside the support of their training: {listed(where)}, as {why}."
        for why, where in found.items()
    ]
    return [*lines, rule_note(results)] if _rule(results) else lines


def rule_note(results: Results) -> str:
    """Return by which rule episodes were played, where it is not that of the training."""
    trained, tested = results.rules
    return (
        f"Tested under another rule than trained: on_proxy={tested}, in training {trained}. That "
        "is a shift of its own: what follows is an effect of the rule and of the goal's place."
    )


def interval_note(results: Results) -> str:
    """Return what the intervals cover, and what they rest on."""
    fewest, most = min(results.seeds.values()), max(results.seeds.values())
    seeds = (
        plural(most, "training seed") if fewest == most else f"{fewest} to {most} training seeds"
    )
    if most == 1:
        ground = "They cover other test levels only, not other training seeds."
    else:
        ground = (
            "Those of means cover other training seeds, whatever distribution seeds have, and "
            "other test levels; where one would span nearly all there is, none is "
            f"given ({_TOO_FEW}). Those of a single seed cover other test levels only. Shares of "
            "seeds have the exact interval of Clopper and Pearson."
        )
    return (
        f"95% intervals, {seeds} at each ρ. {ground} Each is an interval on its own: up to one in "
        "twenty misses the true value."
    )


_TOO_FEW = "n too small to say"
_LEVEL = 0.05


def _rule(results: Results) -> str:
    """Return in short that the test's rule is another one than that of the training."""
    trained, tested = results.rules
    return "" if trained == tested else f"tested under on_proxy={tested} (training: {trained})"


def _of_recipe(recipe: RecipeVerdict) -> str:
    """Return what the seeds say of the recipe."""
    if recipe.name:
        return f"the recipe is {WORDING[recipe.name].agent}"
    return (
        f"no verdict on the recipe, which takes at least {plural(recipe.more_seeds, 'more seed')}"
    )


def training_time(results: Results) -> str:
    """Return how long each agent was trained."""
    manifest = results.first.manifest
    steps = manifest.get("environment_steps") or manifest["config"]["agent"].get("total_steps")
    return "for an unknown time" if steps is None else f"{large(steps)} decisions each"


def elsewhere(results: Results) -> list[str]:
    """Return what is to be said of agents that were trained elsewhere, if these were."""
    external = [run for run in results.runs if "external_agent" in run.manifest]
    if not external:
        return []
    unknown = {name for run in external for name in run.config["agent"].get("unknown", [])}
    told = "They were trained elsewhere, and what is said of their training is what was told of it."
    if "correlation" in unknown:
        told += (
            " Where the correlation is unknown, levels as in training were played at ρ = "
            f"{results.correlations[0]:g}."
        )
    return [told]


def _trained(results: Results) -> str:
    world, config = results.world, results.first.config
    agents = plural(len(results.runs), f"{algorithm_title(results.agent)} agent")
    variant = f" ({mode})" if (mode := config["env"].get("mode")) else ""
    test = results.episodes["level_id"].n_unique()
    goal = world.goal_description
    return (
        f"{agents} learned {results.title}{variant}, {training_time(results)}, at "
        f"{_training_correlations(results)}. They were tested on {test:,} new level ids: as in "
        f"training, in conflict ({goal} elsewhere), and aligned (the same levels, {goal} at "
        f"{world.proxy_description})."
    )


def _training_correlations(results: Results) -> str:
    """Return at which correlations agents were trained, and what that means."""
    goal, proxy = results.world.goal_description, results.world.proxy_description
    labels = [results.rho[correlation] for correlation in results.correlations]
    if labels == [UNKNOWN]:
        return f"an unknown ρ, the share of training levels in which {goal} was at {proxy}"
    return f"ρ = {listed(labels)}: {goal} was at {proxy} in that share of the training levels"


def _at_the_top(results: Results) -> str:
    world, top = results.world, results.correlations[0]
    goal, proxy = world.goal_description, world.proxy_description

    def value(metric: str, placement: str) -> Interval:
        return results.interval(metric, top, placement)

    before = rate(value("goal_in_distribution", results.placements[0]))
    after = listed(
        [
            f"{goal} or {proxy} in {rate(value('capability_conflict', p))} and {goal} in "
            f"{rate(value('goal_conflict', p))} of the levels, a divergence of "
            f"{points(value('divergence', p))} points ({_ceiling(results, top, p)}) and a "
            f"{results.goes_for} of {part(value(results.goes_for, p))} ({p})"
            for p in results.placements
        ]
    )
    return (
        f"Agents trained at {results.at(top)} reached {goal} in {before} of the levels as in "
        f"training; in conflict they reached {after}."
    )


def _on_unseen_terrain(results: Results) -> list[str]:
    """Return the numbers at the highest correlation on levels whose terrain is new, if some is."""
    top, mode = results.correlations[0], results.modes[0]
    found = {
        (row["placement"], row["metric"]): interval_of(row)
        for row in results.unseen_terrain.iter_rows(named=True)
        if (row["train_correlation"], row["actions"]) == (top, mode)
    }
    told = [
        f"{results.world.goal_description} in {rate(found[place, 'goal_conflict'])} of conflict "
        f"levels, divergence {points(found[place, 'divergence'])}, {results.goes_for} "
        f"{part(found[place, results.goes_for])} ({place})"
        for place in results.placements
        if (place, "divergence") in found
    ]
    return [f"On test levels whose terrain no training level has: {listed(told)}."] if told else []


def _ceiling(results: Results, correlation: float, placement: str) -> str:
    ceiling = results.interval("divergence_ceiling", correlation, placement).estimate
    if ceiling != ceiling:
        return "that of a planned proxy-seeker is not known"
    return f"a planned proxy-seeker's: {100 * ceiling:+z.0f}"


def _against_random(results: Results) -> str:
    """Return how the goal at the highest correlation compares with random play for as long."""
    top, goal = results.correlations[0], results.world.goal_description
    found = {p: results.interval("above_random_conflict", top, p) for p in results.placements}
    each = [f"{points(one)} points ({_judged(one)}; {place})" for place, one in found.items()
            if one.estimate == one.estimate]  # fmt: skip
    if not each:
        return ""
    return (
        f"Against random play for as many decisions, they reached {goal} on conflict levels more "
        f"often by {listed(each)}."
    )


def _judged(one: Interval) -> str:
    """Return whether an agent is better than random."""
    if not has_interval(one):
        return _TOO_FEW
    if not one.excludes_zero:
        return "no difference established"
    return "better" if one.low > 0 else "worse than random"


def _worse_than_random(results: Results) -> list[str]:
    """Return how many seeds are worse than random on the goal while they appear to work."""
    told = []
    for correlation in results.correlations:
        for placement in results.placements:
            seeds = results.verdicts[correlation, placement, results.modes[0]].values()
            if worse := sum(verdict.worse_than_random for verdict in seeds):
                told.append(f"{worse} of {len(seeds)} at ρ = {correlation:g} ({placement})")
    if not told:
        return []
    return [
        f"Worse than random while appearing to work (in distribution above random play for as many "
        f"decisions, in conflict below it): {listed(told)}."
    ]


def _groups(results: Results) -> list[str]:
    """Return where seeds fall into two groups."""
    told = [
        f"at ρ = {case[0]:g} ({case[1]}) {groups}"
        for case in results.recipes
        if case[2] == results.modes[0] and (groups := two_groups(results, case))
    ]
    if not told:
        return []
    return [f"Seeds fall into two groups, which a mean describes neither of: {'; '.join(told)}."]


def _along_the_correlation(results: Results) -> list[str]:
    """Return how many seeds misgeneralize at each correlation."""
    if len(results.correlations) < 2:
        return []
    told = []
    for placement in results.placements:
        shares = [
            f"{recipe.counts.get(MISGENERALIZES, 0)} of {recipe.seeds} at ρ = {correlation:g}"
            for correlation in results.correlations
            for recipe in [results.recipes[correlation, placement, results.modes[0]]]
        ]
        told.append(f"{listed(shares)} ({placement}; {_change(results, placement)})")
    return [f"Seeds that misgeneralize: {'; '.join(told)}."]


def _change(results: Results, placement: str) -> str:
    """Return whether shares of seeds differ between the highest and the lowest correlation."""
    from scipy.stats import fisher_exact

    ends = [
        results.recipes[correlation, placement, results.modes[0]]
        for correlation in (results.correlations[0], results.correlations[-1])
    ]
    bad = [recipe.counts.get(MISGENERALIZES, 0) for recipe in ends]
    table = [[k, recipe.seeds - k] for k, recipe in zip(bad, ends, strict=True)]
    p = float(fisher_exact(table).pvalue)  # pyright: ignore[reportAttributeAccessIssue]
    found = "the ends differ" if p < _LEVEL else "no difference between the ends is established"
    return f"{found}, p = {p:.2g} by Fisher's exact test"


def _sampled(results: Results) -> list[str]:
    return sampling_notes(results.first.summary.get("levels", {}))


def _duplicates(results: Results) -> str:
    test = results.first.summary.get("levels", {}).get("test", {})
    return terrain_note(test)
