"""Playing one level: who chooses the actions, and what is seen and told of it.

Public names: `Playing`, `Choose`, `chooser`, `read_keys`, `action_of_key`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.episode import DIED, REACHED_GOAL, REACHED_PROXY, TOUCHED_CONFLICT_CELL
from misgen.envs.core.errors import UserError, did_you_mean
from misgen.envs.core.level_text.hand_made import level_batch

from .files import read_file
from .level_settings import LevelsCommand

if TYPE_CHECKING:
    from misgen.agents.base import Agent
    from misgen.envs.core.engine import Engine
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import World

_CODES = {"L": 1, "D": 3, ".": 4, "U": 5, "R": 7, "Z": 0, "Q": 2, "C": 6, "E": 8}
"""Procgen's action of each letter."""
_WORD = re.compile(r"([LDURZQCE.])(?:\*(\d{1,4}))?")
FRAME_SECONDS = 0.08
"""How long a picture is shown."""

Choose = Callable[[], int | None]
"""Returns the next action, or None to leave."""


class Playing:
    """One level being played: what happened so far, and pictures of it if a file is to be drawn."""

    def __init__(self, config: LevelsCommand) -> None:
        """Start a level.

        Raises:
            UserError: if the level, or the file to draw, cannot be.
        """
        self._out = _require_gif(config.out)
        self.world = config.world()
        self.levels = _levels(config, self.world)
        self.engine = self.world.make_engine(1)
        self.engine.load(_slot(), self.levels)
        self._scale = config.scale
        self._before = 0
        self._log: list[str] = []
        self._frames: list[Any] = []
        self._take_up()

    @property
    def running(self) -> bool:
        """Whether the episode goes on."""
        return bool(self.engine.episodes["running"][0])

    @property
    def decisions(self) -> int:
        """How many were taken."""
        return int(self.engine.episodes["decisions"][0])

    def step(self, action: int) -> None:
        """Take an action."""
        import numpy as np

        self.engine.step(np.array([action]))
        self._take_up()

    def map(self) -> str:
        """Return what the slot holds now, as text."""
        from misgen.envs.core.level_text.scene import scene

        return "\n".join(scene(self.world, self.engine.states[0], self.levels[0]))

    def told(self) -> list[str]:
        """Return what happened, and how it went."""
        (info,) = self.engine.infos(_slot())
        if self.running:
            info["outcome"] = "none yet"
        return [*self._log, ", ".join(f"{name} {_plain(value)}" for name, value in info.items())]

    def write(self) -> str:
        """Write the animation, if there is a file for it, and return what was written."""
        from ..training.run_folder import write_with

        if self._out is None:
            return ""
        buffer = io.BytesIO()
        first, *rest = self._frames
        durations = [round(1000 * FRAME_SECONDS)] * len(rest) + [1000]
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
        write_with(self._out, lambda file: file.write(buffer.getbuffer()))
        return f"{self._out}: {len(self._frames)} pictures"

    def _take_up(self) -> None:
        """Note what the engine shows now."""
        events = int(self.engine.episodes["events"][0])
        for bit, words in _events(self.world).items():
            if events & bit & ~self._before:
                self._log.append(f"decision {self.decisions}: {words}")
        self._before = events
        if self._out is not None:
            self._draw()

    def _draw(self) -> None:
        from PIL import Image

        pixels = self.world.picture(self.engine.states[0], self._scale, self._scale)
        self._frames.append(Image.fromarray(pixels).quantize(128))


def chooser(config: LevelsCommand, playing: Playing) -> Choose | None:
    """Return what chooses the actions: given ones, or an agent; None for who is at the keys.

    Raises:
        UserError: if there is no such agent or action.
    """
    if config.actions is not None:
        if config.player is not None:
            raise UserError("agent and actions exclude each other: give one of them")
        given = iter(read_keys(config.actions, playing.world))
        return lambda: next(given, None)
    if config.player is None:
        return None
    agent = _make_agent(config, playing.world)
    return _by_agent(agent, config, playing.engine, playing.levels)


def _events(world: World) -> dict[int, str]:
    return {
        REACHED_GOAL: f"the goal is reached ({world.goal_description})",
        REACHED_PROXY: f"the proxy is reached ({world.proxy_description})",
        DIED: "the agent dies",
        TOUCHED_CONFLICT_CELL: "the place is touched where the goal is on the conflict level",
    }


def _slot() -> Any:
    """Return the one slot, int64 [1]."""
    import numpy as np

    return np.zeros(1, np.int64)


def read_keys(text: str, world: World) -> list[int]:
    """Return the world's actions that a string of letters stands for.

    Raises:
        UserError: naming the letter that stands for none.
    """
    codes = world.action_codes.tolist()
    known = "".join(letter for letter, code in _CODES.items() if code in codes)
    found: list[int] = []
    at = 0
    for word in _WORD.finditer(text):
        if word.start() != at or _CODES[word[1]] not in codes:
            break
        found += [codes.index(_CODES[word[1]])] * int(word[2] or 1)
        at = word.end()
    if at < len(text):
        raise UserError(
            f"actions={text[:60]!r}: {text[at]!r} at place {at + 1} is not an action here: use "
            f"{known}, and R*20 for 20 times R"
        )
    return found


def _levels(config: LevelsCommand, world: World) -> LevelBatch:
    level = read_file(config, world)
    return level_batch([level], world) if config.file else config.distribution(config.id).levels()


def _make_agent(config: LevelsCommand, world: World) -> Agent:
    name = config.player or ""
    if Path(name).is_dir():
        from misgen.agents.checkpoint import load_agent

        spaces = world.observation_space, world.action_space
        return load_agent(Path(name), *spaces, trust=config.trust)
    from misgen.agents.known import agent_named, names

    if name not in names():
        raise UserError(
            f"agent={name!r} is not known: use one of {', '.join(names())}, or a run's folder"
            f"{did_you_mean(name, names())}"
        )
    return agent_named(name, world)


def _by_agent(agent: Agent, config: LevelsCommand, engine: Engine, levels: LevelBatch) -> Choose:
    import numpy as np

    from misgen.agents.checked import probabilities_of

    rng = np.random.default_rng(config.seed)
    num_actions = int(engine.world.action_space.n)
    agent.start(_slot(), levels)

    def choose() -> int:
        (p,) = probabilities_of(agent, engine.observe(), engine, num_actions)
        return int(p.argmax()) if config.greedy else int(rng.choice(len(p), p=p / p.sum()))

    return choose


def action_of_key(key: str, world: World) -> int | None:
    """Return the action of a key, a letter or a space; None if it stands for none."""
    codes = world.action_codes.tolist()
    code = _CODES.get("." if key == " " else key.upper())
    return codes.index(code) if code in codes else None


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _require_gif(out: str | None) -> Path | None:
    if out is None:
        return None
    path = Path(out)
    if path.suffix != ".gif" or not path.parent.is_dir():
        raise UserError(f"out={out!r} cannot be written: give a .gif in a folder that exists")
    return path
