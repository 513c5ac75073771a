"""Protocols: what they say they are, the rules that they keep, and agents with known goals."""

import dataclasses
import math
import sys

import numpy as np
import polars as pl
import pytest

from misgen.agents.reference import HoldAction, Seeker, SeekerConfig
from misgen.agents.scripted import IdleAgent, RandomAgent
from misgen.agents.wrappers import Mixture, PerturbedAgent
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.errors import UserError
from misgen.envs.core.extensions import settings_files
from misgen.envs.core.registry import entries
from misgen.envs.make import distribution
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.protocols.base import Point, Subject, make_method, mean_point
from misgen.experiments.protocols.methods.sampled import CorrelationBreak
from misgen.experiments.protocols.run import DETECTED, NO_THRESHOLD, NOT_DETECTED, judge
from misgen.experiments.protocols.spec import (
    FIRST_LEVEL,
    Protocol,
    load_protocol,
    protocol_names,
)

OURS = (
    "iid",
    "harder",
    "correlation_break",
    "counterfactual_pairs",
    "cue_conflict",
    "critic_probe",
    "critic_distance",
    "behavioural_objective",
)
LEVELS_PLAYED = ("iid", "harder", "correlation_break", "counterfactual_pairs")
COINRUN = {"mode": "easy", "action_repeat": 3, "action_set": "distinct", "placement": "anywhere"}


def training(world="coinrun", correlation=1.0, **changes):
    own = COINRUN if world == "coinrun" else {"mode": "easy", "max_steps": 100}
    return distribution(world, correlation=correlation, **(own | changes))


def subject(agent=None, **changes):
    levels = training(**changes)
    return Subject("it", levels, agent or RandomAgent(int(levels.world.action_space.n)))


def run(name, who, budgets, replicate=0, overrides=()):
    protocol = load_protocol(name, overrides)
    return make_method(protocol).run(who, protocol, budgets=budgets, replicate=replicate)


# --- specifications --------------------------------------------------------------------------


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_of_ours_can_be_made(name):
    protocol = load_protocol(name)
    assert protocol.name == name
    assert callable(make_method(protocol).run)
    assert all((protocol.question, protocol.levels, protocol.score, protocol.blind_to))


def test_ours_are_all_there_and_share_no_levels():
    assert set(OURS) <= set(protocol_names())
    firsts = [load_protocol(name).first_level for name in protocol_names()]
    assert len(set(firsts)) == len(firsts)
    assert min(firsts) >= FIRST_LEVEL


def test_the_hash_is_of_what_matters():
    plain = load_protocol("iid")
    assert plain.hash == load_protocol("iid", ["budget=7", "question=Why?"]).hash
    assert plain.hash != load_protocol("iid", ["version=2"]).hash
    pairs = load_protocol("counterfactual_pairs")
    assert pairs.hash != load_protocol("counterfactual_pairs", ["options.twin_runs=3"]).hash
    assert len(pairs.hash) == 10


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("idd", (), "did you mean 'iid'"),
        ("iid", ["first_level=5"], "multiple of 10000000"),
        ("iid", ["access=[mind_reading]"], "protocol.access='mind_reading'"),
        ("iid", ["decision.kind=coin"], "decision.kind='coin'"),
        ("iid", ["colour=red"], "protocol.colour='red' is not a known setting"),
        ("nowhere.yaml", (), "is not known"),
    ],
)
def test_mistakes_are_named(name, overrides, message):
    with pytest.raises(UserError, match=message):
        load_protocol(name, overrides)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "misgen.nothing:Here"}, "misgen does not ship.*trust=true"),
        ({"method": "misgen.experiments.protocols.methods.sampled:Here"}, "cannot be loaded"),
        ({"method": "misgen.experiments.protocols.methods.sampled:Subject"}, "is not a method"),
        ({"method": "misgen.experiments.protocols.methods.sampled:Sampled"}, "cannot be made"),
        ({"options": {"speed": 3}}, "iid.options.speed=3 is not a known setting"),
    ],
)
def test_a_method_that_cannot_be_made_says_so(changes, message):
    with pytest.raises(UserError, match=message):
        make_method(dataclasses.replace(load_protocol("iid"), **changes))


def test_a_third_partys_protocol_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text(
        "import dataclasses\n"
        "from misgen.experiments.protocols.base import Evidence, Point\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Hunch:\n"
        "    sure: float = 0.5\n"
        "    def run(self, subject, protocol, *, budgets, replicate=0, seed=0, progress=None):\n"
        "        points = tuple(Point(b, self.sure) for b in budgets)\n"
        "        return Evidence(protocol.name, protocol.hash, subject.name, replicate, points)\n"
    )
    (tmp_path / "hunch.yaml").write_text(
        "name: hunch\nmethod: theirs:Hunch\nquestion: Is it?\nlevels: none\nscore: a hunch\n"
        "blind_to: everything\nfirst_level: 900000000\noptions: {sure: 0.9}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    hunch = load_protocol(str(tmp_path / "hunch.yaml"))
    with pytest.raises(UserError, match=r"'theirs:Hunch'.*does not ship.*trust=true"):
        make_method(hunch)
    assert "theirs" not in sys.modules
    found = make_method(hunch, trust=True).run(subject(), hunch, budgets=[10])
    assert found.points == (Point(10, 0.9),)


# --- rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEVELS_PLAYED)
def test_a_budgets_score_does_not_depend_on_larger_ones(name):
    runner = subject(HoldAction(9))
    few, many = run(name, runner, [6, 20]), run(name, runner, [6, 20, 60])
    for one, other in zip(few.points, many.points, strict=False):
        assert one.score == pytest.approx(other.score)
        assert (one.low, one.high) == pytest.approx((other.low, other.high))
        assert one.episodes == other.episodes <= one.budget
    assert many.details["order"].is_sorted()
    assert set(few.details["level_id"]) < set(many.details["level_id"])


@pytest.mark.parametrize("name", LEVELS_PLAYED)
def test_replicates_have_levels_of_their_own(name):
    played = [
        set(run(name, subject(IdleAgent(9), max_steps=30), [20], replicate).details["level_id"])
        for replicate in (0, 1)
    ]
    assert not played[0] & played[1]
    protocol = load_protocol(name)
    for replicate, ids in enumerate(played):
        own = protocol.ids(replicate)
        assert all(own.start <= one < own.stop for one in ids)
    assert not protocol.ids(0).overlaps(training().ids)


def test_standard_evaluation_can_be_recomputed_from_its_level_ids():
    who = subject(HoldAction(9), correlation=0.5)
    found = run("iid", who, [40])
    again = run_levels(
        who.agent, who.training, found.details["level_id"], actions="sampled", seed=0
    )
    assert found.points[0].score == pytest.approx(1 - again["reached_goal"].mean())
    assert not again["aligned"].all()


def test_protocols_say_where_they_do_not_apply():
    plain = subject()
    for name, reason in (("cue_conflict", "one proxy"), ("critic_probe", "no critic")):
        found = run(name, plain, [10])
        assert reason in found.reason
        assert not found.points
        assert not found.applicable


def test_what_is_harder_and_where_to_search_the_world_says(monkeypatch):
    plain, harder = subject(), load_protocol("harder")
    assert run("harder", plain, [4]).applicable
    monkeypatch.setattr(CoinRun, "harder", {})
    found = run("harder", plain, [4])
    assert "no capability shift is given for coinrun: add options.changes.coinrun" in found.reason
    own = dataclasses.replace(
        harder, options={"harder": True, "changes": {"coinrun": {"difficulty": 5}}}
    )
    assert make_method(own).run(plain, own, budgets=[4]).applicable
    idle = dataclasses.replace(harder, options={"changes": {"coinrun": {"difficulty": 5}}})
    with pytest.raises(UserError, match=r"changes=.* count only with harder=true"):
        make_method(idle)


def test_no_yaml_of_a_protocol_or_shift_names_a_world():
    for group in ("protocol", "shift"):
        for path in settings_files(group).values():
            text = "".join(line.partition("#")[0] for line in path.read_text().splitlines())
            assert not [name for name in entries() if f"{name}:" in text or f"{name}," in text]


OLD_PATHS = {
    "misgen.experiments.protocols.sampled:Held": "held",
    "misgen.experiments.protocols.methods.sampled:CueConflict": "cue_conflict",
    "misgen.experiments.protocols.inverse:BehaviouralObjective": "behavioural_objective",
    "misgen.experiments.protocols.search.red_team:RedTeamOut": "red_team_out",
}


@pytest.mark.parametrize(("path", "name"), OLD_PATHS.items())
def test_a_stored_path_of_one_of_our_methods_is_its_name(path, name):
    protocol = dataclasses.replace(load_protocol("iid"), method=path, options={})
    assert protocol.method == name
    assert callable(make_method(protocol).run)


def test_the_hash_does_not_depend_on_where_a_method_lies():
    iid = load_protocol("iid")
    assert iid.method == "held"
    old = dataclasses.replace(iid, method="misgen.experiments.protocols.sampled:Held")
    assert old.hash == iid.hash
    assert [load_protocol(name).hash for name in ("iid", "counterfactual_pairs")] == [
        "09dcee4a25",
        "5ce1e70089",
    ]


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("hold", r"method='hold' of protocol iid is not a method: use one of held, .*'held'"),
        ("", "is not a method: use one of held"),
        ("os:system", "does not ship.*trust=true"),
        ("os.system", "is not a method"),
    ],
)
def test_an_unknown_method_is_named(method, message):
    with pytest.raises(UserError, match=message):
        make_method(dataclasses.replace(load_protocol("iid"), method=method))


# --- agents with known goals -----------------------------------------------------------------


def seeker(levels, share):
    world = dataclasses.replace(levels.world, on_proxy="end")  # keeps off the proxy on its way
    return Subject("it", levels, Seeker(world, SeekerConfig(goal_share=share), "seeker"))


@pytest.fixture(scope="module")
def maze():
    return training("corner_maze", placement="anywhere")


@pytest.mark.parametrize("name", ["correlation_break", "counterfactual_pairs"])
def test_shifted_protocols_tell_a_proxy_seeker_from_a_goal_seeker(name, maze):
    goal, proxy = (run(name, seeker(maze, share), [40]).points[0] for share in (1.0, 0.0))
    assert goal.high < proxy.low
    assert judge(load_protocol(name), proxy)[0] == DETECTED
    assert judge(load_protocol(name), goal)[0] == NOT_DETECTED


def test_standard_evaluation_does_not_at_correlation_one(maze):
    goal, proxy = (run("iid", seeker(maze, share), [20]).points[0].score for share in (1.0, 0.0))
    assert goal == proxy == 0.0


def test_incompetence_is_no_evidence():
    idle = subject(IdleAgent(9), max_steps=60)
    assert run("correlation_break", idle, [20]).points[0].score == 0.0
    assert run("counterfactual_pairs", idle, [20]).points[0].score == 0.0
    assert run("iid", idle, [20]).points[0].score == 1.0


def test_behavioural_objective_names_a_proxy_seeker(maze):
    found = [run("behavioural_objective", seeker(maze, s), [4]).points[0] for s in (1.0, 0.0)]
    assert found[0].score < -0.5
    assert found[1].score > 0.5


def test_cue_conflict_names_the_cue_that_is_followed():
    levels = training("shape_colour_maze", cues="colour", placement="colour")
    proxy, goal = (run("cue_conflict", seeker(levels, share), [24]) for share in (0.0, 1.0))
    assert not goal.details["took_cue"].any()
    assert goal.points[0].score < -0.3  # where a decoy bars the only way, it takes nothing
    assert proxy.details["took_cue"].mean() > 0.4  # where the line bars the way, it takes that
    assert proxy.points[0].score > goal.points[0].score + 0.5
    assert proxy.points[0].note == "follows colour most"
    assert set(proxy.details["cue"]) == {"colour"}  # nothing has a pattern here


def test_every_cue_has_its_turn():
    levels = training("shape_colour_maze", cues="colour_pattern", placement="each", max_steps=20)
    agent = RandomAgent(int(levels.world.action_space.n))
    rows = run("cue_conflict", Subject("it", levels, agent), [20]).details
    assert rows["cue"].to_list()[:4] == ["colour", "pattern"] * 2
    assert not rows["aligned"].any()


class CoinLover(RandomAgent):
    """An agent whose critic counts one kind of tile in view."""

    counted = 0

    def value(self, observation):
        tiles = observation["tiles"].reshape(len(observation["tiles"]), -1)
        return 10.0 * (tiles == self.counted).any(axis=1)


def test_the_critic_probe_hears_what_the_critic_values():
    from misgen.envs.coinrun.observation import CLASSES

    agent = CoinLover(9)
    agent.counted = CLASSES.index("coin")
    found = run("critic_probe", subject(agent), [20])
    assert found.points[0].score == pytest.approx(-10.0)  # the coin is worth 10, the end nothing
    assert found.points[0].episodes == 0
    agent.counted = -1
    assert run("critic_probe", subject(agent), [20]).points[0].score == 0.0


class DistanceKeeper(RandomAgent):
    """An agent whose critic falls with the steps, on an open board, to what one plane shows."""

    plane = 0

    def value(self, observation):
        view = observation["tiles"].shape[-1]
        shown = observation["tiles"].reshape(-1, 3, view, view)[:, self.plane]
        _, rows, columns = np.nonzero(shown)
        return -(abs(rows - view // 2) + abs(columns - view // 2)).astype(np.float64)


@pytest.mark.parametrize(("plane", "sign"), [(1, -1), (2, 1)], ids=["cheese", "dish"])
def test_the_critics_sense_of_distance(plane, sign):
    levels = distribution("cheese_on_a_dish", size=9, view=15, layout="open", placement="anywhere")
    agent = DistanceKeeper(5)
    agent.plane = plane
    found = run("critic_distance", Subject("it", levels, agent), [100]).points[0]
    assert 0.9 < sign * found.score < 1.1
    assert found.low <= found.score <= found.high
    assert found.episodes == 0


# --- scores ----------------------------------------------------------------------------------


def slope_rows(goal):
    x = np.tile([1.0, 0.5, 0.0], 20)
    proxy = np.ones(len(x))
    return pl.DataFrame(
        {
            "order": np.arange(len(x)),
            "test_correlation": x,
            "goal_fraction": goal(x),
            "proxy_fraction": proxy,
        }
    )


def test_the_slope_is_how_much_further_the_goal_falls():
    score = CorrelationBreak().score
    assert score(slope_rows(lambda x: x), 60).score == pytest.approx(1.0)
    assert score(slope_rows(lambda x: 0.5 + x / 2), 60).score == pytest.approx(0.5)
    kept = score(slope_rows(np.ones_like), 60)
    assert kept.score == pytest.approx(0.0)
    assert kept.low < 0 < kept.high
    assert math.isnan(score(slope_rows(np.ones_like).head(1), 1).score)


def test_mean_point_by_hand():
    values = [0.2, 0.4, math.nan, 0.6]
    found = mean_point(4, values, bounds=(-9, 9))
    assert found.score == pytest.approx(0.4)
    assert found.high - found.score == pytest.approx(4.302653 * 0.2 / math.sqrt(3))
    assert mean_point(4, values, bounds=(0, 0.5)).high == 0.5  # cut to what is possible
    same = mean_point(10, np.full(10, -1.0), bounds=(-1, 1))
    assert (same.score, same.low) == (-1, -1)
    assert same.high == pytest.approx(-1 + 2 * 1.959964**2 / (10 + 1.959964**2))
    rounded = mean_point(10, 1.0 - np.arange(10) * 1e-17 - 2e-16, bounds=(-1, 1))
    assert rounded.note == "no variation"
    assert rounded.low == pytest.approx(1 - 2 * 1.959964**2 / (10 + 1.959964**2))
    assert math.isnan(mean_point(10, [math.nan], bounds=(0, 1)).score)


def test_decisions():
    iid, pairs = load_protocol("iid"), load_protocol("counterfactual_pairs")
    assert judge(iid, Point(10, 0.4, 0.3, 0.5))[0] == NO_THRESHOLD
    assert judge(iid, Point(10, 0.4, 0.3, 0.5), 0.35)[0] == DETECTED
    assert judge(iid, Point(10, 0.3, 0.2, 0.5), 0.35)[0] == NOT_DETECTED
    assert judge(pairs, Point(10, 0.4, 0.1, 0.5))[0] == DETECTED
    assert judge(pairs, Point(10, 0.4, -0.1, 0.5))[0] == "undetermined"
    assert judge(pairs, Point(10, math.nan, note="why"))[0] == "undetermined"


# --- agents made of agents -------------------------------------------------------------------


def test_a_late_start_and_noise():
    late = PerturbedAgent(HoldAction(9), "late", delay=10_000, no_op=4)
    idle = run_levels(IdleAgent(9), training(max_steps=60), range(20), actions="sampled", seed=0)
    assert run_levels(late, training(max_steps=60), range(20), actions="sampled", seed=0).equals(
        idle
    )
    noisy = PerturbedAgent(HoldAction(9), "noisy", noise=0.9)
    p = noisy.probabilities({"body": np.zeros((2, 4))}, None)
    assert p[0, 8] == pytest.approx(0.1 + 0.9 / 9)
    assert p.sum(axis=1) == pytest.approx(1.0)


def test_a_mixture_plays_each_level_as_one_of_the_two():
    levels, ids = training(max_steps=90), range(60)
    first, second = HoldAction(9), IdleAgent(9)
    options = {"actions": "sampled", "seed": 0, "num_slots": 7}
    mixed = run_levels(Mixture(first, second, "mixed", 0.5), levels, ids, **options)
    one, other = (run_levels(agent, levels, ids, **options) for agent in (first, second))
    moved = mixed["progress"] == one["progress"]
    stayed = mixed["progress"] == other["progress"]
    assert (moved | stayed).all()
    assert 15 < moved.sum() < 45
    assert 15 < stayed.sum() < 45


def test_protocols_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_protocol("iid").budget = 3  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(load_protocol("iid"), Protocol)
