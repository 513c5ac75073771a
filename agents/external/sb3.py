"""Models of stable-baselines3 and sb3-contrib as agents.

Public names: `load_zip`, `model_agent`, `ModelAgent`, `RecurrentModelAgent`.
"""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError

from ..slot_memory import emptied
from .asking import asked

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation, World

_ALGORITHMS = {
    "_last_lstm_states": ("sb3_contrib", "RecurrentPPO"),
    "exploration_fraction": ("stable_baselines3", "DQN"),
    "clip_range": ("stable_baselines3", "PPO"),
    "gae_lambda": ("stable_baselines3", "A2C"),
}
"""Which class saved a zip, by the first of these that its settings have."""
_LARGEST_SETTINGS = 50_000_000  # bytes


def load_zip(path: str | Path, trust: bool) -> Any:
    """Return the model that a zip of stable-baselines3 holds.

    Raises:
        UserError: unless it is trusted; if it is no such zip, or its class is not known.
    """
    path = Path(path)
    if path.suffix != ".zip":
        raise UserError(
            f"agent={str(path)!r} names no agent: give module:function (a function that makes the "
            "agent), or the path of a stable-baselines3 zip"
        )
    if not path.is_file():
        raise UserError(f"agent={path} does not exist: give the path of a stable-baselines3 zip")
    if not trust:
        raise UserError(
            f"agent={path} was not loaded: a zip of stable-baselines3 holds pickles, which can run "
            "any code while they are loaded; if you know where it comes from, add trust=true"
        )
    module, name = _class_of(path)
    try:
        return getattr(importlib.import_module(module), name).load(path, device="cpu")
    except Exception as error:
        raise UserError(
            f"agent={path} could not be loaded as {name} of {module} ({type(error).__name__}: "
            f"{str(error)[:160]}): load it yourself, and give the model from a function, "
            "agent=my_module:make_agent"
        ) from error


def _class_of(path: Path) -> tuple[str, str]:
    """Return the package and class that saved a zip, read from its JSON, where no code is.

    Raises:
        UserError: if it cannot be told.
    """
    try:
        with zipfile.ZipFile(path) as file, file.open("data") as data:
            settings = dict(json.loads(data.read(_LARGEST_SETTINGS)))
            policy = str(dict(settings.get("policy_class") or {}).get("__module__", ""))
    except Exception as error:  # of a damaged zip: of its own kinds, of zlib's, and more
        raise UserError(
            f"agent={path} is no zip of stable-baselines3 ({str(error)[:160]}): give what "
            "model.save wrote"
        ) from None
    plain = not policy.startswith("sb3_contrib") or ".recurrent." in policy
    if ".recurrent." in policy:
        settings["_last_lstm_states"] = None
    for key, found in _ALGORITHMS.items():
        if key in settings and plain:
            return found
    raise UserError(
        f"agent={path} was saved by a class that misgen does not know (its policy is of "
        f"{policy or 'an unknown module'}): load it yourself, and give the model from a function, "
        "agent=my_module:make_agent"
    )


def model_agent(model: Any, world: World) -> ModelAgent | RecurrentModelAgent:
    """Return the agent that plays a model in a world.

    Raises:
        UserError: if the model was trained on other observations or actions.
    """
    _require_fit(model, world)
    num_actions = int(world.action_space.n)
    if hasattr(model.policy, "lstm_actor"):
        return RecurrentModelAgent(model, num_actions)
    return ModelAgent(model, num_actions)


class ModelAgent:
    """Plays the action probabilities of a model without a memory.

    A model that has none (DQN) plays its best action.
    """

    is_network = True

    def __init__(self, model: Any, num_actions: int) -> None:
        """Wrap `model`; there are `num_actions` actions."""
        self.name = type(model).__name__.strip("_").lower()
        self.kind = f"stable-baselines3 {type(model).__name__.strip('_')}"
        self.original = model
        self.network = model.policy
        self._num_actions = num_actions
        model.policy.set_training_mode(False)

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Do nothing: the model has no memory."""

    def probabilities(self, observation: Observation, engine: Any = None) -> NDArray[np.float64]:
        """Return float64 [n, num_actions], row by row independent of the batch."""
        import torch

        from ..policy import ROWS, in_blocks

        n = len(next(iter(observation.values())))
        p = np.empty((n, self._num_actions))
        with torch.inference_mode():
            for rows, block in in_blocks(observation, tuple(observation), ROWS):
                found = asked(self.name, self._answer, block)
                p[rows] = found[: rows.stop - rows.start]
        return p

    def _answer(self, block: Observation) -> NDArray[np.float64]:
        policy = self.network
        observation, _ = policy.obs_to_tensor(seen_by(policy, block))
        if hasattr(policy, "get_distribution"):
            return _normalized(policy.get_distribution(observation))
        actions = policy._predict(observation, deterministic=True).cpu().numpy().reshape(-1)
        return np.eye(self._num_actions)[actions]


class RecurrentModelAgent:
    """Plays a recurrent model of sb3-contrib, whose memory is kept for each slot."""

    is_network = True

    def __init__(self, model: Any, num_actions: int) -> None:
        """Wrap `model`; there are `num_actions` actions."""
        self.name = type(model).__name__.strip("_").lower()
        self.kind = f"sb3-contrib {type(model).__name__.strip('_')}"
        self.original = model
        self.network = model.policy
        self._num_actions = num_actions
        model.policy.set_training_mode(False)
        lstm = model.policy.lstm_actor
        self._memory = np.zeros((2, lstm.num_layers, 0, lstm.hidden_size), np.float32)  # by slot

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Empty the memory of the slots in which episodes begin."""
        self._memory = emptied(self._memory, slots)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return float64 [n, num_actions], a row a running slot in ascending order; remember."""
        import torch

        from ..policy import ROWS, in_blocks

        slots = np.flatnonzero(engine.episodes["running"])
        p = np.empty((len(slots), self._num_actions))
        with torch.inference_mode():
            for rows, block in in_blocks(observation, tuple(observation), ROWS):
                p[rows] = asked(self.name, self._step, block, slots[rows], ROWS)
        return p

    def _step(self, block: Observation, slots: NDArray[np.int64], rows: int) -> NDArray[np.float64]:
        """Ask the model about a padded block; return its answers on the first `len(slots)` rows."""
        import torch

        policy, count = self.network, len(slots)
        _, layers, _, width = self._memory.shape
        before = tuple(torch.zeros((layers, rows, width), device=policy.device) for _ in range(2))
        for state, kept in zip(before, self._memory, strict=True):
            state[:, :count] = torch.from_numpy(kept[:, slots]).to(policy.device)
        observation, _ = policy.obs_to_tensor(seen_by(policy, block))
        starts = torch.zeros(rows, device=policy.device)
        distribution, after = policy.get_distribution(observation, before, starts)
        for state, kept in zip(after, self._memory, strict=True):
            kept[:, slots] = state[:, :count].cpu().numpy()
        return _normalized(distribution)[:count]


def seen_by(policy: Any, block: Observation) -> Any:
    """Return of an observation what a model was trained on: all of it, or its single part."""
    space = policy.observation_space
    if hasattr(space, "spaces"):
        return {key: block[key] for key in space.spaces}
    return next(iter(block.values()))


def _normalized(distribution: Any) -> NDArray[np.float64]:
    """Return a distribution over actions as float64 [n, num_actions]."""
    from ..policy import softmax

    return softmax(distribution.distribution.logits.cpu().numpy().astype(np.float64))


def _require_fit(model: Any, world: World) -> None:
    """Refuse a model of other observations or actions than the world's.

    Raises:
        UserError: naming both.
    """
    actions = getattr(model.action_space, "n", None)
    if actions is None or int(actions) != int(world.action_space.n):
        raise UserError(
            f"the model plays {model.action_space}, and {world.name} has "
            f"{int(world.action_space.n)} actions: give the env.action_set that it was trained with"
        )
    trained = getattr(model.observation_space, "spaces", None)
    seen = world.observation_space.spaces
    if trained is None and len(seen) == 1:
        trained = {next(iter(seen)): model.observation_space}
    fits = trained is not None and all(
        key in seen and sorted(seen[key].shape or ()) == sorted(space.shape)
        for key, space in trained.items()
    )
    if not fits:
        raise UserError(
            f"the model was trained on {model.observation_space}, and {world.name} shows "
            f"{world.observation_space}: give the parameters of the world that it was trained in "
            "(such as env.observation), or a function that turns one into the other"
        )
