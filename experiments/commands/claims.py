"""Write the ledger of claims: python -m misgen.experiments.commands.claims [folder page readme].

Reads the tables of questions in docs/evidence, or the folder given, and writes docs/claims.md, or
the page given: what the literature claims, what is measured here, and whether it agrees.  Those
that are settled, one way or the other, go into README.md, or the page given, too.
"""

from __future__ import annotations

from pathlib import Path

from ..evidence.literature import headlines, judged, ledger, with_headlines
from ..training.run_folder import write_text

_USUAL = ("docs/evidence", "docs/claims.md", "README.md")


def main(argv: list[str]) -> int:
    """Write the pages."""
    evidence, page, readme = map(Path, (*argv, *_USUAL[len(argv) :]))
    claims = judged(evidence)
    settled = with_headlines(readme.read_text(encoding="utf-8"), headlines(claims))
    write_text(page, ledger(claims))
    write_text(readme, settled)
    print(f"written: {page} and {readme}")
    return 0


if __name__ == "__main__":
    import sys

    from .common import run_module

    sys.exit(run_module("claims", main))
