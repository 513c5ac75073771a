"""Reading Parquet in a child first: who ends the child is told apart from what the file does."""

from __future__ import annotations

import io
import os
import signal

import polars as pl
import pytest

from misgen.experiments.training import trial_reading
from misgen.experiments.training.trial_reading import require_readable


def table(number: int) -> bytes:
    """Return a file that was not read before."""
    into = io.BytesIO()
    pl.DataFrame({"x": [number, os.getpid()]}).write_parquet(into)
    return into.getvalue()


@pytest.fixture
def kill_child(monkeypatch):
    """Return a function that has the child killed the next times that it is asked."""
    ask = trial_reading._ask

    def times(count: int) -> None:
        left = [count]

        def killed_first(child, data):
            if left[0]:
                left[0] -= 1
                child.send_signal(signal.SIGKILL)
                child.wait()
            return ask(child, data)

        monkeypatch.setattr(trial_reading, "_ask", killed_first)

    return times


@pytest.mark.skipif(os.name == "nt", reason="exit codes do not tell there")
def test_a_child_that_others_kill_says_nothing_of_the_file(kill_child):
    kill_child(2)
    require_readable(table(1))
    kill_child(3)
    with pytest.raises(ValueError, match="was killed each time"):
        require_readable(table(2))
    require_readable(table(2))
    kill_child(1)
    with pytest.raises(ValueError, match=r"parquet|out of spec|PAR1"):
        require_readable(b"PAR1" + bytes(40) + b"PAR1")
