"""Perturbed observations: what noise and attacks change, and what they leave as it is."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from misgen.agents.checkpoint import build_policy
from misgen.agents.config import PPOConfig
from misgen.agents.policy import PolicyAgent
from misgen.agents.spec import PolicySpec
from misgen.envs.core.distribution import IdRange
from misgen.envs.core.errors import UserError
from misgen.envs.make import distribution
from misgen.experiments.commands.robustness import main
from misgen.experiments.evaluation.result_folders import ROBUSTNESS, kept
from misgen.experiments.evaluation.robustness.attacks import (
    Decoy,
    Decoyed,
    NoisyObservations,
    TileFlips,
    _outputs,
    _slopes,
)
from misgen.experiments.evaluation.robustness.config import RobustnessConfig
from misgen.experiments.evaluation.robustness.drops import robustness_seeds, robustness_table
from misgen.experiments.evaluation.robustness.run import attack_run
from misgen.experiments.evaluation.rollout import run_levels
from misgen.experiments.reporting.robustness_curves import PRESENTATION
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import train

WORLD = {"action_repeat": 3, "action_set": "distinct", "mode": "easy", "on_proxy": "end"}
IDS = np.arange(2_000_000, 2_000_012)


def levels(**changes):
    return distribution("coinrun", **(WORLD | {"correlation": 0.0} | changes))


def policy(encoder="mlp", seed=0, world=None) -> PolicyAgent:
    """An untrained network with weights large enough to have preferences."""
    world = world or levels().world
    config = PPOConfig(encoder=encoder, hidden=[16], activation="relu")
    spec = PolicySpec.of(config, world.observation_space, world.action_space)
    torch.manual_seed(seed)
    network = build_policy(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.4)
    return PolicyAgent(network, spec)


def seen(agent, count=150):
    """Windows and bodies as the agent could see them, at random."""
    rng = np.random.default_rng(1)
    spec = agent.spec
    tiles = rng.integers(0, spec.tile_classes, (count, *spec.tile_shape)).astype(np.uint8)
    body = rng.normal(size=(count, spec.body_size)).astype(np.float32)
    return {"tiles": tiles, "body": body}


class Engine:
    """Running slots, as far as a wrapper looks at them."""

    def __init__(self, count, decision=0, first=0):
        self.episodes = np.zeros(count, [("running", bool), ("decisions", np.int32)])
        self.episodes["running"] = True
        self.episodes["decisions"] = decision
        self.level_ids = np.arange(count) + first


class Watcher:
    """Keeps what it was shown."""

    name = "watcher"

    def start(self, slots, levels):
        pass

    def probabilities(self, observation, engine):
        self.seen = observation
        return np.full((len(engine.level_ids), 7), 1 / 7)


# --- noise -------------------------------------------------------------------------------------


def noisy(share, tiles, engine, seed=0, key="tiles", classes=8):
    watcher = Watcher()
    NoisyObservations(watcher, share, classes, seed).probabilities({key: tiles}, engine)
    return watcher.seen[key]


def test_noise_replaces_the_share_it_says_and_grows():
    tiles = np.full((200, 13, 13), 3, np.uint8)
    engine = Engine(200)
    found = {p: noisy(p, tiles, engine) for p in (0.0, 0.1, 0.5, 1.0)}
    assert (found[0.0] == 3).all()
    for share, shown in found.items():
        # one draw in eight gives the class that was there
        assert (shown != 3).mean() == pytest.approx(share * 7 / 8, abs=0.01)
    assert (found[0.5][found[0.1] != 3] == found[0.1][found[0.1] != 3]).all()
    assert np.bincount(found[1.0].ravel(), minlength=8) / found[1.0].size == pytest.approx(
        [1 / 8] * 8, abs=0.01
    )
    assert (tiles == 3).all()


def test_noise_depends_on_level_and_decision_and_not_on_the_slot():
    tiles = np.full((6, 5, 5), 3, np.uint8)
    one = noisy(0.5, tiles, Engine(6))
    assert (one == noisy(0.5, tiles, Engine(6))).all()
    assert (one[2:] == noisy(0.5, tiles[2:], Engine(4, first=2))).all()
    assert (one != noisy(0.5, tiles, Engine(6, decision=1))).any()
    assert (one != noisy(0.5, tiles, Engine(6), seed=1)).any()


def test_noise_of_pixels_stays_in_its_ball():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    shown = noisy(0.04, pixels, Engine(40), key="rgb")
    moved = shown.astype(int) - pixels
    assert moved.min() == -10
    assert moved.max() == 10
    assert (shown != pixels).mean() > 0.8


# --- worst tiles -------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["mlp", "cnn"])
@pytest.mark.parametrize("target", ["action", "value"])
def test_slopes_are_the_derivative(encoder, target):
    """The gradient by the one-hot window is held against the networks' own gradients."""
    agent = policy(encoder)
    network, found = agent.network, seen(agent, 4)
    tiles = torch.from_numpy(found["tiles"].reshape(4, -1).astype(np.int64))
    body, shape = torch.from_numpy(found["body"]), agent.spec.tile_shape

    def lowered(logits, values):
        return values[:, 0] if target == "value" else logits.softmax(1)[:, 2]

    slope = _slopes(network, tiles, body, shape, lowered)
    assert slope.shape == (4, tiles.shape[1], agent.spec.tile_classes)
    # A step of size h from a one-hot row towards another class, by linearity of the first layer.
    step, encoder_ = 1e-3, network.features_extractor
    codes = torch.nn.functional.one_hot(tiles, agent.spec.tile_classes).double()
    network.double()

    def value_of(codes):
        if encoder == "mlp":
            flat = codes.flatten(1) @ encoder_.first.tile_weight
            features = encoder_.rest(encoder_.activation(flat + encoder_.first.body(body.double())))
        else:
            planes = codes.view(4, *shape, -1).permute(0, 3, 1, 2)
            flat = encoder_.convolutions(planes)
            features = encoder_.dense(torch.cat([flat, body.double()], 1))
        actor, critic = network.mlp_extractor(features)
        return lowered(network.action_net(actor), network.value_net(critic))

    with torch.no_grad():
        for cell, other in ((0, 1), (17, 3), (100, 2)):
            up, down = codes.clone(), codes.clone()
            up[:, cell, other] += step
            down[:, cell, other] -= step
            wanted = (value_of(up) - value_of(down)) / (2 * step)
            assert slope[:, cell, other].numpy() == pytest.approx(wanted.numpy(), abs=1e-3)


@pytest.mark.parametrize("encoder", ["mlp", "cnn"])
@pytest.mark.parametrize("target", ["action", "value"])
def test_flips_stay_in_budget_and_lower_the_target(encoder, target):
    agent = policy(encoder)
    observation = seen(agent)
    before = agent.probabilities(observation)
    best = before.argmax(axis=1)
    last = None
    for k in (1, 2, 4):
        attack = TileFlips(agent, k, target=target)
        changed, gain = attack._search(observation, k)
        differ = (changed != observation["tiles"]).reshape(len(changed), -1).sum(axis=1)
        assert differ.max() == k
        assert changed.max() < agent.spec.tile_classes
        shown = {**observation, "tiles": changed}
        if target == "value":
            lower = agent.value(observation) - agent.value(shown)
        else:
            rows = np.arange(len(best))
            lower = before[rows, best] - agent.probabilities(shown)[rows, best]
        assert lower == pytest.approx(gain, abs=1e-3)
        assert (gain >= 0).all()
        assert last is None or (gain >= last - 1e-6).all()
        last = gain
    assert last is not None
    assert last.mean() > 0.05


def test_one_flip_is_the_best_of_all_if_all_are_tried():
    agent = policy(world=levels().world)
    observation = {key: values[:3] for key, values in seen(agent).items()}
    cells, classes = np.prod(agent.spec.tile_shape), agent.spec.tile_classes
    _, gain = TileFlips(agent, 1, candidates=int(cells * classes))._search(observation, 1)
    best = agent.probabilities(observation).argmax(axis=1)
    for row in range(3):
        tiles = np.repeat(observation["tiles"][row : row + 1].reshape(1, -1), cells * classes, 0)
        cell = np.arange(cells * classes) // classes
        tiles[np.arange(len(tiles)), cell] = np.arange(len(tiles)) % classes
        body = np.repeat(observation["body"][row : row + 1], len(tiles), 0)
        shape = agent.spec.tile_shape
        with torch.inference_mode():
            logits, _ = _outputs(
                agent.network, torch.from_numpy(tiles), torch.from_numpy(body), shape
            )
            p = logits.softmax(1)[:, best[row]].numpy()
        own = agent.probabilities({k: v[row : row + 1] for k, v in observation.items()})
        assert gain[row] == pytest.approx(own[0, best[row]] - p.min(), abs=1e-4)


def test_random_flips_change_exactly_that_many():
    agent = policy()
    observation, engine = seen(agent), Engine(150)
    shown = TileFlips(agent, 1, target="random")._random(
        observation["tiles"], engine, np.arange(150)
    )
    assert ((shown != observation["tiles"]).reshape(150, -1).sum(axis=1) == 1).all()
    assert shown.max() < agent.spec.tile_classes


def test_a_budget_for_the_level_is_spent_once():
    agent = policy()
    attack = TileFlips(agent, 2, per="level", worth=0.0)
    slots = np.arange(5)
    attack.start(slots, None)
    observation = {key: values[:5] for key, values in seen(agent).items()}
    spent = []
    for decision in range(4):
        attack.probabilities(observation, Engine(5, decision))
        spent.append([2 - attack._left[slot] for slot in slots])
    assert spent == [[1] * 5, [2] * 5, [2] * 5, [2] * 5]
    attack.start(slots[:1], None)
    assert attack._left[0] == 2
    picky = TileFlips(agent, 2, per="level", worth=1.1)
    picky.start(slots, None)
    picky.probabilities(observation, Engine(5))
    assert set(picky._left.values()) == {2}


def test_no_flips_change_nothing_and_slots_change_no_result():
    agent = policy()
    play = {"actions": "sampled", "seed": 3}
    free = run_levels(agent, levels(), IDS, **play)
    assert run_levels(TileFlips(agent, 0), levels(), IDS, **play).equals(free)
    assert run_levels(NoisyObservations(agent, 0.0, 8, 0), levels(), IDS, **play).equals(free)
    short = levels(max_steps=60)
    attack = {"per": "level", "worth": 0.2}
    one = run_levels(TileFlips(agent, 1, **attack), short, IDS, **play, num_slots=12)
    other = run_levels(TileFlips(agent, 1, **attack), short, IDS, **play, num_slots=5)
    assert one.equals(other)
    assert not one.equals(run_levels(agent, short, IDS, **play))


def test_pixels_have_no_tiles():
    agent = policy()
    spec = PolicySpec(**{**agent.spec.__dict__, "rgb_shape": (64, 64, 3)})
    with pytest.raises(UserError, match="flips change tiles"):
        TileFlips(PolicyAgent(agent.network, spec), 1)


# --- attacks on the goal -------------------------------------------------------------------------


class Walker:
    """Takes actions drawn from level and decision alone, and keeps what it is shown."""

    name = "walker"

    def __init__(self, actions):
        self.actions = actions
        self.shown = {}

    def start(self, slots, levels):
        pass

    def probabilities(self, observation, engine):
        slots = np.flatnonzero(engine.episodes["running"])
        wanted = []
        for row, slot in enumerate(slots.tolist()):
            level, decision = engine.level_ids[slot], engine.episodes["decisions"][slot]
            self.shown[int(level), int(decision)] = {k: v[row] for k, v in observation.items()}
            wanted.append(np.random.default_rng([int(level), int(decision) // 3]).integers(1000))
        return np.eye(self.actions)[np.array(wanted) % self.actions]


@pytest.mark.parametrize("name", ["coinrun", "corner_maze", "lava_land", "cheese_on_a_dish"])
def test_a_decoy_is_what_the_aligned_twin_shows(name):
    """An agent that is blind walks both twins alike: before the decoy it sees the aligned one."""
    conflict = distribution(name, correlation=0.0, max_steps=60)
    ids = conflict.at(ids=IdRange(2_000_000, 2_000_010)).conflict_ids()
    actions = int(conflict.world.action_space.n)
    twin, decoyed, seen = Walker(actions), Walker(actions), Walker(actions)
    play = {"actions": "greedy", "seed": 0, "num_slots": 3}
    run_levels(twin, conflict.at(correlation=1.0), ids, **play)
    run_levels(Decoyed(decoyed, Decoy(conflict)), conflict, ids, **play)
    run_levels(seen, conflict, ids, **play)
    both = twin.shown.keys() & decoyed.shown.keys()
    assert len(both) > 5 * len(ids)
    for at in both:
        for key, values in twin.shown[at].items():
            assert np.array_equal(values, decoyed.shown[at][key]), at
    assert any(
        not np.array_equal(values, seen.shown[at][key])
        for at in both
        for key, values in twin.shown[at].items()
    )


class Shown:
    """Stands for a decoy that shows given windows."""

    def __init__(self, tiles):
        self.tiles = tiles

    def start(self, slots, levels):
        pass

    def observation(self, engine):
        return {"tiles": self.tiles}


@pytest.mark.parametrize("encoder", ["mlp", "cnn"])
def test_goal_flips_lower_the_divergence_from_what_is_done_before_the_decoy(encoder):
    agent = policy(encoder)
    observation = {key: values[:40] for key, values in seen(agent).items()}
    aim = observation["tiles"].copy()
    aim[:30, 4, 5] = (aim[:30, 4, 5] + 1) % agent.spec.tile_classes  # on ten windows nothing moved
    wanted = agent.probabilities({**observation, "tiles": aim})

    def divergence(tiles):
        p = agent.probabilities({**observation, "tiles": tiles})
        return (wanted * (np.log(wanted) - np.log(p))).sum(axis=1)

    attack = TileFlips(agent, 2, target="goal", decoy=Shown(aim))
    changed, gain = attack._search(observation, 2, aim)
    before = divergence(observation["tiles"])
    assert before - divergence(changed) == pytest.approx(gain, abs=1e-3)
    differ = (changed != observation["tiles"]).reshape(len(changed), -1).sum(axis=1)
    assert differ.max() <= 2
    assert not differ[30:].any()
    assert (gain >= 0).all()
    assert gain[:30].sum() > 0.5 * before.sum()


def test_attacks_on_the_goal_change_nothing_on_aligned_levels():
    agent, aligned = policy(), levels(correlation=1.0, max_steps=60)
    play = {"actions": "sampled", "seed": 3}
    free = run_levels(agent, aligned, IDS, **play)
    flips = TileFlips(agent, 2, target="goal", decoy=Decoy(aligned))
    assert run_levels(flips, aligned, IDS, **play).equals(free)
    assert run_levels(Decoyed(agent, Decoy(aligned)), aligned, IDS, **play).equals(free)


# --- from episodes to files --------------------------------------------------------------------


def played(attack, strength, goals, *, condition="conflict", proxies=None, touched=None, seed=0):
    goals = np.asarray(goals, np.float32)
    return pl.DataFrame(
        {
            "train_correlation": 1.0, "train_seed": seed, "condition": condition,
            "attack": attack, "strength": strength, "level_id": np.arange(len(goals)),
            "goal_fraction": goals,
            "proxy_fraction": np.asarray(proxies or np.zeros(len(goals)), np.float32),
            "first": ["goal" if g else "neither" for g in goals],
            "cell_first": [bool(t) for t in touched or goals],
            "aligned": condition == "aligned", "goal_in_reach": True,
        }
    )  # fmt: skip


def numbers(table, **which):
    rows = table.filter(**which)
    return dict(zip(rows["measure"], rows["estimate"], strict=True))


def test_table_by_hand():
    found = robustness_table(
        pl.concat([played("none", 0.0, [1, 1, 1, 0]), played("worst", 2.0, [1, 0, 0, 0])])
    )
    under = numbers(found, attack="worst", strength=2.0)
    assert under == {
        "goal": 0.25, "capability": 0.25, "goal_cost": 0.5, "capability_cost": 0.5
    }  # fmt: skip
    assert numbers(found, attack="none")["goal_cost"] == 0.0


def test_pursuit_under_attack_by_hand():
    """Of four levels the goal is touched on three; before the decoy on one; the twin's on none."""
    twin = [1, 1, 1, 0], [0, 0, 0, 0]  # capable on three
    frames = []
    for attack, goals in (("none", [1, 1, 1, 0]), ("decoy", [1, 0, 0, 0])):
        reached = [1 - g for g in goals[:3]] + [0]
        frames += [
            played(attack, float(attack == "decoy"), goals, proxies=reached),
            played(attack, float(attack == "decoy"), twin[0], condition="aligned", touched=twin[1]),
        ]
    found = robustness_table(pl.concat(frames))
    free = numbers(found, attack="none", condition="conflict")
    under = numbers(found, attack="decoy", condition="conflict")
    assert free["pull"] == pytest.approx(0.75)
    assert free["pursuit"] == pytest.approx(1.0)
    assert under["pull"] == pytest.approx(0.25)
    assert under["pursuit"] == pytest.approx(1 / 3)
    assert under["pursuit_cost"] == pytest.approx(2 / 3)
    assert under["capability_cost"] == pytest.approx(0.0)
    assert under["goal_cost"] == pytest.approx(0.5)


def test_seeds_are_told_apart_and_few_have_no_interval():
    frames = [
        played(attack, strength, [good] * 20, seed=seed)
        for seed, good in ((3, 1), (5, 0))
        for attack, strength in (("none", 0.0), ("worst", 1.0))
    ]
    episodes = pl.concat(frames)
    each = robustness_seeds(episodes).filter(attack="worst", measure="goal").sort("train_seed")
    assert each.select("train_seed", "estimate").rows() == [(3, 1.0), (5, 0.0)]
    assert each["low"].null_count() == 0
    row = robustness_table(episodes).filter(attack="worst", measure="goal").row(0, named=True)
    assert (row["estimate"], row["low"], row["n_seeds"]) == (0.5, None, 2)
    assert "n too small" in row["note"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = [
        "preset=smoke", "agent.num_envs=8", "agent.num_steps=16", "agent.batch_size=64",
        "agent.hidden=[16]", "agent.epochs=1", "agent.total_steps=256", "levels.train=0:500",
        "levels.test=2000000:2000008", "env.max_steps=90",
        f"runs={tmp_path_factory.mktemp('runs')}",
    ]  # fmt: skip
    return train(typed(TrainConfig, compose("train", settings)))


def test_command_writes_all_and_is_not_repeated(run, capsys):
    arguments = [f"run={run.path}", "noise=[0.2]", "flips=[1]"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "upper bound" in out
    (one,) = kept(run.path, ROBUSTNESS)
    found = json.loads((one.path / "robustness.json").read_text())
    table = pl.read_csv(one.path / "robustness.csv")
    assert len(table) == len(found["table"]) == len(found["seeds"]) == 6 * (4 + 7 + 4)
    assert {(r["attack"], r["strength"]) for r in found["table"]} == {
        ("none", 0.0), ("noise", 0.2), ("worst", 1.0), ("random", 1.0), ("goal", 1.0),
        ("decoy", 1.0),
    }  # fmt: skip
    assert {r["condition"] for r in found["table"]} == {"in_distribution", "conflict", "aligned"}
    assert found["on_proxy"] == {"trained": "continue", "played": "continue"}
    assert all((one.path / f"robustness.{end}").stat().st_size > 1000 for end in ("png", "svg"))
    episodes = pl.read_parquet(one.path / "robustness.parquet")
    assert set(episodes["level_id"]) == set(range(2_000_000, 2_000_008))
    written = (one.path / "robustness.parquet").stat().st_mtime_ns
    config = RobustnessConfig(noise=(0.2,), flips=(1,))
    assert attack_run(run, config, PRESENTATION).equals(episodes)
    assert (one.path / "robustness.parquet").stat().st_mtime_ns == written


def test_a_rule_that_is_not_trainings_is_said(run, capsys):
    assert main([f"run={run.path}", "noise=[]", "flips=[]", "goal=false", "on_proxy=end"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Played with on_proxy=end, trained with continue" in out


@pytest.mark.parametrize(
    ("change", "message"),
    [("noise=[1.5]", "noise=1.5"), ("target=goals", "use one of action, value"),
     ("per=episode", "use one of decision, level"), ("levels=0:10", "overlap")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(run, change, message):
    with pytest.raises(UserError) as error:
        main([f"run={run.path}", change])
    assert message in str(error.value)
