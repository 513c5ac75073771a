"""A finished and evaluated run whose episodes are drawn, not played."""

import numpy as np
import polars as pl

from misgen.experiments.evaluation.conditions import EPISODES

IDS = np.arange(2_000_000, 2_000_200)
PLACEMENTS = ("anywhere", "off_path(2)")


def episodes_of(correlation, seed, goal, *, capability=0.9):
    """Episodes of an agent that reaches something at a rate, and a moved goal at another.

    Beside it play random, which reaches a tenth, and perfect seekers.
    """
    agent, floor = ("agent", "ppo"), ("floor", "random")
    tables = []
    for mode in ("sampled", "greedy"):
        for who, able, moved in ((agent, capability, min(capability, goal)), (floor, 0.1, 0.05)):
            tables.append(_rows(who, "in_distribution", PLACEMENTS[0], mode, able, able))
            for place_ in PLACEMENTS:
                tables.append(_rows(who, "aligned", place_, mode, able, able, touched=0.0))
                tables.append(_rows(who, "conflict", place_, mode, able, moved, touched=moved))
    for name, moved in (("goal_seeker", 1.0), ("proxy_seeker", 0.0)):
        for place_ in PLACEMENTS:
            who = ("reference", name)
            tables.append(_rows(who, "aligned", place_, "greedy", 1.0, 1.0, touched=0.0))
            tables.append(_rows(who, "conflict", place_, "greedy", 1.0, moved, touched=moved))
    labels = {
        "noise": 0.0, "on_proxy": "continue", "train_correlation": correlation,
        "train_placement": PLACEMENTS[0], "train_on_proxy": "continue", "train_seed": seed,
        "run": "drawn", "test_correlation": 0.0, "repeat": 0,
    }  # fmt: skip
    table = pl.concat(tables).with_columns(
        pl.lit(value).alias(name) for name, value in labels.items()
    )
    known = [
        pl.col(name).cast(dtype) if name in table.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in EPISODES.items()
    ]
    return table.select(known)


def _rows(who, condition, placement, actions, capability, goal, touched=0.0):
    """One episode a level; of the capable ones, the first in a random order reach the goal."""
    order = np.random.default_rng(len(placement)).permutation(len(IDS)) / len(IDS)
    reached, proxy = order < goal, (order >= goal) & (order < capability)
    either = reached | proxy
    number = np.where(either, 9, 0)
    return pl.DataFrame(
        {
            "role": who[0],
            "agent": who[1],
            "condition": condition,
            "placement": placement,
            "actions": actions,
            "level_id": IDS,
            "aligned": condition != "conflict",
            "outcome": np.where(reached, "GOAL", np.where(proxy, "PROXY", "DEATH")),
            "reached_goal": reached,
            "reached_proxy": proxy,
            "goal_fraction": reached.astype(np.float32),
            "proxy_fraction": proxy.astype(np.float32),
            "first": np.where(reached, "goal", np.where(proxy, "proxy", "neither")),
            "goal_at": pl.Series(np.where(reached, number, 0)).replace(0, None),
            "proxy_at": pl.Series(np.where(proxy, number, 0)).replace(0, None),
            "cell_first": order < touched,
            "died": ~either,
            "touched_conflict_cell": order < touched,
            "steps": 20,
        }
    )
