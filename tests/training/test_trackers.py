"""Trackers: misgen's own and those of other packages, opened by name."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from importlib.metadata import EntryPoint
from pathlib import Path

import polars as pl
import pytest

from misgen.envs.core import extensions
from misgen.envs.core.errors import UserError
from misgen.experiments.training import own_trackers, trackers
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.trackers import (
    EVALUATE,
    TrackedRun,
    notes,
    open_trackers,
    require_trackers,
)

from ..wandb_folders import KEY, nobodys_settings, run_id, serving, sync

__all__ = ["nobodys_settings"]

NO_TRACKER = 7
TABLE = pl.DataFrame({"metric": ["goal", "a|b"], "estimate": [0.25, None]})


@contextlib.contextmanager
def notebook(run: TrackedRun):
    with (run.folder / "notebook.txt").open("a") as file:
        yield lambda numbers, step: print(run.name, step, numbers, file=file)


@pytest.fixture
def installed(monkeypatch):
    """Return a function that installs trackers as if packages had brought them."""

    def install(**points: str) -> None:
        found = [EntryPoint(name, value, trackers.GROUP) for name, value in points.items()]
        monkeypatch.setattr(
            extensions, "entry_points", lambda group: found if group == trackers.GROUP else []
        )
        trackers._others.cache_clear()

    yield install
    monkeypatch.undo()
    trackers._others.cache_clear()


def test_a_stranger_s_tracker_is_asked_for_by_name(installed, tmp_path):
    installed(notebook=f"{__name__}:notebook")
    config = typed(TrainConfig, compose("train", ["logger=notebook"]))
    assert config.logger == {"wandb": False, "tensorboard": False, "notebook": True}
    assert config.hash == typed(TrainConfig, compose("train", [])).hash
    with open_trackers(config.logger, TrackedRun(tmp_path, "it", "all", {})) as log:
        log({"loss": 0.5}, 3)
    assert (tmp_path / "notebook.txt").read_text() == "it 3 {'loss': 0.5}\n"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (f"{__name__}:NO_TRACKER", "is no function that opens a tracker|no function that opens"),
        ("no_such_module:track", "the tracker 'notebook' of .* cannot be imported"),
    ],
)
def test_a_stranger_s_mistake_is_said_before_anything_is_trained(installed, value, message):
    installed(notebook=value)
    config = typed(TrainConfig, compose("train", ["logger=notebook"]))
    with pytest.raises(UserError, match=message):
        require_trackers(config.logger)


def test_unknown_trackers_and_names_that_are_taken_are_refused(installed):
    with pytest.raises(UserError, match=r"logger\.wandbb=True is not a tracker.*'wandb'"):
        typed(TrainConfig, compose("train", ["logger.wandbb=true"]))
    installed(wandb=f"{__name__}:notebook")
    with pytest.raises(UserError, match="both have a tracker called 'wandb'"):
        compose("train", [])


# --- faults of a tracker


@contextlib.contextmanager
def cannot_open(run: TrackedRun):
    raise OSError("nobody there")
    yield


@contextlib.contextmanager
def cannot_log(run: TrackedRun):
    def log(numbers, step):
        raise RuntimeError("full")

    yield log


@contextlib.contextmanager
def cannot_close(run: TrackedRun):
    yield lambda numbers, step: None
    raise TimeoutError("too late")


@contextlib.contextmanager
def swallows(run: TrackedRun):
    with contextlib.suppress(BaseException):
        yield lambda numbers, step: None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cannot_open", "OSError: nobody there"),
        ("cannot_log", "RuntimeError: full"),
        ("cannot_close", "TimeoutError: too late"),
    ],
)
def test_a_tracker_that_fails_is_told_of_once_and_ends_nothing(
    installed, tmp_path, caplog, name, why
):
    installed(bad=f"{__name__}:{name}", notebook=f"{__name__}:notebook")
    run = TrackedRun(tmp_path, "it", "all", {})
    with open_trackers({"bad": True, "notebook": True}, run) as log:
        for step in range(3):
            log({"x": 0.5}, step)
        log.table("t", TABLE)
    assert len((tmp_path / "notebook.txt").read_text().splitlines()) == 3
    (told,) = caplog.messages
    assert told == f"logger=bad failed ({why}) and is left out: all numbers are in {tmp_path}"


@pytest.mark.parametrize("name", ["swallows", "cannot_open", "cannot_close", "notebook"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_ends_a_run_passes_its_trackers(installed, tmp_path, name, error):
    installed(one=f"{__name__}:{name}")
    with (
        pytest.raises(error),
        open_trackers({"one": True}, TrackedRun(tmp_path, "it", "all", {})),
    ):
        raise error


# --- W&B

without_settings = pytest.mark.usefixtures("nobodys_settings")


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def shown(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("*run-*-*"))


def evaluation(folder: Path) -> TrackedRun:
    folder.mkdir(exist_ok=True)
    return TrackedRun(folder, "it", "all", {"seed": 3, "env": {"name": "x"}}, EVALUATE)


def log_all(run: TrackedRun, **asked: bool) -> None:
    with open_trackers(asked, run) as log:
        log({"goal": 0.25, "lost": float("nan")}, 512)
        log.table("table", TABLE)


@without_settings
def test_why_nothing_would_be_sent(monkeypatch, tmp_path):
    assert notes({"wandb": False, "tensorboard": True}) == []
    (told,) = notes({"wandb": True})
    assert told == (
        "W&B: there is no WANDB_API_KEY, so it writes offline; `wandb sync` sends it later"
    )
    address = closed_port()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", address)
    assert own_trackers.why_offline() == f"{address} does not answer"
    monkeypatch.setenv("WANDB_MODE", "offline")  # who says so need not be told
    assert own_trackers.why_offline() == ""
    monkeypatch.setenv("WANDB_MODE", "online")
    assert own_trackers.why_offline() == f"{address} does not answer"
    for odd in ("http://[", "http://127.0.0.1:99999", "nonsense"):
        monkeypatch.setenv("WANDB_BASE_URL", odd)
        assert "does not answer" in own_trackers.why_offline()


@without_settings
def test_who_has_logged_in_has_a_key(monkeypatch, tmp_path):
    with serving() as server:
        (tmp_path / "home" / "config").mkdir()
        settings = tmp_path / "home" / "config" / "settings"
        settings.write_text(f"[default]\nbase_url = {server.address}/\n")
        assert own_trackers.why_offline() == "there is no WANDB_API_KEY"
        netrc = tmp_path / "home" / ".netrc"
        netrc.write_text(f"machine 127.0.0.1\n login user\n password {KEY}\n")
        netrc.chmod(0o600)
        assert own_trackers.why_offline() == ""
        netrc.write_text("machine other\n login user\n password x\n")
        assert own_trackers.why_offline() == "there is no WANDB_API_KEY"


@without_settings
def test_wandb_sync_reads_what_was_logged_offline(tmp_path, caplog):
    pytest.importorskip("wandb")
    for name in ("one", "two"):  # one after the other in one process, as in a multirun
        log_all(evaluation(tmp_path / name), wandb=True)
    assert not caplog.messages
    for sent in sync([shown(tmp_path / name)[0] for name in ("one", "two")]):
        assert sent.logged("goal") == {512: 0.25}
        assert sent.logged("table")[512]["nrows"] == 2
        assert (sent.kind, sent.about["groupName"]) == (EVALUATE, "all")
        assert (sent.about["displayName"], sent.about["project"]) == ("it", "misgen")
        assert sent.config == {"seed": 3, "env": {"name": "x"}}
    (table,) = (tmp_path / "one").rglob("*.table.json")
    assert json.loads(table.read_text())["data"] == [["goal", 0.25], ["a|b", None]]


@without_settings
@pytest.mark.parametrize("what", ["nobody", "refusal"])
def test_where_the_server_does_not_take_it_a_run_ends_well(monkeypatch, tmp_path, caplog, what):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(own_trackers, "_START_IN", 5.0)
    with serving(401) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address if what == "refusal" else closed_port())
        log_all(evaluation(tmp_path / "run"), wandb=True)
    told = [text for text in caplog.messages if text.startswith(("W&B", "logger"))]
    assert len(told) == (what == "refusal"), told  # of nobody, `notes` tells before any work
    assert all("so it writes offline; `wandb sync` sends it later" in text for text in told)
    (sent,) = sync(shown(tmp_path / "run")[:1])
    assert sent.logged("goal") == {512: 0.25}


@without_settings
def test_a_run_goes_where_the_server_is_and_ends_well_if_that_goes(monkeypatch, tmp_path, caplog):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(own_trackers, "_SEND_IN", 3.0)
    caplog.set_level(logging.WARNING)
    run = evaluation(tmp_path / "run")
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        with open_trackers({"wandb": True}, run) as log:
            log({"goal": 0.25}, 512)
        (sent,) = server.runs.values()
        assert sent.logged("goal") == {512: 0.25}
        with open_trackers({"wandb": True}, run) as log:
            log({"goal": 0.5}, 1024)
            server.close()
    told = [text for text in caplog.messages if text.startswith("logger")]
    assert len(told) == 1
    assert f"is left out: all numbers are in {run.folder}" in told[0]
    first, second = shown(run.folder)
    assert run_id(first) == run_id(second)  # one run, to W&B
    (sent,) = sync([second])
    assert sent.logged("goal") == {1024: 0.5}


# --- TensorBoard


def test_tensorboard_s_own_reader_finds_what_was_logged(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = evaluation(tmp_path / "run")
    log_all(run, tensorboard=True)
    with open_trackers({"tensorboard": True}, run) as log:  # it goes on from an earlier state
        log({"goal": 0.75}, 512)
        log({"goal": 1.0}, 640)
        picture = tmp_path / "picture.png"
        picture.write_bytes(PNG)
        log.figure("figure", picture)
    found = reader.EventAccumulator(str(run.folder / "tensorboard"))
    found.Reload()
    assert [(one.step, one.value) for one in found.Scalars("goal")] == [(512, 0.75), (640, 1.0)]
    assert found.Tags()["images"] == ["figure"]
    assert set(found.Tags()["tensors"]) >= {"settings/text_summary"}


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
