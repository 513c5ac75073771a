"""Agents of your own, one of each kind that misgen can evaluate.

    misgen evaluate agent=my_agent:make_function env=coinrun correlation=1
    misgen evaluate agent=my_agent:make_module env=coinrun correlation=1
    misgen evaluate agent=my_agent:make_recurrent env=coinrun correlation=1

Each function makes an agent.  misgen calls it with what its parameters name: `world`,
`observation_space`, `action_space`, `seed`.
"""

from __future__ import annotations

import numpy as np

RIGHT, RIGHT_AND_JUMP = 7, 8  # of CoinRun's actions


def make_function(action_space):
    """A function from observations to probabilities: it runs right, and jumps now and then."""

    def act(observation):
        rows = len(observation["tiles"])  # one row a level that is being played
        probabilities = np.zeros((rows, action_space.n))
        probabilities[:, RIGHT] = 0.7
        probabilities[:, RIGHT_AND_JUMP] = 0.3
        return probabilities  # or an action a row: np.full(rows, RIGHT)

    return act


def make_module(observation_space, action_space, seed):
    """A torch module from observations to logits; load your own weights here."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            cells = int(np.prod(observation_space["tiles"].shape))
            self.layers = nn.Sequential(
                nn.Linear(cells, 32), nn.Tanh(), nn.Linear(32, int(action_space.n))
            )

        def forward(self, observation):
            return self.layers(observation["tiles"].flatten(1).float() / 16)

    torch.manual_seed(seed)
    return Network()


class JumpsEveryFew:
    """An agent with a memory, which it keeps by slot: it jumps at every fourth decision."""

    def __init__(self, num_actions: int) -> None:
        """Begin with no slots; they are made when they are first used."""
        self.num_actions = num_actions
        self.decisions: dict[int, int] = {}  # of the episode that each slot plays

    def reset(self, slots) -> None:
        """Forget what happened in these slots: new episodes begin there."""
        for slot in slots.tolist():
            self.decisions[slot] = 0

    def probabilities(self, observation, slots):
        """Return a row for each slot: row k of the observation is what slot `slots[k]` sees."""
        found = np.zeros((len(slots), self.num_actions))
        for row, slot in enumerate(slots.tolist()):
            jumps = self.decisions[slot] % 4 == 3
            found[row, RIGHT_AND_JUMP if jumps else RIGHT] = 1.0
            self.decisions[slot] += 1
        return found


def make_recurrent(action_space):
    """An object with a memory: `reset(slots)` and `probabilities(observation, slots)`."""
    return JumpsEveryFew(int(action_space.n))
