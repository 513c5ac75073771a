"""Saved policies: what goes in comes out, and nothing else gets in."""

import dataclasses
import errno
import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from gymnasium import spaces

from misgen.agents import PPOConfig, ValuedAgent
from misgen.agents.checkpoint import build_policy, load_agent, save_policy
from misgen.agents.networks import make_spaces
from misgen.agents.policy import PolicyAgent
from misgen.agents.spec import PolicySpec
from misgen.envs.core.errors import UserError

TEMPLATE = PolicySpec("mlp", [16, 8], [], [4], "tanh", (13, 13), 9, 4, 9, "distinct", 0.1)
SPACES = make_spaces(TEMPLATE)
FILES = ("policy.json", "policy.safetensors")


def save(folder: Path, spec: PolicySpec = TEMPLATE, seed: int = 0) -> PolicyAgent:
    torch.manual_seed(seed)
    policy = build_policy(spec)
    torch.nn.init.orthogonal_(policy.get_parameter("action_net.weight"))
    save_policy(folder, policy, spec)
    return PolicyAgent(policy, spec)


def batch(n: int = 50) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 9, (n, 13, 13)).astype(np.uint8)
    return {"tiles": tiles, "body": rng.normal(size=(n, 4)).astype(np.float32)}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def edit(folder: Path, *path: str, value: Any) -> None:
    """Set a field of policy.json."""
    document = json.loads((folder / "policy.json").read_text())
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (folder / "policy.json").write_text(json.dumps(document))


def write_weights(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Replace the weights as someone would who also knows to mend the checksum."""
    data = safetensors.torch.save(tensors)
    (folder / "policy.safetensors").write_bytes(data)
    edit(folder, "weights_sha256", value=hashlib.sha256(data).hexdigest())


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((folder / "policy.safetensors").read_bytes())


def refused(folder: Path, pattern: str) -> str:
    with pytest.raises(UserError, match=pattern) as caught:
        load_agent(folder, *SPACES)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


@pytest.mark.parametrize(
    "config",
    [
        PPOConfig(),
        PPOConfig(encoder="cnn", activation="relu", reward_scale=1.0),
        PPOConfig(hidden=[32], heads=[16, 8]),
    ],
    ids=["mlp", "cnn", "heads"],
)
def test_round_trip_is_exact(tmp_path, config):
    spec = PolicySpec.of(config, *SPACES, action_set="distinct", metadata={"seed": 3})
    saved = save(tmp_path / "new" / "folder", spec)
    loaded = load_agent(tmp_path / "new" / "folder", *SPACES, name="mine")
    assert np.array_equal(saved.probabilities(batch()), loaded.probabilities(batch()))
    assert np.array_equal(saved.value(batch()), loaded.value(batch()))
    assert loaded.spec == spec
    assert loaded.name == "mine"
    assert isinstance(loaded, ValuedAgent)
    assert sorted(contents(tmp_path / "new" / "folder")) == sorted(FILES)


def test_metadata_may_hold_numpy_and_nan(tmp_path):
    metadata = {"success": float("nan"), "steps": np.int64(5), "ids": np.arange(2), "t": (1, "a")}
    save(tmp_path, dataclasses.replace(TEMPLATE, metadata=metadata))
    found = load_agent(tmp_path, *SPACES).spec.metadata
    assert found == {"success": None, "steps": 5, "ids": [0, 1], "t": [1, "a"]}


def test_saving_twice_gives_the_same_bytes(tmp_path):
    save(tmp_path / "a")
    save(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_policy(tmp_path, monkeypatch, failing):
    save(tmp_path)
    before = contents(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(UserError, match=r"No space left.*free some space"):
        save(tmp_path, seed=1)
    assert contents(tmp_path) == before


def test_a_save_cut_between_its_two_renames_is_noticed(tmp_path):
    save(tmp_path, seed=1)
    newer = (tmp_path / "policy.safetensors").read_bytes()
    save(tmp_path, seed=0)
    (tmp_path / "policy.safetensors").write_bytes(newer)
    refused(tmp_path, "not the file that policy.json was written for")


def test_a_policy_is_not_saved_under_another_s_description(tmp_path):
    with pytest.raises(UserError, match="PolicySpec"):
        save_policy(tmp_path, build_policy(TEMPLATE), dataclasses.replace(TEMPLATE, num_actions=15))
    policy = build_policy(TEMPLATE)
    with torch.no_grad():
        policy.value_net.bias.fill_(torch.nan)
    with pytest.raises(UserError, match=r"NaN.*learning_rate"):
        save_policy(tmp_path, policy, TEMPLATE)
    assert contents(tmp_path) == {}


def test_other_spaces_are_refused_with_the_way_out(tmp_path):
    save(tmp_path)

    def other(**changes: Any) -> str:
        with pytest.raises(UserError) as caught:
            load_agent(tmp_path, *make_spaces(dataclasses.replace(TEMPLATE, **changes)))
        return str(caught.value)

    assert other(num_actions=15) == (
        "the policy was trained with 9 actions (action_set=distinct), this environment has 15; "
        "pass env.action_set=distinct"
    )
    assert "9 tile classes, this environment has 8" in other(tile_classes=8)
    assert "window of 13x13 cells, this environment has 15x9" in other(tile_shape=(15, 9))
    assert "4 body numbers, this environment has 6" in other(body_size=6)
    pixels = spaces.Box(0, 255, (64, 64, 3), np.uint8)
    with pytest.raises(UserError, match="observation=grid"):
        load_agent(tmp_path, pixels, SPACES[1])


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_file_is_named(tmp_path, missing):
    save(tmp_path)
    (tmp_path / missing).unlink()
    refused(tmp_path, f"there is no file .*{missing}: give the folder")


def test_what_is_no_folder_or_no_file_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "there is no file")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "there is no file")
    save(tmp_path / "a")
    (tmp_path / "a" / "policy.json").unlink()
    (tmp_path / "a" / "policy.json").mkdir()
    refused(tmp_path / "a", "there is no file")
    (tmp_path / "a" / "policy.json").rmdir()
    os.mkfifo(tmp_path / "a" / "policy.json")  # reading it would wait for ever
    refused(tmp_path / "a", "there is no file")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"reward_scale": NaN}', b"1" * 10_000, b"\x80\x04."],
)
def test_what_is_not_json_is_refused(tmp_path, text):
    save(tmp_path)
    (tmp_path / "policy.json").write_bytes(text)
    refused(tmp_path, "not valid JSON")


def test_an_endless_description_is_not_read(tmp_path):
    save(tmp_path)
    (tmp_path / "policy.json").write_bytes(b" " * (1 << 21))
    refused(tmp_path, "larger than")


@pytest.mark.parametrize("text", ["[]", "null", '"policy"', "{}", '{"format": "misgen-policy"}'])
def test_json_that_is_no_policy_is_refused(tmp_path, text):
    save(tmp_path)
    (tmp_path / "policy.json").write_text(text)
    refused(tmp_path, r"not a JSON object|is missing")


@pytest.mark.parametrize(
    ("path", "value", "pattern"),
    [
        (("format",), "torch", "format='torch'"),
        (("version",), 2, "version=2 is not known.*version 1"),
        (("version",), True, "version=True"),
        (("version",), "1", "version='1'"),
        (("network",), [], "network. is not a JSON object"),
        (("network", "encoder"), "resnet", "encoder='resnet' is not known: use one of mlp, cnn"),
        (("network", "encoder"), "../../evil", "encoder='../../evil' is not known"),
        (("network", "encoder"), "os:system", "encoder='os:system' is not known"),
        (("network", "encoder"), ["mlp"], "encoder=.* is not a text"),
        (("network", "activation"), "__import__", "activation"),
        (("network", "hidden"), [10**9], "hidden=.1000000000. is not allowed"),
        (("network", "hidden"), [10**400], "hidden"),
        (("network", "hidden"), [64] * 10_000, "hidden"),
        (("network", "hidden"), {}, "hidden"),
        (("network", "hidden"), [True], "hidden"),
        (("network", "heads"), [-1], "heads"),
        (("network", "channels"), None, "channels"),
        (("observation", "tile_shape"), [13], "tile_shape"),
        (("observation", "tile_shape"), [13, 10**12], "tile_shape"),
        (("observation", "tile_classes"), 10**12, "tile_classes"),
        (("observation", "body_size"), 4.0, "body_size"),
        (("action", "num_actions"), 0, "num_actions"),
        (("action", "action_set"), 9, "action_set"),
        (("reward_scale",), 0, "reward_scale"),
        (("reward_scale",), 10**400, "reward_scale"),
        (("metadata",), "none", "metadata"),
        (("weights_sha256",), 0, "weights_sha256"),
    ],
)
def test_each_field_is_checked(tmp_path, path, value, pattern):
    save(tmp_path)
    edit(tmp_path, *path, value=value)
    refused(tmp_path, pattern)


def test_a_network_too_large_for_its_file_is_refused_unbuilt(tmp_path):
    save(tmp_path)
    edit(tmp_path, "network", "hidden", value=[4096] * 8)
    edit(tmp_path, "network", "heads", value=[4096] * 8)
    refused(tmp_path, "is missing")


class Bomb:
    """Runs code when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize("kind", ["torch zip", "pickle", "old pickle", "json"])
def test_code_in_the_files_is_never_run(tmp_path, kind):
    save(tmp_path)
    marker, weights = tmp_path / "boom", tmp_path / "policy.safetensors"
    if kind == "torch zip":
        torch.save(Bomb(marker), weights)
    elif kind == "json":
        weights = tmp_path / "policy.json"
        weights.write_bytes(pickle.dumps(Bomb(marker)))
    else:
        weights.write_bytes(pickle.dumps(Bomb(marker), protocol=0 if kind == "old pickle" else 4))
    refused(tmp_path, "not valid JSON" if kind == "json" else "pickle|truncated or damaged")
    assert not marker.exists()
    pickle.loads(pickle.dumps(Bomb(marker)))
    assert marker.exists()  # the bomb was live


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, -1])
def test_truncated_weights_are_refused(tmp_path, size):
    save(tmp_path)
    path = tmp_path / "policy.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    refused(tmp_path, "truncated or damaged")


def test_a_flipped_bit_is_noticed(tmp_path):
    save(tmp_path)
    path = tmp_path / "policy.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    refused(tmp_path, "not the file that policy.json was written for")


def test_an_inflated_header_is_refused(tmp_path):
    save(tmp_path)
    path = tmp_path / "policy.safetensors"
    path.write_bytes((10**15).to_bytes(8, "little") + path.read_bytes()[8:])
    refused(tmp_path, "truncated or damaged")
    path.write_bytes(b"\0" * (4 << 20))
    refused(tmp_path, "larger than")


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda t: t.pop("value_net.bias"), "'value_net.bias' is missing"),
        (lambda t: t.update({"../x": torch.zeros(1)}), "'../x' is not part of the network"),
        (lambda t: t.update({"value_net.bias": torch.zeros(2)}), r"float32 \[2\].*float32 \[1\]"),
        (lambda t: t.update({"value_net.bias": torch.zeros(1).double()}), "float64"),
        (lambda t: t.update({"value_net.bias": torch.zeros(1, dtype=torch.int32)}), "int32"),
        (lambda t: t["value_net.bias"].fill_(torch.nan), "NaN, infinity"),
        (lambda t: t["action_net.weight"].fill_(torch.inf), "NaN, infinity"),
    ],
)
def test_wrong_tensors_are_refused(tmp_path, change, pattern):
    save(tmp_path)
    tensors = read_weights(tmp_path)
    change(tensors)
    write_weights(tmp_path, tensors)
    refused(tmp_path, pattern)
