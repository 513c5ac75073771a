"""Files that were changed at random: read, or refused in one sentence, and never waited for.

A quick look in every run, a long one (`slow`) for `make test-all`.  For still more:

    MISGEN_FUZZ=5 .venv/bin/python -m pytest tests/training/test_fuzz_files.py -m slow -s

tries 5 times as many, and prints the counts.  `MISGEN_FUZZ_SEED` (0) chooses other inputs.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import random
import shutil
import time
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from misgen.agents.checkpoint import load_agent
from misgen.agents.resume import _read
from misgen.agents.spec import PolicySpec
from misgen.envs.core.errors import UserError
from misgen.experiments.protocols.base import make_method
from misgen.experiments.protocols.reading import parse_yaml
from misgen.experiments.protocols.spec import load_protocol
from misgen.experiments.reporting.plots import smooth
from misgen.experiments.reporting.results import Run
from misgen.experiments.sweeps.fine_tuning import Snapshot, SupplyChainConfig, play
from misgen.experiments.sweeps.watch import see
from misgen.experiments.training.run_folder import (
    DONE,
    LEARNING,
    RunFolder,
    hash_of_stored,
    read_json,
    read_parquet,
    write_parquet,
)
from misgen.experiments.training.train import _Curve
from misgen.experiments.training.trained_run import TrainedRun
from tests.card.test_card import evaluation, write_run

TIMES = int(os.environ.get("MISGEN_FUZZ", "1"))
SEED = int(os.environ.get("MISGEN_FUZZ_SEED", "0"))
LONGEST = 5.0  # seconds of work that a file of a few kilobytes may take
WAITED = 60.0  # seconds after which it counts as waited for, on however busy a machine

ODD = (
    None, True, False, 0, -1, 1, 10**30, -(10**18), 2**63, 1.5, 1e308, -0.0, "", "x", "\ud800",
    "${oc.env:HOME}",
    "\x00", "../../etc/passwd", "<b>", "0:1", "1e5", "nan", [], {}, [[]], [None], {"": None},
    {"x": [1, {"y": "z"}]}, "a" * 5000,
)  # fmt: skip
RAW = (
    b"", b"\x00", b"{", b"[" * 5000, b'{"a":' * 3000, b"NaN", b"1e999", b"-Infinity", b'"\\ud800"',
    b"\xff\xfe{\x00", b"\xef\xbb\xbf{}", b"null", b"[]", b"1" * 5000, b'{"a": 1, "a": 2}',
)  # fmt: skip
WORDS = (
    "&a", "*a", "<<: *a", "!!python/object/apply:os.system [ls]", "!!set", "? ", "- ", ": ", "{",
    "}",
    "[", "]", "|", ">", "'", '"', "#", "%YAML 9.9", "---", "...", "\t", "\x07", "\u2028", ".nan",
    ".inf",
    "1:30", "2020-01-01", "0x1F", "1_000", "~", "null", "yes", "${oc.env:HOME}", "@", "`",
    "name: x",
    "method: os:system", "method: hold", "options: 3",
    "first_level: 1e400", "budget: " + "9" * 5000, "[" * 200, "a: " * 50, "é", "\\",
)  # fmt: skip


def paths(plain, path=()):
    """Yield the place of everything in plain data."""
    yield path
    inner = (
        plain.items()
        if isinstance(plain, dict)
        else enumerate(plain)
        if isinstance(plain, list)
        else ()
    )
    for key, value in inner:
        yield from paths(value, (*path, key))


def changed_json(plain, rng):
    """Return the bytes of plain data with some of it replaced, left out, or damaged as bytes."""
    if rng.random() < 0.1:
        return rng.choice(RAW)
    plain = json.loads(json.dumps(plain))
    for _ in range(rng.choice((1, 1, 2, 5))):
        *way, last = rng.choice([p for p in paths(plain) if p] or [("x",)])
        inside = plain
        for key in way:
            inside = inside[key]
        if isinstance(inside, dict) and rng.random() < 0.2:
            inside.pop(last, None)
        elif isinstance(inside, (dict, list)):
            value = json.loads(json.dumps(rng.choice(ODD)))
            for _ in range(rng.choice((0, 0, 0, 30, 70))):
                value = [value]
            inside[last] = value
    data = json.dumps(plain).encode()
    return changed_bytes(data, rng) if rng.random() < 0.2 else data


def changed_bytes(data, rng):
    """Return bytes cut off, flipped, doubled or filled in."""
    found = bytearray(data)
    kind = rng.random()
    if kind < 0.3:
        return bytes(found[: rng.randrange(len(found) + 1)])
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at = rng.randrange(len(found) or 1)
        if kind < 0.8:
            found[at : at + 1] = bytes([rng.randrange(256)])
        else:
            found[at:at] = bytes(rng.choice((0, 255)) for _ in range(rng.choice((1, 8, 100))))
    return bytes(found)


def changed_yaml(text, rng):
    """Return YAML text with lines and words moved, left out and put in."""
    lines = text.splitlines()
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines) or 1)
        kind, word = rng.randrange(6), rng.choice(WORDS)
        if kind == 0:
            lines[at:at] = [word]
        elif kind == 1 and lines:
            lines[at] = lines[at] + " " + word
        elif kind == 2 and lines:
            key = lines[at].partition(":")[0]
            lines[at] = f"{key}: {word}"
        elif kind == 3 and lines:
            del lines[at]
        elif kind == 4 and lines:
            lines.append(lines[at])
        elif lines:
            lines[at] = "  " * rng.randrange(4) + lines[at]
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    return changed_bytes(data, rng) if rng.random() < 0.2 else data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("fuzz") / "runs", 1.0, 0.2)


def fuzz(name, count, make, read):
    """Read `count` changed files; all but a `UserError` of one line is a fault."""
    rng = random.Random(f"{name} {SEED}")
    faults, refused = [], 0
    for number in range(count):
        data = make(rng)
        started, worked = time.monotonic(), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                read(data)
            except UserError as error:
                refused += 1
                if "\n" in str(error):
                    faults.append((number, "several lines", str(error)[:200], data[:200]))
            except BaseException as error:
                faults.append((number, type(error).__name__, str(error)[:200], data[:200]))
        waited, worked = time.monotonic() - started, time.process_time() - worked
        if worked > LONGEST or waited > WAITED:
            faults.append((number, "slow", worked, waited, data[:200]))
    print(f"{name}: {count} tried, {refused} refused, {len(faults)} failures")
    assert not faults, f"{len(faults)} of {count}: {faults[:3]}"
    return refused


LONG = (pytest.mark.slow, pytest.mark.timeout(300 + 300 * TIMES))
COUNTS = [pytest.param(150, id="quick"), pytest.param(4000 * TIMES, id="long", marks=LONG)]


@pytest.mark.parametrize("count", COUNTS)
def test_manifests(count, folder):
    file = folder.path / "manifest.json"
    whole = json.loads(file.read_text())

    def read(data):
        file.write_bytes(data)
        try:  # as a forger would, who gives what was changed its hash
            plain = json.loads(data)
            plain["config_hash"] = hash_of_stored(plain["config"])
            file.write_text(json.dumps(plain))
            (folder.path / DONE).write_text(plain["config_hash"])
        except Exception:
            pass
        run = TrainedRun.read(RunFolder(folder.path))
        run.test_ids(None)
        assert run.config.world.observation_space

    try:
        fuzz("manifest", count, lambda rng: changed_json(whole, rng), read)
    finally:
        file.write_text(json.dumps(whole))
        folder.mark(DONE, whole["config_hash"])


@pytest.mark.parametrize("count", COUNTS)
def test_policies(count, folder):
    text = json.loads((folder.path / "policy.json").read_text())
    fuzz(
        "policy", count, lambda rng: changed_json(text, rng), lambda d: PolicySpec.from_json(d, "p")
    )


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ["summary.json", "sweep.json", "status.json", "card.json"])
def test_other_json(count, name, tmp_path):
    row = {"metric": "goal_shifted", "placement": "anywhere", "actions": "sampled", "agent": "ppo",
           "train_correlation": 1.0, "estimate": 0.5, "low": None, "high": 0.6}  # fmt: skip
    whole = {
        "summary.json": {
            "run": "x", "config": {"metrics": {}}, "config_hash": "a", "metrics": [row, row],
            "levels": {"test": {"ids": "0:5", "terrain_seen_in_training": 0.5}}, "proxies": [],
        },
        "sweep.json": {"command": "misgen sweep", "runs": ["a", "b"], "correlations": [1.0]},
        "status.json": {"time": 1.0, "phase": "training", "steps": 5, "success": 0.5, "pid": 3},
        "card.json": {"verdict": {"name": "x"}, "nothing_reaches": ["a"]},
    }[name]  # fmt: skip
    file = tmp_path / name

    def read(data):
        file.write_bytes(data)
        if name == "status.json":
            assert see(RunFolder(tmp_path), 100, 0.0).line
        plain = read_json(file, "make it again")
        if name == "summary.json":
            for one in plain.get("metrics", []):
                assert one["estimate"] is None or math.isfinite(one["estimate"])

    fuzz(name, count, lambda rng: changed_json(whole, rng), read)


@pytest.mark.parametrize("count", COUNTS)
def test_protocols(count, tmp_path):
    file = tmp_path / "theirs.yaml"
    shipped = Path(__file__).parents[2] / "configs" / "protocol"
    texts = [path.read_text() for path in sorted(shipped.glob("*.yaml"))]

    def read(data):
        file.write_bytes(data)
        make_method(load_protocol(str(file)))

    fuzz("protocol", count, lambda rng: changed_yaml(rng.choice(texts), rng), read)


@pytest.mark.parametrize("count", COUNTS)
def test_parquet(count, folder, tmp_path):
    whole = (evaluation(folder) / "episodes.parquet").read_bytes()
    small = tmp_path / "t.parquet"
    pl.DataFrame({"steps": np.arange(50), "success": np.linspace(0, 1, 50)}).write_parquet(small)
    kinds = [whole, small.read_bytes()]

    def read(data):
        small.write_bytes(data)
        read_parquet(small, columns={"steps": pl.Int64})

    fuzz("parquet", count, lambda rng: changed_bytes(rng.choice(kinds), rng), read)


# Bytes of a table (50 rows of a whole number, a number and a text) that polars aborts on.
ABORTING = (3740, 4871, 9430, 12307, 13706, 19708)


def small_table():
    """Return the bytes of a small table."""
    into = io.BytesIO()
    columns = {"steps": np.arange(50), "success": np.linspace(0, 1, 50), "s": ["abc"] * 50}
    pl.DataFrame(columns).write_parquet(into)
    return into.getvalue()


@pytest.mark.parametrize("seed", ABORTING)
def test_a_file_that_ends_its_reader_is_refused(seed, tmp_path):
    file = tmp_path / "t.parquet"
    file.write_bytes(changed_bytes(small_table(), random.Random(seed)))
    with contextlib.suppress(UserError):  # or read, by another version of polars: this goes on
        read_parquet(file, hashlib.sha256(file.read_bytes()).hexdigest())


@pytest.mark.parametrize("count", COUNTS)
def test_learning_curves(count, folder):
    """A report reads them, and a training that goes on; old runs note no hash of them."""
    file = folder.path / LEARNING
    write_parquet(file, pl.DataFrame({"steps": np.arange(50) * 64, "success": np.ones(50)}))
    whole, manifest = file.read_bytes(), json.loads((folder.path / "manifest.json").read_text())
    config = TrainedRun.read(folder).config
    curve = _Curve(config, folder, lambda numbers, step: None, None)

    def read(data):
        file.write_bytes(data)
        curve.take_up(1000)
        table = Run(folder, "done", manifest, None).learning
        smooth(table)

    try:
        refused = fuzz("curve", count, lambda rng: changed_bytes(whole, rng), read)
        assert refused > count / 2
        noted = manifest | {"learning_sha256": hashlib.sha256(whole).hexdigest()}
        file.write_bytes(small_table())
        with pytest.raises(UserError, match="is not the file that was written"):
            assert Run(folder, "done", noted, None).learning.height
    finally:
        file.unlink()


@pytest.mark.parametrize("count", COUNTS)
def test_tests_of_snapshots(count, folder, tmp_path):
    """What a fine-tuning played is read again where it is marked as done."""
    base = TrainedRun.read(folder)
    snapshot = Snapshot(base, "tuned", 0, tmp_path)
    for name in ("policy.json", "policy.safetensors"):
        shutil.copy(folder.path / name, tmp_path)
    config = SupplyChainConfig(levels="2000000:2000004", planned=False)
    first = play(snapshot, config)
    (file,) = tmp_path.glob("tests/*/supply_chain.parquet")
    whole, beside = file.read_bytes(), file.with_name("tests.json")
    noted = beside.read_text()
    assert play(snapshot, config).equals(first)
    file.write_bytes(small_table())
    with pytest.raises(UserError, match=r"is not the file that was written.*delete DONE beside"):
        play(snapshot, config)

    def read(data):
        file.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()  # as a forger would
        beside.write_text(json.dumps({"episodes_sha256": digest}))
        play(snapshot, config)

    fuzz("snapshot", count // 3, lambda rng: changed_bytes(whole, rng), read)
    beside.unlink()  # as runs have it that were made before hashes were kept
    file.write_bytes(whole)
    assert play(snapshot, config).equals(first)
    file.write_bytes(small_table())
    with pytest.raises(UserError, match="column 'level_id' is missing"):
        play(snapshot, config)
    beside.write_text(noted)


@pytest.mark.parametrize("count", COUNTS)
def test_weights_and_states(count, folder, tmp_path):
    file, state = folder.path / "policy.safetensors", tmp_path / "state.safetensors"
    whole = file.read_bytes()
    world = TrainedRun.read(folder).config.world

    def read(data):
        state.write_bytes(data)
        file.write_bytes(data)
        try:
            load_agent(folder.path, world.observation_space, world.action_space)
        finally:
            file.write_bytes(whole)

    def read_state(data):
        state.write_bytes(data)
        _read(state)

    fuzz("weights", count // 3, lambda rng: changed_bytes(whole, rng), read)
    tensors = {"weight/a": torch.zeros(3), "drawn": torch.zeros(2, dtype=torch.int64)}
    import safetensors.torch

    header = {"format": "misgen-training-state", "version": "1", "state": "{}", "sha256": "0"}
    kept = safetensors.torch.save(tensors, header)
    fuzz("state", count, lambda rng: changed_bytes(kept, rng), read_state)


def test_yaml_is_taken_as_other_settings_are():
    text = "a: 1e3\nb: 1_000\nc: true\nd: 2020-01-01\ne: [1, 2.5, x]\nf: ~\ng: '1'\nh: -.5"
    assert parse_yaml(text, "t") == {
        "a": 1000.0, "b": 1000, "c": True, "d": "2020-01-01", "e": [1, 2.5, "x"], "f": None,
        "g": "1", "h": -0.5,
    }  # fmt: skip
