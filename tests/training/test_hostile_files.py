"""What lies in a folder is not believed: pipes, forged manifests, strangers' protocols, names."""

import hashlib
import json
import os
import re

import polars as pl
import pytest
import torch

from misgen.agents.checkpoint import WEIGHTS, load_agent
from misgen.agents.resume import ResumeState
from misgen.agents.spec import PolicySpec, weights_checksum
from misgen.envs.core.errors import UserError
from misgen.envs.core.files import open_append, open_regular, parse_json, read_bytes
from misgen.experiments.card.build import build_card
from misgen.experiments.card.evidence import read_evidence
from misgen.experiments.card.render import escaped, html, markdown
from misgen.experiments.card.sources import _copy
from misgen.experiments.card.write import write_card
from misgen.experiments.evidence.question import question_of
from misgen.experiments.evidence.told import read_rows
from misgen.experiments.protocols.base import make_method, register_method
from misgen.experiments.protocols.spec import Protocol, load_protocol
from misgen.experiments.reporting.report import write_report
from misgen.experiments.sweeps.watch import see
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import (
    DONE,
    MANIFEST,
    STATE,
    RunFolder,
    digest_beside,
    hash_of_stored,
    read_json,
    read_parquet,
    write_json,
    write_parquet,
    write_text,
)
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.train import train
from misgen.experiments.training.trained_run import TrainedRun
from tests.card.test_card import DRAWN, add_protocol, evaluation, result, write_run

posix = pytest.mark.skipif(os.name != "posix", reason="needs named pipes")


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "runs", 1.0, 0.2)


def instead(path, kind):
    """Put something that is no file in a file's place."""
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"device": "/dev/zero", "circle": path.name}[kind])


# --- what is no file


@posix
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "circle"])
def test_what_is_no_file_is_not_waited_for(kind, run, tmp_path):
    world = TrainedRun.read(run).config.world
    spaces = world.observation_space, world.action_space
    results = evaluation(run).relative_to(run.path)
    readers = {
        "policy.safetensors": lambda: load_agent(run.path, *spaces),
        "policy.json": lambda: weights_checksum(run.path),
        str(results / "episodes.parquet"): lambda: read_evidence(run.path, replay=0),
        str(results / "summary.json"): lambda: write_report(run.path.parent),
        "LOCK": lambda: run.lock().__enter__(),
        DONE: lambda: TrainedRun.read(run),
        MANIFEST: lambda: TrainedRun.read(run),
    }
    for name, read in readers.items():
        path = run.path / name
        before = path.read_bytes() if path.exists() else b""
        instead(path, kind)
        try:
            read()
        except UserError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017
        else:
            pytest.fail(f"{name} was read")
        instead(path, "folder")
        path.rmdir()
        path.write_bytes(before)
    theirs = tmp_path / "theirs.yaml"
    instead(theirs, kind)
    with pytest.raises(UserError, match="cannot be read"):
        load_protocol(str(theirs))
    instead(run.path / "status.json", kind)
    assert see(run, 100, 0.0)


@posix
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "circle"])
def test_what_is_copied_or_appended_to_is_not_waited_for(kind, tmp_path):
    strange, question = tmp_path / "seeds.csv", question_of("maze_2")
    instead(strange, kind)
    with pytest.raises(UserError, match=r"seeds\.csv cannot be read"):
        read_rows(tmp_path, question)
    with pytest.raises(UserError, match=r"seeds\.csv cannot be copied"):
        _copy(strange, tmp_path / "copy.csv")
    with pytest.raises(OSError):  # noqa: PT011 - of its own kind for each
        open_append(strange)


def test_a_status_without_words_says_something(tmp_path):
    write_json(tmp_path / "status.json", {"time": 1.0, "phase": ""})
    assert see(RunFolder(tmp_path), 100, 0.0).line == "starting"


@posix
def test_a_lock_that_is_a_link_is_not_followed(run, tmp_path):
    (run.path / "LOCK").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="LOCK cannot be written to"), run.lock():
        pass
    assert not (tmp_path / "victim").exists()


def test_a_file_is_read_up_to_a_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="more than the 4 bytes"):
        read_bytes(tmp_path / "a", 4)
    with pytest.raises(OSError, match="null"):
        open_regular(f"{tmp_path}/\x00")


# --- JSON


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "nests deeper"),
        ("[" * 70 + "]" * 70, "nests deeper"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": NaN}', "NaN is no JSON number"),
    ],
)
def test_json_that_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        parse_json(text)


@pytest.mark.parametrize(
    ("name", "plain", "why"),
    [
        ("summary.json", {"metrics": 3}, "metrics is 3, not a list"),
        ("summary.json", {"metrics": [{"metric": "x"}]}, r"metrics\[0\].placement is missing"),
        ("sweep.json", {"runs": [1]}, r"runs\[0\] is 1, not a text"),
        ("manifest.json", {"config": [], "config_hash": "a"}, r"config is \[\], not an object"),
        ("manifest.json", {"config": {}}, "config_hash is missing"),
        ("status.json", {"steps": "many"}, "steps is 'many', not a whole number"),
        ("status.json", {"steps": 10**30}, "steps is 10000.*, not a whole number"),
        ("protocol-x.json", {"protocol": {"name": "x"}}, "protocol.method is missing"),
        ("card.json", {"nothing_reaches": {}}, "nothing_reaches is {}, not a list"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(name, plain, why, tmp_path):
    (tmp_path / name).write_text(json.dumps(plain))
    with pytest.raises(UserError, match=rf"{name}: {why}: make it again"):
        read_json(tmp_path / name, "make it again")


# --- manifests


def test_a_config_that_was_changed_under_its_hash_is_refused(run):
    manifest = json.loads((run.path / MANIFEST).read_text())
    manifest["config"]["levels"]["train"] = "500000:600000"
    write_json(run.path / MANIFEST, manifest)
    for read in (
        lambda: TrainedRun.read(run),
        lambda: write_card(run),
        lambda: write_report(run.path.parent),
    ):
        with pytest.raises(UserError, match=r"manifest\.json: config_hash is .*was changed"):
            read()


def test_a_config_that_does_not_fit_names_its_file(run):
    manifest = json.loads((run.path / MANIFEST).read_text())
    manifest["config"]["correlation"] = "often"
    manifest["config_hash"] = hash_of_stored(manifest["config"])
    write_json(run.path / MANIFEST, manifest)
    with pytest.raises(UserError, match=r"manifest\.json: correlation='often' must be a number"):
        TrainedRun.read(run)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["init_policy=abc"], "init=None with init_policy='abc' names no policy"),
        ([f"init_policy={'0' * 64}"], "names no policy"),
        (["init="], "init='' with init_policy=None names no policy"),
        (["init=x", "init_policy=abc"], "init_policy='abc' is not a SHA-256"),
    ],
)
def test_a_run_is_fine_tuned_from_something(given, why):
    with pytest.raises(UserError, match=why):
        typed(TrainConfig, compose("train", given))


# --- Parquet


def test_a_table_is_held_against_its_hash(tmp_path):
    file = tmp_path / "t.parquet"
    table = pl.DataFrame({"steps": [1, 2], "name": ["a", "b"]})
    digest = write_parquet(file, table)
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert read_parquet(file, digest).equals(table)
    write_json(tmp_path / "s.json", {"episodes_sha256": digest})
    assert digest_beside(file, "s.json") == digest
    assert digest_beside(file, "none.json") is None
    table.with_columns(steps=pl.col("steps") + 1).write_parquet(file)
    with pytest.raises(UserError, match=r"t\.parquet is not the file that was written"):
        read_parquet(file, digest)


def test_a_table_with_other_columns_is_refused(tmp_path):
    file = tmp_path / "t.parquet"
    write_parquet(file, pl.DataFrame({"steps": [1, 2], "name": ["a", "b"]}))
    assert len(read_parquet(file, columns={"steps": pl.Int16, "name": pl.Categorical})) == 2
    with pytest.raises(UserError, match="column 'level_id' is missing"):
        read_parquet(file, columns={"level_id": pl.Int64})
    with pytest.raises(UserError, match="column 'steps' holds Int64, not String"):
        read_parquet(file, columns={"steps": pl.String})
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"t\.parquet is truncated or damaged"):
        read_parquet(file)


def test_episodes_that_were_changed_make_no_card_and_no_report(run):
    file = evaluation(run) / "episodes.parquet"
    assert write_card(run, DRAWN)
    assert write_report(run.path.parent)
    pl.read_parquet(file).with_columns(reached_goal=pl.lit(True)).write_parquet(file)
    with pytest.raises(UserError, match="episodes_sha256"):
        write_card(run, DRAWN)
    with pytest.raises(UserError, match="is not the file that was written"):
        write_report(run.path.parent)


# --- weights and states


@pytest.mark.parametrize("value", [3e38, float("nan"), float("inf"), -3e38])
def test_weights_that_are_no_trained_ones_are_a_sentence(value, run):
    import safetensors.torch

    file = run.path / WEIGHTS
    tensors = safetensors.torch.load(file.read_bytes())
    name = next(iter(tensors))
    tensors[name] = torch.full_like(tensors[name], value)
    data = safetensors.torch.save(tensors)
    file.write_bytes(data)
    text = (run.path / "policy.json").read_text()
    spec = PolicySpec.from_json(text.encode(), "p")[0]
    (run.path / "policy.json").write_text(spec.to_json(hashlib.sha256(data).hexdigest()))
    world = TrainedRun.read(run).config.world
    with pytest.raises(UserError, match="NaN, infinity or a number above 1e9"):
        load_agent(run.path, world.observation_space, world.action_space)


SMALL = (
    "preset=smoke",
    "agent.hidden=[8]",
    "agent.num_envs=4",
    "agent.num_steps=16",
    "agent.batch_size=64",
    "agent.total_steps=256",
    "save_every=0",
    "agent.epochs=1",
)


def stopped(runs):
    """A small run that was stopped after a rollout, its state saved."""
    config = typed(TrainConfig, compose("train", [*SMALL, f"runs={runs}", "stop_after=0"]))
    folder = train(config)
    assert (folder.path / STATE).is_file()
    return folder, typed(TrainConfig, compose("train", [*SMALL, f"runs={runs}"]))


def forge(file, change):
    """Change a state and give it the checksum that goes with it."""
    import safetensors.torch

    from misgen.agents.resume import _checksum, _read

    tensors, plain = _read(file)
    change(tensors, plain)
    text = json.dumps(plain)
    header = {"format": "misgen-training-state", "version": "1", "state": text,
              "sha256": _checksum(tensors, text)}  # fmt: skip
    file.write_bytes(safetensors.torch.save(tensors, header))


def test_a_forged_state_is_no_training(tmp_path):
    folder, config = stopped(tmp_path)
    whole = (folder.path / STATE).read_bytes()
    changes = {
        "steps=1000000000000000000000000000000": lambda t, p: p.update(steps=10**30),
        "steps=256 is not a whole number from 64 to 255": lambda t, p: p.update(steps=256),
        "no whole rollouts": lambda t, p: p.update(steps=65),
        "updates=-1": lambda t, p: p.update(updates=-1),
        "cuts is no list": lambda t, p: p.update(cuts="abc"),
        "KeyError": lambda t, p: p.pop("progress"),
        "holds NaN": lambda t, p: t[next(k for k in t if "weight/" in k)].fill_(float("nan")),
        "drawn holds counts": lambda t, p: t["drawn"].fill_(-1),
        "no counts": lambda t, p: p["progress"].update(episodes=-5),
    }
    for why, change in changes.items():
        (folder.path / STATE).write_bytes(whole)
        forge(folder.path / STATE, change)
        with pytest.raises(UserError, match=re.escape(why)):
            train(config)
        assert not folder.marked(DONE, config.hash)
    (folder.path / STATE).write_bytes(whole)
    assert train(config).marked(DONE, config.hash)
    assert not (folder.path / STATE).exists()
    (folder.path / STATE).write_bytes(whole)  # as a kill between the two leaves it
    train(config)
    assert not (folder.path / STATE).exists()


@posix
@pytest.mark.timeout(60)
def test_a_state_that_is_a_pipe_is_not_waited_for(tmp_path):
    instead(tmp_path / STATE, "pipe")
    with pytest.raises(UserError, match="a named pipe, not a file"):
        ResumeState(tmp_path / STATE, "x", 1.0).take_up(None, None, 10)  # pyright: ignore


# --- protocols

PLAIN = (
    "name: theirs\nmethod: held\nquestion: q\nlevels: l\n"
    "score: s\nblind_to: b\nfirst_level: 900000000\n"
)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("access: ['${oc.env:HOME}']", "line 8: ${...} is not allowed"),
        ("options: {placement: '${oc.env:HOME}'}", "${...} is not allowed"),
        ("name: again", "key 'name' stands there twice"),
        ("options: &a {x: 1}", "anchors and references"),
        ("options: {a: {b: *x}}", "anchors and references"),
        ("options: {<<: {a: 1}}", "options.<<"),
        ("options: !!python/object/apply:os.system [ls]", "tags"),
        ("1: x", "key '1' is no word"),
        ("? [a]\n: x", "is no word"),
        ("most: .nan", "is no finite number"),
        ("most: 1e999", "is no finite number"),
        ("options: " + "[" * 3000, "nests deeper than 20 levels"),
        ("budget: " + "9" * 5000, "is no number"),
        ("budget: '\ud800'", "protocol.budget='í\\xa0€' must be a whole number"),
        ("a\x07: 1", "it is not text: line 8 holds the character 0x07"),
        ("'", "not plain YAML at line"),
        ("question: [", "not plain YAML"),
    ],
)
def test_a_protocol_is_plain_yaml(line, why, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "a-secret")
    file = tmp_path / "theirs.yaml"
    file.write_bytes((PLAIN + line + "\n").encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError) as error:
        make_method(load_protocol(str(file)))
    assert why in str(error.value)
    assert "theirs.yaml" in str(error.value) or "theirs." in str(error.value)
    assert "a-secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_protocol_file_has_a_sane_size(tmp_path):
    (tmp_path / "t.yaml").write_text(PLAIN + "#" * 300_000)
    with pytest.raises(UserError, match="bytes, 200000 are the most"):
        load_protocol(str(tmp_path / "t.yaml"))


def test_a_protocols_method_runs_only_if_it_is_trusted(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "strangers.py").write_text("open('ran', 'w').close()\nclass It: pass\n")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "theirs.yaml"
    file.write_text(PLAIN.replace("method: held", "method: strangers:It"))
    protocol = load_protocol(str(file))
    with pytest.raises(UserError, match=r"'strangers:It'.*importing it runs it.*trust=true"):
        make_method(protocol)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match="is not a method"):
        make_method(protocol, trust=True)
    assert (tmp_path / "ran").exists()


def test_a_method_can_be_registered(tmp_path):
    import dataclasses

    @register_method
    @dataclasses.dataclass(frozen=True)
    class Own:
        def run(self, *_, **__):
            return None

    method = f"{Own.__module__}:{Own.__qualname__}"
    protocol = dataclasses.replace(load_protocol("iid"), method=method)
    assert isinstance(make_method(protocol), Own)


def test_a_card_leaves_out_what_it_would_have_to_run(run):
    found = add_protocol(run, "iid")
    theirs = {**found["protocol"], "method": "strangers:It"}
    found |= {
        "protocol": theirs,
        "config": {**found["config"], "protocol": theirs},
        "protocol_hash": Protocol(**theirs).hash,
    }
    write_json(result(run, "iid") / "protocol.json", found)
    card = build_card(read_evidence(run.path, replay=0))
    assert card["protocols"] == []
    assert any("strangers:It, which misgen does not ship" in line for line in card["left_out"])


# --- names and texts


def test_a_name_that_would_run_is_a_path_in_the_report(run, monkeypatch):
    write_card(run, DRAWN)
    bad = run.path.parent / "javascript:alert(1)"
    run.path.rename(bad)
    page = write_report(bad.parent).read_text()
    assert 'href="./javascript%3Aalert%281%29/card.html"' in page
    assert 'href="javascript' not in page


def test_what_a_card_says_is_escaped(run):
    card = write_card(run, DRAWN)
    card["agent"]["run"] = "<script>alert(1)</script>\n# `x` | [a](javascript:b)"
    card["left_out"] = ["<img src=x onerror=y>", "![p](http://q)"]
    for text in (markdown(card), html(card)):
        assert "<script>alert" not in text
        assert "<img" not in text
    text = markdown(card)
    assert "](javascript" not in text
    assert "](http" not in text
    assert "\n# `x`" not in text
    assert escaped("section_start [1, 2] -> x") == "section_start [1, 2] -> x"


# --- places that cannot be written to


@pytest.mark.parametrize("what", ["report", "card"])
def test_a_place_that_cannot_be_written_to_is_a_sentence(what, run, monkeypatch):
    from misgen.envs.core import files

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files, "replace", read_only)
    with pytest.raises(UserError, match=r"could not be written \(Read-only file system\).*folder"):
        write_card(run, DRAWN) if what == "card" else write_report(run.path.parent)
    assert not [path for path in run.path.parent.rglob(".*tmp")]


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match="could not be written"):
        write_text(tmp_path / "a" / "b", "x")
    with (
        pytest.raises(UserError, match=r"cannot be written to \(Not a directory\)"),
        RunFolder(tmp_path / "a" / "b").lock(),
    ):
        pass
