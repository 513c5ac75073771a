"""A picture of every world: python -m misgen.experiments.commands.gallery [key=value ...].

Settings: out=worlds.png id=3 side=256 (pixels of each picture).

For each world on a board, a level as in training (goal and proxy coincide), and below it the same
level with the two apart.

Settings
  out    picture to write, .png or .webp (default: worlds.png)
  id     the first level id that is drawn (default: 3)
  side   pixels along a level (default: 256)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from misgen.envs.core.boards.grid_world import GridWorld
from misgen.envs.core.distribution import IdRange
from misgen.envs.core.errors import in_range, one_of
from misgen.envs.core.registry import entries, world_class
from misgen.envs.core.world import World

from ..reporting.pictures.gallery import gallery
from ..training.config import TrainConfig
from ..training.settings import compose, typed
from .plain_settings import plain_settings

_SETTINGS = {"out": "worlds.png", "id": "3", "side": "256"}


def main(argv: Sequence[str]) -> int:
    """Draw the picture that the settings ask for."""
    settings = _SETTINGS | plain_settings(argv, _SETTINGS)
    out = Path(settings["out"])
    one_of("out's ending", out.suffix, (".png", ".webp"))
    side = int(settings["side"])
    in_range("side", side, 64, 2048)
    from PIL import Image

    out.parent.mkdir(parents=True, exist_ok=True)
    worlds = [cls for name in entries() if issubclass(cls := world_class(name), GridWorld)]
    picture = gallery([_preset(cls.name) for cls in worlds], IdRange.parse(settings["id"]), side)
    Image.fromarray(picture).save(out, optimize=True)
    print(f"{out}: {', '.join(cls.name for cls in worlds)}; above aligned, below in conflict")
    return 0


def _preset(name: str) -> World:
    """Return a world as the lab preset has it."""
    plain = compose("train", [f"env={name}", "preset=lab"])
    return typed(TrainConfig, plain).world


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("gallery", main))
