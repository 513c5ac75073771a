"""How many training seeds a share of seeds needs: exact binomial counts.

Public names: `interval_widths`, `chance_narrower`, `power_against_half`, `fewest_for_width`,
`fewest_against_half`, `MOST`.

The share is that of all seeds of a recipe that misgeneralize (or are aligned, ...); each seed is
one draw.  Its interval is that of Clopper and Pearson (1934),
https://doi.org/10.1093/biomet/26.4.404.  It is told from one half by the exact test at 5% that
gives a recipe its verdict (`verdict`): that no more than half of all seeds are so, or no less,
whichever the share is on the other side of.

Counts are whole numbers, so that both go up and down a little from one n to the next: what is
returned is enough, and so is every larger number.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST = 1_000
"""Seeds that are looked at, at most."""
_LEVEL, _TEST = 0.95, 0.05


@lru_cache(maxsize=MOST + 1)
def interval_widths(n: int) -> NDArray[np.float64]:
    """Return the width of the interval for each count of n seeds, float64 [n + 1]."""
    from scipy.special import betaincinv

    k, tail = np.arange(n + 1), (1 - _LEVEL) / 2
    low = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 1), n - k + 1, tail))
    high = np.where(k == n, 1.0, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail))
    return high - low


def chance_narrower(n: int, share: float, width: float) -> float:
    """Return how often the interval of n seeds is at most so wide, if `share` is the true one."""
    return float(_chances(n, share)[interval_widths(n) <= width].sum())


def power_against_half(n: int, share: float) -> float:
    """Return how often n seeds tell a share from one half."""
    agreeing = max(share, 1 - share)
    enough = _chances(n, 0.5)[::-1].cumsum()[::-1] < _TEST  # so many or more, if it were a half
    return float(_chances(n, agreeing)[enough].sum())


def fewest_for_width(share: float, width: float, power: float) -> int | None:
    """Return the fewest seeds whose interval is at most so wide, in a part `power` of the draws."""
    return _first([chance_narrower(n, share, width) >= power for n in range(1, MOST + 1)])


def fewest_against_half(share: float, power: float) -> int | None:
    """Return the fewest seeds that tell a share from one half, in a part `power` of the draws."""
    return _first([power_against_half(n, share) >= power for n in range(1, MOST + 1)])


def _chances(n: int, share: float) -> NDArray[np.float64]:
    """Return the probability of each count of n seeds, float64 [n + 1]."""
    from scipy.stats import binom

    return binom.pmf(np.arange(n + 1), n, share)


def _first(enough: list[bool]) -> int | None:
    """Return from which number on (the first is 1) all are enough; None if the last is not."""
    if not enough[-1]:
        return None
    lacking = [n for n, one in enumerate(enough, 1) if not one]
    return lacking[-1] + 1 if lacking else 1
