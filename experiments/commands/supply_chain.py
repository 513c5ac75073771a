"""What fine-tuning leaves of a base agent's goal: misgen supply-chain base=... [key=value ...].

Somebody trained a base agent where goal and proxy coincide (correlation 1), so nothing told it
which of the two to want.  Somebody else takes its weights and fine-tunes them on levels where they
part (correlation 0.5).  How many steps until the proxy is gone, and would a test of the fine-tuned
agent on levels like those of its training have shown that it was not?

Each base is fine-tuned once and kept at several steps (snapshots); beside it an agent is trained
from scratch on the same levels for as long.  Every snapshot plays levels that nobody was trained
on: as in the base's training, as in the fine-tuning (the in-distribution test), and conflict levels
alone.  What is done already is not repeated; a run that was stopped goes on.  In runs/<name> are
then the runs, and in supply_chains/<hash>, a folder for each set of settings,

  supply_chain.json     the findings in words, when the proxy was gone, all numbers, provenance
  supply_chain.csv      a row for each kind, step, test and measure, with its 95% interval
  supply_chain.png      the curves, also as .svg
  supply_chain.parquet  one row an episode

Examples:
  misgen supply-chain base=runs/coinrun-lab                       3 of its runs at correlation 1
  misgen supply-chain base=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen supply-chain base=... correlation=0.98 name=chain-098    a fine-tuning that hardly tells

Settings (misgen supply-chain --cfg prints them all with their values)
  base              a finished run's folder, or a sweep's, of which the runs at base_correlation
                    count, up to `most`
  correlation       of the levels of the fine-tuning
  steps, snapshots  decisions of fine-tuning, and after which of them to test
  scratch           train from scratch beside it
  gone              the proxy counts as gone where it is reached instead of the goal on a smaller
                    share of conflict levels than this, from then on
  levels            test level ids, start:stop; levels of training or validation are refused
"""

from __future__ import annotations

import sys

from ..sweeps.fine_tuning import FIGURE, SupplyChainConfig, result_folder, supply_chain
from ..training.settings import compose, typed


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.inheritance import PRESENTATION, inheritance_parts
    from ..training.terminal import show_parts
    from .common import print_config

    if "--cfg" in argv:
        return print_config("supply_chain", argv)
    config = typed(SupplyChainConfig, compose("supply_chain", argv))

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    found = supply_chain(config, PRESENTATION, tell)
    show_parts(inheritance_parts(found))
    print(f"written: {result_folder(config).path / FIGURE}.png, .svg, .csv and .json")
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("supply-chain", main))
