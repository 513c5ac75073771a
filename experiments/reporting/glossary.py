"""The terms that reports, cards and the documentation use, each defined in two sentences.

This is the only source: `docs/glossary.md` is written from it (`python -m
misgen.experiments.commands.print_glossary`), and reports and cards show the same text as tooltips.

Public names: `Term`, `TERMS`, `explained`, `terms_in`, `markdown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Term:
    """One entry of the glossary."""

    name: str
    """As it stands in the glossary."""
    group: str
    """The heading that it stands under."""
    meaning: str
    """Its definition, in plain words."""
    forms: tuple[str, ...] = ()
    """Other words for it that get the same tooltip."""


def explained(text: str) -> Markup:
    """Return text as HTML in which the first use of each term has its definition as a tooltip.

    Args:
        text: plain text, such as a heading; it is escaped.
    """
    seen: set[str] = set()

    def tooltip(found: re.Match[str]) -> str:
        term = _by_form()[found.group().lower()]
        if term.name in seen:
            return str(escape(found.group()))
        seen.add(term.name)
        return f'<abbr title="{escape(term.meaning)}">{escape(found.group())}</abbr>'

    parts, end = [], 0
    for found in _pattern().finditer(text):
        parts += [str(escape(text[end : found.start()])), tooltip(found)]
        end = found.end()
    return Markup("".join([*parts, str(escape(text[end:]))]))


def terms_in(text: str) -> list[Term]:
    """Return the terms that a text uses, in the order of the glossary."""
    used = {_by_form()[found.group().lower()].name for found in _pattern().finditer(text)}
    return [term for term in TERMS if term.name in used]


def markdown() -> str:
    """Return the glossary as a page of the documentation."""
    lines = ["# Glossary", "", _INTRODUCTION]
    for group in dict.fromkeys(term.group for term in TERMS):
        lines += ["", f"## {group}", ""]
        lines += [f"- **{term.name}**: {term.meaning}" for term in TERMS if term.group == group]
    return "\n".join(lines) + "\n"


_INTRODUCTION = """\
The terms that misgen uses, in reports, commands and code. The same definitions appear in reports
and evaluation cards when the pointer rests on a term. This page is written by
`python -m misgen.experiments.commands.print_glossary`."""

_LEVELS, _MEASURES, _VERDICTS = "Worlds and levels", "Measures", "Verdicts"
_AGENTS, _PROTOCOLS, _RUNS = "Agents", "Protocols", "Runs and results"

TERMS = (
    Term(
        "world",
        _LEVELS,
        "An environment with an intended goal and at least one proxy, such as CoinRun or a "
        "maze. It generates levels from ids and applies the rules of the game.",
    ),
    Term(
        "level",
        _LEVELS,
        "One instance of a world: its terrain, its hazards, the start, and where goal and proxy "
        "are. The same id and the same parameters always give the same level.",
    ),
    Term(
        "level id",
        _LEVELS,
        "The integer from which a level is generated. Training, validation and test use ranges "
        "of ids that do not overlap.",
        ("level ids",),
    ),
    Term(
        "intended goal",
        _LEVELS,
        "What the agent is meant to reach, such as the coin. Reaching it is recorded as an "
        "event of its own, apart from the reward.",
    ),
    Term(
        "proxy",
        _LEVELS,
        "Something that coincides with the intended goal in training, such as the end of the "
        "level. An agent that learned to pursue the proxy earns the same reward there.",
        ("proxies",),
    ),
    Term(
        "correlation",
        _LEVELS,
        "The probability ρ that goal and proxy coincide in a level. At ρ = 1 they always do, so "
        "training cannot tell an agent which of the two is meant.",
        ("ρ",),
    ),
    Term(
        "realised ρ",
        _LEVELS,
        "The share of aligned levels among those that were really drawn. It differs from the "
        "correlation by chance, and where a placement finds no cell for the goal.",
    ),
    Term(
        "aligned level",
        _LEVELS,
        "A level in which the goal is where the proxy points, so that both pursuits look alike. In "
        "tests the aligned levels are the conflict levels with the goal put back at the proxy.",
        ("aligned levels",),
    ),
    Term(
        "conflict level",
        _LEVELS,
        "A level in which goal and proxy are apart. Only such levels can show which of the two "
        "an agent pursues.",
        ("conflict levels", "in conflict"),
    ),
    Term(
        "placement",
        _LEVELS,
        "The rule that says where the goal goes in a conflict level, such as anywhere or at "
        "least two cells off the way to the proxy. Results hold for the placements that were "
        "tested.",
        ("placements", "goal moved to"),
    ),
    Term(
        "twin",
        _LEVELS,
        "The same level with the goal moved back to the proxy, or away from it. The two levels "
        "of such a counterfactual pair differ in nothing else, so a difference in behaviour is "
        "caused by where the goal is.",
        ("twins", "counterfactual pair", "counterfactual pairs"),
    ),
    Term(
        "in distribution",
        _LEVELS,
        "Test levels drawn as in training, at its own correlation and placement, with ids that "
        "training never used. They show what a standard test would see.",
        ("in-distribution", "held-out level", "held-out levels", "held-out"),
    ),
    Term(
        "novel",
        _LEVELS,
        "Outside the training support: a conflict level for an agent trained at ρ = 1, or a "
        "placement that its training did not have. What an agent does there no training level "
        "could have taught it.",
        ("novelty",),
    ),
    Term(
        "capability shift",
        _LEVELS,
        "A change of the world's parameters between training and test, such as longer levels or "
        "stronger gravity. It makes levels harder without parting goal and proxy.",
        ("capability shifts",),
    ),
    Term(
        "goal shift",
        _LEVELS,
        "A change of correlation or placement between training and test. Terrain and hazards "
        "stay the same.",
        ("goal shifts",),
    ),
    Term(
        "on_proxy",
        _LEVELS,
        "The rule for what happens when the agent reaches the proxy first: the episode "
        "continues, it ends, or it ends with a penalty. Tests use the rule of training; another "
        "rule is a shift of its own, and every table says so.",
    ),
    Term(
        "episode",
        _MEASURES,
        "One play of one level from its start to its end. It ends at the goal, at the proxy "
        "(where the rule says so), by death, or when the time is up.",
        ("episodes",),
    ),
    Term(
        "decision",
        _MEASURES,
        "One choice of an action by the agent. With action repeat, one decision lasts several "
        "frames of the game.",
        ("decisions",),
    ),
    Term(
        "capability",
        _MEASURES,
        "The share of levels in which the agent reached the goal or the proxy. It measures "
        "skill, whatever the agent pursues.",
    ),
    Term(
        "goal",
        _MEASURES,
        "As a measure, the share of levels in which the agent reached the intended goal. Where "
        "a goal can be reached in part, the part counts.",
    ),
    Term(
        "goal loss",
        _MEASURES,
        "How much less of the goal the agent reaches on conflict levels than on their aligned "
        "twins. Capability loss is the same of the capability.",
        ("capability loss",),
    ),
    Term(
        "divergence",
        _MEASURES,
        "Goal loss minus capability loss: how many percentage points further the goal fell than "
        "the capability, from the aligned levels to the same levels in conflict. It is large for "
        "an agent that keeps its skill and pursues the proxy, and has nothing of the training's "
        "correlation in it.",
    ),
    Term(
        "ceiling",
        _MEASURES,
        "The divergence of a planned proxy-seeker on the same levels: the most that can be "
        "expected. It is below 100 points where goals lie on the way to the proxy.",
        ("of at most",),
    ),
    Term(
        "accident",
        _MEASURES,
        "Reaching the goal only because it lies on the way to somewhere else. Pursuit leaves "
        "accidents out, as the agent touches the same cell as often without the goal in it.",
        ("by accident",),
    ),
    Term(
        "pull",
        _MEASURES,
        "How much more often the agent touches a cell, before it reaches the proxy, with the goal "
        "in it than without. It is zero for whatever takes no notice of the goal.",
        ("goal pull",),
    ),
    Term(
        "goal pursuit",
        _MEASURES,
        "The pull, as a part of that of a planned goal-seeker with the agent's own skill. It is 1 "
        "for an agent that goes for the goal and 0 for one that is blind to it.",
        ("pursuit",),
    ),
    Term(
        "choice",
        _MEASURES,
        "Where an agent lies between planned seekers of goal and proxy that are as competent as it "
        "is: 1 as the goal-seeker, 0 as the proxy-seeker. It stands for pursuit where the goal is "
        "no cell, and means nothing of an agent that is not capable.",
    ),
    Term(
        "floor",
        _MEASURES,
        "What random play reaches on the same levels in as many decisions as the agent took there. "
        "What does not clear it is not called capable.",
        ("random", "random floor"),
    ),
    Term(
        "behavioural objective",
        _MEASURES,
        "The objective under which an agent's actions are most probable, compared with those of "
        "a device that ignores what it sees. It follows Definition 2.1 of Langosco et al. "
        "(2022).",
    ),
    Term(
        "interval",
        _MEASURES,
        "The range that contains the true value in 95% of repetitions of the experiment. One "
        "agent's covers other test levels; a recipe's covers other training seeds too, and is not "
        "given where it would span nearly all there is.",
        ("intervals",),
    ),
    Term(
        "two groups of seeds",
        _MEASURES,
        "Training seeds with a wide gap between them and none in it, such as some that learned the "
        "goal and some that learned the proxy. Their mean describes neither, so the share of seeds "
        "counts.",
        ("two groups",),
    ),
    Term(
        "training seed",
        _MEASURES,
        "The number that fixes the random choices of one training run. Agents that differ only "
        "in their seed can pursue different goals, so conclusions about a recipe need several.",
        ("training seeds",),
    ),
    Term(
        "verdict",
        _VERDICTS,
        "The conclusion about what an agent pursues, given only where whole intervals support it. "
        "A recipe is called what most of its training seeds are, which takes five that agree.",
        ("verdicts",),
    ),
    Term(
        "aligned",
        _VERDICTS,
        "The agent is capable, goes for the goal where that and the proxy part, and keeps it. "
        "Its pursuit (or choice) is near 1, its goal loss small.",
    ),
    Term(
        "misgeneralizes",
        _VERDICTS,
        "The agent is capable, does not go for the goal once that and the proxy are apart, and its "
        "goal fell further than its capability: goal misgeneralization. Its skill generalized, its "
        "goal did not.",
        ("goal misgeneralization", "misgeneralizing"),
    ),
    Term(
        "mixed",
        _VERDICTS,
        "The agent is capable and goes for the goal in part: on some levels, or weakly. Its "
        "pursuit lies between the lines of the two verdicts above.",
    ),
    Term(
        "incapable",
        _VERDICTS,
        "The agent does not clear random play for as many decisions, on aligned or on conflict "
        "levels. Nothing is concluded about what it pursues.",
        ("capability failure",),
    ),
    Term(
        "aimless",
        _VERDICTS,
        "A device explains what the agent does in conflict better than the pursuit of anything. It "
        "has no goal that could generalize.",
    ),
    Term(
        "undetermined",
        _VERDICTS,
        "The intervals support none of the other verdicts. More test levels may decide.",
    ),
    Term(
        "worse than random",
        _VERDICTS,
        "The agent reaches the goal more often than random play in distribution and less often in"
        " conflict, both for as many decisions: it appears to work. It is a mark beside the "
        "verdict.",
    ),
    Term(
        "reference agent",
        _AGENTS,
        "A scripted agent whose goal is known because it was built in. The evaluator is "
        "validated on such agents.",
        ("reference agents",),
    ),
    Term(
        "goal-seeker",
        _AGENTS,
        "A reference agent that follows a planner's way to the intended goal. It should always "
        "get the verdict aligned.",
        ("goal-seekers",),
    ),
    Term(
        "proxy-seeker",
        _AGENTS,
        "A reference agent that follows a planner's way to the proxy and takes no notice of the "
        "goal. What it collects on the way is collected by accident.",
        ("proxy-seekers",),
    ),
    Term(
        "planner",
        _AGENTS,
        "A search with the world's own rules for the fewest decisions to the goal or to the "
        "proxy. It shows what could have been done on a level.",
    ),
    Term(
        "device",
        _AGENTS,
        "A process that chooses actions without regard to what it sees, such as holding one "
        "button. It stands for behaviour that pursues nothing.",
        ("devices",),
    ),
    Term(
        "critic",
        _AGENTS,
        "The part of an agent that estimates future reward. Critic and actor can have learned "
        "different goals, so they are tested apart.",
    ),
    Term(
        "sampled and greedy actions",
        _AGENTS,
        "Sampled actions are drawn from the agent's probabilities; greedy ones are always the "
        "most probable. Reports show both.",
        ("sampled", "greedy"),
    ),
    Term(
        "protocol",
        _PROTOCOLS,
        "A specified way to look for goal misgeneralization: which levels, what the evaluator "
        "may know, how many episodes, which score. It is identified by a hash of its content.",
        ("protocols",),
    ),
    Term(
        "budget",
        _PROTOCOLS,
        "The number of episodes that a protocol may spend on one agent. Its score at a smaller "
        "budget uses the first of these episodes.",
        ("budgets",),
    ),
    Term(
        "power",
        _PROTOCOLS,
        "The share of misgeneralizing agents that a protocol detects at a fixed rate of false "
        "alarms. It is measured on agents whose goals are known.",
        ("detection power",),
    ),
    Term(
        "false alarm",
        _PROTOCOLS,
        "An agent that does not misgeneralize and is reported as if it did. Thresholds are set "
        "so that at most 5% of such agents are.",
        ("false alarms",),
    ),
    Term(
        "area under the ROC curve",
        _PROTOCOLS,
        "The probability that a misgeneralizing agent scores higher than another agent. 0.5 is "
        "chance, 1 is perfect.",
        ("area under ROC",),
    ),
    Term(
        "training support",
        _PROTOCOLS,
        "All levels that the training distribution can produce. At ρ = 1 it holds no conflict "
        "level, so no test within it can show which goal an agent pursues.",
    ),
    Term(
        "red team",
        _PROTOCOLS,
        "An adaptive search for levels on which the agent fails. What it finds is confirmed on "
        "fresh levels before it counts.",
        ("red teams",),
    ),
    Term(
        "regret",
        _PROTOCOLS,
        "How much reward the agent missed compared with the planner on the same level. It does "
        "not say whether skill or goal was at fault.",
    ),
    Term(
        "failure mode",
        _RUNS,
        "One of the ways in which an agent can fail that an evaluation card lists. For each, "
        "the card says which evaluation covers it, or that none does.",
        ("failure modes",),
    ),
    Term(
        "evaluation card",
        _RUNS,
        "A summary of what is known about one agent and of what was not evaluated. Its figures "
        "are recomputed from stored episodes, some of which are replayed.",
        ("evaluation cards",),
    ),
    Term(
        "run",
        _RUNS,
        "One training of one agent, with its settings, weights and results in one folder. The "
        "folder's name ends in a hash of the settings.",
        ("runs",),
    ),
    Term(
        "sweep",
        _RUNS,
        "Runs at several correlations and training seeds, with everything else alike. Its "
        "report compares them.",
        ("sweeps",),
    ),
    Term(
        "divergence surface",
        _RUNS,
        "Capability, goal and divergence where capability shifts and goal shifts are crossed. "
        "It shows how far results reach beyond the training parameters.",
    ),
    Term(
        "perturbed observation",
        _RUNS,
        "An observation that is changed before the agent sees it, by noise or by an attacker. "
        "The level and its rules stay as they are.",
        ("perturbed observations",),
    ),
    Term(
        "base agent",
        _RUNS,
        "The agent whose weights fine-tuning starts from. Its goal can survive fine-tuning "
        "without showing on the fine-tuning's own levels.",
        ("base agents",),
    ),
    Term(
        "snapshot",
        _RUNS,
        "A copy of a policy kept at a given number of decisions of its training. Snapshots show "
        "when a goal changed.",
        ("snapshots",),
    ),
)
"""Every term, in the order of the page."""


@cache
def _by_form() -> dict[str, Term]:
    return {form.lower(): term for term in TERMS for form in (term.name, *term.forms)}


@cache
def _pattern() -> re.Pattern[str]:
    """Return a pattern of all terms as whole words, longest first."""
    forms = sorted(_by_form(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, forms))})(?![\w-])", re.IGNORECASE)
