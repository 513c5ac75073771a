"""Levels that are trained on again: which, how often, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from misgen.envs.core.distribution import IdRange, LevelDistribution, LevelStream
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_replay import MEMORY, ReplayStream
from misgen.envs.core.registry import make_world
from misgen.envs.core.views.sb3 import MisgenVecEnv

WORLD = make_world("cheese_on_a_dish", size=7, on_proxy="end", max_steps=30)
LEVELS = LevelDistribution(WORLD, 0.5, "anywhere", IdRange(1000, 9000))
SLOTS = np.arange(16)


def stream(share=0.5, seed=3, levels=LEVELS, slots=16):
    return ReplayStream(levels, slots, seed, share)


def play(replay, rounds, reached):
    """Draw levels and tell of each what `reached` says of its id; return the ids, [rounds, 16]."""
    drawn = []
    for _ in range(rounds):
        ids = replay.next(SLOTS).ids
        replay.hear(SLOTS, ids, np.array([reached(level) for level in ids], np.float32))
        drawn.append(ids)
    return np.array(drawn)


def odd(level):
    """All of the goal on even levels, nothing of it on odd ones."""
    return float(level % 2 == 0)


def test_a_share_of_the_levels_is_drawn_again_from_those_that_were_missed():
    replay = stream()
    ids = play(replay, 400, odd)
    plain = LevelStream(LEVELS, 16, 3)
    fresh = np.array([plain.next(SLOTS).ids for _ in range(400)])
    again = ids != fresh
    assert again.mean() == pytest.approx(0.5, abs=0.03)
    assert not again[0].any(), "there is nothing to draw again yet"
    assert (ids[again] % 2 == 1).mean() > 0.93, "but for the part that goes by age"
    assert (ids[~again] % 2 == 1).mean() == pytest.approx(0.5, abs=0.03)
    seen = set(ids[0].tolist())
    for row, drawn_again in zip(ids[1:], again[1:], strict=True):
        assert seen.issuperset(row[drawn_again].tolist())
        seen |= set(row.tolist())
    told = replay.told
    assert (told["levels"], told["replayed"]) == (6400, pytest.approx(again.sum(), abs=10))


def test_what_is_learned_meanwhile_is_drawn_no_more():
    replay = stream()
    play(replay, 60, lambda level: 0.0)
    later = play(replay, 400, lambda level: 1.0)
    assert len(set(later[-50:].ravel().tolist())) > 0.9 * later[-50:].size, "nothing stands out"


def test_where_nothing_was_missed_the_oldest_are_the_most_probable():
    replay = stream(share=1.0)
    ids = play(replay, 40, lambda level: 1.0)
    assert len(set(ids.ravel().tolist())) == 16, "all are drawn again, from the first on"


def test_draws_depend_on_seed_and_episodes_alone():
    one, same, other = (play(stream(seed=seed), 50, odd) for seed in (3, 3, 4))
    assert (one == same).all()
    assert (one != other).any()


def test_a_full_memory_forgets_what_was_missed_least():
    replay = stream(share=0.0)
    play(replay, 500, odd)
    held = replay.state["ids"]
    assert len(set(held.tolist())) == MEMORY
    assert (held % 2 == 1).mean() > 0.5, "odd levels, of which all was missed, have come to stay"
    play(replay, 100, lambda level: 1.0)
    assert set(replay.state["ids"][replay.state["missed"] == 1].tolist()) <= set(held.tolist())


def test_a_level_that_was_not_drawn_here_is_not_remembered():
    replay = stream()
    replay.next(SLOTS)
    replay.hear(SLOTS, np.full(16, 2_000_000), np.zeros(16, np.float32))
    assert (replay.state["ids"] == -1).all()


def test_a_stream_goes_on_from_its_state():
    whole, first = stream(), stream()
    play(whole, 30, odd)
    play(first, 30, odd)
    second = stream()
    second.state = first.state
    assert (second.again(SLOTS).ids == first.again(SLOTS).ids).all()
    assert (play(second, 30, odd) == play(whole, 30, odd)).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ids", lambda own: own + 1_000_000),
        ("ids", lambda own: np.where(own == own[0], own[1], own)),
        ("ids", lambda own: own[::-1].copy()),
        ("ids", lambda own: own.astype(np.int32)),
        ("running", lambda own: own - 5000),
        ("missed", lambda own: own + 1),
        ("missed", lambda own: own * np.nan),
        ("heard", lambda own: own + 10**6),
        ("counts", lambda own: -own),
        ("missed", lambda own: own[:-1]),
    ],
)
def test_states_that_are_none_are_refused(name, change):
    replay = stream()
    play(replay, 30, odd)
    state = replay.state
    state[name] = change(state[name])
    with pytest.raises(ValueError, match=r"\w"):
        stream().state = state


def test_training_sees_more_of_the_levels_that_an_agent_fails():
    """A mouse that always goes for the dish fails where the cheese lies elsewhere."""
    rare = LevelDistribution(WORLD, 0.9, "anywhere", IdRange(0, 5000))
    shares = []
    for share in (0.0, 0.5):
        env = MisgenVecEnv(rare, 64, 1, level_replay=share)
        env.reset()
        aligned = []
        for _ in range(600):
            states = env.engine.states
            actions = [_to_dish(state) for state in states]
            *_, done, infos = env.step(np.array(actions))
            aligned += [infos[slot]["aligned"] for slot in np.flatnonzero(done)]
        shares.append(1 - np.mean(aligned))
    assert shares[0] == pytest.approx(0.1, abs=0.03)
    assert shares[1] > 0.35
    assert env.replayed is not None
    assert env.replayed["conflict_levels"] / env.replayed["levels"] == pytest.approx(
        shares[1], abs=0.05
    )


def _to_dish(state):
    """Return the action that leads nearest to the dish."""
    from misgen.envs.core.boards.board import MOVES, step_of

    best, least = 0, 10**6
    for action in range(int(WORLD.action_space.n)):
        dx, dy = step_of(MOVES[action])
        x, y = state["x"] + dx, state["y"] + dy
        steps = state["steps"][y, x] if min(x, y) >= 0 and max(x, y) < state["side"] else -1
        if 0 <= steps < least:
            best, least = action, steps
    return best


def test_other_levels_that_a_caller_chose_are_not_trained_on_again():
    env = MisgenVecEnv(LEVELS, 2, 1, level_replay=1.0)
    env.set_options({"level_ids": [2_000_000, 2_000_001]})
    env.reset()
    seen = set()
    for _ in range(200):
        _, _, done, infos = env.step(np.zeros(2, np.int64))
        seen |= {infos[slot]["level_id"] for slot in np.flatnonzero(done)[1:]}
    assert {level for level in seen if level not in LEVELS.ids} <= {2_000_000, 2_000_001}
    assert max(env.engine.level_ids) < 9000


def test_what_is_no_share():
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match=r"level_replay=.*0"):
            MisgenVecEnv(LEVELS, 2, 0, level_replay=share)
    env = MisgenVecEnv(LEVELS, 2, 0)
    env.reset()
    assert env.replayed is None
