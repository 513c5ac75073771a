"""Monster world's planner: a shortest way to the nearest apple, or shield, then to the next.

That is near the shortest round through all of them, and not always it.  It takes no notice of
monsters, which bar no way; the way to the apples leaves the last shield where it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.planning.guided_planner import GuidedPlanner
from . import rules


class MonsterWorldPlanner(GuidedPlanner):
    """Plans for monster world."""

    def guide(self, states: NDArray[np.void], target: str) -> NDArray[np.int64]:
        """Return what to do next in each state; see `GuidedPlanner`."""
        moves = np.empty(len(states), np.int64)
        rules.guide(states, target == "goal", moves)
        return self.actions_of(moves)
