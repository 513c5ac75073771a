"""Trackers: misgen's own and those of other packages, opened by name."""

from __future__ import annotations

import contextlib
from importlib.metadata import EntryPoint

import pytest

from misgen.envs.core import extensions
from misgen.envs.core.errors import UserError
from misgen.experiments.training import trackers
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.settings import compose, typed
from misgen.experiments.training.trackers import TrackedRun, open_trackers, require_trackers

NO_TRACKER = 7


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
