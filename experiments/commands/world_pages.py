"""Write the pages of the worlds: python -m misgen.experiments.commands.world_pages [out=FOLDER].

Writes index.md, and for each world a page and, of those on a board, a picture.  All of it follows
from the worlds' docstrings, settings files and classes; a test holds the committed pages to them.

Settings
  out    folder to write to (default: docs/worlds)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from misgen.envs.core.distribution import IdRange

from ..reporting.pictures.gallery import pair, side_by_side
from ..reporting.world_pages import Page, index, pages, world_of
from ..training.run_folder import write_text
from .plain_settings import plain_settings

_SETTINGS = {"out": "docs/worlds"}
_SIDE = 320  # pixels along a level
_COLOURS = 64  # of a picture's palette, which keeps files small
_FIRST_ID = 3


def main(argv: Sequence[str]) -> int:
    """Write pages and pictures."""
    from PIL import Image

    out = Path((_SETTINGS | plain_settings(argv, _SETTINGS))["out"])
    out.mkdir(parents=True, exist_ok=True)
    found = pages()
    write_text(out / "index.md", index(found))
    for page in found:
        write_text(out / f"{page.name}.md", page.markdown())
        if page.is_drawn:
            shown = Image.fromarray(picture_of(page)).quantize(_COLOURS, dither=Image.Dither.NONE)
            shown.save(out / page.picture, optimize=True)
    print(f"written: {out}: {', '.join(page.name for page in found)}")
    return 0


def picture_of(page: Page) -> NDArray[np.uint8]:
    """Return a page's picture: a level with goal and proxy together, and with the two apart."""
    return side_by_side(pair(world_of(page), IdRange.parse(str(_FIRST_ID)), _SIDE))


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("world_pages", main))
