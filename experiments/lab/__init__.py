"""The course lab: a notebook of eight parts, whose every exercise has a test.

    from misgen.experiments import lab

`misgen lab` writes the notebook; its source, with the solutions, is `course_lab.py`.  What a
student calls is named here; each `check_...` tests the answer to one exercise.
"""

from .exercises import EXERCISES, NotYet, Passed, results
from .lab_tables import WHERE, agents, episodes, verdicts
from .play_here import Play
from .task_design import FOOLED, NOT_FOOLED, Design, check_design
from .task_measures import (
    check_divergence,
    check_goal_share,
    check_over_seeds,
    check_pull,
    check_table,
)
from .task_play import check_learned_at, check_played
from .task_protocols import BLIND_SPOTS, check_blind_spots, check_decisions
from .task_threshold import check_fewest_seeds, check_threshold
from .watch_here import watch

__all__ = [
    "BLIND_SPOTS",
    "EXERCISES",
    "FOOLED",
    "NOT_FOOLED",
    "WHERE",
    "Design",
    "NotYet",
    "Passed",
    "Play",
    "agents",
    "check_blind_spots",
    "check_decisions",
    "check_design",
    "check_divergence",
    "check_fewest_seeds",
    "check_goal_share",
    "check_learned_at",
    "check_over_seeds",
    "check_played",
    "check_pull",
    "check_table",
    "check_threshold",
    "episodes",
    "results",
    "verdicts",
    "watch",
]
