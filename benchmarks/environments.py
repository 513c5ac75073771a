"""Frames a second of our worlds beside others' worlds of the same kind.

Random actions are played, observations made; levels are generated as episodes end.  All programs of
a case take turns on the same CPU cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from misgen.envs.procgen.library import installed

from .peers.registry import at_work
from .tables import Table, millions, rate, ratio, take_turns

_LEVELS = 100_000
_WHOLE = {"size": 13, "view": 23}
"""A board of which all within the border is seen from everywhere."""


@dataclass(frozen=True)
class Case:
    """A world of ours, and what is comparable with it."""

    title: str
    peer: str
    theirs: dict[str, Any]
    """Settings of the peer's work."""
    ours: dict[str, Any]
    slots: tuple[int, ...]
    """Numbers of environments side by side, unless told."""
    differs: str = ""
    """What the two do that is not the same."""
    more: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further programs by name; those that begin with the peer's are its."""

    @property
    def programs(self) -> dict[str, dict[str, Any]]:
        """What every program is told of the world."""
        return {"misgen": self.ours, self.peer: self.theirs, **self.more}

    @property
    def peers(self) -> dict[str, str]:
        """The peer that runs each program."""
        return {name: self.peer if name.startswith(self.peer) else "ours" for name in self.programs}


def _jaxgmg(world: str) -> Case:
    theirs = {"world": world, "size": 13}
    return Case(
        f"{world.replace('_', ' ')}, 13 x 13",
        "jaxgmg",
        theirs,
        {"world": world, **_WHOLE},
        (32, 256, 1024),
        "ours makes a new level when an episode ends, jaxgmg starts the same one again; ours "
        "returns to Python after each step, as jaxgmg does a step at a time, while its 128 steps "
        "are else one compiled loop, which no program outside of JAX can take part in; ours shows "
        "the board in a window around the agent, of three times the board's cells",
        {"jaxgmg, a step at a time": {**theirs, "loop": False}},
    )


def _minigrid(title: str, env: str, world: str, **parameters: Any) -> Case:
    return Case(
        title,
        "minigrid",
        {"env": f"MiniGrid-{env}-v0"},
        {"world": world, "view": 7, **parameters},
        (32, 256),
        "both show 7 x 7 cells; in MiniGrid the agent turns and sees what is before it, in ours "
        "it moves in four directions and sees what is around it; MiniGrid's lava ends an episode",
    )


def _procgen(title: str, slots: tuple[int, ...], **parameters: Any) -> Case:
    return Case(
        title,
        "procgen",
        {"mode": "hard", "levels": _LEVELS},
        {"world": "coinrun", "levels": _LEVELS, "mode": "hard", "action_set": "procgen"}
        | parameters,
        slots,
        "the same game, bit for bit" + ("" if parameters else "; ours shows tiles, Procgen pixels"),
    )


def cases() -> list[Case]:
    """Return all of them."""
    backend = {"misgen on Procgen": {"world": "procgen_coinrun", "levels": _LEVELS}}
    coinrun = _procgen("CoinRun hard", (64, 256))
    if installed() is not None:
        coinrun.more.update(backend)
    return [
        coinrun,
        _procgen("CoinRun hard, pixels", (64, 256), observation="rgb"),
        _jaxgmg("cheese_on_a_dish"),
        _jaxgmg("lava_land"),
        _minigrid("empty room", "Empty-16x16", "cheese_on_a_dish", size=15, layout="open"),
        _minigrid("lava", "LavaCrossingS9N1", "lava_land", size=9),
        _minigrid("keys", "DoorKey-8x8", "keys_and_chests"),
    ]


def measure(
    slots: tuple[int, ...],
    threads: int,
    seconds: float,
    repeats: int,
    keep: Callable[[list[dict[str, Any]], list[Table]], object],
) -> tuple[list[dict[str, Any]], list[Table]]:
    """Return what every turn of every program found, and a table of it.

    Args:
        slots: numbers of environments; none: those of each case.
        threads: CPU threads, and cores.
        seconds: length of a turn.
        repeats: turns of each.
        keep: called with what is there so far.
    """
    rows: list[dict[str, Any]] = []
    for case in cases():
        with at_work(case.peers, threads) as workers:
            for count in slots or case.slots:
                fixed = {"work": "frames", "slots": count, "threads": threads}
                work = {name: fixed | own for name, own in case.programs.items()}
                found = take_turns(workers, work, [{"seconds": seconds}] * repeats)
                rows.append({"case": case.title, "slots": count, "peer": case.peer, "turns": found})
                keep(rows, _tables(rows, threads))
    return rows, _tables(rows, threads)


_CLOCKS = {"cpu_seconds": "a CPU second", "seconds": "a second on the wall"}


def _tables(rows: list[dict[str, Any]], threads: int) -> list[Table]:
    return [_table(rows, threads, clock) for clock in _CLOCKS]


def _table(rows: list[dict[str, Any]], threads: int, clock: str) -> Table:
    many = "s" if threads > 1 else ""
    table = Table(
        f"Environments: frames {_CLOCKS[clock]}, {threads} thread{many}",
        ["world", "environments", "misgen", "peer", "peer's", "times"],
    )
    if clock == "cpu_seconds":
        table.note = (
            "Random actions, with observations. Median of the turns [lowest, highest]; *times* is "
            f"the ratio turn by turn. What differs: {_differences()}"
        )
    for row in rows:
        ours = [rate(turn, clock) for turn in row["turns"]["misgen"]]
        others = {name: turns for name, turns in row["turns"].items() if name != "misgen"}
        for name, turns in others.items() or [(f"{row['peer']} (not installed)", [])]:
            theirs = [rate(turn, clock) for turn in turns]
            beside = [millions(theirs), ratio(ours, theirs)] if theirs else ["", ""]
            table.rows.append([row["case"], f"{row['slots']:,}", millions(ours), name, *beside])
    return table


def _differences() -> str:
    """Return what differs between the programs, by peer."""
    told: dict[str, str] = {}
    for case in cases():
        told.setdefault(case.differs, case.peer)
    return ". ".join(f"{peer}: {text}" for text, peer in told.items()) + "."
