"""How many training seeds and test levels a wanted difference needs: misgen evaluate power ...

  misgen evaluate power difference=0.1
  misgen evaluate power difference=0.1 seed_sd=0.05 level_sd=0.4 cell_sd=0.3
  misgen evaluate power difference=0.1 sweep=runs/coinrun-lab      spread as measured in a sweep

Prints, for numbers of seeds and levels, the smallest mean difference from 0 (of a divergence, say)
that a two-sided test at 5% finds in 4 of 5 repetitions of the whole experiment, and the fewest
seeds that find the wanted one.

Settings
  difference   the difference that should be found, in shares (0.1: ten points)
  power        how often it should be found (0.8)
  seed_sd      spread of agents that differ in their training seed alone
  level_sd     spread of levels
  cell_sd      spread of an agent on a level beyond both
  sweep        take the three from the divergence of a sweep's agents, at its highest correlation

The mean of S seeds x L levels has variance seed_sd^2 / S + level_sd^2 / L + cell_sd^2 / (S L); the
test is the t test with S - 1 degrees of freedom that the reports' intervals correspond to.  More
levels cannot make up for too few seeds: the first term stays.

Public names: `PowerConfig`, `Spread`, `variance_components_of`, `detectable`, `fewest_seeds`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.errors import UserError, in_range

if TYPE_CHECKING:
    import polars as pl

    from ..evaluation.result_folders import Kept

SEEDS = (2, 3, 5, 10, 20, 40)
LEVELS = (100, 300, 1_000, 3_000, 10_000)
_MOST_SEEDS = 1_000


@dataclass(frozen=True)
class Spread:
    """Standard deviations of a score over training seeds, levels and their combinations."""

    seed: float
    level: float
    cell: float

    def error(self, seeds: int, levels: int) -> float:
        """Return the standard error of the mean over so many seeds and levels."""
        return math.sqrt(
            self.seed**2 / seeds + self.level**2 / levels + self.cell**2 / (seeds * levels)
        )


@dataclass(frozen=True)
class PowerConfig:
    """A question about the size of an experiment."""

    difference: float = 0.1
    """The difference that should be found."""
    power: float = 0.8
    """How often it should be found."""
    seed_sd: float = 0.1
    """Spread over training seeds."""
    level_sd: float = 0.25
    """Spread over levels."""
    cell_sd: float = 0.4
    """Spread of an agent on a level beyond both."""
    sweep: str | None = None
    """Sweep folder to take the spreads from."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("difference", self.difference, 1e-6, 2.0)
        in_range("power", self.power, 0.06, 0.999)
        for name in ("seed_sd", "level_sd", "cell_sd"):
            in_range(name, getattr(self, name), 0.0, 2.0)


def main(overrides: list[str]) -> int:
    """Run `misgen evaluate power`."""
    from ..training.config import typed
    from ..training.overrides import read_plain

    config = typed(PowerConfig, read_plain(PowerConfig, overrides))
    spread = Spread(config.seed_sd, config.level_sd, config.cell_sd)
    if config.sweep is not None:
        spread = variance_components_of(_divergences(Path(config.sweep)))
    _show(config, spread)
    return 0


def variance_components_of(values: NDArray[np.float64]) -> Spread:
    """Return the spreads of scores, by two-way analysis of variance.

    Args:
        values: float64 [seeds, levels], complete, at least 2 x 2.

    Raises:
        UserError: if there are too few.
    """
    seeds, levels = values.shape
    if seeds < 2 or levels < 2:
        raise UserError(f"{seeds} seeds x {levels} levels tell no spread: at least 2 of each")
    by_seed, by_level = values.mean(axis=1), values.mean(axis=0)
    rest = values - by_seed[:, None] - by_level[None, :] + values.mean()
    cell = float((rest**2).sum() / ((seeds - 1) * (levels - 1)))
    seed = max(0.0, float(by_seed.var(ddof=1)) - cell / levels)
    level = max(0.0, float(by_level.var(ddof=1)) - cell / seeds)
    return Spread(math.sqrt(seed), math.sqrt(level), math.sqrt(cell))


def detectable(spread: Spread, seeds: int, levels: int, power: float) -> float:
    """Return the smallest mean that a two-sided 5% t test tells from 0 with the wanted power."""
    from scipy.stats import nct, t

    freedom = seeds - 1
    critical = float(t.ppf(0.975, freedom))
    low, high = 0.0, 4.0 * critical + 10.0  # noncentrality, in standard errors
    for _ in range(60):
        middle = (low + high) / 2
        found = float(nct.sf(critical, freedom, middle))
        low, high = (low, middle) if found >= power else (middle, high)
    return high * spread.error(seeds, levels)


def fewest_seeds(spread: Spread, levels: int, difference: float, power: float) -> int | None:
    """Return the fewest seeds that find `difference`, or None if even 1,000 do not."""
    low, high = 1, _MOST_SEEDS
    if detectable(spread, high, levels, power) > difference:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        enough = detectable(spread, middle, levels, power) <= difference
        low, high = (low, middle) if enough else (middle, high)
    return high


def _divergences(sweep: Path) -> NDArray[np.float64]:
    """Return each agent's divergence on each level, at the sweep's highest correlation."""
    import polars as pl

    from ..evaluation.chosen import evaluation_of
    from ..evaluation.level_means import CAPABLE, GOAL
    from ..training.run_folder import MANIFEST, RunFolder

    found = (evaluation_of(RunFolder(path.parent)) for path in sorted(sweep.glob(f"*/{MANIFEST}")))
    tables = [_read(one) for one in found if one is not None]
    if not tables:
        raise UserError(f"sweep={sweep} holds no evaluated run: run misgen sweep first")
    episodes = pl.concat(tables).filter(pl.col("agent") != "random", pl.col("actions") == "sampled")
    top = episodes["train_correlation"].max()
    placement = episodes["placement"].sort()[-1]
    gap = (CAPABLE - GOAL).alias("gap")
    own = episodes.filter(pl.col("train_correlation") == top).with_columns(gap)
    held = own.filter(pl.col("condition") == "heldout")
    moved = own.filter(pl.col("condition") == "shifted", pl.col("placement") == placement)
    keys = ["train_seed", "level_id"]
    both = held.select(*keys, "gap").join(moved.select(*keys, "gap"), on=keys, suffix="_moved")
    table = both.with_columns(d=pl.col("gap_moved") - pl.col("gap")).pivot(
        on="level_id", index="train_seed", values="d"
    )
    return table.drop("train_seed").drop_nulls().to_numpy()


def _show(config: PowerConfig, spread: Spread) -> None:
    from rich.table import Table

    from ..training.terminal import make_console, show_table

    title = (
        f"Smallest difference found with power {config.power:.0%} (spread over seeds "
        f"{spread.seed:.3f}, levels {spread.level:.3f}, cells {spread.cell:.3f})"
    )
    table = Table(title=title, box=None)
    table.add_column("seeds", justify="right")
    for levels in LEVELS:
        table.add_column(f"{levels:,} levels", justify="right")
    for seeds in SEEDS:
        row = [detectable(spread, seeds, levels, config.power) for levels in LEVELS]
        cells = [
            f"[green]{value:.3f}[/green]" if value <= config.difference else f"{value:.3f}"
            for value in row
        ]
        table.add_row(str(seeds), *cells)
    needed = [fewest_seeds(spread, levels, config.difference, config.power) for levels in LEVELS]
    words = ["more than 1,000" if one is None else str(one) for one in needed]
    table.add_section()
    table.add_row(f"for {config.difference:g}", *words)
    show_table(make_console(markup=True), table)


def _read(evaluation: Kept) -> pl.DataFrame:
    """Return an evaluation's episodes."""
    from ..evaluation.conditions import NEEDED
    from ..training.run_folder import EPISODES, read_parquet

    digest = evaluation.found.get("episodes_sha256")
    return read_parquet(evaluation.path / EPISODES, digest, NEEDED, "evaluate the run again")
