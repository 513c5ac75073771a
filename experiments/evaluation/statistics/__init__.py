"""Intervals and tests for scores measured on training seeds x levels.

Every agent (training seed) is run on the same levels, so two things are sampled at once, and an
interval that ignores either is too narrow: episodes on one level resemble each other whoever plays
it, and episodes of one agent resemble each other wherever it plays. The intervals here treat both
as random. Their parts:

- `crossed_replicates`: the crossed ("pigeonhole") bootstrap, multinomial weights on seeds and,
  independently, on levels. Owen (2007), https://doi.org/10.1214/07-AOAS122; Owen & Eckles (2012),
  https://doi.org/10.1214/12-AOAS547.
- a two-way variance of the linearised statistic, split into seeds, levels and cells, as in
  Cameron, Gelbach & Miller (2011), https://doi.org/10.1198/jbes.2010.07136. It widens the
  t-interval over seeds by what the levels add, and calibrates the percentile interval of the
  bootstrap, which knows neither the t quantiles of ten seeds nor that the crossed bootstrap counts
  cell noise three times (the "expanded percentile interval" of Hesterberg (2015),
  https://doi.org/10.1080/00031305.2015.1089789, with the level that this variance asks for).

`python -m benchmarks.coverage` measures how often the intervals contain the truth.

What an evaluation prints is `over_levels` of one agent and `over_seeds` of a recipe, which holds
for seeds of two kinds too; comparisons of other scores use `seeds_and_levels`.

Public names: `Interval`; `over_levels`, `over_seeds`, `bounded_mean`, `two_groups`;
`seeds_and_levels`, `estimate`,
`crossed_bootstrap`, `crossed_bootstrap_statistic`, `crossed_replicates`, `t_over_seeds`,
`paired_difference`; the statistics `difference`, `ratio`, `divergence`; `wilson`,
`clopper_pearson`, `mcnemar_exact`, `holm`. Randomness comes only from the generator that is passed
in; `labelled_generator` makes those of tables.
"""

from .crossed import (
    crossed_bootstrap,
    crossed_bootstrap_statistic,
    crossed_replicates,
    estimate,
    paired_difference,
    seeds_and_levels,
)
from .intervals import FEW_SEEDS, Bounds, FloatArray, Interval
from .labelled import labelled_generator
from .samples import clopper_pearson, holm, mcnemar_exact, t_over_seeds, wilson
from .seeds import bounded_mean, over_levels, over_seeds, two_groups
from .tables import Statistic, difference, divergence, ratio

__all__ = [
    "FEW_SEEDS",
    "Bounds",
    "FloatArray",
    "Interval",
    "Statistic",
    "bounded_mean",
    "clopper_pearson",
    "crossed_bootstrap",
    "crossed_bootstrap_statistic",
    "crossed_replicates",
    "difference",
    "divergence",
    "estimate",
    "holm",
    "labelled_generator",
    "mcnemar_exact",
    "over_levels",
    "over_seeds",
    "paired_difference",
    "ratio",
    "seeds_and_levels",
    "t_over_seeds",
    "two_groups",
    "wilson",
]
