"""Write the ledger of claims: python -m misgen.experiments.commands.claims [evidence] [page].

Reads the tables of questions in docs/evidence, or the folder given, and writes docs/claims.md, or
the page given: what the literature claims, what is measured here, and whether it agrees.
"""

from __future__ import annotations

from pathlib import Path

from ..evidence.literature import ledger
from ..training.run_folder import write_text

_USUAL = ("docs/evidence", "docs/claims.md")


def main(argv: list[str]) -> int:
    """Write the page."""
    evidence, page = (*argv, *_USUAL[len(argv) :])
    write_text(Path(page), ledger(Path(evidence)))
    print(f"written: {page}")
    return 0


if __name__ == "__main__":
    import sys

    from .common import run_module

    sys.exit(run_module("claims", main))
