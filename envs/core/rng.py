"""Random numbers whose state is always explicit.

Two generators, both compiled, neither global:

- `mt_*`: the Mersenne Twister of C++'s `std::mt19937` with Procgen's ways of drawing from it
  (`procgen/src/randgen.cpp`).  A level's terrain comes from it, so that a level id means the same
  level as in the original program.
- `hash_u64`: a counter-based hash (splitmix64's finaliser).  Everything that the original does not
  have (alignment, placement, level streams, action sampling) is a pure function of its counters, so
  neither batch size nor thread count nor the order of draws can change it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

MT_WORDS = 624
_MT_SHIFT = 397

# Streams of `hash_u64`: one constant for each use, so that no two uses share numbers.
STREAM_ALIGNMENT = 1
STREAM_SECTION = 2
STREAM_PLACEMENT = 3
STREAM_LEVELS = 4
STREAM_ACTIONS = 5
STREAM_TERRAIN = 6
STREAM_MOTION = 7
STREAM_REGROWTH = 9
STREAM_SAMPLES = 10
STREAM_REPLAY = 11
STREAM_REPLAYED = 12

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@njit(cache=True)
def mt_seed(state, seed):
    """Seed `state` (uint32 [625]: 624 words and the index) as `std::mt19937(seed)` does."""
    word = np.uint64(seed) & np.uint64(0xFFFFFFFF)
    state[0] = word
    for i in range(1, MT_WORDS):
        word = (
            np.uint64(1812433253) * (word ^ (word >> np.uint64(30))) + np.uint64(i)
        ) & np.uint64(0xFFFFFFFF)
        state[i] = word
    state[MT_WORDS] = MT_WORDS


@njit(cache=True)
def _mt_twist(state):
    for i in range(MT_WORDS):
        mixed = (state[i] & np.uint32(0x80000000)) | (
            state[(i + 1) % MT_WORDS] & np.uint32(0x7FFFFFFF)
        )
        word = state[(i + _MT_SHIFT) % MT_WORDS] ^ (mixed >> np.uint32(1))
        if mixed & np.uint32(1):
            word ^= np.uint32(0x9908B0DF)
        state[i] = word
    state[MT_WORDS] = 0


@njit(cache=True)
def mt_next(state):
    """Return the next 32 random bits as a non-negative int64."""
    if state[MT_WORDS] >= MT_WORDS:
        _mt_twist(state)
    word = np.int64(state[state[MT_WORDS]])
    state[MT_WORDS] += np.uint32(1)
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C5680
    word ^= (word << 15) & 0xEFC60000
    word ^= word >> 18
    return word & 0xFFFFFFFF


@njit(cache=True)
def mt_randn(state, high):
    """Return an integer in [0, high), as `RandGen::randn`."""
    return mt_next(state) % high


@njit(cache=True)
def hash_u64(stream, a, b, c):
    """Return 64 well-mixed bits that depend on the stream and three counters alone."""
    h = np.uint64(stream) * _GOLDEN
    h = _mix(h ^ np.uint64(a)) + _GOLDEN
    h = _mix(h ^ np.uint64(b)) + _GOLDEN
    return _mix(h ^ np.uint64(c))


@njit(cache=True)
def hash_uniform(stream, a, b, c):
    """Return a float64 in [0, 1) that depends on the stream and three counters alone."""
    return np.float64(hash_u64(stream, a, b, c) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True)
def hash_below(high, stream, a, b, c):
    """Return an integer in [0, high) that depends on the stream and three counters alone."""
    return np.int64(hash_u64(stream, a, b, c) % np.uint64(high))


@njit(cache=True)
def hash_uniforms(
    stream: int, a: int, b: NDArray[np.int64], c: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return `hash_uniform(stream, a, b[i], c[i])` for every i, float64 [n]."""
    out = np.empty(len(b), np.float64)
    for i in range(len(b)):
        out[i] = hash_uniform(stream, a, b[i], c[i])
    return out


@njit(cache=True)
def hash_picks(
    high: int, stream: int, a: int, b: NDArray[np.int64], c: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return `hash_below(high, stream, a, b[i], c[i])` for every i, int64 [n]."""
    out = np.empty(len(b), np.int64)
    for i in range(len(b)):
        out[i] = hash_below(high, stream, a, b[i], c[i])
    return out


@njit(cache=True)
def _mix(z):
    z = np.uint64(z)
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))
