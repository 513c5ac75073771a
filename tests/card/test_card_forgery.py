"""Cards that their input would forge: edited episodes, other agents, protocols of the same name."""

import json
import shutil

import polars as pl
import pytest
import torch

from misgen.agents.checkpoint import build_policy, save_policy
from misgen.agents.spec import PolicySpec, weights_checksum
from misgen.envs.core.errors import UserError
from misgen.experiments.card.card_validation import validate_card
from misgen.experiments.card.config import CardConfig
from misgen.experiments.card.replay import ALL, parse_replay
from misgen.experiments.card.write import write_card
from misgen.experiments.commands import evaluate
from misgen.experiments.commands.card import main
from misgen.experiments.evaluation.chosen import key_of
from misgen.experiments.evaluation.config import EvaluateConfig, ShiftConfig
from misgen.experiments.evaluation.result_folders import EVALUATION, PROTOCOL, kept
from misgen.experiments.protocols.comparison.config import world_facts
from misgen.experiments.protocols.run import ProtocolCommand, evaluate_with
from misgen.experiments.protocols.spec import is_shipped, load_protocol
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import (
    DONE,
    RunFolder,
    file_sha256,
    hash_of_stored,
    read_json,
    write_json,
)
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import run_folder
from misgen.experiments.training.trained_run import TrainedRun

LEVELS = "2000000:2000020"
EVALUATE = EvaluateConfig(
    shift=ShiftConfig(placements=("anywhere",)),
    levels=LEVELS,
    repeats=2,
)
BUDGETS = (10, 30)


def make_run(runs, seed):
    """A finished run whose policy was never trained."""
    words = ["preset=smoke", "agent.hidden=[8]", "env.max_steps=60", f"seed={seed}",
             "levels.train=0:200", f"runs={runs}"]  # fmt: skip
    config = typed(TrainConfig, compose("train", words))
    folder, world = run_folder(config), config.world
    torch.manual_seed(seed)
    spec = PolicySpec.of(config.agent, world.observation_space, world.action_space)
    save_policy(folder.path, build_policy(spec), spec)
    write_json(
        folder.path / "manifest.json",
        {
            "config": config.science,
            "config_hash": config.hash,
            "environment_steps": 1000,
            "training_levels": config.distribution.describe(),
        },
    )
    folder.mark(DONE, config.hash)
    return folder


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Two evaluated runs of one sweep, the first with a protocol."""
    runs = tmp_path_factory.mktemp("runs")
    one, other = make_run(runs, 0), make_run(runs, 1)
    for folder in (one, other):
        evaluate.evaluate_run(folder, EVALUATE)
    evaluate_with(load_protocol("iid"), one, ProtocolCommand(budgets=BUDGETS))
    return one, other


@pytest.fixture
def run(played, tmp_path):
    """A copy of the first run, with its card."""
    shutil.copytree(played[0].path, tmp_path / "sweep" / played[0].path.name)
    folder = RunFolder(tmp_path / "sweep" / played[0].path.name)
    write_card(folder)
    return folder


def evaluation(folder):
    (one,) = kept(folder.path, EVALUATION)
    return one.path


def edit_episodes(folder, change, *, rehash=True):
    """Change the stored episodes, and bring hash and numbers of the summary in line with them."""
    into = evaluation(folder)
    file = into / "episodes.parquet"
    change(pl.read_parquet(file)).write_parquet(file)
    if rehash:
        summary = read_json(into / "summary.json", "")
        summary["episodes_sha256"] = file_sha256(file)
        del summary["metrics"]
        write_json(into / "summary.json", summary)


def refused(folder, message):
    """Neither the card that is there is true any more, nor is a new one made."""
    card = read_json(folder.path / "card.json", "")
    assert any(message in wrong for wrong in validate_card(card, folder.path))
    assert main(["validate", f"card={folder.path / 'card.json'}"]) == 1
    with pytest.raises(UserError, match=message):
        write_card(folder)


def changed(table, which, values):
    """Put constants into some rows."""
    return table.with_columns(
        pl.when(which).then(pl.lit(value)).otherwise(pl.col(name)).cast(table.schema[name])
        .alias(name)
        for name, value in values.items()
    )  # fmt: skip


def always_goal(table):
    """Every conflict level of the trained agent ended at the goal, consistently."""
    which = (pl.col("condition") == "conflict") & (pl.col("role") == "agent")
    values = {"outcome": "GOAL", "reached_goal": True, "goal_fraction": 1.0, "first": "goal",
              "goal_at": 1, "reached_proxy": False, "proxy_at": None}  # fmt: skip
    return changed(table, which, values)


# --- what is true stays true ---------------------------------------------------------------------


def test_a_config_that_leaves_usual_settings_out_is_still_its_own(run):
    """So manifests have it that were written before there was such a setting."""
    manifest = run.manifest()
    before, config = manifest["config_hash"], manifest["config"]
    assert config.pop("seed") == 0
    manifest["config_hash"] = hash_of_stored(config)
    write_json(run.path / "manifest.json", manifest)
    run.mark(DONE, manifest["config_hash"])
    for file in (evaluation(run) / "summary.json", *run.path.glob("protocols/*/protocol.json")):
        found = read_json(file, "")
        assert found["run_config_hash"] == before
        write_json(file, found | {"run_config_hash": manifest["config_hash"]})
    write_card(run)
    assert main(["validate", f"card={run.path / 'card.json'}"]) == 0


def test_an_honest_card_is_true_and_the_same_each_time(run):
    first = read_json(run.path / "card.json", "")
    again = write_card(run)
    assert {**first, "written": 0} == {**json.loads(json.dumps(again)), "written": 0}
    for replay in (0, 1, 64, ALL):
        assert validate_card(first, run.path, replay=replay) == []
    assert again["written"]["episodes_played_again"] > 100
    for row in again["results"]:
        file, _, sha256 = row["source"].partition(" sha256:")
        assert file_sha256(run.path / file).startswith(sha256)
    for entry in again["evidence"]:
        assert file_sha256(run.path / entry["file"]) == entry["sha256"]


def test_a_copied_and_a_renamed_folder_keep_their_card(run, tmp_path):
    for target in (tmp_path / "elsewhere" / "deep" / "copy", tmp_path / "other" / "x (1) = é"):
        shutil.copytree(run.path, target)
        assert main(["validate", f"card={target / 'card.json'}"]) == 0
        fresh = write_card(RunFolder(target))
        card = read_json(run.path / "card.json", "")
        assert {**fresh, "written": 0} == {**card, "written": 0}


def test_a_card_takes_what_lies_elsewhere_with_it(run, tmp_path):
    protocol, sweep = load_protocol("iid"), run.path.parent
    table = {"population": ["constructed"], "support": ["rho = 1"], "protocol": ["iid"],
             "protocol_hash": [protocol.hash], "budget": [30], "power": [0.9], "power_low": [0.8],
             "power_high": [1.0], "threshold": [0.5], "agents": [40]}  # fmt: skip
    pl.DataFrame(table).write_csv(sweep / "comparison.csv")
    config = typed(TrainConfig, run.manifest()["config"])
    write_json(sweep / "comparison.json", {"world": world_facts(config.world)})
    card = write_card(run)
    assert card["protocols"][0]["power"]["power"] == 0.9
    shutil.copytree(run.path, tmp_path / "alone" / "run")
    assert validate_card(card, tmp_path / "alone" / "run") == []
    # A newer comparison changes nothing about a card that names the one it was made of.
    pl.DataFrame({**table, "power": [0.1]}).write_csv(sweep / "comparison.csv")
    assert validate_card(card, run.path) == []
    assert write_card(run)["protocols"][0]["power"]["power"] == 0.1
    # In another world the power says nothing.
    other = {**world_facts(config.world), "mode": "hard"}
    write_json(sweep / "comparison.json", {"world": other})
    assert write_card(run)["protocols"][0]["power"] is None


# --- episodes --------------------------------------------------------------------------------


def test_edited_episodes_are_refused_by_their_hash(run):
    edit_episodes(run, always_goal, rehash=False)
    refused(run, "episodes_sha256")


def test_edited_episodes_with_hashes_made_to_fit_are_refused_by_playing(run):
    edit_episodes(run, always_goal)
    refused(run, "when replayed, the agent does not do what is stored")


@pytest.mark.parametrize("column", ["steps", "return", "progress", "touched_conflict_cell"])
def test_every_column_counts(run, column):
    def change(table):
        here = pl.int_range(pl.len()) == 3
        other = ~pl.col(column) if table.schema[column] == pl.Boolean else pl.col(column) + 1
        return table.with_columns(pl.when(here).then(other).otherwise(pl.col(column)).alias(column))

    edit_episodes(run, change)
    refused(run, f"{column} is ")


def test_one_outcome_that_contradicts_its_row_is_refused(run):
    def change(table):
        here = pl.int_range(pl.len()) == 7
        other = pl.when(pl.col("outcome") == "GOAL").then(pl.lit("DEATH")).otherwise(pl.lit("GOAL"))
        outcome = pl.when(here).then(other).otherwise(pl.col("outcome").cast(pl.String))
        return table.with_columns(outcome.cast(table.schema["outcome"]).alias("outcome"))

    edit_episodes(run, change)
    refused(run, "are inconsistent")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.filter(pl.col("level_id") != 2_000_003), "one for each level"),
        (lambda t: pl.concat([t, t.head(1)]), "one for each level"),
        (lambda t: t.filter(pl.col("actions") == "sampled"), "combinations of"),
        (lambda t: t.with_columns(train_correlation=pl.lit(0.5)), "train_correlation=0.5"),
        (lambda t: t.with_columns(test_correlation=pl.lit(0.25)), "another correlation"),
        (lambda t: t.drop("progress"), "other columns"),
        (lambda t: t.filter(pl.col("role") != "floor"), "combinations of"),
        (lambda t: t.filter(pl.col("role") != "reference"), "combinations of"),
        (lambda t: t.with_columns(goal_at=pl.col("goal_at").fill_null(3)), "goal_at or proxy_at"),
        (lambda t: t.with_columns(proxy_at=pl.lit(None, pl.Int32)), "goal_at or proxy_at"),
        (lambda t: t.with_columns(cell_first=pl.lit(None, pl.Boolean)), "cell_first is not"),
        (lambda t: t.with_columns(first=pl.lit("neither").cast(t.schema["first"])), "first is not"),
        (lambda t: t.with_columns(train_on_proxy=pl.lit("end")), "train_on_proxy=end"),
        (lambda t: t.with_columns(device=pl.lit(0.9)), "a device explains"),
    ],
)
def test_episodes_left_out_doubled_or_relabelled_are_refused(run, change, message):
    edit_episodes(run, change)
    refused(run, message)


def test_other_settings_in_the_summary_are_refused(run):
    file = evaluation(run) / "summary.json"
    summary = read_json(file, "")
    write_json(file, {**summary, "config": {**summary["config"], "seed": 7}})
    refused(run, "config_hash")
    changed = {**summary["config"], "seed": 7}
    write_json(file, {**summary, "config": changed, "config_hash": key_of(changed)})
    refused(run, "replayed")
    metrics = [{**row, "estimate": 0.5} for row in summary["metrics"]]
    write_json(file, {**summary, "metrics": metrics})
    refused(run, "the file was changed")


def random_play_that_reaches_the_goal(table):
    """The floor made high, so that nobody looks capable."""
    which = pl.col("role") == "floor"
    values = {"outcome": "GOAL", "reached_goal": True, "goal_fraction": 1.0, "first": "goal",
              "goal_at": 1, "reached_proxy": False, "proxy_at": None}  # fmt: skip
    return changed(table, which, values)


def seekers_that_reach_nothing(table):
    """The references made weak, so that the agent looks as good as it gets."""
    which = pl.col("role") == "reference"
    values = {"outcome": "TIMEOUT", "reached_goal": False, "goal_fraction": 0.0, "first": "neither",
              "goal_at": None, "reached_proxy": False, "proxy_at": None, "proxy_fraction": 0.0,
              "died": False, "cell_first": False}  # fmt: skip
    return changed(table, which, values)


@pytest.mark.parametrize("change", [random_play_that_reaches_the_goal, seekers_that_reach_nothing])
def test_edited_play_beside_the_agent_is_refused_by_playing(run, change):
    edit_episodes(run, change)
    refused(run, "does not do what is stored")


# --- agents --------------------------------------------------------------------------------------


def test_the_episodes_of_another_agent_are_refused(run, played):
    into, other = evaluation(run), evaluation(played[1])
    shutil.rmtree(into)
    shutil.copytree(other, into)
    refused(run, "policy is ")
    summary = read_json(into / "summary.json", "")
    own = {"policy": weights_checksum(run.path), "run_config_hash": run.manifest()["config_hash"]}
    write_json(into / "summary.json", {**summary, **own})
    refused(run, "train_seed=1")
    edit_episodes(run, lambda t: t.with_columns(train_seed=pl.lit(0, pl.Int64)))
    refused(run, "replayed")


def test_a_swapped_agent_is_refused(run, played):
    for name in ("policy.json", "policy.safetensors"):
        shutil.copy(played[1].path / name, run.path / name)
    refused(run, "policy is ")
    for one in (*kept(run.path, EVALUATION), *kept(run.path, PROTOCOL)):
        write_json(one.main, {**read_json(one.main, ""), "policy": weights_checksum(run.path)})
    refused(run, "replayed")


def test_weights_that_are_not_those_described_are_refused(run, played):
    shutil.copy(played[1].path / "policy.safetensors", run.path / "policy.safetensors")
    refused(run, "policy.safetensors")


def test_a_manifest_whose_config_was_changed_is_refused(run):
    manifest = run.manifest()
    manifest["config"]["correlation"] = 0.5
    write_json(run.path / "manifest.json", manifest)
    refused(run, "config_hash is ")


@pytest.mark.parametrize(
    "forged",
    [
        {"levels": 100_000},
        {"conflict_levels": 100},
        {"realised_correlation": 0.5},
        {"realised_correlation": 0.5, "conflict_levels": 100},
        {"realised_correlation": 0.995, "conflict_levels": 1},
        {"levels": 7, "realised_correlation": 1.0, "conflict_levels": 0},
    ],
    ids=str,
)
def test_what_the_training_levels_were_is_not_believed(run, forged):
    """Trained where goal and proxy always coincide, said to have seen them apart."""
    manifest = run.manifest()
    assert manifest["training_levels"]["realised_correlation"] == 1.0
    manifest["training_levels"] |= forged
    write_json(run.path / "manifest.json", manifest)
    refused(run, "training_levels says ")
    with pytest.raises(UserError, match=r"manifest\.json: training_levels says "):
        evaluate.evaluate_run(run, EVALUATE, again=True)


def test_any_honest_description_of_training_levels_is_believed(run):
    """Whatever the world, the correlation and the number of levels."""
    for words in (["correlation=0.5"], ["correlation=0.99", "levels.train=0:37"],
                  ["env=keys_and_chests", "correlation=0.9"], ["levels.train=all"],
                  ["env=shape_colour_maze", "proxy_correlations={colour: 0.3}"],
                  ["correlation=0.5", "levels.train=0:3000", "distinct_conflicts=5"]):  # fmt: skip
        config = typed(TrainConfig, compose("train", ["preset=smoke", *words]))
        said = config.distribution.describe()
        assert TrainedRun(run, config, {"training_levels": said}).training_levels() == said


# --- protocols -----------------------------------------------------------------------------------


def test_edited_rows_and_scores_of_a_protocol_are_refused(run):
    (one,) = kept(run.path, PROTOCOL)
    rows, found = pl.read_parquet(one.path / "rows.parquet"), one.found
    rows.with_columns(goal_fraction=pl.lit(1.0, pl.Float32)).write_parquet(
        one.path / "rows.parquet"
    )
    refused(run, "rows_sha256")
    write_json(one.main, {**found, "rows_sha256": file_sha256(one.path / "rows.parquet")})
    refused(run, "it gives other rows")


def test_a_protocols_settings_cannot_be_changed(run):
    (one,) = kept(run.path, PROTOCOL)
    found = one.found
    write_json(one.main, {**found, "protocol": {**found["protocol"], "access": ["critic"]}})
    refused(run, "config.protocol")
    write_json(one.main, {**found, "config": {**found["config"], "budgets": [10, 20]}})
    refused(run, r"its points have the budgets \[10, 30\]"[:24])


def test_a_strangers_protocol_is_not_ours_whatever_its_name(run, tmp_path):
    assert is_shipped(load_protocol("iid"))
    assert is_shipped(load_protocol("iid", ["budget=7"]))
    mine = tmp_path / "iid.yaml"
    ours = load_protocol("iid")
    mine.write_text(
        "name: iid\n"
        f"method: {ours.method}\n"
        "question: Is it safe?\nlevels: all\nscore: truth\nblind_to: nothing\n"
        f"first_level: {ours.first_level}\naccess: [level_editor, critic]\n"
        f"version: {ours.version}\n"
    )
    stranger = load_protocol(str(mine))
    assert stranger.hash == ours.hash, "its numbers are those of ours"
    assert not is_shipped(stranger), "its words are not"
    evaluate_with(stranger, run, ProtocolCommand(budgets=BUDGETS))
    assert len(kept(run.path, PROTOCOL)) == 2, "it does not replace ours"
    card = write_card(run)
    marks = {p["blind_to"] == "nothing": p["of_misgen"] for p in card["protocols"]}
    assert marks == {True: False, False: True}
    text = (run.path / "card.md").read_text()
    assert text.count("not one of misgen's") == 1
    for mode in card["failure_modes"]:
        assert "iid" not in [entry["by"] for entry in mode["reached_by"] + mode["power_unknown"]]
    assert validate_card(card, run.path) == []


def test_power_is_not_matched_by_name(run, tmp_path):
    ours, sweep = load_protocol("iid"), run.path.parent
    other = load_protocol("iid", ["version=2"])
    evaluate_with(other, run, ProtocolCommand(budgets=(30,)))
    table = {"population": ["constructed"], "support": ["rho = 1"], "protocol": ["iid"],
             "protocol_hash": [ours.hash], "budget": [30], "power": [0.9], "power_low": [0.8],
             "power_high": [1.0], "threshold": [0.5], "agents": [40]}  # fmt: skip
    pl.DataFrame(table).write_csv(sweep / "comparison.csv")
    config = typed(TrainConfig, run.manifest()["config"])
    write_json(sweep / "comparison.json", {"world": world_facts(config.world)})
    powers = {p["hash"]: p["power"] for p in write_card(run)["protocols"]}
    assert powers[ours.hash]["power"] == 0.9
    assert powers[other.hash] is None


# --- the sample ------------------------------------------------------------------------------


def test_replay_is_a_number_or_all(run):
    assert parse_replay("all") == ALL
    assert parse_replay("0") == 0
    for wrong in ("-1", "some", "1.5", "", "٣"):
        with pytest.raises(UserError, match="replay="):
            CardConfig(replay=wrong)
    assert main(["validate", f"card={run.path / 'card.json'}", "replay=all"]) == 0


def test_a_few_edits_escape_no_full_replay(run):
    def change(table):
        here = pl.int_range(pl.len()) == 11
        return table.with_columns(steps=pl.col("steps") + here.cast(pl.Int32))

    edit_episodes(run, change)
    card = read_json(run.path / "card.json", "")
    assert any("replayed" in wrong for wrong in validate_card(card, run.path, replay=ALL))


@pytest.mark.parametrize(
    "damage",
    [
        lambda one: one.main.write_text("{}"),
        lambda one: one.main.write_text('{"config": 3}'),
        lambda one: one.main.write_text("nonsense"),
        lambda one: one.main.write_text('{"config": {"metrics": []}, "policy": []}'),
        lambda one: (one.path / "episodes.parquet").write_bytes(b"PAR1"),
        lambda one: (one.path / "episodes.parquet").unlink(),
    ],
)
def test_damaged_results_are_named_in_a_sentence(run, damage):
    damage(kept(run.path, EVALUATION)[0])
    with pytest.raises(UserError, match=r"evaluations/.*again"):
        write_card(run)
    assert main(["validate", f"card={run.path / 'card.json'}"]) == 1


def test_damaged_episodes_with_a_hash_that_fits_are_refused(run):
    (one,) = kept(run.path, EVALUATION)
    file = one.path / "episodes.parquet"
    file.write_bytes(file.read_bytes()[:-200])
    write_json(one.main, {**one.found, "episodes_sha256": file_sha256(file)})
    refused(run, "is truncated or damaged")
