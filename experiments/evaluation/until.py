"""Adding training seeds until a recipe's verdict stands, with its error held over all looks.

The rule is group-sequential, as AdaStop's (Mathieu et al. 2023, arXiv 2306.10882): looks are
planned beforehand, and the error is shared out among them.  A recipe is called what most of its
seeds are.  At look k of K, after n_k seeds, it is called so if at least b_k of them agree.  The
bounds are the least for which, if half of all seeds had a verdict and half another, either would be
called the recipe's at one of the first k looks with a probability of at most `error * k / K`.  That
probability is computed exactly, from the binomial distribution.  So a recipe is called something
that half of its seeds or fewer are with a probability of at most `error`.

With `width` set, the share of seeds that misgeneralize may be known well enough instead: its
interval (Clopper and Pearson's, of confidence `1 - error / K`, so that all looks' hold together) is
no wider than that.

Public names: `UntilConfig`, `Decision`, `bounds`, `decide`, `headline_verdict`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from misgen.envs.core.errors import UserError, in_range

from .statistics import Interval, clopper_pearson
from .verdict import LEAST_SEEDS, MISGENERALIZES, UNDETERMINED, WORDING


@dataclass(frozen=True)
class UntilConfig:
    """When to look, and what error to hold."""

    first: int = 8
    """Seeds at the first look."""
    step: int = 4
    """Seeds between two looks."""
    most: int = 20
    """Seeds at the last look."""
    error: float = 0.05
    """Probability of a wrong verdict on a recipe, at most, over all looks."""
    width: float | None = None
    """Of the interval of the share of misgeneralizing seeds: narrow enough to stop; none: only a
    verdict is."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("until.first", self.first, LEAST_SEEDS, 10_000)
        in_range("until.step", self.step, 1, 10_000)
        in_range("until.most", self.most, self.first, 10_000)
        in_range("until.error", self.error, 1e-6, 0.5)
        if self.width is not None:
            in_range("until.width", self.width, 0.0, 1.0)
        if self.width is None and not any(bounds(self.looks, self.error)):
            raise UserError(
                f"until.most={self.most} seeds can give no verdict with "
                f"until.error={self.error:g}: give more seeds, or a larger error"
            )

    @property
    def looks(self) -> list[int]:
        """The numbers of seeds at which is looked."""
        return [*range(self.first, self.most, self.step), self.most]

    def __str__(self) -> str:
        """Return the rule in words."""
        listed = ", ".join(map(str, self.looks[:-1]))
        seeds = f"{listed} and {self.most}" if listed else str(self.most)
        narrow = "" if self.width is None else f", or the share is known within {self.width:g}"
        return (
            f"looks after {seeds} seeds, until a verdict stands{narrow}; an error of "
            f"{100 * self.error:g}% over all looks"
        )


@dataclass(frozen=True)
class Decision:
    """What a look told of a recipe."""

    seeds: int
    verdict: str
    """What the recipe is called; empty if that is open."""
    misgeneralizing: Interval
    """Share of the seeds that misgeneralize; its interval holds at all looks together."""
    stands: bool
    """Whether no more seeds are needed."""
    counts: tuple[tuple[str, int], ...] = ()
    """How many seeds have each verdict, the most frequent first."""

    @property
    def outcome(self) -> str:
        """What came of it: the verdict, or why there is none."""
        if self.verdict:
            return f"{self.verdict} after {self.seeds} seeds"
        return f"{'no verdict' if self.stands else 'open'} after {self.seeds} seeds"

    def __str__(self) -> str:
        """Return it as one line."""
        if not self.seeds:
            return "open: no seed is evaluated yet"
        share = self.misgeneralizing
        told = ", ".join(f"{number} {WORDING[name].agent}" for name, number in self.counts)
        known = f"{share.estimate:.0%} misgeneralize [{share.low:.0%}, {share.high:.0%}]"
        return f"{self.outcome}: {told + '; ' if told else ''}{known}"


def bounds(looks: Sequence[int], error: float) -> list[int]:
    """Return how many seeds must agree at each look; 0 where no number would do.

    Args:
        looks: the numbers of seeds at which is looked.
        error: the probability that is to be held.
    """
    import numpy as np

    found, spent = [], 0.0
    open_, before = np.ones(1), 0  # of each number of agreeing seeds, where no look has decided
    for k, seeds in enumerate(looks, start=1):
        open_ = np.convolve(open_, _halves(seeds - before))
        before, bound = seeds, 0
        for agree in range(seeds, seeds // 2, -1):
            if spent + 2 * open_[agree:].sum() > error * k / len(looks):
                break
            bound = agree
        if bound:
            spent += 2 * open_[bound:].sum()
            open_[bound:] = 0
            open_[: seeds - bound + 1] = 0
        found.append(bound)
    return found


def _halves(n: int) -> list[float]:
    """Return the binomial distribution of n throws of a fair coin."""
    from scipy.special import comb

    return [float(comb(n, k)) / 2.0**n for k in range(n + 1)]


def decide(verdicts: Sequence[str], config: UntilConfig) -> Decision:
    """Return what the verdicts of a recipe's seeds tell.

    Looks are taken in their order, and the first at which the verdict stands decides: seeds that
    were added after it are not asked.

    Args:
        verdicts: of the seeds, in their order.
        config: the rule.
    """
    for look in config.looks:
        if look < len(verdicts):
            found = _at(verdicts[:look], config)
            if found.stands:
                return found
    return _at(verdicts, config)


def _at(verdicts: Sequence[str], config: UntilConfig) -> Decision:
    """Return what these verdicts tell, whatever fewer of them told."""
    looks, seeds = config.looks, len(verdicts)
    share = clopper_pearson(
        sum(name == MISGENERALIZES for name in verdicts), seeds, 1 - config.error / len(looks)
    )
    counts, name = Counter(verdicts).most_common(), ""
    if seeds in looks:
        bound = bounds(looks, config.error)[looks.index(seeds)]
        most, agree = counts[0]
        if bound and agree >= bound and most != UNDETERMINED:
            name = most
    width = config.width if seeds in looks else None
    narrow = width is not None and share.high - share.low <= width
    stands = bool(name) or narrow or seeds >= config.most
    return Decision(seeds, name, share, stands, tuple(counts))


def headline_verdict(verdicts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return which of an evaluation's verdicts a report leads with, and looks go by.

    It is that of the first placement of the goal; of sampled actions, where they were played.

    Args:
        verdicts: as the evaluation's summary has them, one or more.
    """
    first = [one for one in verdicts if one["placement"] == verdicts[0]["placement"]]
    return min(first, key=lambda one: one["actions"] != "sampled")
