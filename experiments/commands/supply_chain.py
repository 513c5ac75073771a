"""Measure what fine-tuning leaves of a base agent's goal: misgen supply-chain base=... [...].

A supplier trained a base agent where goal and proxy coincide (correlation 1), so nothing in its
training distinguished the two.  A user fine-tunes its weights on levels where they can be apart
(correlation 0.5).  After how many steps does the agent stop pursuing the proxy, and would a test on
levels like those of the fine-tuning have shown that it had not?

Each base is fine-tuned once and kept at several steps (snapshots).  For comparison, an agent is
trained from scratch on the same levels for as long.  Every snapshot plays levels that no agent was
trained on, under the rules of its training: as in the base's training, as in the fine-tuning (the
in-distribution test), conflict levels only, and their aligned twins.  The two trainings are
compared in pairs: the same base, the same test levels, the same random numbers.  Finished work is
skipped; stopped runs resume.  Writes the runs to runs/<name>, and to
supply_chains/<hash of settings> in it

  supply_chain.json     the findings, when the proxy was gone, all numbers, provenance
  supply_chain.csv      a row for each kind, step, test and measure, with its 95% interval where
                        there are bases enough; supply_chain.json has each base's, too
  supply_chain.png      the curves, also as .svg
  supply_chain.parquet  one row per episode

Examples:
  misgen supply-chain base=runs/coinrun-lab                       3 of its runs at correlation 1
  misgen supply-chain base=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen supply-chain base=... correlation=0.98 name=chain-098    little evidence for the goal

Settings (misgen supply-chain --cfg prints them all with their values)
  base              folder of a finished run, or of a sweep, whose runs at base_correlation are
                    used, up to `most`
  correlation       correlation of the fine-tuning's levels
  steps, snapshots  decisions of fine-tuning, and after which of them to test
  scratch           also train agents from scratch
  gone              the proxy counts as gone once the agent reaches it first on a smaller share of
                    conflict levels than this, then and later
  on_proxy          what reaching the proxy first does in the tests (default: as in training)
  levels            test level ids, start:stop; levels of training or validation are refused
"""

from __future__ import annotations

import sys

from ..sweeps.fine_tuning import FIGURE, SupplyChainConfig, is_one_run, result_folder, supply_chain
from ..training.overrides import refuse_unused
from ..training.settings import compose, typed

_OF_A_SWEEP: dict[str, str] = dict.fromkeys(
    ("most", "base_correlation"), "base names one run, and it is for a sweep's folder"
)


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..reporting.inheritance_curves import PRESENTATION, inheritance_parts
    from ..training.terminal import show_parts
    from .common import print_config

    if "--cfg" in argv:
        return print_config("supply_chain", argv)
    config = typed(SupplyChainConfig, compose("supply_chain", argv))
    if is_one_run(config):
        refuse_unused("supply-chain", argv, _OF_A_SWEEP)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    found = supply_chain(config, PRESENTATION, tell)
    show_parts(inheritance_parts(found))
    print(f"written: {result_folder(config).path / FIGURE}.png, .svg, .csv and .json")
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("supply-chain", main))
