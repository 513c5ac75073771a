"""The ledger of a sweep: who may work on which cell, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from misgen.envs.core.errors import UserError
from misgen.envs.core.processes import still_runs, this_process
from misgen.experiments.sweeps import claims
from misgen.experiments.sweeps.claims import BEAT, Heart, Holder, beat_seconds
from misgen.experiments.sweeps.ledger import DONE, FAILED, PAUSED, TRAINED, Ledger

RUNS = [f"{k:010x}" for k in range(8)]


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    found = Ledger(tmp_path / "sweep", "e" * 10)
    found.make()
    return found


def someone(ledger: Ledger, run: str, number: int = 1, age: float = 0.0, **told: object) -> Path:
    """Write the claim of another process."""
    path = ledger.claim_file(run, number)
    path.write_text(json.dumps({**this_process(), "beat": 10.0, **told}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_one_listing_tells_the_state_of_each_cell(ledger):
    ledger.note(RUNS[0], TRAINED, seconds=3.0)
    ledger.note(RUNS[0], DONE, seconds=1.0)
    ledger.note(RUNS[1], FAILED, error="why", command="misgen train")
    ledger.note(RUNS[2], PAUSED)
    Ledger(ledger.sweep, "f" * 10).note(RUNS[3], DONE)  # another evaluation
    assert ledger.claim(RUNS[4], ledger.look())
    (ledger.path / "notes.txt").write_text("somebody's")
    known = ledger.look()
    assert (known.trained, known.done, known.failed) == ({RUNS[0]}, {RUNS[0]}, {RUNS[1]})
    assert (known.paused, known.claims) == ({RUNS[2]}, {RUNS[4]: 1})
    assert ledger.told(RUNS[1], FAILED)["error"] == "why"
    ledger.forget(RUNS[0], TRAINED, DONE)
    assert not ledger.look().done


def test_a_cell_is_claimed_once(ledger):
    known = ledger.look()
    claim = ledger.claim(RUNS[0], known)
    assert claim
    assert ledger.claim(RUNS[0], known) is None
    assert ledger.holder(RUNS[0], ledger.look()).is_alive
    claim.release()
    assert not ledger.look().claims
    assert ledger.claim(RUNS[0], ledger.look())


RACE = """
import random, sys, time
from pathlib import Path
from misgen.experiments.sweeps.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), "e" * 10)
runs = [f"{k:010x}" for k in range(200)]
print("ready", flush=True)
sys.stdin.readline()
for run in runs:
    time.sleep(random.uniform(0, 0.004))
    known = ledger.look()
    if run not in known.claims and ledger.claim(run, known):
        print(run, flush=True)
sys.stdin.readline()
"""


def test_processes_that_race_share_the_cells(ledger):
    racers = [
        subprocess.Popen([sys.executable, "-c", RACE, str(ledger.sweep)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip
    for one in racers:
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
    for one in racers:
        assert one.stdin
        one.stdin.write("\n")
        one.stdin.flush()
    deadline = time.monotonic() + 60
    while len(ledger.look().claims) < 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    taken = [one.communicate("\n")[0].split() for one in racers]
    everything = [run for own in taken for run in own]
    assert len(everything) == len(set(everything)) == 200
    assert sum(bool(own) for own in taken) > 1


@pytest.mark.parametrize(
    ("told", "age", "alive"),
    [
        ({}, 9999.0, True),  # this process runs: no matter when it was last seen
        ({"pid": 2**22 - 7, "born": 5}, 0.0, False),  # gone, on this machine
        ({"born": 5}, 0.0, False),  # another process has its number
        ({"machine": "elsewhere"}, 100.0, True),
        ({"machine": "elsewhere"}, 130.0, False),
        ({"machine": "elsewhere", "beat": 60.0}, 130.0, True),
        ({"machine": "elsewhere", "beat": 1.0}, 20.0, False),
    ],
)
def test_who_is_alive(told, age, alive, ledger):
    path = someone(ledger, RUNS[0], age=age, **told)
    assert Holder.read(path).is_alive is alive


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"beat": -1}'])
def test_a_claim_that_cannot_be_read_is_judged_by_its_age(text, ledger):
    path = ledger.claim_file(RUNS[0], 1)
    path.write_text(text)
    assert Holder.read(path).is_alive
    os.utime(path, (0, 0))
    assert not Holder.read(path).is_alive
    assert "unknown host" in Holder.read(path).words


def test_a_dead_claim_is_taken_over_by_one(ledger):
    someone(ledger, RUNS[0], pid=2**22 - 7)
    known = ledger.look()
    assert ledger.claim(RUNS[0], known)
    assert ledger.claim(RUNS[0], known) is None
    assert ledger.look().claims == {RUNS[0]: 2}
    assert not ledger.claim_file(RUNS[0], 1).exists()


def test_who_looked_too_long_ago_does_not_get_a_cell_that_was_begun_anew(ledger):
    someone(ledger, RUNS[0], number=3, pid=2**22 - 7)
    late = ledger.look()
    ledger.claim_file(RUNS[0], 3).unlink()  # others took it over, and let it go again
    someone(ledger, RUNS[0], number=1)
    assert ledger.claim(RUNS[0], late) is None
    assert ledger.look().claims == {RUNS[0]: 1}


@pytest.mark.parametrize("kind", [TRAINED, DONE, FAILED, PAUSED])
def test_who_looked_too_long_ago_does_not_get_a_cell_that_others_did_since(ledger, kind):
    late = ledger.look()
    ledger.note(RUNS[0], kind)
    assert ledger.claim(RUNS[0], late) is None
    assert not ledger.look().claims
    assert ledger.claim(RUNS[0], ledger.look())


def test_claims_of_those_who_are_gone_are_cleared(ledger):
    someone(ledger, RUNS[0], number=2, pid=2**22 - 7)
    someone(ledger, RUNS[1])
    ledger.clear_claims(RUNS)
    assert ledger.look().claims == {RUNS[1]: 1}


def test_a_heart_beats_until_the_claim_is_lost(ledger, monkeypatch):
    monkeypatch.setenv(BEAT, "0.05")
    lost = []
    heart = Heart(lambda: lost.append(True))
    claim = ledger.claim(RUNS[0], ledger.look())
    assert claim
    os.utime(claim.path, (0, 0))
    with heart.keeping(claim):
        deadline = time.monotonic() + 20
        while claim.path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert claim.path.stat().st_mtime > 0
        assert not lost
        claim.path.unlink()
        while not lost and time.monotonic() < deadline:
            time.sleep(0.02)
        assert lost
    heart.stop()


@pytest.mark.parametrize("text", ["x", "0", "nan"])
def test_beats_that_are_none(text, monkeypatch):
    monkeypatch.setenv(BEAT, text)
    with pytest.raises(UserError, match=BEAT):
        beat_seconds()


def test_without_hard_links_a_file_is_made_in_place(ledger, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert claims.create(ledger.path / "x", {"a": 1})
    assert not claims.create(ledger.path / "x", {"a": 2})
    assert json.loads((ledger.path / "x").read_text()) == {"a": 1}


def test_sessions_end_with_their_process(ledger):
    ledger.open_session(jobs=2, launcher="local")
    gone = ledger.path / "gone.session.json"
    gone.write_text(json.dumps({**this_process(), "pid": 2**22 - 7}))
    (one,) = ledger.sessions(ledger.look())
    assert one.told["jobs"] == 2
    assert not gone.exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="states are told by /proc")
def test_a_process_is_told_from_its_successor():
    me = this_process()
    assert still_runs(me)
    assert still_runs({**me, "born": 1}) is False
    assert still_runs({**me, "machine": "x"}) is None
    assert still_runs({}) is None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    theirs = {**me, "pid": child.pid}
    child.send_signal(signal.SIGKILL)
    time.sleep(0.2)
    assert still_runs(theirs) is False  # dead, though nobody has asked how it ended
    child.wait()
