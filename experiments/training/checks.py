"""What is found out before the first second of work: whether a training can be done.

Public names: `require_trainable`, `require_learning`, `require_trackers`, `require_room`,
`unused_of`, `notes_of`, `initial_weights_of`.

Commands call these first, for every run that they are going to make, so that an impossible
setting is reported before anything is trained, played or written.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from misgen.agents.config import OF_EXPERTS, DistillConfig, LearnerConfig
from misgen.agents.encoders import ENCODERS
from misgen.agents.spec import require_encoder
from misgen.envs.core.errors import UserError

from .config import TrainConfig
from .trackers import require_trackers

_LEAST_FREE = 50_000_000  # bytes; a run takes some of them


def require_trainable(config: TrainConfig) -> None:
    """Refuse a training that would fail after it began, or learn nothing.

    Raises:
        UserError: naming the setting.
    """
    require_encoder(config.agent.encoder, config.world.observation_space)
    require_learning(config.agent)
    require_trackers(config.logger)
    _require_device(config.agent.device)
    _require_engine(config)
    config.distribution.require_distinct()
    initial_weights_of(config)
    _require_teacher(config)
    require_room(Path(config.runs) / config.name, "runs", config.runs)


def unused_of(config: TrainConfig) -> dict[str, str]:
    """Return the settings that have no effect beside the others, and why."""
    agent, found = config.agent, dict[str, str]()
    if getattr(agent, "normalize_reward", False):
        found["agent.reward_scale"] = "agent.normalize_reward=true is in its place"
    if one_way := getattr(agent, "one_way", ""):
        found["agent.fast"] = f"gradients have one way, as agent.{one_way}; leave it out"
    if not ENCODERS[agent.encoder].has_experts:
        why = f"agent.encoder={agent.encoder} has no experts; give agent.encoder=moe"
        found |= {f"agent.{name}": why for name in OF_EXPERTS}
    if isinstance(agent, DistillConfig):
        found["agent.gamma"] = "a student learns from no rewards; leave it out"
    if not agent.continues:
        found["save_every"] = f"a run of agent={agent.algorithm} cannot be resumed"
    return found


def notes_of(config: TrainConfig) -> list[str]:
    """Return a sentence for each setting that does nothing on this machine."""
    import torch

    agent = config.agent
    if agent.device != "cpu" and torch.cuda.is_available():
        return []
    given = [name for name in ("bfloat16", "compile") if getattr(agent, name)]
    return [f"agent.{name}=true does nothing on a CPU" for name in given]


def require_learning(config: LearnerConfig) -> None:
    """Refuse a training whose learning rate is 0 in each of its updates.

    The rate is lowered after a rollout and before its update: to 0 if it was the last.

    Raises:
        UserError: naming the number of decisions.
    """
    if not config.learns:
        raise UserError(
            f"agent.total_steps={config.total_steps} is one rollout of {config.rollout} decisions "
            "(num_envs * num_steps), and agent.anneal=true lowers the learning rate to 0 by its "
            "end, so nothing would be learned: give more steps than a rollout, or "
            "agent.anneal=false"
        )


def require_room(folder: Path, setting: str, value: object) -> None:
    """Refuse a folder that files cannot be written to, now or once it is made; leaves nothing.

    Args:
        folder: where files are to go; it need not exist.
        setting: the setting that names it, for the message.
        value: its value.

    Raises:
        UserError: if something else lies there, it cannot be written to, or the disk is full.
    """
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            free = shutil.disk_usage(nearest).free
    except OSError as error:
        raise UserError(
            f"{setting}={value} cannot be written to: {error.strerror} ({nearest}); give another "
            "folder"
        ) from None
    if free < _LEAST_FREE:
        raise UserError(
            f"{setting}={value} is on a disk with {free // 1_000_000} MB left: free "
            f"{_LEAST_FREE // 1_000_000} MB or more, or give another folder"
        )


def initial_weights_of(config: TrainConfig) -> Any:
    """Return the weights that a training starts from, or None.

    Raises:
        UserError: if they cannot be read, or do not fit.
    """
    if config.init is None:
        return None
    from misgen.agents.warm_start import initial_weights

    spaces = config.world.observation_space, config.world.action_space
    return initial_weights(config.init, config.agent, *spaces, config.init_policy)


def _require_teacher(config: TrainConfig) -> None:
    """Refuse a distillation without a teacher that can be asked."""
    if isinstance(config.agent, DistillConfig):
        from misgen.agents.distill import teacher_of

        teacher_of(config.agent, config.world.observation_space, config.world.action_space)


def _require_device(device: str) -> None:
    if not device.startswith("cuda"):
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(device.partition(":")[2] or 0) >= count:
        have = f"there are {count} such devices" if count else "there is no such device here"
        raise UserError(f"agent.device={device} cannot be used ({have}): use cpu or auto")


def _require_engine(config: TrainConfig) -> None:
    """Make a slot of the world's engine: one on Procgen needs a package that may be missing."""
    import numpy as np

    if type(config.world).__module__.startswith("misgen.envs.procgen"):
        engine = config.world.make_engine(1)
        engine.load(np.zeros(1, np.int64), config.distribution.levels(np.zeros(1, np.int64)))
