"""Write pages on evidence: python -m misgen.experiments.commands.evidence_pages [root].

From the tables of questions in docs/evidence of the repository in the working directory, or in
`root`: docs/claims.md, the ledger of what the literature claims; docs/evidence/README.md, what was
found, with figures; and what README.md and docs/comparing_protocols.md draw from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..evidence.literature import headlines, judged, ledger
from ..evidence.overview import drawn, findings, overview
from ..evidence.question import Found
from ..training.run_folder import write_text

EVIDENCE = Path("docs/evidence")


def main(argv: list[str]) -> int:
    """Write the pages."""
    root = Path(*argv)
    for path, text in pages(findings(root / EVIDENCE), root).items():
        write_text(root / path, text)
        print(f"written: {path}")
    return 0


def pages(found: Mapping[str, Found], root: Path) -> dict[str, str]:
    """Return all pages by their paths, as they should be for what was found.

    Raises:
        UserError: if it is not noted how results were made, or a page has no place for what is
            drawn.
    """
    claims = judged(found)
    detected = found["detection"].paragraph if "detection" in found else ""
    return {
        "docs/claims.md": ledger(claims),
        "docs/evidence/README.md": overview(found, root / EVIDENCE),
        "README.md": drawn(root / "README.md", "what is settled", headlines(claims)),
        "docs/comparing_protocols.md": drawn(
            root / "docs/comparing_protocols.md", "what was detected", detected
        ),
    }


if __name__ == "__main__":
    import sys

    from .common import run_module

    sys.exit(run_module("evidence_pages", main))
