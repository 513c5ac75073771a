"""Results of commands in a run's or a sweep's folder: one folder for each set of settings.

`<run>/evaluations/<hash>/`, `<run>/protocols/<name>-<hash>/`, `<sweep>/surfaces/<hash>/` and so on:
the hash is that of the settings, so results of other settings are not overwritten.  Each folder
holds a main file in JSON and, written last, the marker `DONE`.

Public names: `Kind`, the kinds, `Kept`, `place`, `kept`, `choose`, `by_prefix`, `listing`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError

from ..training.run_folder import DONE, RunFolder, read_json
from .settings_words import in_words

_SHOWN = 300  # characters of settings in words


@dataclass(frozen=True)
class Kind:
    """A kind of results."""

    name: str
    """What messages, and the setting that chooses one, call it."""
    folder: str
    """Where they lie in a run's or sweep's folder."""
    main: str
    """The file that says how it was made and what came out."""
    command: str
    """What makes one, after `misgen`, with `{}` for the run."""
    old: tuple[str, ...] = ()
    """Files of earlier versions, directly in the run's folder."""


EVALUATION = Kind(
    "evaluation", "evaluations", "summary.json", "evaluate run={}",
    ("EVALUATED", "episodes.parquet", "summary.json"),
)  # fmt: skip
PROTOCOL = Kind("protocol", "protocols", "protocol.json", "evaluate protocol=... run={}")
SURFACE = Kind(
    "surface", "surfaces", "surface.json", "evaluate shift=surface run={}", ("surface.json",)
)
PROBE = Kind("probe", "probes", "probe.json", "probe run={}", ("probe.json",))
OBJECTIVE = Kind("objective", "objectives", "objective.json", "objective run={}", ("EXPLAINED",))
ROBUSTNESS = Kind("robustness", "robustness", "robustness.json", "robustness run={}", ("ATTACKED",))
SUPPLY_CHAIN = Kind(
    "supply_chain", "supply_chains", "supply_chain.json", "supply-chain base={}",
    ("supply_chain.json",),
)  # fmt: skip
COMPARISON = Kind("comparison", "comparisons", "comparison.json", "compare", ("comparison.json",))
KINDS = (EVALUATION, PROTOCOL, SURFACE, PROBE, OBJECTIVE, ROBUSTNESS, SUPPLY_CHAIN, COMPARISON)
CARD_JSON, CARD_MARKDOWN, CARD_HTML = "card.json", "card.md", "card.html"
"""A run's card, directly in its folder, for machines and people."""


@dataclass(frozen=True)
class Kept:
    """A result that is finished."""

    kind: Kind
    folder: RunFolder
    """Its own."""

    @property
    def path(self) -> Path:
        """Its own folder."""
        return self.folder.path

    @property
    def key(self) -> str:
        """The hash of its settings."""
        return self.path.name.rpartition("-")[2]

    @property
    def main(self) -> Path:
        """Its main file."""
        return self.path / self.kind.main

    @cached_property
    def found(self) -> dict[str, Any]:
        """What its main file says.

        Raises:
            UserError: if it cannot be read.
        """
        return read_json(self.main, "make it again with the same command")

    @property
    def words(self) -> str:
        """Its settings, for people."""
        if self.kind is EVALUATION:
            return in_words(self.found.get("config", {}))
        return settings_in_words(self.found.get("config", {}))


def place(home: Path, kind: Kind, key: str, label: str = "") -> RunFolder:
    """Return the folder for a result with these settings, whether or not it exists.

    Args:
        home: the run's or sweep's folder.
        kind: of the result.
        key: hash of its settings.
        label: what the folder's name begins with.
    """
    return RunFolder(Path(home) / kind.folder / (f"{label}-{key}" if label else key))


def kept(home: Path, kind: Kind) -> list[Kept]:
    """Return the finished results of a kind in a run's or sweep's folder, by name."""
    found = sorted((Path(home) / kind.folder).glob(f"*/{DONE}"))
    return [Kept(kind, RunFolder(marker.parent)) for marker in found if marker.is_file()]


def choose(
    home: Path, kind: Kind, wanted: str | None = None, among: list[Kept] | None = None
) -> Kept | None:
    """Return the result of a kind: the one whose hash begins with `wanted`, or the only one.

    Args:
        home: the run's or sweep's folder.
        kind: of the result.
        wanted: what the hash of its settings begins with.
        among: the results to choose from; none: all that are in the folder.

    Returns:
        None if there is none and none is named.

    Raises:
        UserError: if none or several have such a hash; if none is named and there are several.
    """
    found = kept(home, kind) if among is None else among
    if wanted is None and len(found) <= 1:
        return found[0] if found else None
    keys = {one.key: one for one in found}
    if wanted is not None:
        return keys[by_prefix(kind, wanted, list(keys), str(home), listing(found))]
    how = f"{kind.name}=<beginning of its hash>"
    if kind is COMPARISON:  # it lies in no run's folder, and is named by its own
        how = f"{kind.name}={home}/{kind.folder}/<hash>"
    raise UserError(
        f"{home} holds {len(found)} results of misgen {kind.command.split()[0]}: choose one with "
        f"{how}: {listing(found)}"
    )


def by_prefix(kind: Kind, wanted: str, keys: Sequence[str], where: str, listed: str = "") -> str:
    """Return the one of `keys` that begins with `wanted`.

    Raises:
        UserError: if none or several do.
    """
    fitting = sorted({key for key in keys if wanted and key.startswith(wanted)})
    if len(fitting) == 1:
        return fitting[0]
    shown = listed or ", ".join(sorted(set(keys)))
    has = f"{len(fitting)} of the hashes begin so" if fitting else "no hash begins so"
    raise UserError(
        f"{kind.name}={wanted} names no single {kind.name} in {where} ({has}): "
        + (f"use one of {shown}" if shown else f"there is none; misgen {command(kind, where)}")
    )


def listing(found: Sequence[Kept]) -> str:
    """Return hashes with the settings that they stand for."""
    return "; ".join(f"{one.key} ({one.words})" for one in found)


def command(kind: Kind, home: Path | str) -> str:
    """Return what makes a result of a kind, after `misgen`."""
    return kind.command.format(shlex.quote(str(home)))


def has_old(home: Path, kind: Kind) -> bool:
    """Return whether a result of an earlier version lies directly in the folder."""
    return bool(kind.old) and all((Path(home) / name).is_file() for name in kind.old)


def refuse_old(home: Path, kind: Kind) -> None:
    """Refuse to go without a result where an earlier version left one.

    Raises:
        UserError: saying what to do.
    """
    if has_old(home, kind):
        raise UserError(
            f"{home} holds only results of an earlier version of misgen ({kind.old[0]} directly in "
            f"the folder), which do not say what they were made from: make them again, misgen "
            f"{command(kind, home)}; the old files may stay"
        )


def settings_in_words(settings: Mapping[str, Any]) -> str:
    """Return settings as `name=value` words, those that say nothing left out."""
    words = [f"{name}={_shown(value)}" for name, value in _flat(settings) if value not in _NOTHING]
    text = ", ".join(words)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 4] + " ..."


_NOTHING: tuple[Any, ...] = (None, "", [], {})


def _flat(settings: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{path}{name}.")
        else:
            found.append((path + name, value))
    return found


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value)
