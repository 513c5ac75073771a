"""The learning curve: a record of training progress after each rollout.

Public names: `Reporter`, `Progress`, `ProgressCallback`.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from .resume import ResumeState

Progress = dict[str, Any]
"""One rollout's record; `Reporter` lists the keys."""
ProgressCallback = Callable[[Progress], object]

WINDOW = 1000
"""Finished episodes that success, return and outcomes are taken over."""

_REPORTED = ("outcome", "reached_goal", "return", "steps")
"""What is kept of each finished episode's info."""


class Reporter(BaseCallback):
    """Sums up finished episodes, calls back after each rollout's update, and has the state kept.

    Record: `steps` (decisions so far), `seconds`, `steps_per_second` (since the last record),
    `episodes` (finished so far); over the last 1,000 finished episodes `success` (share
    that reached the goal), `mean_return`, `mean_steps` and `outcomes` (name -> count), NaN or empty
    if none has finished; and stable-baselines3's losses of the update as `train/...`.
    """

    def __init__(
        self,
        report: ProgressCallback | None,
        resume_state: ResumeState | None,
        snapshot: Callable[[], object] | None = None,
        every: int = 0,
    ) -> None:
        """Report to these.

        Args:
            report: called with each record; training ends early if it returns False.
            resume_state: keeps the state after each update, if any.
            snapshot: called before the first rollout and after each one's update.
            every: decisions between two records, at least, the first one being of the first
                rollout; a rollout can be very short.
        """
        super().__init__()
        self._report = report
        self._snapshot = snapshot
        self._resume_state = resume_state
        self._every = every
        self._episodes = 0
        self._seconds = 0.0  # before this process
        self._reported: int | None = None  # decisions at the last record before this process
        self._recent: deque[dict[str, Any]] = deque(maxlen=WINDOW)
        self._going_on = True

    def _on_training_start(self) -> None:
        self._last_time = time.perf_counter()
        self._begin = self._last_time - self._seconds
        self._first_steps = self.num_timesteps
        self._last_steps = self.num_timesteps if self._reported is None else self._reported
        self._take_snapshot()

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        ended = np.flatnonzero(self.locals["dones"])
        self._episodes += len(ended)
        self._recent.extend(_kept(infos[i]) for i in ended)
        return self._going_on

    def _on_rollout_start(self) -> None:
        if self.num_timesteps > self._first_steps:  # the last rollout's update is done
            self._take_snapshot()
            first = self._last_steps == 0
            if first or self.num_timesteps - self._last_steps >= self._every:
                self._send()
            if self._resume_state is not None and self._going_on:
                self._going_on = self._resume_state.after_update(self.model, self)

    def _on_training_end(self) -> None:
        if self._going_on:
            self._take_snapshot()
            self._send()

    def _take_snapshot(self) -> None:
        if self._snapshot is not None:
            self._snapshot()

    def _send(self) -> None:
        if self._report is not None:
            self._going_on = self._report(self._record()) is not False

    def _record(self) -> Progress:
        now, steps = time.perf_counter(), self.num_timesteps
        rate = (steps - self._last_steps) / max(now - self._last_time, 1e-9)
        self._last_time, self._last_steps = now, steps
        losses = {k: float(v) for k, v in self.logger.name_to_value.items() if k[:6] == "train/"}
        return {
            "steps": steps,
            "seconds": now - self._begin,
            "steps_per_second": rate,
            "episodes": self._episodes,
            "success": self._mean("reached_goal"),
            "mean_return": self._mean("return"),
            "mean_steps": self._mean("steps"),
            "outcomes": dict(Counter(info["outcome"] for info in self._recent)),
            **losses,
        }

    def state(self) -> dict[str, Any]:
        """Return what a run that goes on later needs of this one's counts."""
        seconds = time.perf_counter() - self._begin
        return {
            "episodes": self._episodes,
            "seconds": seconds,
            "reported": self._last_steps,
            "recent": list(self._recent),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""
        episodes, seconds, recent = state["episodes"], state["seconds"], state["recent"]
        if type(episodes) is not int or episodes < 0 or not 0 <= seconds < math.inf:
            raise ValueError(f"episodes={episodes!r}, seconds={seconds!r} are no counts")
        self._episodes, self._seconds = episodes, float(seconds)
        self._reported = state.get("reported")
        if self._reported is not None and type(self._reported) is not int:
            raise ValueError(f"reported={self._reported!r} is no count")
        self._recent.extend(_taken_up(info) for info in recent)

    def _mean(self, key: str) -> float:
        values = [info[key] for info in self._recent]
        return float(np.mean(values)) if values else math.nan


def _kept(info: dict[str, Any]) -> dict[str, Any]:
    """Return what is reported of an episode, in JSON's types, the outcome by its name."""
    kept = {key: info[key] for key in _REPORTED}
    kept = {key: value.item() if hasattr(value, "item") else value for key, value in kept.items()}
    return kept | {"outcome": str(getattr(info["outcome"], "name", info["outcome"]))}


def _taken_up(info: dict[str, Any]) -> dict[str, Any]:
    """Return a finished episode as a state holds it, refusing what was none."""
    kept = {key: info[key] for key in _REPORTED}
    numbers = [kept[key] for key in ("reached_goal", "return", "steps")]
    if not isinstance(kept["outcome"], str) or not all(math.isfinite(one) for one in numbers):
        raise ValueError(f"an episode is {repr(kept)[:80]}")
    return kept
