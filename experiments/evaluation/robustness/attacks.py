"""Perturbed observations: noise, the worst tiles that a search finds, and a goal shown elsewhere.

Public names: `NoisyObservations`, `TileFlips`, `Decoy`, `Decoyed`, `TARGETS`, `PER`.

All wrap an agent and change its observation alone; the level and its rules stay as they are.

**Noise.**  In the tile window, each cell is replaced, with probability p, by a class drawn
uniformly from all that the window can show (which may be the one it had).  In pixels, each colour
of each pixel is moved by a whole number drawn uniformly from -r to r, r = p x 255, and kept within
0 to 255: noise in an L-infinity ball of radius r.  Draws come from a hash of (seed, level,
decision, cell), so that a cell that is replaced at p is replaced by the same class at any higher p.

**Worst tiles.**  At each decision an attacker who has the network may change up to k cells of the
window into any class (`per="decision"`), or k cells in the whole episode, each for the length of
one decision (`per="level"`).  It looks for those that most lower the probability of the action that
the agent would have preferred (`action`; of a network of action values, by their softmax) or the
critic's value (`value`):

1. the gradient of the target by the one-hot window, at the window as changed so far, says to first
   order what each (cell, class) would do; the `candidates` best of them are kept;
2. the network is run on each candidate; the best is made if it lowers the target at all;
3. again, from there, until k cells are changed.

With `per="level"` a change is made as soon as it lowers the target by `worth`, and then no more
than one a decision.  `random` is no search: k cells drawn at random get a class drawn at random.  A
search finds a strong attack, not the strongest: what an agent withstands here is an **upper bound**
of its robustness.

**Attacks on the goal.**  Those above break an agent anyhow.  An attacker who wants it to go
*competently* for something else makes it act as it would if the goal were at the proxy: `Decoy`
makes that observation, from the aligned twin of the level with all else as it is now.  `Decoyed`
shows it whole (what remains is what the agent does with a goal that it sees in the wrong place);
`TileFlips` with the target `goal` changes k tiles, searched for as above, that most lower the
divergence KL(p || p') of what the agent does from p, what it does before the decoy, in nats;
the decoy's own tiles are among the candidates.
Where the goal is out of view the two are the same, and nothing is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from misgen.agents.base import Agent, TrainedAgent
from misgen.agents.networks import CnnEncoder, MlpEncoder
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError, one_of
from misgen.envs.core.modality import GRID, RGB
from misgen.envs.core.rng import hash_below, hash_uniform

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import Observation

TARGETS = ("action", "value", "goal", "random")
PER = ("decision", "level")
_STREAM_NOISE = 101  # of `hash_u64`; apart from those in `core.rng`
_STREAM_FLIPS = 102
_ROWS = 32
"""Windows of every pass of the search, so that none depends on how many there are."""


class NoisyObservations:
    """An agent that sees its observation through noise."""

    def __init__(self, agent: Agent, share: float, classes: int, seed: int) -> None:
        """Wrap an agent.

        Args:
            agent: who plays.
            share: probability that a tile is replaced; of 255, the radius of noise in pixels.
            classes: how many classes a tile can have.
            seed: of the noise.
        """
        self.name = agent.name
        self._agent = agent
        self._share = share
        self._classes = classes
        self._seed = seed

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Tell the agent."""
        self._agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return what the agent does when it sees noise."""
        slots = np.flatnonzero(engine.episodes["running"])
        ids = engine.level_ids[slots]
        decisions = engine.episodes["decisions"][slots].astype(np.int64)
        modality = GRID if GRID.seen in observation else RGB
        key = modality.seen
        flat = observation[key].reshape(len(slots), -1).copy()
        if modality is GRID:
            _replace(flat, ids, decisions, self._share, self._classes, self._seed)
        else:
            _shake(flat, ids, decisions, round(255 * self._share), self._seed)
        seen = {**observation, key: flat.reshape(observation[key].shape)}
        return self._agent.probabilities(seen, engine)


class Decoy:
    """What an agent would see if the goal were at the proxy, and all else as it is."""

    def __init__(self, levels: LevelDistribution) -> None:
        """Prepare for levels whose goal is a cell.

        Args:
            levels: those that are played.
        """
        self._world = levels.world
        self._twins = levels.at(correlation=1.0)
        nothing = np.zeros(0, self._world.state_dtype)
        self._own, self._aligned = nothing, nothing  # by slot, at the start

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Make the twins of new episodes' levels."""
        missing = int(slots.max(initial=-1)) + 1 - len(self._own)
        if missing > 0:
            more = np.zeros(missing, self._world.state_dtype)
            self._own = np.concatenate([self._own, more])
            self._aligned = np.concatenate([self._aligned, more])
        self._world.load(self._own, slots, levels)
        self._world.load(self._aligned, slots, self._twins.levels(levels.ids))

    def observation(self, engine: Any) -> Observation:
        """Return what the running slots would see: as now, but for what twins differ in."""
        slots = np.flatnonzero(engine.episodes["running"])
        states = engine.states[slots].copy()
        for name in states.dtype.names:
            own, twin = self._own[name][slots], self._aligned[name][slots]
            states[name] = np.where(own != twin, twin, states[name])
        return self._world.observe(states, np.arange(len(slots)))


class Decoyed:
    """An agent that sees the goal at the proxy, wherever it is."""

    def __init__(self, agent: Agent, decoy: Decoy) -> None:
        """Wrap an agent."""
        self.name = agent.name
        self._agent = agent
        self._decoy = decoy

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Tell the agent."""
        self._decoy.start(slots, levels)
        self._agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return what the agent does before the decoy."""
        return self._agent.probabilities(self._decoy.observation(engine), engine)


class TileFlips:
    """A trained policy whose window is changed in up to `flips` cells."""

    def __init__(
        self,
        agent: TrainedAgent,
        flips: int,
        *,
        target: str = "action",
        per: str = "decision",
        candidates: int = 16,
        worth: float = 0.5,
        seed: int = 0,
        decoy: Decoy | None = None,
    ) -> None:
        """Wrap a policy that reads tiles and has no memory.

        Args:
            agent: who plays.
            flips: cells that may be changed.
            target: what the attacker lowers, one of `TARGETS`.
            per: `decision`, or `level`: how long the budget lasts.
            candidates: changes that are tried out for each one that is made.
            worth: with `per="level"`, by how much a change must lower the target.
            seed: of `random`.
            decoy: what `goal` makes the agent act upon.

        Raises:
            UserError: if the policy reads pixels, or its network is unfit for the search.
        """
        if why := unfit_for_flips(agent):
            raise UserError(f"{why}: give flips=[0]")
        self.name = agent.name
        self._agent = agent
        self._flips = flips
        self._target = one_of("target", target, TARGETS)
        self._per = one_of("per", per, PER)
        self._candidates = candidates
        self._worth = worth
        self._seed = seed
        self._decoy = decoy if target == "goal" else None
        self._left: dict[int, int] = {}  # by slot

    def start(self, slots: NDArray[np.int64], levels: LevelBatch) -> None:
        """Give new episodes the whole budget."""
        self._left |= dict.fromkeys(slots.tolist(), self._flips)
        if self._decoy:
            self._decoy.start(slots, levels)
        self._agent.start(slots, levels)

    def probabilities(self, observation: Observation, engine: Any) -> NDArray[np.float64]:
        """Return what the agent does when it sees the window that was tampered with."""
        if not self._flips:
            return self._agent.probabilities(observation, engine)
        slots = np.flatnonzero(engine.episodes["running"])
        if self._target == "random":
            changed = self._random(observation["tiles"], engine, slots)
        else:
            before = self._decoy.observation(engine)["tiles"] if self._decoy else None
            if self._per == "decision":
                changed, _ = self._search(observation, self._flips, before)
            else:
                changed = self._spend(observation, slots, before)
        return self._agent.probabilities({**observation, "tiles": changed}, engine)

    def _random(
        self, tiles: NDArray[np.uint8], engine: Any, slots: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        flat = tiles.reshape(len(tiles), -1).copy()
        decisions = engine.episodes["decisions"][slots].astype(np.int64)
        classes = self._agent.spec.tile_classes
        _flip(flat, engine.level_ids[slots], decisions, self._flips, classes, self._seed)
        return flat.reshape(tiles.shape)

    def _spend(
        self, observation: Observation, slots: NDArray[np.int64], before: NDArray[np.uint8] | None
    ) -> NDArray[np.uint8]:
        """Make a change where it is worth one of those left."""
        changed, gain = self._search(observation, 1, before)
        for row, slot in enumerate(slots.tolist()):
            if self._left[slot] and gain[row] >= self._worth:
                self._left[slot] -= 1
            else:
                changed[row] = observation["tiles"][row]
        return changed

    def _search(
        self, observation: Observation, flips: int, before: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return changed windows, and by how much each lowers the target.

        Args:
            observation: what the agent would see.
            flips: changes at most.
            before: the windows of the decoy, for the target `goal`.
        """
        tiles, body = observation["tiles"], observation["body"]
        changed, gain = tiles.copy(), np.zeros(len(tiles))
        aim = tiles if before is None else before
        worth_it = np.arange(len(tiles))
        if before is not None:  # elsewhere there is nothing to lower
            worth_it = np.flatnonzero((before != tiles).reshape(len(tiles), -1).any(axis=1))
        for first in range(0, len(worth_it), _ROWS):
            rows = worth_it[first : first + _ROWS]
            found, lower = self._search_rows(
                _padded(tiles[rows]), _padded(body[rows]), _padded(aim[rows]), flips
            )
            changed[rows] = found[: len(rows)].reshape(len(rows), *tiles.shape[1:])
            gain[rows] = lower[: len(rows)]
        return changed, gain

    def _search_rows(
        self,
        tiles: NDArray[np.uint8],
        body: NDArray[np.float32],
        aim: NDArray[np.uint8],
        flips: int,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        network, shape = self._agent.network, tiles.shape[1:]
        now = torch.from_numpy(tiles.reshape(len(tiles), -1).astype(np.int64))
        bodies = torch.from_numpy(body)
        many = bodies.repeat_interleave(self._candidates, dim=0)
        free = torch.ones_like(now, dtype=torch.bool)  # cells that were not changed yet
        with torch.no_grad():
            decoy = torch.from_numpy(aim.reshape(len(aim), -1).astype(np.int64))
            wanted = self._wanted(decoy, bodies, shape)
            start = best = self._lowered(*_outputs(network, now, bodies, shape), wanted)
        for _ in range(flips):
            slope = _slopes(network, now, bodies, shape, lambda a, v: self._lowered(a, v, wanted))
            with torch.no_grad():
                first_order = slope - slope.gather(2, now[:, :, None])
                first_order[~free] = torch.inf
                if self._target == "goal":  # what the decoy shows is always tried
                    shown = torch.where((now != decoy) & free, -torch.inf, torch.inf)[:, :, None]
                    best_of = torch.minimum(first_order.gather(2, decoy[:, :, None]), shown)
                    first_order.scatter_(2, decoy[:, :, None], best_of)
                first_order.scatter_(2, now[:, :, None], torch.inf)  # a class it has is no change
                picks = first_order.flatten(1).topk(self._candidates, largest=False).indices
                cells, classes = picks // slope.shape[2], picks % slope.shape[2]
                tried = now.repeat_interleave(self._candidates, dim=0)
                tried.scatter_(1, cells.reshape(-1, 1), classes.reshape(-1, 1))
                same = wanted.repeat_interleave(self._candidates, dim=0)
                found = self._lowered(*_outputs(network, tried, many, shape), same)
                value, which = found.view(-1, self._candidates).min(dim=1)
                better = value < best
                cell = cells.gather(1, which[:, None])
                made = now.scatter(1, cell, classes.gather(1, which[:, None]))
                now = torch.where(better[:, None], made, now)
                free = torch.where(better[:, None], free.scatter(1, cell, False), free)
                best = torch.where(better, value, best)
        return now.numpy().astype(np.uint8), (start - best).double().numpy()

    def _wanted(self, tiles: Tensor, bodies: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return, [n, actions], the action that is preferred (1); for `goal`, probabilities."""
        logits, _ = _outputs(self._agent.network, tiles, bodies, shape)
        if self._target == "goal":
            return logits.softmax(dim=1)
        return functional.one_hot(logits.argmax(dim=1), logits.shape[1]).to(logits.dtype)

    def _lowered(self, logits: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
        """Return what the attacker lowers, [n]: a probability, unscaled reward, or nats."""
        if self._target == "value":
            return values[:, 0] / self._agent.spec.reward_scale
        if self._target == "goal":
            entropy = torch.special.entr(wanted).sum(dim=1)
            return -(wanted * logits.log_softmax(dim=1)).sum(dim=1) - entropy
        return (logits.softmax(dim=1) * wanted).sum(dim=1)


def classes_of(space: spaces.Space[Any]) -> int:
    """Return how many classes a tile of an observation can have; 0 where no tiles are seen."""
    tiles = space.spaces.get(GRID.seen) if isinstance(space, spaces.Dict) else None
    return int(tiles.high.max()) + 1 if isinstance(tiles, spaces.Box) else 0


def unfit_for_flips(agent: TrainedAgent) -> str:
    """Return why tiles cannot be flipped before an agent's eyes; empty if they can."""
    if getattr(agent, "spec", None) is None:
        return "flips are searched for by the network's gradient, and this agent shows no network"
    if agent.spec.modality is not GRID:
        return f"flips change tiles, and this policy reads {agent.spec.modality.name}"
    if not hasattr(agent.network, "from_features"):
        return (
            "flips are searched for by the network's gradient at one decision, and this policy "
            f"({agent.spec.algorithm}) has a memory or another network"
        )
    return ""


def _outputs(
    network: Any, tiles: Tensor, body: Tensor, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    window = tiles.to(torch.uint8).view(-1, *shape)
    return network.logits_and_values({"tiles": window, "body": body})


def _slopes(
    network: Any, tiles: Tensor, body: Tensor, shape: tuple[int, ...], target: Any
) -> Tensor:
    """Return the gradient of `target` by the one-hot window, float32 [n, cells, classes]."""
    encoder = network.features_extractor
    with torch.enable_grad():
        if isinstance(encoder, MlpEncoder):
            leaf = encoder.first(tiles.to(torch.uint8), body).detach().requires_grad_()
            features = encoder.rest(encoder.activation(leaf))
        elif isinstance(encoder, CnnEncoder):
            codes = functional.one_hot(tiles, encoder.classes).float()
            leaf = codes.view(-1, *shape, encoder.classes).requires_grad_()
            flat = encoder.convolutions(leaf.permute(0, 3, 1, 2))
            features = encoder.dense(torch.cat([flat, body], dim=1))
        else:
            raise UserError(f"flips are searched for mlp and cnn, not for {type(encoder).__name__}")
        lowered = target(*network.from_features(features))
        (slope,) = torch.autograd.grad(lowered.sum(), leaf)
    if isinstance(encoder, MlpEncoder):
        slope = slope @ encoder.first.tile_weight.detach().T
    return slope.reshape(len(tiles), tiles.shape[1], -1)


def _padded(rows: NDArray[Any]) -> NDArray[Any]:
    full = np.zeros((_ROWS, *rows.shape[1:]), rows.dtype)
    full[: len(rows)] = rows
    return full


@njit(cache=True)
def _replace(
    tiles: NDArray[np.uint8],  # [n, cells], changed in place
    ids: NDArray[np.int64],
    decisions: NDArray[np.int64],
    share: float,
    classes: int,
    seed: int,
) -> None:
    """Replace each tile with probability `share`."""
    n, cells = tiles.shape
    for i in range(n):
        for cell in range(cells):
            at = 2 * (decisions[i] * cells + cell)
            if hash_uniform(_STREAM_NOISE, seed, ids[i], at) < share:
                tiles[i, cell] = hash_below(classes, _STREAM_NOISE, seed, ids[i], at + 1)


@njit(cache=True)
def _shake(
    pixels: NDArray[np.uint8],  # [n, numbers], changed in place
    ids: NDArray[np.int64],
    decisions: NDArray[np.int64],
    radius: int,
    seed: int,
) -> None:
    """Move each number by a whole number from -radius to radius."""
    n, numbers = pixels.shape
    for i in range(n):
        for k in range(numbers):
            at = decisions[i] * numbers + k
            moved = hash_below(2 * radius + 1, _STREAM_NOISE, seed, ids[i], at) - radius
            pixels[i, k] = min(255, max(0, np.int64(pixels[i, k]) + moved))


@njit(cache=True)
def _flip(
    tiles: NDArray[np.uint8],  # [n, cells], changed in place
    ids: NDArray[np.int64],
    decisions: NDArray[np.int64],
    flips: int,
    classes: int,
    seed: int,
) -> None:
    """Give `flips` cells drawn at random another class drawn at random."""
    n, cells = tiles.shape
    for i in range(n):
        for k in range(flips):
            at = 2 * (decisions[i] * flips + k)
            cell = hash_below(cells, _STREAM_FLIPS, seed, ids[i], at)
            other = hash_below(classes - 1, _STREAM_FLIPS, seed, ids[i], at + 1)
            tiles[i, cell] = other + (other >= tiles[i, cell])
