"""Arms that are pieces of work: each is done once, failures are told, and work goes on."""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure

from misgen.envs.core.errors import UserError
from misgen.experiments.evidence import pieces
from misgen.experiments.evidence.collected import Done, collect, hours_left
from misgen.experiments.evidence.columns import columns_with, csv_of
from misgen.experiments.evidence.config import EvidenceConfig
from misgen.experiments.evidence.pieces import Piece, Pieces
from misgen.experiments.evidence.question import Collected, Found, Question, Size
from misgen.experiments.sweeps.ledger import MOST_TRIES

TWO_OF_THREE = (
    "2 of 3 pieces are done: numbers may still move, and the rest takes about {:.2g} CPU hours"
)


@dataclass(frozen=True)
class Counted(Piece):
    """Leaves two rows and, in a folder, a sign each time that it is done."""

    number: int
    how: str = "well"
    seconds: float = 0.0

    @property
    def name(self):
        return f"piece {self.number}"

    def do(self, runs: Path):
        signs = runs / "signs"
        signs.mkdir(parents=True, exist_ok=True)
        (signs / f"{self.number}-{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(self.seconds)
        if self.how == "badly" and not (runs / "mended").exists():
            raise UserError("number=3 is not allowed: give 2")
        if self.how == "wrong":
            raise ValueError("what")
        if self.how == "deadly":
            os._exit(9)
        return [{"number": self.number, "half": half / 7} for half in (0, 1)]


def question(*hows, seconds=0.0):
    """Return a question of one arm, whose pieces go as they are told to, one a seed."""
    arm = Pieces("arm", lambda seed: [Counted(seed, hows[seed], seconds)], {"kind": "some"})
    columns = columns_with({"number": pl.Int64, "half": pl.Float64, "empty": pl.String})
    return Question(
        "q", "Q", "?", {"smoke": Size(len(hows), ((arm,),))}, lambda rows: Found({}, "nothing"),
        lambda rows, found: Figure(), (), columns, "agents", "half", "pieces",
    )  # fmt: skip


@pytest.fixture
def config(tmp_path, monkeypatch):
    def make(*hows, jobs=1, **how):
        own = question(*hows, **how)
        monkeypatch.setattr(EvidenceConfig, "asked", own)
        monkeypatch.setattr("misgen.experiments.evidence.question.question_of", lambda name: own)
        return EvidenceConfig("maze_2", "smoke", runs=str(tmp_path), jobs=jobs)

    return make


def carried_out(config, seeds):
    (arm,) = config.chosen.arms
    return arm.carry_out(config, seeds)


def signs(tmp_path):
    return sorted(path.name.partition("-")[0] for path in (tmp_path / "signs").iterdir())


def test_each_is_done_once_and_leaves_its_rows(tmp_path, config):
    one = config("well", "well", "well")
    assert carried_out(one, 2) == []
    rows, done = collect(one)
    assert str(done) == TWO_OF_THREE.format(done.hours_left)
    assert done.hours_left == pytest.approx(rows["cpu_seconds"].sum() / 2 / 3600, abs=1e-5)
    assert carried_out(one, 3) == []
    assert signs(tmp_path) == ["0", "1", "2"], "the third alone was left to do"
    rows, done = collect(one)
    assert str(done) == "all 3 pieces are done"
    assert rows.columns == [
        *("arm", "kind", "number", "half", "empty"), *("cpu_seconds", "finished", "commit", "run")
    ]  # fmt: skip
    assert rows["number"].to_list() == [0, 0, 1, 1, 2, 2]
    assert rows["half"].to_list() == [0.0, 0.1429] * 3, "rounded as stored"
    assert (rows["cpu_seconds"][1::2] == 0).all(), "what it took counts once a piece"


def test_what_is_left_takes_as_long_as_its_arm_did_or_else_as_the_others_did():
    half_done = Collected(3, 1, [{"cpu_seconds": 10.0}, {"cpu_seconds": 0.0}], [], 100.0, 200.0)
    cheap = Collected(1, 1, [{"cpu_seconds": None}, {"cpu_seconds": 2.0}], [], 20.0, 0.0)
    not_begun = Collected(2, 0, [], [], 0.0, 300.0)
    assert hours_left([half_done, cheap, not_begun]) == pytest.approx((20 + 30) / 3600)
    assert hours_left([not_begun]) is None
    told = str(Done(2, 6, "pieces", 1.234))
    assert told.endswith("numbers may still move, and the rest takes about 1.2 CPU hours")


def test_what_an_earlier_table_holds_is_not_done_again(tmp_path, config):
    one = config("well", "well", "well")
    assert carried_out(one, 3) == []
    rows, _ = collect(one)
    there = tmp_path / "there"
    there.mkdir()
    (there / "agents.csv").write_text(csv_of(rows.filter(pl.col("number") != 1)))

    elsewhere = dataclasses.replace(one, runs=str(tmp_path / "new"), earlier=str(there))
    _, done = collect(elsewhere)
    assert str(done) == TWO_OF_THREE.format(done.hours_left)
    assert carried_out(elsewhere, 3) == []
    assert signs(tmp_path / "new") == ["1"]
    both, done = collect(elsewhere)
    assert done.runs == 3
    assert both.drop("cpu_seconds").equals(rows.drop("cpu_seconds"))


def test_other_settings_or_another_version_are_another_piece(monkeypatch):
    assert Counted(1).hash == Counted(1).hash != Counted(2).hash
    before = Counted(1).hash
    monkeypatch.setattr(Counted, "version", 2)
    assert Counted(1).hash != before


def test_failures_are_named_and_done_again_and_the_others_are_kept(tmp_path, config):
    one = config("well", "badly", "wrong")
    assert carried_out(one, 3) == ["piece 1", "piece 2"]
    (told, *_) = (tmp_path / "maze_2-arm" / "ledger").glob("*.failed.json")
    assert "piece" in told.read_text()
    (tmp_path / "mended").touch()
    assert carried_out(one, 3) == ["piece 2"]
    assert signs(tmp_path) == ["0", "1", "1", "2", "2"]


@pytest.mark.slow
def test_one_that_kills_its_process_is_given_up_and_the_others_are_done(tmp_path, config):
    one = config("deadly", "well", "well", jobs=2)
    assert carried_out(one, 3) == ["piece 0"]
    assert collect(one)[1].runs == 2
    assert signs(tmp_path).count("0") == MOST_TRIES


def test_what_another_process_is_at_is_waited_for(tmp_path, config, monkeypatch):
    """Two that carry out the same at the same time do each piece once."""
    import threading

    monkeypatch.setattr(pieces, "_POLL", 0.05)
    one = config("well", "well", seconds=0.3)
    both = [threading.Thread(target=carried_out, args=(one, 2)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert signs(tmp_path) == ["0", "1"]
    assert collect(one)[1].runs == 2
