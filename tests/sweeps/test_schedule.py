"""What is next in a sweep, and how long the rest takes."""

import heapq
import math
import random

import pytest

from misgen.experiments.sweeps.ledger import Cell, Known
from misgen.experiments.sweeps.schedule import (
    EVALUATION,
    TRAINING,
    Left,
    Pace,
    Task,
    choose,
    time_left,
    typical,
)
from misgen.experiments.sweeps.watch import Seen, estimate

CELLS = [Cell(f"world-rho1-seed{k}-{k:010x}", 1.0, k) for k in range(10)]
NAN = math.nan


def simulated(cells, workers, training, evaluation, look=lambda now, known, cells: None):
    """Run a sweep by `choose`, with given seconds for each stage; return when each worker ends."""
    known = Known()
    events = [(0.0, worker, None) for worker in range(workers)]
    ends = [0.0] * workers
    begun: dict[str, tuple[str, float]] = {}
    idle = []
    while events:
        now, worker, task = heapq.heappop(events)
        if task is not None:
            begun.pop(task.cell.run)
            known.claims.pop(task.cell.run)
            (known.trained if task.stage == TRAINING else known.done).add(task.cell.run)
            ends[worker] = now
        for one in [worker, *idle]:
            following = choose(cells, known, workers)
            if following is None:
                if one not in idle:
                    idle.append(one)
                continue
            idle = [other for other in idle if other != one]
            known.claims[following.cell.run] = 1
            begun[following.cell.run] = (following.stage, now)
            lasts = (training if following.stage == TRAINING else evaluation)(following.cell)
            heapq.heappush(events, (now + lasts, one, following))
        look(now, known, begun)
    assert known.done == {cell.run for cell in cells}
    return ends


def test_an_agent_is_evaluated_as_soon_as_it_is_trained():
    known = Known(trained={CELLS[0].run})
    assert choose(CELLS, known, 2) == Task(CELLS[0], EVALUATION)
    assert choose(CELLS, Known(), 2) == Task(CELLS[0], TRAINING)


def test_the_last_trainings_come_before_evaluations_that_can_wait():
    known = Known(trained={cell.run for cell in CELLS[:6]})
    assert choose(CELLS, known, 2) == Task(CELLS[6], TRAINING)


def test_what_others_do_and_what_failed_is_left_alone():
    known = Known(
        claims={CELLS[0].run: 1}, failed={CELLS[1].run}, paused={CELLS[2].run},
        done={CELLS[3].run}, trained={CELLS[3].run},
    )  # fmt: skip
    assert choose(CELLS, known, 1, leave={CELLS[4].run}) == Task(CELLS[5], TRAINING)
    assert choose(CELLS[:5], known, 1, leave={CELLS[4].run}) is None


def test_the_longest_rest_is_first():
    shares = {CELLS[0].run: 0.9, CELLS[1].run: 0.2}
    task = choose(CELLS[:2], Known(), 1, lambda cell: shares[cell.run])
    assert task == Task(CELLS[1], TRAINING)


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 5, 8, 10])
@pytest.mark.parametrize("evaluation", [0.1, 0.5, 1.0])
def test_no_worker_idles_for_longer_than_one_job(workers, count, evaluation):
    """Where all trainings last 1, all end within one job; no barrier lies between the stages."""
    ends = simulated(CELLS[:count], workers, lambda _: 1.0, lambda _: evaluation)
    total = count * (1 + evaluation)
    used = min(workers, count)
    assert max(ends) <= total / used + 1
    best = max(1 + evaluation, total / workers)
    assert max(ends) <= 4 / 3 * max(best, math.ceil(count / workers) + evaluation)


def test_time_left_is_that_of_the_longest_first():
    assert time_left([3, 3, 2, 2, 2], 2) == 7
    assert time_left([5, 1, 1], 2) == 5
    assert time_left([], 2) == 0
    assert math.isnan(time_left([1, NAN], 2))


def test_what_is_typical_weighs_the_latest_and_what_runs():
    assert math.isnan(typical([], [], 2))
    assert typical([100.0, 10, 10, 10, 10], [], 2) == 10  # machines were slower once
    assert typical([10.0], [(20.0, 0.5)], 2) == pytest.approx((10 + 20 * 0.5) / 1.5)
    assert typical([], [(20.0, 0.1)], 2) == 20


def test_a_rest_is_unknown_only_where_its_pace_matters():
    assert Pace(10.0, NAN).seconds(Left(0.5, 0.0)) == 5
    assert math.isnan(Pace(10.0, NAN).seconds(Left(0.5, 1.0)))
    assert Pace(NAN, 4.0).seconds(Left(0.0, 0.25)) == 1


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_progress_tells_the_truth(workers):
    """From the first evaluation on, what is said to be left is left, within a fifth of a cell."""
    rng = random.Random(workers)
    lasting = {cell.run: rng.uniform(90, 110) for cell in CELLS}
    told: list[tuple[float, float]] = []

    def look(now, known, begun):
        if not known.done:
            return
        cells = {}
        for run, (stage, since) in begun.items():
            whole, phase = (lasting[run], "training") if stage == TRAINING else (20.0, "evaluating")
            cells[run] = Seen(run, phase, (now - since) / whole, 0.0, NAN)
        pace = Pace(100.0, 20.0)
        told.append((now, estimate({c.run for c in CELLS}, known, cells, pace, workers)))

    ends = simulated(CELLS, workers, lambda c: lasting[c.run], lambda _: 20.0, look)
    assert len(told) > 5
    for now, left in told:
        assert abs(now + left - max(ends)) < 0.2 * 120 + 0.05 * (max(ends) - now), (now, left)
