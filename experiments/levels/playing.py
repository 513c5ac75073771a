"""Playing one level and showing what happens: misgen levels play.

Public names: `play`, `read_keys`.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.episode import DIED, REACHED_GOAL, REACHED_PROXY, TOUCHED_CONFLICT_CELL
from misgen.envs.core.errors import UserError, did_you_mean
from misgen.envs.core.level_text.hand_made import level_batch

from .files import read_file
from .settings import LevelsCommand

if TYPE_CHECKING:
    from misgen.agents.base import Agent
    from misgen.envs.core.engine import Engine
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import World

_CODES = {"L": 1, "D": 3, ".": 4, "U": 5, "R": 7, "Z": 0, "Q": 2, "C": 6, "E": 8}
"""Procgen's action of each letter."""
_WORD = re.compile(r"([LDURZQCE.])(?:\*(\d{1,4}))?")
_ARROWS = {"A": "U", "B": "D", "C": "R", "D": "L"}
"""Letter of each arrow key, by the last sign of what a terminal sends for it."""
_SEEKERS = {"goal_seeker": 1.0, "proxy_seeker": 0.0}
_FRAME_SECONDS = 0.08

Choose = Callable[[], int | None]
"""Returns the next action, or None to leave."""


def play(config: LevelsCommand) -> int:
    """Play one level, print what happens, and draw it if a file is given."""
    out = _require_gif(config.out)
    world = config.world()
    levels = _levels(config, world)
    engine = world.make_engine(1)
    engine.load(_slot(), levels)
    with contextlib.ExitStack() as stack:
        choose = _player(config, world, engine, levels, stack)
        show = _Show(world, engine, levels, out, config.scale)
        _run(engine, choose, show)
    show.finish()
    return 0


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
            f"actions={text[:60]!r}: {text[at]!r} at place {at + 1} is no action here: use "
            f"{known}, and R*20 for 20 times R"
        )
    return found


def _levels(config: LevelsCommand, world: World) -> LevelBatch:
    level = read_file(config, world)
    return level_batch([level], world) if config.file else config.distribution(config.id).levels()


def _player(
    config: LevelsCommand,
    world: World,
    engine: Engine,
    levels: LevelBatch,
    stack: contextlib.ExitStack,
) -> Choose:
    """Return what chooses the actions: given ones, an agent, or the one at the keyboard."""
    if config.actions is not None:
        if config.player is not None:
            raise UserError("agent and actions exclude each other: give one of them")
        given = iter(read_keys(config.actions, world))
        return lambda: next(given, None)
    if config.player is not None:
        return _by_agent(_make_agent(config, world), config, engine, levels)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            "nobody plays: give agent=goal_seeker (or proxy_seeker, random, idle, a run's folder), "
            "or actions=RRUUL; on a terminal you can play yourself"
        )
    keys = stack.enter_context(_keyboard())
    return lambda: _by_key(keys, world)


def _make_agent(config: LevelsCommand, world: World) -> Agent:
    name = config.player or ""
    if name in _SEEKERS:
        from misgen.agents.reference import Seeker, SeekerConfig

        return Seeker(world, SeekerConfig(goal_share=_SEEKERS[name]), name)
    if Path(name).is_dir():
        from misgen.agents.checkpoint import load_agent

        return load_agent(Path(name), world.observation_space, world.action_space)
    from misgen.agents.scripted import agent_names, make_agent

    known = [*_SEEKERS, *agent_names()]
    if name not in known:
        raise UserError(
            f"agent={name!r} is not known: use one of {', '.join(known)}, or a run's folder"
            f"{did_you_mean(name, known)}"
        )
    return make_agent(name, int(world.action_space.n), world.no_op)


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


def _by_key(keys: Iterator[str], world: World) -> int | None:
    """Return the action of the next key that stands for one; None for x or the end."""
    codes = world.action_codes.tolist()
    for key in keys:
        if key in ("x", "\x03", "\x04"):
            return None
        code = _CODES.get("." if key == " " else key.upper())
        if code in codes:
            return codes.index(code)
    return None


@contextlib.contextmanager
def _keyboard() -> Iterator[Iterator[str]]:
    """Yield the keys that are pressed, one by one, arrow keys as letters."""
    try:
        import termios
        import tty
    except ImportError:
        raise UserError(
            "this terminal gives no single keys: use agent=... or actions=..."
        ) from None

    def keys() -> Iterator[str]:
        while sign := sys.stdin.read(1):
            if sign == "\x1b":
                sys.stdin.read(1)
                sign = _ARROWS.get(sys.stdin.read(1), "")
            yield sign

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)  # keys pressed early are kept
        print("arrow keys move, Q E Z C are diagonals, space waits, x leaves")
        yield keys()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _run(engine: Engine, choose: Choose, show: _Show) -> None:
    import numpy as np

    show.frame()
    while engine.episodes["running"][0]:
        action = choose()
        if action is None:
            return
        engine.step(np.array([action]))
        show.frame()


class _Show:
    """Shows an episode: the map on the way or at its ends, what happened, and an animation."""

    def __init__(
        self, world: World, engine: Engine, levels: LevelBatch, out: Path | None, scale: int
    ) -> None:
        self._world = world
        self._engine = engine
        self._level = levels[0]
        self._out = out
        self._scale = scale
        self._live = sys.stdout.isatty()
        self._before = 0
        self._log: list[str] = []
        self._frames: list[Any] = []

    def frame(self) -> None:
        """Take up what the engine shows now."""
        decisions = int(self._engine.episodes["decisions"][0])
        events = int(self._engine.episodes["events"][0])
        for bit, words in self._words().items():
            if events & bit & ~self._before:
                self._log.append(f"decision {decisions}: {words}")
        self._before = events
        if self._live:
            print("\x1b[2J\x1b[H", end="")
            self._map()
            time.sleep(_FRAME_SECONDS)
        elif decisions == 0:
            self._map()
        if self._out is not None:
            self._draw()

    def finish(self) -> None:
        """Print how it went, and write the animation."""
        episode = self._engine.episodes[0]
        if not self._live and episode["decisions"]:
            print()
            self._map()
        for line in self._log:
            print(line)
        (info,) = self._engine.infos(_slot())
        if episode["running"]:
            info["outcome"] = "none yet"
        print(", ".join(f"{name} {_plain(value)}" for name, value in info.items()))
        if self._out is not None:
            self._write()

    def _map(self) -> None:
        from misgen.envs.core.level_text.scene import scene

        print("\n".join(scene(self._world, self._engine.states[0], self._level)), flush=True)

    def _draw(self) -> None:
        from PIL import Image

        pixels = self._world.picture(self._engine.states[0], self._scale, self._scale)
        self._frames.append(Image.fromarray(pixels).quantize(128))

    def _write(self) -> None:
        import io

        from ..training.run_folder import write_with

        assert self._out is not None
        buffer = io.BytesIO()
        first, *rest = self._frames
        durations = [round(1000 * _FRAME_SECONDS)] * len(rest) + [1000]
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
        write_with(self._out, lambda file: file.write(buffer.getbuffer()))
        print(f"{self._out}: {len(self._frames)} pictures")

    def _words(self) -> dict[int, str]:
        world = self._world
        return {
            REACHED_GOAL: f"the goal is reached ({world.goal_description})",
            REACHED_PROXY: f"the proxy is reached ({world.proxy_description})",
            DIED: "the agent dies",
            TOUCHED_CONFLICT_CELL: "the place is touched where the goal is on the conflict level",
        }


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _require_gif(out: str | None) -> Path | None:
    if out is None:
        return None
    path = Path(out)
    if path.suffix != ".gif" or not path.parent.is_dir():
        raise UserError(f"out={out!r} cannot be written: give a .gif in a folder that exists")
    return path
