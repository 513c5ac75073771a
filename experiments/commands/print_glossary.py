"""Print the glossary: python -m misgen.experiments.commands.print_glossary > docs/glossary.md.

It has no settings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..reporting.glossary import markdown


def main(argv: Sequence[str] = ()) -> int:
    """Print the page."""
    print(markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
