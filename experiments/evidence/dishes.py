"""Agents in cheese on a dish that several questions are about, each trained once for all of them.

Public names: `DISH`, `DISH_TEST`, `SMALL`, `SMOKE_TEST`, `dense`, `rho`.
"""

from __future__ import annotations

from .recipes import Recipe, Test

DISH = ("env=cheese_on_a_dish", "placement=anywhere")
"""The world, and where its cheese goes on conflict levels."""
DISH_TEST = Test("anywhere", "2000000:2000500")
SMALL = (
    *DISH,
    "preset=smoke",
    "env.size=7",
    "agent.num_envs=16",
    "levels.train=0:500",
)
"""The same, so little that it takes a second."""
SMOKE_TEST = Test("anywhere", "2000000:2000012", repeats=1, devices=0)
_MOMENTS = (0, 32768, 65536, 98304, 131072, 196608, 262144, 327680, 393216, 524288, 606208)
"""Decisions after which their policies are kept, too."""


def rho(correlation: float) -> str:
    """Return the setting of a correlation."""
    return f"correlation={correlation:g}"


def dense(correlation: float, width: int) -> Recipe:
    """Return an agent with two dense layers of a width, as the `lab` preset trains it."""
    listed = ",".join(map(str, _MOMENTS))
    words = (*DISH, rho(correlation), f"agent.hidden=[{width},{width}]", f"snapshots=[{listed}]")
    return Recipe(words)
