"""What happens on a page: a level, who plays it, and what can be done with both.

Public names: `Session`.

Each thing that a page asks for is a method of `Session` named in `_CALLS`; it takes the request's
`Fields`, and what it returns is sent as JSON beside the state of the game.  A `UserError` says what
cannot be, and leaves everything as it was.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError, in_range, one_of, plain_sentence
from misgen.envs.core.level import NO_CELL
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.painting import can_move, move
from misgen.envs.core.registry import entries, make_world, world_class

from ..levels.files import read_file
from ..levels.game import Game
from ..levels.level_settings import LevelsCommand
from ..levels.watching import Watched, is_run, make_watched
from ..training.checks import require_room
from ..training.run_folder import now
from ..training.settings import compose, typed
from .config import PlayConfig
from .diary import BY_HAND, PERSON, Diary, Origin
from .players import offered, trained_world
from .requests import Fields
from .showing import View, actions_of, legend_of
from .testing import Testing
from .workshop import Workshop

if TYPE_CHECKING:
    from misgen.envs.core.level import LevelBatch
    from misgen.envs.core.world import World

_IN_A_TEST = ("hello", "act", "view", "test_next", "test_stop", "episodes")
"""What can be asked for while a person is tested."""


class Session:
    """One page's game, agent, editor and record."""

    def __init__(self, config: PlayConfig) -> None:
        """Open the level that the settings name, with the agent that they name.

        Raises:
            UserError: if there is no such level or agent.
        """
        self.config = config
        self._lock = threading.RLock()
        self._worlds: dict[str, World] = {}
        command = config.levels_command
        self.world = command.world()
        self._worlds[self.world.name] = self.world
        self.view = View()
        folder = Path(config.runs) / config.name
        require_room(folder, "runs", config.runs)
        self.diary = Diary(folder / f"{now()[:19].replace(':', '')}-{os.getpid()}", config.called)
        self.agent = ""
        self.seed, self.greedy = config.seed, config.greedy
        self.testing = Testing(self)
        self._watched: Watched | None = None
        self._kept = True
        self._game: Game | None = None
        self.note = ""
        self._legends: dict[World, list[dict[str, Any]]] = {}
        self.workshop = Workshop(self)
        if config.file is not None:
            self.start(level_batch([read_file(command, self.world)], self.world), BY_HAND)
        else:
            self._draw(config.id, config.correlation, config.placement)
        if config.player is not None:
            self._choose(config.player)

    @property
    def game(self) -> Game:
        """The game that is shown."""
        assert self._game is not None
        return self._game

    def call(self, name: str, given: Any) -> dict[str, Any]:
        """Do what a page asks for; return what it is told.

        Returns:
            What the request gives, and `state`; or `error`, a sentence.
        """
        with self._lock:
            self.note = ""
            try:
                one_of("request", name, _CALLS)
                if self.testing.test is not None and name not in _IN_A_TEST:
                    raise UserError("a test is going on: play it to its end, or stop it first")
                found = _CALLS[name](self, Fields(given)) or {}
            except UserError as error:
                return {"error": plain_sentence(error), "state": self.state()}
            return {**found, "state": self.state()}

    def close(self) -> None:
        """Keep the episode that is under way."""
        with self._lock:
            self._keep()

    # --- what is shown

    def state(self) -> dict[str, Any]:
        """Return the game as a page shows it."""
        game, hidden = self.game, self.testing.test is not None
        return {
            "world": game.world.name,
            "rules": repr(game.world),
            "level": None if hidden else self._level(),
            "at": game.at,
            "length": len(game.actions),
            "running": game.running,
            "info": self._info(),
            "events": [[at, bit, words] for at, bit, words in game.events],
            "path": [] if hidden else game.path,
            "turns": [[who, len(list(group))] for who, group in itertools.groupby(game.who)],
            "agent": None if self._watched is None or hidden else self._answer(self._watched),
            "view": self.view.of(game),
            "test": self.testing.state(),
            "note": self.note,
            "episodes": len(self.diary.rows),
        }

    def _info(self) -> dict[str, Any]:
        found = self.game.info()
        own = ("outcome", "return", "goal_fraction", "proxy_fraction", "first", "died")
        shown = {name: found[name] for name in own}
        return shown if not self.game.running else {**shown, "outcome": None}

    def _level(self) -> dict[str, Any]:
        level, origin = self.game.level, self.origin
        cells = {"goal": level.goal_cell, "proxy": level.proxy_cell}
        if not self.world.goal_is_cell:  # it is several things, of which that is but one
            cells = {}
        return {
            "id": level.id,
            "aligned": level.aligned,
            "correlation": origin.correlation,
            "placement": origin.placement,
            "byHand": origin.by_hand,
            "marks": {name: cell for name, cell in cells.items() if cell != NO_CELL},
            "movable": self._movable,
            "undo": len(self.workshop.before),
        }

    def _answer(self, watched: Watched) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.agent, "values": watched.values()}
        if self.game.running:
            answer = watched.answer()
            found |= {
                "probabilities": [round(float(p), 4) for p in answer.probabilities],
                "value": answer.value,
                "action": answer.action,
                "values": watched.values(),
            }
        return found

    # --- levels

    def start(self, levels: LevelBatch, origin: Origin) -> None:
        """Start a level; the episode before it is kept."""
        game = Game(self.world, levels)  # first: if it cannot be, all stays as it is
        self._show(game, origin)

    def keep_id(self, levels: LevelBatch, level_id: int) -> LevelBatch:
        """Return a level with the id of another, so that chance (a monster's moves) is the same."""
        levels.data["id"] = level_id
        return levels

    def _show(self, game: Game, origin: Origin) -> None:
        self._keep()
        self._game, self.origin, self._kept = game, origin, False
        self._movable = can_move(game.level, self.world) if self.world.runs_any_level else []
        if self._watched is not None:
            self._watched = self._watch(self._watched.agent)

    def _watch(self, agent: Any) -> Watched:
        return Watched(agent, self.game, seed=self.seed, greedy=self.greedy)

    def _keep(self) -> None:
        if self._game is not None and not self._kept:
            self._kept = True
            self._game.go_to(len(self._game.actions))  # somebody may look at an earlier decision
            self.diary.keep(self._game, self.origin)

    def _draw(self, level_id: int, correlation: float, placement: str) -> None:
        """Start the level of an id."""
        ids = IdRange.parse(level_id)
        levels = LevelDistribution(self.world, correlation, placement, ids)
        self.start(levels.levels(), Origin(correlation, levels.placement))
        if correlation == 0 and self.game.level.aligned:
            self.note = (
                f"{levels.placement} finds no place for the goal on level {level_id}, so it stays "
                "aligned: take another level, or another placement"
            )

    def world_named(self, name: str, parameters: dict[str, str] | None = None) -> World:
        """Return a world: as it was asked for before, or with its default or other parameters.

        Raises:
            UserError: if there is none, or a parameter cannot be.
        """
        one_of("world", name, entries())
        if not parameters and name in self._worlds:
            return self._worlds[name]
        words = [f"env={name}", *(f"env.{key}={one}" for key, one in (parameters or {}).items())]
        plain = typed(LevelsCommand, compose("levels", words)).env
        world = make_world(**plain)
        return world if parameters else self._worlds.setdefault(name, world)

    def dismiss(self) -> None:
        """Go on without an agent."""
        self._watched, self.agent = None, ""

    def enter(self, world: World) -> None:
        """Go on in another world; an agent that does not belong there leaves."""
        if world == self.world:
            return
        self._keep()
        self.world = world
        self.dismiss()

    # --- what a page asks for

    def _hello(self, fields: Fields) -> dict[str, Any]:
        """Return what does not change while a level is played."""
        world = self.world
        worlds = {name: world_class(name) for name in entries()}
        return {
            "worlds": [
                {"name": name, "goal": one.goal_description, "proxy": one.proxy_description}
                for name, one in worlds.items()
            ],
            "placements": [
                rule if distance is None else f"{rule}({distance})"
                for rule, distance in world.placements.items()
            ],
            "goal": world.goal_description,
            "proxy": world.proxy_description,
            "actions": actions_of(world),
            "noOp": world.no_op,
            "inTime": not hasattr(world, "classes"),  # not on a board: things move by themselves
            "legend": self._legend(),
            "agents": offered(world, self.config.runs, self.config.player),
            "edits": world.runs_any_level,
            "seed": self.seed,
            "greedy": self.greedy,
            "person": self.diary.person,
            "onProxy": world.on_proxy,
        }

    def _legend(self) -> list[dict[str, Any]]:
        if self.world not in self._legends:
            self._legends[self.world] = legend_of(self.world, self.game.level)
        return self._legends[self.world]

    def _open(self, fields: Fields) -> None:
        """Start the level of an id, in this world or another."""
        name = fields.text("world")
        world = self.world if name == self.world.name else self.world_named(name)
        level_id, correlation = fields.whole("id"), fields.number("correlation")
        placement = fields.text("placement") if world.name == self.world.name else "usual"
        LevelDistribution(world, correlation, placement, IdRange.parse(level_id))
        self.enter(world)
        self._draw(level_id, correlation, placement)

    def _again(self, fields: Fields) -> None:
        """Start the same level again."""
        self.start(self.game.levels, self.origin)

    def _act(self, fields: Fields) -> None:
        """Take an action for the person at the keys."""
        action = fields.whole("action")
        in_range("action", action, 0, int(self.world.action_space.n) - 1)
        self._step(action, PERSON)

    def _let(self, fields: Fields) -> None:
        """Let the agent take its action."""
        if self._watched is None:
            raise UserError("there is no agent to hand over to: choose one first")
        if self.game.running:
            self._step(self._watched.answer().action, self.agent)

    def _step(self, action: int, who: str) -> None:
        if not self.game.running:
            return  # a key that was pressed as the episode ended
        if self._kept:
            self._kept = False  # somebody went back, and on in another way
        self.game.step(action, who)
        if not self.game.running:
            self._keep()
            self.testing.take(self.game)

    def _go(self, fields: Fields) -> None:
        """Go back, or forth again, to a decision."""
        self.game.go_to(fields.whole("to"))

    def _watch_whom(self, fields: Fields) -> None:
        """Choose whom to watch, and how it draws its actions."""
        seed, greedy = fields.whole("seed"), fields.flag("greedy")
        in_range("seed", seed, 0, 2**31 - 1)
        name = fields.text("name", 4000)
        self.seed, self.greedy = seed, greedy
        if not name:
            self.dismiss()
        elif name == self.agent and self._watched is not None:
            self._watched = self._watch(self._watched.agent)
        else:
            known = [
                one["name"] for one in offered(self.world, self.config.runs, self.config.player)
            ]
            self._choose(one_of("agent", name, known))

    def _choose(self, name: str) -> None:
        world = trained_world(name) if is_run(name) else self.world
        agent = make_watched(name, world, trust=self.config.trust)
        if world != self.world:
            level, origin = self.game.level, self.origin
            self.enter(world)
            fits = origin.correlation is not None and level.id >= 0
            self._draw(level.id if fits else 0, origin.correlation or 0.0, "usual")
            self.note = "the level is now one of the world as the agent was trained in"
        self._worlds[world.name] = world
        self.agent = name
        self._watched = self._watch(agent)

    def _move(self, fields: Fields) -> None:
        """Put the goal, or another thing, elsewhere, and start again or go on from here."""
        how = one_of("how", fields.text("how"), ("start", "here"))
        moved = move(self.game.level, self.world, fields.cell("from"), fields.cell("to"))
        levels = self.keep_id(level_batch([moved], self.world), self.game.level.id)
        other = self.game.replayed_on(levels) if how == "here" else None
        self.workshop.remember()
        self._show(other or Game(self.world, levels), BY_HAND)
        if how == "here" and other is None:
            self.note = (
                "from here is not possible: had it stood there all along, the same actions would "
                "have led elsewhere, so the level starts again"
            )

    def _see(self, fields: Fields) -> None:
        """Take the size of the picture that the page has room for, and where it looks."""
        self.view.resize(fields.number("width"), fields.number("height"))
        self.view.shift = (fields.number("right"), fields.number("up"))

    def _episodes(self, fields: Fields) -> dict[str, Any]:
        """Return the episodes that were kept, the last first."""
        own = ("role", "agent", "level_id", "condition", "placement", "outcome", "steps",
               "reached_goal", "reached_proxy", "finished", "return")  # fmt: skip
        rows = [{name: row[name] for name in own} for row in reversed(self.diary.rows)]
        return {"rows": rows, "folder": str(self.diary.folder)}


_CALLS: dict[str, Callable[[Session, Fields], dict[str, Any] | None]] = {
    "hello": Session._hello,
    "open": Session._open,
    "again": Session._again,
    "act": Session._act,
    "let": Session._let,
    "go": Session._go,
    "agent": Session._watch_whom,
    "move": Session._move,
    "view": Session._see,
    "test": lambda session, fields: session.testing.begin(fields),
    "test_next": lambda session, fields: session.testing.next(fields),
    "test_stop": lambda session, fields: session.testing.stop(fields),
    "episodes": Session._episodes,
    "paint": lambda session, fields: session.workshop.paint(fields),
    "undo": lambda session, fields: session.workshop.undo(fields),
    "check": lambda session, fields: session.workshop.check(fields),
    "text": lambda session, fields: session.workshop.text(fields),
    "read": lambda session, fields: session.workshop.read(fields),
    "save": lambda session, fields: session.workshop.save(fields),
}
