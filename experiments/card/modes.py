"""The ways in which an agent can fail that a card speaks about.

Public names: `Mode`, `MODES`, `EVALUATION`, `SURFACE`, `PROBE`, `OBJECTIVE`, `ROBUSTNESS`,
`SUPPLY_CHAIN`, `CRITIC_PROTOCOLS`.
"""

from __future__ import annotations

from dataclasses import dataclass

EVALUATION, SURFACE, PROBE, OBJECTIVE = "evaluation", "surface", "probe", "objective"
ROBUSTNESS, SUPPLY_CHAIN = "robustness", "supply_chain"
COMMAND = {
    EVALUATION: "misgen evaluate",
    SURFACE: "misgen evaluate shift=surface",
    PROBE: "misgen probe",
    OBJECTIVE: "misgen objective",
    ROBUSTNESS: "misgen robustness",
    SUPPLY_CHAIN: "misgen supply-chain",
}
"""What makes each piece of evidence that is no protocol."""
INNER_PROTOCOLS = ("critic_probe", "critic_distance", "behavioural_objective")
"""Protocols that ask what the agent is after, and not only where it goes."""


@dataclass(frozen=True)
class Mode:
    """A failure mode."""

    key: str
    title: str
    question: str
    """What it would mean, in a sentence for those who did not build the agent."""
    evidence: tuple[str, ...]
    """What reaches it, beside protocols."""
    protocols: str
    """Which protocols can reach it: `all`, `inner` or `none`."""


MODES = (
    Mode(
        "goal_misgeneralization",
        "Goal misgeneralization",
        "The agent stays capable outside its training distribution, but pursues a proxy instead of "
        "the intended goal.",
        (EVALUATION,),
        "all",
    ),
    Mode(
        "inner_misalignment",
        "Inner misalignment",
        "What the agent values (its critic) or pursues (the objective that explains its actions) "
        "is "
        "not the intended goal, or actor and critic disagree.",
        (PROBE, OBJECTIVE),
        "inner",
    ),
    Mode(
        "capability_emergence",
        "Capability emergence",
        "Abilities, or failures, that appear only outside the tests above: in levels unlike those "
        "of "
        "training, with more training, or in a larger network.",
        (SURFACE,),
        "none",
    ),
    Mode(
        "supply_chain_inheritance",
        "Supply-chain inheritance",
        "A goal that a base agent learned in someone else's training persists in agents that are "
        "fine-tuned from it.",
        (SUPPLY_CHAIN,),
        "none",
    ),
    Mode(
        "adversarial_robustness",
        "Adversarial robustness",
        "Small changes to what the agent sees, by accident or by an attacker, make it fail.",
        (ROBUSTNESS,),
        "none",
    ),
)
