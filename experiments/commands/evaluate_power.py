"""Find how many training seeds and test levels are needed: misgen evaluate power ...

  misgen evaluate power difference=0.1
  misgen evaluate power difference=0.1 seed_sd=0.05 level_sd=0.4 cell_sd=0.3
  misgen evaluate power difference=0.1 sweep=runs/coinrun-lab      spread measured in a sweep
  misgen evaluate power share=0.8                 seeds until a share of 80% is told from one half
  misgen evaluate power share=0.8 width=0.4       and until its interval is 40 points wide

  Prints two tables.  The first is about a mean: for numbers of seeds and levels, the smallest mean
  difference from 0 (of a divergence, for example) that a two-sided test at 5% detects in 4 of 5
  repetitions of the whole experiment, and the fewest seeds with which the given difference is
  detected.  The second is about a share of seeds (those that misgeneralize, for example): the
  fewest seeds that tell it from one half, as a recipe's verdict needs, and the fewest whose
  interval is narrow enough.

Settings
  difference   the difference to detect, as a share (0.1: ten points)
  power        how often it should be detected (0.8)
  seed_sd      standard deviation between agents that differ only in their training seed
  level_sd     standard deviation between levels
  cell_sd      standard deviation of an agent on a level beyond these two
  sweep        estimate the three from the divergence of a sweep's agents at its highest
               correlation
  share        the true share of seeds, 0 to 1 (default: several)
  width        how wide the share's 95% interval may be, 0 to 1 (default: several)

  The mean of S seeds x L levels has variance seed_sd^2 / S + level_sd^2 / L + cell_sd^2 / (S L).
  The test is the t test with S - 1 degrees of freedom; it takes seeds for normally distributed,
  which two groups of seeds are not: plan by the share then.  More levels cannot make up for too few
  seeds, because the first term remains.  The share's interval is that of Clopper and Pearson; its
  test is exact.  Both are counted out over all numbers of seeds that can come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from misgen.envs.core.errors import in_range

from ..evaluation.statistics.sample_size import (
    Spread,
    detectable,
    fewest_seeds,
    variance_components_of,
)
from ..evaluation.statistics.share_size import MOST, fewest_against_half, fewest_for_width
from ..evaluation.sweep_divergences import divergences_of_sweep
from ..training.overrides import read_plain, refuse_unused
from ..training.settings import typed
from ..training.terminal import make_console, show_table

SEEDS = (2, 3, 5, 10, 20, 40)
LEVELS = (100, 300, 1_000, 3_000, 10_000)
SHARES = (0.6, 0.7, 0.8, 0.9, 1.0)
WIDTHS = (0.6, 0.5, 0.4, 0.3, 0.2)


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
    share: float | None = None
    """The true share of seeds; none: several."""
    width: float | None = None
    """How wide the share's interval may be; none: several."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("difference", self.difference, 1e-6, 2.0)
        in_range("power", self.power, 0.06, 0.999)
        for name in ("seed_sd", "level_sd", "cell_sd"):
            in_range(name, getattr(self, name), 0.0, 2.0)
        if self.share is not None:
            in_range("share", self.share, 0.0, 1.0)
        if self.width is not None:
            in_range("width", self.width, 0.01, 1.0)


_MEASURED: dict[str, str] = dict.fromkeys(
    ("seed_sd", "level_sd", "cell_sd"), "the spreads are taken from the sweep: leave sweep=... out"
)


def main(overrides: list[str]) -> int:
    """Run `misgen evaluate power`."""
    config = typed(PowerConfig, read_plain(PowerConfig, overrides))
    spread = Spread(config.seed_sd, config.level_sd, config.cell_sd)
    if config.sweep is not None:
        refuse_unused("evaluate power", overrides, _MEASURED)
        spread = variance_components_of(divergences_of_sweep(Path(config.sweep)))
    _show(config, spread)
    _show_shares(config)
    return 0


def _show_shares(config: PowerConfig) -> None:
    """Print the fewest seeds for shares, and for intervals of them."""
    from rich.table import Table

    shares = SHARES if config.share is None else (config.share,)
    widths = WIDTHS if config.width is None else (config.width,)
    title = f"Fewest seeds for a share of seeds, each with power {config.power:.0%}"
    table = Table(title=title, box=None)
    for heading in ("true share", "told from 1/2", *(f"interval <= {one:g}" for one in widths)):
        table.add_column(heading, justify="right")
    for share in shares:
        needed = [fewest_against_half(share, config.power)]
        needed += [fewest_for_width(share, width, config.power) for width in widths]
        table.add_row(f"{share:g}", *map(_seeds, needed))
    show_table(make_console(markup=True), table)


def _seeds(needed: int | None) -> str:
    return f"more than {MOST:,}" if needed is None else str(needed)


def _show(config: PowerConfig, spread: Spread) -> None:
    from rich.table import Table

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
    table.add_section()
    table.add_row(f"for {config.difference:g}", *map(_seeds, needed))
    show_table(make_console(markup=True), table)
