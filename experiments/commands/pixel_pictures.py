"""A picture of pixels: python -m misgen.experiments.commands.pixel_pictures [key=value ...].

Above, a stretch of a level in any resolution; below, enlarged, what an agent sees of some levels
with each theme.

Settings
  out      picture to write, .png or .webp (default: pixels.png)
  id       level id (default: 0)
  env      world (default: coinrun)
  cells    cells across of the stretch (default: 40)
  height   its height, in pixels (default: 416)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from misgen.envs.core.distribution import IdRange
from misgen.envs.core.errors import in_range, one_of

from ..reporting.pictures.pixels import THEMES, pixels
from .plain_settings import plain_settings

_SETTINGS = {"out": "pixels.png", "id": "0", "env": "coinrun", "cells": "40", "height": "416"}


def main(argv: Sequence[str]) -> int:
    """Draw the picture that the settings ask for."""
    from PIL import Image

    settings = _SETTINGS | plain_settings(argv, _SETTINGS)
    out = Path(settings["out"])
    one_of("out's ending", out.suffix, (".png", ".webp"))
    name, first = settings["env"], IdRange.parse(settings["id"]).start
    height, cells = int(settings["height"]), float(settings["cells"])
    in_range("height", height, 64, 4096)
    in_range("cells", cells, 1, 64)
    whole = pixels(name, first, height, cells)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(whole).save(out, optimize=True)
    print(f"{out}: level {first}; below, by row, theme={', '.join(THEMES)}")
    return 0


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("pixel_pictures", main))
