"""Tries mutated levels and random actions, in a process of its own: it may crash or hang.

    python fuzz_levels_worker.py {levels|check|actions} WORLD,WORLD,... SEED COUNT FOLDER

Prints JSON: how many inputs were tried, how many were taken and refused, and the failures.  The
input at work lies in FOLDER/input, for when the process ends without a word.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import io
import json
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import level_batch
from misgen.envs.core.level_text.text import CONFLICT, PROXY, START, level_from_text, level_to_text
from misgen.envs.core.modality import MODALITIES
from misgen.envs.core.registry import make_world
from misgen.envs.core.views.single_env import MisgenEnv
from misgen.envs.core.views.vector_env import MisgenVectorEnv
from misgen.envs.core.world import World

Case = tuple[str, Callable[[], bool]]
"""What is tried, and how; the latter says whether it was taken."""
HANG = 300  # seconds that one input may take, with all that is compiled for it
DECISIONS = 50
_NUMBERS = np.dtype(np.int64)

NUMBERS = (
    *("", "-1", "0", "1", "2", "5", "9", "13", "64", "512", "513", "32767", "32768", "2147483647"),
    *("2147483648", "9" * 30, "-0", "0.5", "6.5", "63.999999", "-0.0001", "1e3", "1e999", "nan"),
    *("inf", "-inf", "٣", "1_0", "0x10", "5 5", "64 64", "16 16", "0 0", "3 3", "1 2 3"),
)
WORDS = (
    *("hard", "easy", "procgen", "coinrun", "corner_maze", "nope", "null", "true", "[1,2]", "'"),
    *("${oc.env:HOME}", "${now:}", "a=b", "{}", "🟦", "x" * 500, "left", "right", "up", "goal"),
)
STRAY = "\x00\t\x0b\x0c\r\x1b\x85\u00a0\u2028\u2029\ufeff\ud800éX ~?#=^.x0()[]{}'\"\\🟦"


# --- levels


def worlds(name: str) -> list[World]:
    """Return a world with each observation that it has."""
    found = []
    for observation in MODALITIES:
        with contextlib.suppress(UserError):
            found.append(make_world(name, observation=observation))
    return found


def texts(world: World, seed: int, count: int) -> Iterator[str]:
    """Return a level of a world and mutated ones; every fifth is only a little changed."""
    rng = random.Random(f"{world.name} {seed}")
    bases = []
    for placement in world.shifts(["all"]):
        levels = LevelDistribution(world, 0.5, placement).levels(np.arange(seed, seed + 6))
        bases += [level_to_text(level, world) for level in levels]
    for number in range(count):
        text = rng.choice(bases)
        mild = number % 5 == 0
        for _ in range(min(number, 1) if mild else rng.randint(1, 4)):
            text = (swap_signs if mild else rng.choice(MUTATIONS))(text, rng, world)
        yield text


def signs(world: World) -> list[str]:
    """Return the signs that mean something in a world's maps."""
    entities = [sign for _, *both in world.symbols.entities.values() for sign in both]
    return [*world.symbols.tiles.values(), *entities, START, PROXY, CONFLICT]


def parts(text: str) -> tuple[list[str], list[str], list[str]]:
    """Return the lines of a level's header, map and entities."""
    head, _, rest = text.partition("\nmap:\n")
    board, _, entities = rest.partition("entities:\n")
    return head.split("\n"), board.split("\n")[:-1], entities.split("\n")[:-1]


def joined(head: list[str], board: list[str], entities: list[str]) -> str:
    return "\n".join([*head, "map:", *board, "entities:", *entities, ""])


def swap_signs(text: str, rng: random.Random, world: World) -> str:
    """Exchange two cells of the map, so that it still has one of each thing."""
    head, board, entities = parts(text)
    cells = [(y, x) for y, row in enumerate(board) for x in range(len(row.partition("  x")[0]))]
    if len(cells) < 2:
        return text
    rows = [list(row) for row in board]
    for _ in range(rng.randint(1, 5)):
        (a, b), (c, d) = rng.sample(cells, 2)
        rows[a][b], rows[c][d] = rows[c][d], rows[a][b]
    return joined(head, ["".join(row) for row in rows], [] if rng.random() < 0.5 else entities)


def set_signs(text: str, rng: random.Random, world: World) -> str:
    """Put signs that mean something anywhere, at the border too."""
    head, board, entities = parts(text)
    for _ in range(rng.choice((1, 1, 3, 30))):
        if board and (row := rng.randrange(len(board))) >= 0 and board[row]:
            x = rng.choice((0, len(board[row]) - 1, rng.randrange(len(board[row]))))
            board[row] = board[row][:x] + rng.choice(signs(world)) + board[row][x + 1 :]
    return joined(head, board, entities)


def fill(text: str, rng: random.Random, world: World) -> str:
    """Put one sign in place of another everywhere: no walls, or nothing but walls."""
    head, board, entities = parts(text)
    old, new = rng.choice(signs(world)), rng.choice(signs(world))
    return joined(head, [row.replace(old, new) for row in board], entities)


def move_rows(text: str, rng: random.Random, world: World) -> str:
    head, board, entities = parts(text)
    if board:
        row = rng.randrange(len(board))
        how = rng.choice("dxsetr")
        if how == "d":
            board.insert(row, board[row])
        elif how == "x":
            del board[row]
        elif how == "s":
            rng.shuffle(board)
        elif how == "e":
            board[row] += rng.choice(signs(world)) * rng.choice((1, 70, 600))
        elif how == "t":
            board[row] = board[row][: rng.randint(0, 3)]
        else:
            board[row] = board[row].partition("  x")[0] + f"  x{rng.choice(NUMBERS)}"
    return joined(head, board, entities)


def change_header(text: str, rng: random.Random, world: World) -> str:
    head, board, entities = parts(text)
    fields = [f.name for f in dataclasses.fields(world)]
    line = rng.randrange(len(head))
    how = rng.choice("vxdnk")
    value = rng.choice((*NUMBERS, *WORDS))
    if how == "v":
        head[line] = head[line].partition(":")[0] + f": {value}"
    elif how == "x":
        del head[line]
    elif how == "d":
        head.insert(line, rng.choice(head))
    elif how == "n":
        head.append(f"{rng.choice((*fields, 'look', 'id', 'size', 'world'))}: {value}")
    else:
        head.insert(
            line, rng.choice((*WORDS, *NUMBERS, ":", "::", "map", "entities:", "#", "map:"))
        )
    return joined(head, board, entities)


def change_entities(text: str, rng: random.Random, world: World) -> str:
    head, board, entities = parts(text)
    kinds = [name for name, *_ in world.symbols.entities.values()] or ["enemy"]
    how = rng.choice("anmx")
    if how == "a" or not entities:
        place = [rng.choice((*NUMBERS, str(rng.randint(0, 64)))) for _ in range(2)]
        line = [rng.choice(kinds), *place, rng.choice(("left", "right", "up")), rng.choice(NUMBERS)]
        entities.insert(rng.randint(0, len(entities)), " ".join(line))
    elif how == "n":
        line = rng.randrange(len(entities))
        words = entities[line].split() or [""]
        words[rng.randrange(len(words))] = rng.choice((*NUMBERS, *WORDS))
        entities[line] = " ".join(words)
    elif how == "m":
        entities *= rng.choice((2, 30, 200))
    else:
        del entities[rng.randrange(len(entities))]
    return joined(head, board, entities)


def scramble(text: str, rng: random.Random, world: World) -> str:
    """Insert, drop or repeat some of the text, or change its line ends."""
    a, b = sorted(rng.randrange(len(text) + 1) for _ in range(2))
    how = rng.choice("idrelb")
    if how == "i":
        return text[:a] + rng.choice(STRAY) * rng.choice((1, 1, 9)) + text[a:]
    if how == "d":
        return text[:a] + text[min(b, a + 40) :]
    if how == "r":
        return text[:b] + text[a:]
    if how == "e":
        return text[:a]
    if how == "l":
        return text.replace("\n", rng.choice(("\r\n", "\r", "\n\n", "\u2028", " \n", "\t\n", "")))
    return "\ufeff" + text


MUTATIONS: tuple[Callable[[str, random.Random, World], str], ...] = (
    *(swap_signs, swap_signs, set_signs, set_signs, fill, move_rows),
    *(change_header, change_entities, change_entities, scramble),
)


def try_level(text: str, several: list[World], rng: np.random.Generator) -> bool:
    """Read a level and play it; return whether it was taken."""
    try:
        level = level_from_text(text, several[0])
        level_batch([level], several[0])
    except UserError as error:
        assert_one_sentence(error)
        return False
    # What is read can be written and read again.
    level_from_text(level_to_text(level, several[0]), several[0])
    for world in several:
        engine = world.make_engine(2)
        slots = np.arange(2)
        engine.load(slots, level_batch([level, level], world))
        for _ in range(DECISIONS):
            engine.step(rng.integers(0, int(world.action_space.n), 2))
            seen = engine.observe()
            for key, space in world.observation_space.spaces.items():
                row = seen[key][0]
                if not space.contains(row):
                    raise AssertionError(f"{world.name}: {key} is not in its space: {row}")
        with contextlib.suppress(UserError):
            world.picture(engine.states[0], 64, 64)
    return True


def try_check(text: str, folder: Path, rng: random.Random) -> bool:
    """Have `misgen levels check` look at a file; return whether it was taken."""
    from misgen.experiments.commands.levels import main

    path = folder / "level.txt"
    encoding = rng.choice((*["utf-8"] * 7, "utf-16", "latin-1", "utf-8-sig"))
    path.write_bytes(text.encode(encoding, "replace"))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return main(["check", f"file={path}"]) == 0
        except UserError as error:
            assert_one_sentence(error)
            return False


def assert_one_sentence(error: UserError) -> None:
    text = str(error)
    assert 0 < len(text) < 2000, f"a message of {len(text)} characters: {text[:300]}"
    assert "Traceback" not in text


# --- actions


def odd_actions(rng: random.Random, slots: int, actions: int) -> Any:
    """Return something that is given as actions."""
    good = np.array([rng.randrange(actions) for _ in range(slots)])
    wrong = good.copy()
    value = rng.choice((-1, actions, -(2**31), 2**31 - 1, 2**40, 2**63 - 1, -(2**63), 255))
    wrong[rng.randrange(slots)] = value
    sizes = (0, 1, slots - 1, slots + 1, 2 * slots, 1000 * slots)
    odd: list[Callable[[], Any]] = [
        lambda: good,
        lambda: good.astype(rng.choice((np.int8, np.int16, np.int32, np.uint8, np.uint64, ">i4"))),
        lambda: good[:, None],
        lambda: good[None, :],
        lambda: good.reshape(slots, 1, 1),
        lambda: np.stack([good, good], rng.choice((0, 1))),
        lambda: np.repeat(good, 2)[::2],
        lambda: good[::-1],
        lambda: np.broadcast_to(good[:1], (slots,)),
        lambda: wrong,
        lambda: wrong[:, None],
        lambda: wrong.astype(np.uint64),
        lambda: np.zeros(rng.choice(sizes), rng.choice((np.int64, np.float32, bool))),
        lambda: good.astype(rng.choice((np.float16, np.float32, np.float64, bool, complex))),
        lambda: good + rng.choice((0.5, 1e-9, np.nan, np.inf, -np.inf)),
        lambda: np.full(slots, rng.choice((np.nan, np.inf, 1e30))),
        lambda: good.astype(rng.choice((object, str, "S4", "M8[s]", "m8[s]"))),
        lambda: np.array([rng.choice((None, "1", [], {}, 1.0, 2, np.nan))] * slots, object),
        lambda: np.zeros(slots, [("a", np.int64), ("b", np.float32)]),
        lambda: np.ma.masked_array(good, good == good[0]),
        lambda: good.tolist(),
        lambda: tuple(good.tolist()),
        lambda: [good.tolist()] * 2,
        lambda: [good.tolist(), []],
        lambda: iter(good.tolist()),
        lambda: rng.choice(
            (None, "", "1", b"1", 1, 1.5, True, np.nan, {}, set(), Ellipsis, object)
        ),
        lambda: {"actions": good},
        lambda: np.int64(good[0]),
        lambda: np.array(good[0]),
        lambda: 10**400,
        lambda: [10**400] * slots,
        lambda: good.data,
        lambda: tensor(good, rng),
    ]
    return rng.choice(odd)()


def tensor(good: np.ndarray, rng: random.Random) -> Any:
    import torch

    found = torch.from_numpy(good.copy())
    how = rng.choice("igcf2")
    if how == "g":
        return found.float().requires_grad_()
    if how == "f":
        return found.float()
    return found[:, None] if how == "c" else found.to(torch.int32) if how == "2" else found


def as_whole(given: Any, slots: int, actions: int) -> np.ndarray | None:
    """Return the whole numbers in range that something stands for, None if it does not."""
    try:
        array = np.asarray(given).reshape(slots)
        whole = array.astype(np.int64)
        fits = bool((array == whole).all() and ((whole >= 0) & (whole < actions)).all())
    except Exception:
        return None
    return whole if fits else None


def is_plain(given: Any, slots: int, actions: int) -> bool:
    """Return whether these are actions as they should be, which no view may refuse."""
    return (
        type(given) is np.ndarray
        and given.dtype.kind in "iu"
        and given.shape in {(slots,), (slots, 1)}
        and as_whole(given, slots, actions) is not None
    )


class View:
    """Two equal environments: one is given odd actions, the other what these should mean."""

    def __init__(self, make: Callable[[], Any], slots: int) -> None:
        self.envs = [make() for _ in range(2)]
        self.slots = slots
        self.reset()

    def reset(self) -> None:
        raise NotImplementedError

    def step(self, number: int, actions: Any) -> Any:
        return self.envs[number].step(actions)


class Single(View):
    def reset(self) -> None:
        for env in self.envs:
            env.reset(seed=1)

    def step(self, number: int, actions: Any) -> Any:
        if number == 1:
            actions = actions[0]
        found = self.envs[number].step(actions)
        if found[2] or found[3]:
            self.envs[number].reset(seed=1)
        return found


class Vector(View):
    def reset(self) -> None:
        for env in self.envs:
            env.reset(seed=1)


class Stable(View):
    def reset(self) -> None:
        for env in self.envs:
            env.reset()


def views(world: World) -> dict[str, View]:
    from misgen.envs.core.views.sb3 import MisgenVecEnv

    levels = LevelDistribution(world, 0.5)
    return {
        "single": Single(lambda: MisgenEnv(levels), 1),
        "vector": Vector(lambda: MisgenVectorEnv(levels, 3), 3),
        "stable": Stable(lambda: MisgenVecEnv(levels, 3), 3),
    }


def try_actions(view: View, given: Any, actions: int) -> bool:
    """Give something to a view as actions; return whether it was taken.

    What is taken must be what the same whole numbers do; what is refused must change nothing,
    which the next step that is taken would show.
    """
    wanted = as_whole(given, view.slots, actions)
    try:
        found = view.step(0, given)
    except UserError as error:
        assert_one_sentence(error)
        assert not is_plain(given, view.slots, actions), f"good ones are refused: {error}"  # noqa: PT017
        return False
    assert wanted is not None, "these are no actions, and were taken"
    expected = view.step(1, wanted)
    np.testing.assert_equal(plain(found), plain(expected))
    return True


def plain(found: Any) -> Any:
    """Return what a step returned with lists for arrays of objects, which NumPy cannot compare."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple) or getattr(found, "dtype", _NUMBERS).hasobject:
        return [plain(value) for value in found]
    return found


# --- the process


def shown(given: Any) -> str:
    kind = f"{type(given).__name__} {getattr(given, 'dtype', '')} {getattr(given, 'shape', '')}"
    return f"{kind}: {given!r}"[:400]


def level_cases(name: str, seed: int, count: int, folder: Path) -> Iterator[Case]:
    several, numbers = worlds(name), np.random.default_rng(seed)
    for text in texts(several[0], seed, count):
        yield text, partial(try_level, text, several, numbers)


def check_cases(name: str, seed: int, count: int, folder: Path) -> Iterator[Case]:
    rng = random.Random(f"{name} {seed}")
    for text in texts(worlds(name)[0], seed, count):
        yield text, partial(try_check, text, folder, rng)


def action_cases(name: str, seed: int, count: int, folder: Path) -> Iterator[Case]:
    world, rng = worlds(name)[0], random.Random(f"{name} {seed}")
    actions = int(world.action_space.n)
    by_name = list(views(world).items())
    for number in range(count):
        called, view = by_name[number % len(by_name)]
        given = odd_actions(rng, view.slots, actions)
        yield f"{called}: {shown(given)}", partial(try_actions, view, given, actions)


CASES = {"levels": level_cases, "check": check_cases, "actions": action_cases}


def run(what: str, names: list[str], seed: int, count: int, folder: Path) -> dict[str, Any]:
    """Try `count` inputs for each world and return what came of them."""
    report: dict[str, Any] = {"tried": 0, "taken": 0, "failures": []}
    for name in names:
        for given, attempt in CASES[what](name, seed, count, folder):
            text = f"{name}: {given}"
            (folder / "input").write_text(text, encoding="utf-8", errors="backslashreplace")
            faulthandler.dump_traceback_later(HANG, exit=True)
            report["tried"] += 1
            try:
                report["taken"] += attempt()
            except Exception:
                error = traceback.format_exc()[-1500:]
                report["failures"].append({"input": text[:2000], "error": error})
            faulthandler.cancel_dump_traceback_later()
    return report


if __name__ == "__main__":
    faulthandler.enable()
    warnings.simplefilter("ignore")  # what a cast of NaN says
    _what, _names, _seed, _count, _folder = sys.argv[1:]
    print(json.dumps(run(_what, _names.split(","), int(_seed), int(_count), Path(_folder))))
