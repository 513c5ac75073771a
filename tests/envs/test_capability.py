"""The capability axis: other terrain and other physics, and nothing else."""

import numpy as np
import pytest

from misgen.envs.coinrun.constants import CRATE, ENEMY, SAW
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.errors import UserError
from misgen.envs.core.planning.planner import make_planner
from misgen.envs.make import distribution
from tests.hand_made import draw, play, start

FLAT = draw("#A" + "." * 50 + "C#", "=")


def batch(**parameters):
    return distribution("coinrun", num_levels=300, **parameters).levels()


def kinds(levels, *wanted):
    number = np.arange(levels.data["entity_kind"].shape[1])
    present = number < levels.data["entity_count"][:, None]
    return int((np.isin(levels.data["entity_kind"], wanted) & present).sum())


def test_each_value_of_the_original_changes_nothing():
    plain = batch().digests()
    for name in CoinRun.capability:
        assert batch(**{name: getattr(CoinRun(), name)}).digests() == plain


def test_hazards_are_as_many_times_as_probable():
    plain, none, many = batch(), batch(hazards=0.0), batch(hazards=2.0)
    pits = kinds(none, SAW, ENEMY)  # those stay
    assert kinds(none, CRATE) > 0
    assert pits < kinds(plain, SAW, ENEMY) < kinds(many, SAW, ENEMY)


def test_difficulty_and_sections_make_levels_longer():
    def ends(**parameters):
        return batch(**parameters).data["proxy_cell"][:, 0]

    assert (ends(sections=1) < ends(sections=3)).all()
    assert ends(sections=8).mean() > ends().mean() > ends(sections=1).mean()
    assert ends(difficulty=5, sections=1).mean() > ends(difficulty=1, sections=1).mean()
    assert ends(difficulty=5, sections=8).max() < 63


@pytest.mark.parametrize("terrain", ["procgen", "langosco", "langosco_aisc"])
def test_the_longest_levels_keep_their_coin_in_a_section(terrain):
    """Sections that do not fit are left out, so the drawn section need not exist."""
    levels = batch(sections=8, difficulty=5, terrain=terrain, correlation=0.0)
    x, y = levels.data["goal_cell"].T
    assert (x >= 5).all()
    assert (x < levels.data["proxy_cell"][:, 0]).all()
    assert (y >= 1).all()


@pytest.mark.parametrize(("speed", "frames"), [(0.5, 20), (1.0, 20), (2.0, 10)])
def test_speed_is_the_greatest_speed(speed, frames):
    engine = start(FLAT, CoinRun(speed=speed))
    for _ in range(60 if speed <= 1 else frames):
        engine.step(np.array([7]))
    assert engine.states["vx"][0] == pytest.approx(0.5 * speed, rel=0.12)


def test_gravity_sets_how_long_a_jump_lasts():
    def airborne(gravity):
        engine = start(FLAT, CoinRun(gravity=gravity))
        engine.step(np.array([5]))
        frames = 1
        while engine.states["y"][0] > 1.58:
            engine.step(np.array([4]))
            frames += 1
        return frames

    assert airborne(1.0) == 16  # up 1.5 + 1.3 + ... and down again
    assert airborne(0.5) > 1.7 * airborne(1.0)
    assert airborne(2.0) < 0.7 * airborne(1.0)


def test_other_physics_leave_the_slots_of_other_worlds_alone():
    slow, fast = (play(FLAT, "r" * 30, speed=s)["progress"] for s in (0.5, 1.0))
    assert slow < 0.7 * fast


@pytest.mark.parametrize(
    "parameters", [{"gravity": 0.7}, {"gravity": 1.3}, {"speed": 0.7}, {"speed": 1.5}]
)
def test_plans_hold_under_other_physics(parameters):
    world = CoinRun(action_set="distinct", action_repeat=3, on_proxy="end", **parameters)
    levels = world.levels(np.arange(20), 1.0, "anywhere")
    plans = make_planner(world).plan(levels).goal
    assert plans.solved.mean() >= 0.9
    from misgen.envs.core.engine import Engine

    engine = Engine(world, len(levels))
    engine.load(np.arange(len(levels)), levels)
    for t in range(plans.actions.shape[1]):
        engine.step(np.maximum(plans.actions[:, t], 0).astype(np.int64))
    done = engine.episodes["decisions"][plans.solved]
    assert done.tolist() == plans.decisions[plans.solved].tolist()
    assert engine.results(np.flatnonzero(plans.solved))["reached_goal"].all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("gravity", 0.1), ("speed", 3.0), ("hazards", -1.0), ("difficulty", 6), ("sections", 9)],
)
def test_impossible_values_are_named(name, value):
    with pytest.raises(UserError, match=f"env.{name}={value}"):
        CoinRun(**{name: value})
