"""A game as an animation, GIF or WebP, with goal, proxy and path marked where that is asked for.

Public names: `Animation`, `FRAME_SECONDS`, `ENDINGS`.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.level import NO_CELL

from .game import Game

if TYPE_CHECKING:
    from PIL.Image import Image

FRAME_SECONDS = 0.08
"""How long a picture is shown."""
ENDINGS = {".gif": "GIF", ".webp": "WEBP"}
"""Files that can be written, by their ending, and what Pillow calls them."""
_LAST_SECONDS = 1.0
_COLOURS = 128
GOAL, PROXY, PATH = "#f2b705", "#d6409f", "#2f6fed"
"""Colours of the marks, told apart by people who see no red or no green, too."""
_EDGE = "#14181f"
_STRIP = 22
_LEAST_STRIP = 160
"""Pixels of the strip that says what the marks are, and of the smallest picture that has one."""


class Animation:
    """The pictures of a game, one for each state that is taken up."""

    def __init__(self, out: Path, scale: int, overlay: bool) -> None:
        """Take up nothing yet.

        Args:
            out: the file to write; see `checked`.
            scale: height and width of a picture, in pixels.
            overlay: whether to mark goal, proxy and path.
        """
        self.out = out
        self._scale = scale
        self._overlay = overlay
        self._frames: list[Image] = []

    @staticmethod
    def checked(out: str) -> Path:
        """Return the path of a file that can be written.

        Raises:
            UserError: if it is none.
        """
        path = Path(out)
        if path.suffix.lower() not in ENDINGS or not path.parent.is_dir():
            known = " or ".join(ENDINGS)
            raise UserError(
                f"out={out!r} cannot be written: give a {known} in a folder that exists"
            )
        return path

    def take(self, game: Game) -> None:
        """Take up what a game shows now."""
        from PIL import Image

        scale = self._scale
        picture = Image.fromarray(game.world.picture(game.engine.states[0], scale, scale))
        marked = self._marked(picture, game) if self._overlay else picture
        self._frames.append(marked.quantize(_COLOURS))  # a third of the memory

    def write(self) -> str:
        """Write the file, and return what was written."""
        from ..training.run_folder import write_with

        kind = ENDINGS[self.out.suffix.lower()]
        frames: list[Any] = self._frames
        if kind == "WEBP":
            frames = [frame.convert("RGB") for frame in frames]
        first, *rest = frames
        durations = [round(1000 * FRAME_SECONDS)] * len(rest) + [round(1000 * _LAST_SECONDS)]
        options = {} if kind == "GIF" else {"lossless": True, "quality": 30, "method": 2}
        buffer = io.BytesIO()
        first.save(
            buffer, kind, save_all=True, append_images=rest, duration=durations, loop=0, **options
        )
        write_with(self.out, lambda file: file.write(buffer.getbuffer()))
        return f"{self.out}: {len(frames)} pictures"

    def _marked(self, picture: Image, game: Game) -> Image:
        """Return a picture with the goal, the proxy and the way so far."""
        from PIL import ImageDraw

        scale = self._scale
        left, bottom, across, up = game.world.in_picture(game.engine.states[0], scale, scale)

        def pixel(x: float, y: float) -> tuple[float, float]:
            return (x - left) / across * scale, (bottom + up - y) / up * scale

        draw = ImageDraw.Draw(picture)
        way = [pixel(x, y) for x, y in game.path[: game.at + 1]]
        width = max(2, scale // 120)
        if len(way) > 1:
            draw.line(way, fill=_EDGE, width=width + 2, joint="curve")
            draw.line(way, fill=PATH, width=width, joint="curve")
        radius = 0.46 * scale / up
        level, cells = game.level, game.world.goal_is_cell  # or it is several things
        for cell, colour, dashed in (
            (level.proxy_cell, PROXY, True),
            (level.goal_cell, GOAL, False),
        ):
            if cells and cell != NO_CELL:
                _ring(draw, pixel(cell[0] + 0.5, cell[1] + 0.5), radius, colour, width, dashed)
        return self._with_strip(picture) if scale >= _LEAST_STRIP else picture

    def _with_strip(self, picture: Image) -> Image:
        """Return a picture over a strip that says what the marks are."""
        from PIL import Image, ImageDraw

        whole = Image.new("RGB", (picture.width, picture.height + _STRIP), "white")
        whole.paste(picture, (0, 0))
        draw = ImageDraw.Draw(whole)
        middle, x = picture.height + _STRIP / 2, 12.0
        for word, colour, dashed in (("goal", GOAL, False), ("proxy", PROXY, True)):
            _ring(draw, (x, middle), 6, colour, 2, dashed)
            draw.text((x + 12, middle), word, fill=_EDGE, anchor="lm")
            x += 60
        draw.line([(x - 6, middle), (x + 10, middle)], fill=PATH, width=3)
        draw.text((x + 16, middle), "path", fill=_EDGE, anchor="lm")
        return whole


def _ring(
    draw: Any, middle: tuple[float, float], radius: float, colour: str, width: int, dashed: bool
) -> None:
    x, y = middle
    box = (x - radius, y - radius, x + radius, y + radius)
    if not dashed:
        wide = (box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1)
        draw.ellipse(wide, outline=_EDGE, width=width + 2)
        draw.ellipse(box, outline=colour, width=width)
        return
    for start in range(0, 360, 45):
        draw.arc(box, start, start + 28, fill=colour, width=width + 1)
