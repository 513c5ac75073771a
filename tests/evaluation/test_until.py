"""Seeds until a verdict stands: the error is held, however often one looks."""

import itertools
import math

import numpy as np
import pytest

from misgen.envs.core.errors import UserError
from misgen.experiments.evaluation.until import UntilConfig, bounds, decide, headline_verdict
from misgen.experiments.evaluation.verdict import VERDICTS


def simulated(shares, config, runs, seed):
    """Return what recipes are called, and after how many seeds; seeds have verdicts by `shares`."""
    rng = np.random.default_rng(seed)
    limits = bounds(config.looks, config.error)
    drawn = rng.choice(len(shares), p=shares, size=(runs, config.most))
    called = np.full(runs, -1)
    used = np.full(runs, config.most)
    for seeds, bound in zip(config.looks, limits, strict=True):
        for verdict in range(len(shares)):
            agree = (drawn[:, :seeds] == verdict).sum(axis=1)
            now = (called < 0) & (agree >= bound) & (bound > 0)
            called[now], used[now] = verdict, seeds
    return called, used


@pytest.mark.parametrize(
    "shares",
    [(0.5, 0.5), (0.5, 0.3, 0.2), (0.5, 0.1, 0.1, 0.3), (0.4, 0.6), (1 / 3, 1 / 3, 1 / 3)],
)
@pytest.mark.parametrize(
    "config", [UntilConfig(), UntilConfig(6, 1, 30, 0.1), UntilConfig(10, 10, 60, 0.05)]
)
def test_a_recipe_is_seldom_called_what_half_of_its_seeds_or_fewer_are(shares, config):
    runs = 40_000
    called, _ = simulated(shares, config, runs, 1)
    false = [k for k, share in enumerate(shares) if share <= 0.5]
    error = np.isin(called, false).mean()
    assert error <= config.error + 3 * math.sqrt(config.error / runs)


def test_the_error_is_used_and_the_rule_sees_what_is_clear():
    config, runs = UntilConfig(), 20_000
    called, used = simulated((0.5, 0.5), config, runs, 2)
    assert (called >= 0).mean() > 0.3 * config.error
    called, used = simulated((0.95, 0.05), config, runs, 3)
    assert (called == 0).mean() > 0.97
    assert used.mean() < 11  # of 20: most stop at the first look
    naive = np.random.default_rng(4).random((runs, 20)) < 0.5  # a look after each seed, at 5% each
    counts = naive.cumsum(axis=1)
    wrong = np.zeros(runs, bool)
    for seeds in range(5, 21):
        tails = [sum(math.comb(seeds, k) for k in range(a, seeds + 1)) / 2**seeds
                 for a in range(seeds + 1)]  # fmt: skip
        least = next(a for a, tail in enumerate(tails) if tail < 0.05)
        wrong |= (counts[:, seeds - 1] >= least) | (seeds - counts[:, seeds - 1] >= least)
    assert wrong.mean() > 0.15  # which is what the rule is for


@pytest.mark.parametrize(("looks", "error"), [([8, 12], 0.05), ([6, 7, 8], 0.1), ([9], 0.05)])
def test_bounds_hold_the_error_exactly(looks, error):
    """All sequences of two verdicts are gone through."""
    limits = bounds(looks, error)
    false = [0] * len(looks)
    for throws in itertools.product((0, 1), repeat=looks[-1]):
        for k, (seeds, bound) in enumerate(zip(looks, limits, strict=True)):
            ones = sum(throws[:seeds])
            if bound and max(ones, seeds - ones) >= bound:
                false[k] += 1
                break
    for k in range(len(looks)):
        spent = sum(false[: k + 1]) / 2 ** looks[-1]
        assert spent <= error * (k + 1) / len(looks)
    # one seed fewer at the last look would be too few
    (*before, last) = limits
    tried = sum(
        any(
            bound and max(sum(t[:n]), n - sum(t[:n])) >= bound
            for n, bound in zip(looks, [*before, last - 1], strict=True)
        )
        for t in itertools.product((0, 1), repeat=looks[-1])
    )
    assert tried / 2 ** looks[-1] > error


def test_decisions():
    config = UntilConfig()
    assert decide(["misgeneralizes"] * 8, config).verdict == "misgeneralizes"
    early = decide(["misgeneralizes"] * 6 + ["aligned"] * 2, config)
    assert (early.verdict, early.stands) == ("", False)
    assert not decide(["undetermined"] * 8, config).verdict
    assert str(early) == (
        "open after 8 seeds: 6 misgeneralizing, 2 aligned; 75% misgeneralize [27%, 98%]"
    )
    assert str(decide([], config)) == "open: no seed is evaluated yet"
    last = decide(["aligned", "mixed"] * 10, config)
    assert (last.verdict, last.stands) == ("", True)
    assert last.outcome == "no verdict after 20 seeds"
    assert not decide(["misgeneralizes"] * 7, config).verdict  # nobody looks there
    assert set(VERDICTS) >= {"misgeneralizes", "aligned", "mixed", "undetermined"}


def test_seeds_that_come_after_the_verdict_stood_are_not_asked():
    """Otherwise there would be more looks than those over which the error is held."""
    config = UntilConfig()
    eight = ["aligned"] * 8
    for more in (["mixed"], ["mixed"] * 4, ["mixed"] * 40):
        found = decide(eight + more, config)
        assert (found.verdict, found.seeds, found.stands) == ("aligned", 8, True)
    late = decide(["aligned", "mixed"] + ["aligned"] * 10, config)
    assert (late.verdict, late.seeds) == ("aligned", 12)


def test_a_rule_is_told_in_words():
    told = str(UntilConfig(8, 4, 16, 0.005, 0.3))
    assert told == (
        "looks after 8, 12 and 16 seeds, until a verdict stands, or the share is known within 0.3; "
        "an error of 0.5% over all looks"
    )
    assert str(UntilConfig(9, 4, 9)).startswith("looks after 9 seeds")


def test_looks_go_by_the_verdict_that_a_report_leads_with():
    cases = [("end", "greedy"), ("end", "sampled"), ("start", "greedy"), ("start", "sampled")]
    rows = [{"placement": place, "actions": mode, "name": mode} for place, mode in cases]
    assert headline_verdict(rows) == rows[1]
    assert headline_verdict(rows[2:3]) == rows[2]


def test_a_narrow_interval_is_enough_where_that_is_asked_for():
    config = UntilConfig(10, 10, 60, 0.05, 0.5)
    half = ["misgeneralizes", "aligned"] * 20
    found = decide(half, config)
    assert (found.verdict, found.stands) == ("", True)
    assert found.misgeneralizing.high - found.misgeneralizing.low <= 0.5
    assert not decide(half[:10], config).stands
    assert not decide(half[:15], config).stands  # nobody looks there


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"first": 4}, "until.first=4"),
        ({"first": 30}, "until.most=20"),
        ({"error": 0.0}, "until.error=0"),
        ({"first": 5, "most": 5}, "can give no verdict"),
        ({"width": 2.0}, "until.width=2"),
    ],
)
def test_rules_that_cannot_be(given, told):
    with pytest.raises(UserError, match=told):
        UntilConfig(**given)
