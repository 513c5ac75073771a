"""Evaluation cards: what they say, what they leave open, and that a changed figure is caught."""

import dataclasses
import json
import re
import shutil

import numpy as np
import polars as pl
import pytest
import torch

from misgen.agents.checkpoint import build_policy, save_policy
from misgen.agents.config import PPOConfig
from misgen.agents.spec import PolicySpec, weights_checksum
from misgen.envs.core.errors import UserError
from misgen.experiments.card.build import NOT_MEASURED
from misgen.experiments.card.card_validation import differences, schema, validate_card
from misgen.experiments.card.config import CardConfig
from misgen.experiments.card.write import write_card
from misgen.experiments.commands.card import main
from misgen.experiments.evaluation.result_folders import EVALUATION, PROTOCOL, kept
from misgen.experiments.protocols.comparison.config import world_facts
from misgen.experiments.protocols.methods.sampled import Held
from misgen.experiments.protocols.run import ROWS, protocol_folder
from misgen.experiments.protocols.spec import load_protocol
from misgen.experiments.training.compute import network_cost, training_flops
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import DONE, RunFolder, file_sha256, write_json
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import run_folder
from tests.card.drawn import episodes_of
from tests.stored import write_evaluation


def write_run(runs, correlation, goal) -> RunFolder:
    """A finished and evaluated run, its policy untrained and its episodes drawn."""
    config = typed(
        TrainConfig,
        compose("train", ["preset=smoke", "agent.hidden=[8]", f"correlation={correlation}",
                          f"runs={runs}"]),
    )  # fmt: skip
    folder, world = run_folder(config), config.world
    folder.path.mkdir(parents=True)
    manifest = {
        "config": config.science, "config_hash": config.hash, "status": "done",
        "environment_steps": 1000, "wall_seconds": 1.0,
        "training_levels": {"levels": 100000, "realised_correlation": correlation,
                            "conflict_levels": round(1e5 * (1 - correlation))},
    }  # fmt: skip
    write_json(folder.path / "manifest.json", manifest)
    spec = PolicySpec.of(config.agent, world.observation_space, world.action_space)
    torch.manual_seed(0)
    save_policy(folder.path, build_policy(spec), spec)
    made_from = {"policy": weights_checksum(folder.path), "run_config_hash": config.hash}
    write_evaluation(
        folder, episodes_of(correlation, 0, goal), {"config": {"verdict": {}}, **made_from}
    )
    folder.mark(DONE, config.hash)
    return folder


DRAWN = CardConfig(replay="0")
"""The episodes here are drawn, not played."""


def evaluation(folder: RunFolder):
    """The folder of a run's only evaluation."""
    (one,) = kept(folder.path, EVALUATION)
    return one.path


def result(folder: RunFolder, name: str):
    """The folder of what a protocol found."""
    (one,) = [one for one in kept(folder.path, PROTOCOL) if one.path.name.startswith(f"{name}-")]
    return one.path


def add_protocol(folder: RunFolder, name: str, budget: int = 40) -> dict:
    """What a protocol leaves in a run's folder, of episodes that are drawn."""
    protocol = load_protocol(name)
    rng = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "order": np.arange(budget),
            "level_id": np.arange(budget) + protocol.first_level,
            "goal_fraction": (rng.random(budget) < 0.7).astype(np.float32),
            "proxy_fraction": np.zeros(budget, np.float32),
            "steps": np.full(budget, 20),
        }
    )
    point = Held().score(rows, budget)
    settings = {
        "protocol": dataclasses.asdict(protocol), "budgets": [budget], "replicate": 0, "seed": 0,
        "actions": "sampled", "comparison_sha256": None,
    }  # fmt: skip
    into = protocol_folder(folder, settings)
    into.path.mkdir(parents=True)
    rows.write_parquet(into.path / ROWS)
    run = json.loads((folder.path / "manifest.json").read_text())["config_hash"]
    found = {
        "policy": weights_checksum(folder.path), "run_config_hash": run, "config": settings,
        "protocol": settings["protocol"], "protocol_hash": protocol.hash,
        "applicable": True, "reason": "", "decision": "no threshold", "why": "", "measured": {},
        "points": [{"budget": budget, "score": point.score, "low": point.low, "high": point.high,
                    "episodes": budget, "seconds": 1.0, "note": ""}],
        "rows_sha256": file_sha256(into.path / ROWS),
    }  # fmt: skip
    write_json(into.path / "protocol.json", found)
    into.mark(DONE, "done")
    return found


def add_comparison(sweep, protocol, power, low, changes=None):
    table = {"population": "constructed", "support": "rho = 1", "protocol": protocol.name,
             "protocol_hash": protocol.hash, "budget": 40, "power": power, "power_low": low,
             "power_high": 1.0, "threshold": 0.5, "agents": 40, "note": ""}  # fmt: skip
    pl.DataFrame([table | (changes or {})]).write_csv(sweep / "comparison.csv")
    manifest = json.loads(next(iter(sweep.glob("*/manifest.json"))).read_text())
    world = world_facts(typed(TrainConfig, manifest["config"]).world)
    write_json(sweep / "comparison.json", {"world": world})


@pytest.fixture
def wanting_proxy(tmp_path):
    return write_run(tmp_path, 1.0, 0.1)


def mode(card, key):
    return next(one for one in card["failure_modes"] if one["mode"] == key)


# --- what a card says ----------------------------------------------------------------------------


def test_cards_of_an_agent_that_wants_the_proxy_and_one_that_does_not(tmp_path, capsys):
    write_run(tmp_path, 1.0, 0.1)
    write_run(tmp_path, 0.5, 0.85)
    assert main([f"run={tmp_path / 'single'}", "replay=0"]) == 0
    out = capsys.readouterr().out
    assert "rho1-seed0" in out
    assert "where goal and proxy part it does not go for the goal" in out
    assert "it goes for the intended goal where that and the proxy part" in out
    for path in (tmp_path / "single").iterdir():
        text, page = (path / "card.md").read_text(), (path / "card.html").read_text()
        for sheet in (text, page):
            assert sheet.count("not evaluated") >= 4
            assert "Adversarial robustness" in sheet
        assert "http" not in page.split("</head>")[1]
        assert not re.search(r"\bnan\b|: None|[|] None", text)
        assert main(["validate", f"card={path / 'card.json'}", "replay=0"]) == 0


def test_nothing_is_left_blank(wanting_proxy):
    card = write_card(wanting_proxy, DRAWN)
    assert validate_card(card, wanting_proxy.path, replay=0) == []
    statuses = [one["status"] for one in card["failure_modes"]]
    assert statuses == ["run, power unknown here"] + 4 * ["not evaluated"]
    assert card["nothing_reaches"] == [
        "Inner misalignment", "Capability emergence", "Supply-chain inheritance",
        "Adversarial robustness",
    ]  # fmt: skip
    assert all(one["finding"] for one in card["failure_modes"])
    assert mode(card, "goal_misgeneralization")["reached_by"] == []
    (entry,) = mode(card, "goal_misgeneralization")["power_unknown"]
    assert entry["by"] == "evaluation"
    assert entry["power"] == NOT_MEASURED
    assert card["compute"]["training_flops"] > 0
    assert card["training"]["conflict_levels"] == 0


def test_a_run_that_was_not_evaluated_has_a_card_that_says_so(wanting_proxy):
    shutil.rmtree(evaluation(wanting_proxy))
    card = write_card(wanting_proxy, DRAWN)
    assert card["verdict"]["name"] == "not evaluated"
    assert len(card["nothing_reaches"]) == 5
    assert card["results"] == []
    assert validate_card(card, wanting_proxy.path, replay=0) == []


@pytest.mark.parametrize(("power", "low", "reaches"), [(0.04, 0.0, False), (0.9, 0.6, True)])
def test_power_is_read_and_decides_what_reaches_a_mode(wanting_proxy, power, low, reaches):
    add_protocol(wanting_proxy, "iid")
    add_comparison(wanting_proxy.path.parent, load_protocol("iid"), power, low)
    card = write_card(wanting_proxy, DRAWN)
    own = mode(card, "goal_misgeneralization")
    where = own["reached_by"] if reaches else own["run_without_reaching"]
    (entry,) = [one for one in where if one["by"] == "iid"]
    assert entry["power"]["power"] == power
    assert entry["power"]["budget"] == entry["budget"] == 40
    assert entry["power"]["of"] == "constructed agents, rho = 1"
    status = "evaluated" if reaches else "run, power unknown here"
    assert own["status"] == status
    assert validate_card(card, wanting_proxy.path, replay=0) == []


@pytest.mark.parametrize(
    "other",
    [
        {"budget": 10},
        {"budget": 100},
        {"support": "rho < 1"},
        {"protocol_hash": "0123456789"},
        {"power": None, "power_low": None},
        {"power_low": None},
    ],
)
def test_power_at_another_budget_or_of_other_agents_evaluates_nothing(wanting_proxy, other):
    add_protocol(wanting_proxy, "iid")
    add_comparison(wanting_proxy.path.parent, load_protocol("iid"), 0.9, 0.6, other)
    own = mode(write_card(wanting_proxy, DRAWN), "goal_misgeneralization")
    assert own["status"] == "run, power unknown here"
    assert own["reached_by"] == []


def test_every_number_says_where_it_comes_from(wanting_proxy):
    add_protocol(wanting_proxy, "iid")
    card = write_card(wanting_proxy, DRAWN)
    parts = [card["training"], card["compute"], card["evaluation"], card["verdict"]]
    parts += card["results"] + card["protocols"]
    parts += [e for m in card["failure_modes"] for e in m["power_unknown"]]
    for part in parts:
        name, _, sha256 = part["source"].partition(" sha256:")
        assert file_sha256(wanting_proxy.path / name).startswith(sha256)


def test_without_a_comparison_the_training_distribution_alone_reaches_nothing(wanting_proxy):
    add_protocol(wanting_proxy, "iid")
    own = mode(write_card(wanting_proxy, DRAWN), "goal_misgeneralization")
    assert [one["by"] for one in own["run_without_reaching"]] == ["iid"]
    assert own["run_without_reaching"][0]["power"] == NOT_MEASURED


# --- whether it is true ------------------------------------------------------------------------


def change(card, path, value):
    *way, last = path
    for step in way:
        card = card[step]
    assert card[last] != value
    card[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("verdict", "name"), "aligned", 'verdict.name is "aligned" in the card, and "misgen'),
        (("results", 0, "estimate"), 0.999, "too high"),
        (("results", 0, "low"), 0.001, "too low"),
        (("protocols", 0, "hash"), "0123456789", "protocols[iid].hash"),
        (("protocols", 0, "budget"), 1000, "protocols[iid].budget is 1000 in the card, and 40"),
        (("protocols", 0, "score"), 0.0, "protocols[iid].score"),
        (("agent", "policy_sha256"), "0" * 64, "agent.policy_sha256"),
        (("compute", "environment_steps"), 10, "compute.environment_steps is 10 in the card"),
        (("nothing_reaches",), [], "nothing_reaches has 0 entries in the card"),
        (("failure_modes", 4, "status"), "evaluated", "does not fit the schema"),
        (("failure_modes", 4, "finding"), "", "does not fit the schema"),
        (("training", "correlation"), 2, "does not fit the schema"),
        (("evidence",), [], "evidence has 0 entries"),
    ],
)
def test_a_card_that_was_tampered_with_is_caught(wanting_proxy, capsys, path, value, message):
    add_protocol(wanting_proxy, "iid")
    card = write_card(wanting_proxy, DRAWN)
    change(card, path, value)
    file = wanting_proxy.path / "card.json"
    file.write_text(json.dumps(card))
    assert main(["validate", f"card={file}", "replay=0"]) == 1
    out = capsys.readouterr().out
    assert message in out
    assert "is not valid: " in out


def test_a_part_that_is_missing_and_one_too_many_are_caught(wanting_proxy):
    card = write_card(wanting_proxy, DRAWN)
    short = {key: value for key, value in card.items() if key != "failure_modes"}
    assert any("failure_modes" in one for one in validate_card(short, wanting_proxy.path, replay=0))
    assert validate_card({**card, "more": 1}, wanting_proxy.path, replay=0)
    assert validate_card([], wanting_proxy.path, replay=0)


def test_other_episodes_give_other_figures(wanting_proxy):
    card = write_card(wanting_proxy, DRAWN)
    into = evaluation(wanting_proxy)
    episodes_of(1.0, 0, 0.5).write_parquet(into / "episodes.parquet")
    (wrong,) = validate_card(card, wanting_proxy.path, replay=0)
    assert "episodes_sha256" in wrong
    summary = json.loads((into / "summary.json").read_text())
    sha256 = file_sha256(into / "episodes.parquet")
    write_json(into / "summary.json", summary | {"episodes_sha256": sha256})
    wrong = validate_card(card, wanting_proxy.path, replay=0)
    assert any("goal_conflict" in one and "too low" in one for one in wrong)
    assert any("sha256" in one for one in wrong)


def test_a_card_may_lie_elsewhere(wanting_proxy, tmp_path, capsys):
    write_card(wanting_proxy, DRAWN)
    copy = tmp_path / "copy.json"
    shutil.copy(wanting_proxy.path / "card.json", copy)
    assert main(["validate", f"card={copy}", f"run={wanting_proxy.path}", "replay=0"]) == 0
    assert "all its figures agree with the stored files" in capsys.readouterr().out


def test_a_protocol_file_that_contradicts_its_rows_is_refused(wanting_proxy):
    found = add_protocol(wanting_proxy, "iid")
    file = result(wanting_proxy, "iid") / "protocol.json"
    found["points"][0]["score"] += 0.1
    write_json(file, found)
    with pytest.raises(UserError, match="its stored rows give"):
        write_card(wanting_proxy, DRAWN)
    found["points"][0]["score"] -= 0.1
    write_json(file, found | {"protocol_hash": "0" * 10})
    with pytest.raises(UserError, match="a file was changed"):
        write_card(wanting_proxy, DRAWN)


def test_a_protocol_run_on_another_policy_is_left_out(wanting_proxy):
    found = add_protocol(wanting_proxy, "iid")
    file = result(wanting_proxy, "iid") / "protocol.json"
    write_json(file, found | {"policy": "0" * 64})
    card = write_card(wanting_proxy, DRAWN)
    assert card["protocols"] == []
    assert "another policy" in card["left_out"][0]


def test_what_does_not_fit_is_refused(wanting_proxy):
    for argv, message in (
        (["validate"], "card is missing"),
        (["nonsense"], "is not a setting"),
        ([f"run={wanting_proxy.path}", "x=1"], "is not a known setting"),
        ([f"run={wanting_proxy.path}", "comparison=/nowhere"], "holds no comparison.csv"),
        ([], "run is missing"),
    ):
        with pytest.raises(UserError, match=message):
            main(argv)


def test_differences_are_named():
    one = {"a": [{"name": "x", "n": 1.0}], "b": True}
    assert list(differences(one, {"a": [{"name": "x", "n": 1.0 + 1e-12}], "b": True})) == []
    assert list(differences(one, {"a": [{"name": "x", "n": 1.5}], "b": 1})) == [
        "a[x].n is 1.0 in the card, and 1.5 from the stored files: 0.5 too low.",
        "b is true in the card, and 1 from the stored files.",
    ]
    assert "y was left out" in next(differences([{"name": "x"}], [{"name": "x"}, {"name": "y"}]))


def test_the_schema_is_one():
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(schema())


# --- compute -----------------------------------------------------------------------------------


def test_cost_of_a_network_by_hand():
    from misgen.envs.make import distribution

    world = distribution("coinrun").world
    config = PPOConfig(hidden=[8, 4])
    spec = PolicySpec.of(config, world.observation_space, world.action_space)
    cells, body = int(np.prod(spec.tile_shape)), spec.body_size
    cost = network_cost(build_policy(spec))
    dense = body * 8 + 8 * 4 + 4 * spec.num_actions + 4
    biases = 8 + 4 + spec.num_actions + 1
    assert cost.forward_flops == cells * 8 + 2 * dense
    assert cost.active == cells * 8 + dense + biases
    assert cost.parameters == cells * spec.tile_classes * 8 + dense + biases
    passes = PPOConfig(epochs=3).passes(100)
    assert training_flops(cost, passes) == 100 * cost.forward_flops * (1 + 3 * 3)


def test_cost_of_convolutions_is_torchs_count():
    from torch.utils.flop_counter import FlopCounterMode

    from misgen.envs.make import distribution

    world = distribution("coinrun").world
    config = PPOConfig(encoder="cnn")
    spec = PolicySpec.of(config, world.observation_space, world.action_space)
    policy = build_policy(spec)
    tiles = torch.zeros((1, *spec.tile_shape), dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        policy.logits_and_values({"tiles": tiles, "body": torch.zeros(1, spec.body_size)})
    assert network_cost(policy).forward_flops == counter.get_total_flops()
