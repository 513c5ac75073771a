"""Follow me's planner: to the beacons in their order, or from stop to stop of the leader's tour.

Ways to the goal are the shortest that make no mistake, where there are such.  Ways to the proxy go
straight to the leader's next stop and wait there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.planning.guided_planner import GuidedPlanner
from . import rules


class FollowMePlanner(GuidedPlanner):
    """Plans for follow me."""

    def guide(self, states: NDArray[np.void], target: str) -> NDArray[np.int64]:
        """Return what to do next in each state; see `GuidedPlanner`."""
        moves = np.empty(len(states), np.int64)
        rules.guide(states, target == "goal", moves)
        return self.actions_of(moves)
