"""The compiled Procgen of an installed wheel, driven through its C interface.

Public names: `Games`, `installed`, `WHEELS`.

Two packages carry the same engine: `procgen-mirror` (module `procgen`, Python 3.11 and 3.12) and
`procgen-gym` (module `procgen_gym`, Python 3.13).  Their Python code differs and is not needed: the
first imports the old gym.  Both libraries offer `libenv.h` of https://github.com/openai/gym3, in
two revisions that differ in the order of one struct and in how options are passed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import UserError

WHEELS = {"procgen": "procgen-mirror", "procgen_gym": "procgen-gym"}
"""Module of each wheel that is looked for, in this order, and the package that brings it."""
MODES = {"easy": 0, "hard": 1}
"""The original's number of each distribution mode."""
PIXELS = (64, 64, 3)
"""Shape of an observation: row from the top, column, colour."""

_LARGEST_STATE = 2**17  # bytes; a state has some 37,000
_UINT8, _INT32 = 1, 2  # enum libenv_dtype
_INFO = 3  # enum libenv_space_name
_INFOS = (np.int32, np.uint8, np.int32)
"""prev_level_seed, prev_level_complete, level_seed: given room, not read."""


class _Option(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char * 128),
        ("dtype", ctypes.c_int),
        ("count", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )


class _Options(ctypes.Structure):
    _fields_ = (("items", ctypes.POINTER(_Option)), ("count", ctypes.c_int))


_POINTERS = {1: ("ob", "rew", "first", "info", "ac"), 3: ("ob", "ac", "info", "rew", "first")}
"""Order of `struct libenv_buffers` in each version of the interface."""


@dataclass(frozen=True)
class _Library:
    """A loaded library."""

    functions: Any
    version: int
    assets: Path


class Games:
    """Copies of one game side by side.

    Attributes:
        rgb: uint8 [count, 64, 64, 3], what each shows; overwritten by `act` and `set_state`.
        reward: float32 [count], of the last frame.
        first: bool [count], whether the last frame ended an episode (the game is then already in
            another level, of its own choice).
    """

    _handle: int | None = None

    def __init__(self, game: str, mode: str, count: int, threads: int, start: int = 0) -> None:
        """Start `count` games.

        Args:
            game: `coinrun` or `maze`.
            mode: `easy` or `hard`.
            count: how many.
            threads: CPU threads that step them; 0: the caller's.
            start: the level that all start in, and start again in when it ends.

        Raises:
            UserError: if Procgen is not installed.
        """
        library = _load(game)
        self._process = os.getpid()
        self._made_with = (game, mode, count, threads, start)
        self._c = library.functions
        options, kept = _options(
            env_name=game,
            num_levels=1,
            start_level=start,
            num_actions=15,
            use_sequential_levels=False,
            debug_mode=0,
            rand_seed=0,
            num_threads=threads,
            render_human=False,
            resource_root=f"{library.assets}{os.sep}",
            center_agent=True,
            use_generated_assets=False,
            use_monochrome_assets=False,
            restrict_themes=False,
            use_backgrounds=True,
            paint_vel_info=False,
            distribution_mode=MODES[mode],
        )
        by_pointer = library.version >= 3
        self._handle = self._c.libenv_make(count, ctypes.byref(options) if by_pointer else options)
        del kept
        infos = self._c.libenv_get_tensortypes(self._handle, _INFO, None)
        if infos != len(_INFOS):
            raise RuntimeError(f"Procgen has {infos} infos, not {len(_INFOS)}: an unknown version")
        self.rgb = np.zeros((count, *PIXELS), np.uint8)
        self.reward = np.zeros(count, np.float32)
        self.first = np.zeros(count, np.bool_)
        self._actions = np.zeros(count, np.int32)
        self._infos = [np.zeros(count, dtype) for dtype in _INFOS]
        self._share_buffers(library.version)
        self._state = ctypes.create_string_buffer(_LARGEST_STATE)
        self._c.libenv_observe(self._handle)

    def act(self, actions: NDArray[Any]) -> None:
        """Move every game on by one frame of `actions` (integer [count], 0 to 14).

        -1 does nothing and ends the episode.
        """
        self._actions[:] = actions
        self._c.libenv_act(self._handle)
        self._c.libenv_observe(self._handle)  # waits for the threads

    def get_state(self, slot: int) -> bytes:
        """Return the saved state of one game (`saved_state` reads it)."""
        length = self._c.get_state(self._handle, slot, self._state, _LARGEST_STATE)
        return self._state.raw[:length]

    def set_state(self, slot: int, data: bytes) -> None:
        """Put one game into a saved state, and draw it."""
        self._c.set_state(self._handle, slot, data, len(data))

    def close(self) -> None:
        """Free the games and their threads; a second time, do nothing."""
        if self._handle is not None and self._process == os.getpid():  # a fork has no threads
            self._c.libenv_close(self._handle)
        self._handle = None

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles are made of: every game's saved state, and what it shows.

        Raises:
            UserError: if the games were closed.
        """
        if self._handle is None:
            raise UserError("these games of Procgen were closed: copy or pickle them before")
        return {
            "made_with": self._made_with,
            "states": [self.get_state(slot) for slot in range(len(self.rgb))],
            "shown": (self.rgb.copy(), self.reward.copy(), self.first.copy()),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start games of their own, and put them where the others are."""
        self.__init__(*state["made_with"])
        for slot, data in enumerate(state["states"]):
            self.set_state(slot, data)
        for array, values in zip((self.rgb, self.reward, self.first), state["shown"], strict=True):
            array[:] = values

    def _share_buffers(self, version: int) -> None:
        """Tell the library where to read actions and to write everything else."""

        def rows(*arrays: NDArray[Any]) -> Any:
            addresses = [a.ctypes.data + i * a.strides[0] for a in arrays for i in range(len(a))]
            return (ctypes.c_void_p * len(addresses))(*addresses)

        tables = {"ob": rows(self.rgb), "ac": rows(self._actions), "info": rows(*self._infos)}
        pointers = {name: ctypes.addressof(table) for name, table in tables.items()}
        pointers |= {"rew": self.reward.ctypes.data, "first": self.first.ctypes.data}
        in_order = [pointers[name] for name in _POINTERS[version]]
        buffers = (ctypes.c_void_p * len(in_order))(*in_order)
        self._c.libenv_set_buffers(self._handle, ctypes.byref(buffers))


def installed() -> str | None:
    """Return the module of the installed wheel, None where there is none."""
    return next((module for module in WHEELS if _folder(module) is not None), None)


@cache
def _load(game: str) -> _Library:
    """Load the library of the installed wheel, to play `game`.

    Raises:
        UserError: if there is none.
    """
    module = installed()
    folder = _folder(module) if module else None
    if folder is None:
        raise UserError(_why_not(game))
    mode = os.RTLD_NOW | os.RTLD_LOCAL | getattr(os, "RTLD_DEEPBIND", 0)  # its own Qt
    try:
        functions: Any = ctypes.CDLL(str(_library_file(folder)), mode=mode)
    except OSError as error:
        raise UserError(
            f"{WHEELS[str(module)]} is installed and does not load ({error}): install what it "
            f"names; {_instead(game)}"
        ) from None
    version = int(functions.libenv_version())
    if version not in _POINTERS:
        raise UserError(
            f"{WHEELS[str(module)]} has version {version} of libenv, which misgen does not know: "
            "pip install 'misgen[procgen]' brings one that it does"
        )
    _declare(functions, version)
    return _Library(functions, version, folder / "data" / "assets")


def _declare(functions: Any, version: int) -> None:
    handle, integer, data = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    options = ctypes.POINTER(_Options) if version >= 3 else _Options
    for name, returned, arguments in (
        ("libenv_make", handle, [integer, options]),
        ("libenv_get_tensortypes", integer, [handle, integer, ctypes.c_void_p]),
        ("libenv_set_buffers", None, [handle, ctypes.c_void_p]),
        ("libenv_observe", None, [handle]),
        ("libenv_act", None, [handle]),
        ("libenv_close", None, [handle]),
        ("get_state", integer, [handle, integer, data, integer]),
        ("set_state", None, [handle, integer, data, integer]),
    ):
        function = getattr(functions, name)
        function.restype, function.argtypes = returned, arguments


def _options(**values: str | bool | int) -> tuple[_Options, list[NDArray[Any]]]:
    """Return options as the library takes them, and the arrays they point into."""
    items = (_Option * len(values))()
    kept = []
    for item, (name, value) in zip(items, values.items(), strict=True):
        if isinstance(value, str):
            array = np.frombuffer(value.encode(), np.uint8)
        else:
            array = np.array([value], np.uint8 if isinstance(value, bool) else np.int32)
        item.name, item.count, item.data = name.encode(), len(array), array.ctypes.data
        item.dtype = _UINT8 if array.dtype == np.uint8 else _INT32
        kept.append(array)
    return _Options(items, len(values)), kept


def _folder(module: str) -> Path | None:
    """Return the folder of an installed wheel with a library, without importing it."""
    spec = importlib.util.find_spec(module)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if _library_file(Path(place)).is_file():
            return Path(place)
    return None


def _library_file(folder: Path) -> Path:
    return folder / "data" / "prebuilt" / "libenv.so"


def _why_not(game: str) -> str:
    """Return the sentence that says why there is no Procgen here, and what to use instead."""
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return f"Procgen is not installed: pip install 'misgen[procgen]'; {_instead(game)}"
    here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return (
        f"Procgen is not available here: its wheels are for Linux x86_64, this is {here}; "
        f"{_instead(game)}"
    )


def _instead(game: str) -> str:
    if game == "coinrun":
        return "the native world, env=coinrun, plays the same levels by the same rules"
    return f"there is no native world for {game} yet, only one for CoinRun, env=coinrun"
