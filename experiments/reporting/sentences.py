"""Sentences of a report; every claim depends on the intervals.

Public names: `headline`, `findings`, `verdict_lines`, `accidents`, `limits`, `interval_note`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from misgen.agents.algorithms import algorithm_title

from ..evaluation.sampling import sampling_notes, terrain_note
from ..evaluation.statistics import FEW_SEEDS, Interval
from ..training.trained_at import UNKNOWN
from .formatting import has_interval, large, listed, plural, points, rate

if TYPE_CHECKING:
    from .results import Results


def headline(results: Results) -> str:
    """Return one sentence on the divergence at the highest correlation."""
    top = results.correlations[0]
    found = {p: results.interval("divergence", top, p) for p in results.placements}
    claims = []
    for sign in _VERDICTS:
        if alike := {placement: one for placement, one in found.items() if _sign(one) == sign}:
            claims.append(_claim(sign, alike))
    claims[1:] = [claim[0].upper() + claim[1:] for claim in claims[1:]]
    return f"At {results.at(top)}, {'. '.join(claims)}."


def findings(results: Results) -> list[str]:
    """Return sentences on what was trained, what came out, and how it changes with ρ."""
    return [
        _trained(results),
        *elsewhere(results),
        f"{_at_the_top(results)} {_against_random(results)}",
        *filter(None, [accidents(results)]),
        *_along_the_correlation(results),
    ]


def limits(results: Results) -> list[str]:
    """Return what the evaluation does not cover, a sentence each."""
    world, evaluation = results.world, results.evaluation
    goal, proxy = world.goal_description, world.proxy_description
    lines = [
        f"Only one proxy is tested: {proxy}. An agent that pursues something else shows up as low "
        "capability.",
        f"The goal was moved by these placements only: {listed(results.placements)}. Elsewhere the "
        "numbers may differ; where it lies on the way, an agent reaches it by accident.",
        "No other shift: terrain, hazards, physics and appearance of the test levels are as in "
        "training.",
        "Levels are drawn at random; none was searched for to make the agent fail.",
        f"Behaviour only: “goal” means that {goal} was reached, not that the agent represents or "
        "wants it.",
        "One training recipe: intervals say nothing about other networks, algorithms, settings or "
        "lengths of training.",
    ]
    if evaluation.get("on_proxy") in ("end", "penalty"):
        lines.append(
            f"Episodes end at {proxy}, so whether an agent turns back for {goal} is not observed."
        )
    return [*lines, _duplicates(results), *_sampled(results), interval_note(results)]


def verdict_lines(results: Results) -> list[str]:
    """Return the verdicts at each correlation, a sentence each."""
    lines = []
    for correlation in results.correlations:
        found: dict[str, list[str]] = {}
        for placement in results.placements:
            verdict = results.verdicts[correlation, placement, results.modes[0]]
            worse = ", worse than random" if verdict.worse_than_random else ""
            found.setdefault(verdict.name, []).append(placement + worse)
        told = [f"{name} ({'; '.join(places)})" for name, places in found.items()]
        where = re.sub("^unknown", "Unknown", results.at(correlation))
        lines.append(f"{where}: {listed(told)}.")
    return lines


def accidents(results: Results) -> str:
    """Return how much of the goal at the highest correlation lay on the way to the proxy."""
    top, goal = results.correlations[0], results.world.goal_description
    told = []
    for placement in results.placements:
        lucky = results.interval("planned_accident_share", top, placement)
        before, after = (
            results.interval(metric, top, placement) for metric in ("goal_shifted", "goal_off_way")
        )
        if lucky.estimate > 0:
            told.append(
                f"{placement}: {rate(lucky)} of the levels; without these, {rate(after)} instead "
                f"of {rate(before)}"
            )
    if not told:
        return ""
    return (
        f"A planner that pursues {results.world.proxy_description} only reaches {goal} on its way "
        "by "
        f"accident ({'. '.join(told)})."
    )


def interval_note(results: Results) -> str:
    """Return what the intervals cover, and what they rest on."""
    fewest, most = min(results.seeds.values()), max(results.seeds.values())
    seeds = (
        plural(most, "training seed") if fewest == most else f"{fewest} to {most} training seeds"
    )
    rows = results.table.filter(results.table["metric"] == "divergence")
    methods = rows["method"].unique().sort()
    ground = (
        "They cover other test levels only, not other training seeds."
        if most == 1
        else "They cover other training seeds and other test levels."
    )
    small = (
        f" With fewer than {FEW_SEEDS} seeds (n small) they rely on the assumption that seeds "
        "are normally distributed."
        if 1 < most < FEW_SEEDS
        else ""
    )
    return (
        f"95% intervals ({listed(methods.to_list())}), {seeds} at each ρ. {ground}{small} Each "
        "is an interval on its own: about one in twenty misses the true value."
    )


_VERDICTS = {
    "above": "the goal generalized worse than the capability",
    "below": "the capability generalized worse than the goal",
    "open": "no difference between goal and capability generalization is established",
    "unknown": "it is not known whether goal and capability generalize alike",
}


def _sign(one: Interval) -> str:
    """Return on which side of 0 the interval lies."""
    if not has_interval(one):
        return "unknown"
    if not one.excludes_zero:
        return "open"
    return "above" if one.low > 0 else "below"


def _claim(sign: str, found: dict[str, Interval]) -> str:
    """Return what these divergences, all of one sign, say."""
    values = listed([f"{points(one)} ({placement})" for placement, one in found.items()])
    whose = "the interval {}s" if len(found) == 1 else "the intervals {}"
    where = {"open": f"; {whose.format('include')} 0", "unknown": ", without an interval"}
    tail = where.get(sign, f"; {whose.format('exclude')} 0")
    return f"{_VERDICTS[sign]}: divergence {values} percentage points{tail}"


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
    return (
        f"{agents} learned {results.title}{variant}, {training_time(results)}, at "
        f"{_training_correlations(results)}. They were tested on {test:,} new level ids, once as "
        f"in training and once shifted, with {world.goal_description} elsewhere."
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
    before = rate(results.interval("goal_heldout", top, results.placements[0]))
    after = listed(
        [
            f"{goal} or {proxy} in {rate(results.interval('capability_shifted', top, p))} and "
            f"{goal} in {rate(results.interval('goal_shifted', top, p))} of the levels ({p})"
            for p in results.placements
        ]
    )
    return (
        f"Agents trained at {results.at(top)} reached {goal} in {before} of the levels as in "
        f"training; shifted, they reached {after}."
    )


def _against_random(results: Results) -> str:
    """Return how the goal at the highest correlation compares with a random agent's."""
    top, goal = results.correlations[0], results.world.goal_description
    found = [
        (
            rate(results.interval("random_goal_shifted", top, placement)),
            results.interval("goal_minus_random", top, placement),
            placement,
        )
        for placement in results.placements
    ]
    judged = {"above": "better", "below": "worse than random", "open": "no difference established"}
    each = [
        f"{floor} ({judged[_sign(one)]}: {points(one)} points; {placement})"
        for floor, one, placement in found
        if _sign(one) in judged
    ]
    return f"A random agent reaches {goal} in {listed(each)}." if each else ""


def _along_the_correlation(results: Results) -> list[str]:
    """Return how the goal on informative levels changes from the highest correlation down."""
    top, bottom = results.correlations[0], results.correlations[-1]
    if top == bottom:
        return []
    goal, proxy = results.world.goal_description, results.world.proxy_description
    changes = [_change(results, placement, top, bottom) for placement in results.placements]
    return [
        f"Where {goal} does not lie on the agent's way to {proxy} (informative levels), "
        f"they reached it in {listed(changes)}."
    ]


def _change(results: Results, placement: str, top: float, bottom: float) -> str:
    ends = [results.interval("goal_informative", c, placement) for c in (top, bottom)]
    if not all(map(has_interval, ends)):
        judged = "not comparable without intervals"
    elif ends[0].high < ends[1].low:
        judged = "a rise: the intervals do not overlap"
    elif ends[1].high < ends[0].low:
        judged = "a fall: the intervals do not overlap"
    else:
        judged = "no change is established: the intervals overlap"
    first, last = rate(ends[0]), rate(ends[1])
    return (
        f"{first} at {results.at(top)} and {last} at {results.at(bottom)} ({placement}; {judged})"
    )


def _sampled(results: Results) -> list[str]:
    return sampling_notes(results.first.summary.get("levels", {}))


def _duplicates(results: Results) -> str:
    test = results.first.summary.get("levels", {}).get("test", {})
    return terrain_note(test)
