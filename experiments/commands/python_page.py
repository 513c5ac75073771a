"""Write the page of public names: python -m misgen.experiments.commands.python_page.

It is docs/python.md, or the file that is given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ..reporting.python_page import markdown
from ..training.run_folder import write_text

_USUAL = "docs/python.md"


def main(argv: Sequence[str] = ()) -> int:
    """Write the page."""
    page = Path((*argv, _USUAL)[0])
    write_text(page, markdown())
    print(f"written: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
