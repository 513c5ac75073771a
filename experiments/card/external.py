"""What a card says of an agent that was trained elsewhere: what is known, and what is not.

Public names: `agent_facts`, `compute_facts`, `hide_unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from misgen.agents.external.config import TITLE
from misgen.agents.external.record import ExternalRecord, shown_source
from misgen.envs.core.modality import modality_of

from ..training.trained_run import TrainedRun

NOT_KNOWN = "unknown"
_HELD_BY = {"correlation": None, "placement": NOT_KNOWN, "levels": NOT_KNOWN, "seed": None}
"""What stands on a card for what is unknown of a training."""


def agent_facts(run: TrainedRun, record: ExternalRecord) -> dict[str, Any]:
    """Return who was evaluated."""
    world = run.config.world
    modality = modality_of(world.observation_space.spaces)
    return {
        "run": f"{run.config.slug}-{run.config.hash}",
        "policy_sha256": record.identity_sha256,
        "world": world.name,
        "intended_goal": world.goal_description,
        "proxy": world.proxy_description,
        "observation": modality.name if modality else NOT_KNOWN,
        "encoder": record.kind,
        "algorithm": TITLE,
        "fine_tuned_from": None,
        "external": {
            "name": record.name,
            "source": None if record.source is None else shown_source(record.source),
            "source_sha256": record.source_sha256,
            "identified_by": record.identified_by,
            "weights_sha256": record.weights_sha256,
            "repeatable": record.repeatable,
        },
    }


def compute_facts(record: ExternalRecord) -> dict[str, Any]:
    """Return what the training cost: nobody told."""
    nothing = dict.fromkeys(
        ("environment_steps", "frames", "epochs", "active_parameters", "forward_flops",
         "training_flops", "wall_seconds")
    )  # fmt: skip
    return {
        **nothing,
        "parameters": record.parameters,
        "formula": "not known: the agent was trained elsewhere",
        "base_included": True,
    }


def hide_unknown(unknown: Iterable[str], training: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a card says of a training, without what only stands in for the unknown.

    Args:
        unknown: what is not known, of `agents.external.config.UNKNOWN`.
        training: what the run's config says.
    """
    keys = {"levels": "level_ids"}
    hidden = {keys.get(name, name): _HELD_BY[name] for name in unknown}
    return {**training, **hidden}
