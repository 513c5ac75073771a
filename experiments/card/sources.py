"""Where the evidence for a card is, and which of several files to use.

Most of it is in the run's folder.  A surface may be in the sweep's folder, and a fine-tuning and
a comparison are beside the sweep: what is used of these is copied to `<run>/evidence/` by `misgen
card`, so that the run's folder holds all the evidence for its card, wherever it is moved.

Public names: `Choice`, `Sources`, `COPIES`, `copy_outside`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.files import open_regular

from ..evaluation import result_folders
from ..evaluation.chosen import own_key
from ..evaluation.result_folders import Kept, Kind, choose, place
from ..training.config import config_hash
from ..training.run_folder import DONE, RunFolder, write_with
from ..training.run_folder import file_sha256 as digest
from .modes import OBJECTIVE, PROBE, ROBUSTNESS, SUPPLY_CHAIN, SURFACE

COPIES = "evidence"
"""Folder in the run's that holds copies of what lies elsewhere."""
TABLE = "comparison.csv"
_KIND = {
    SURFACE: result_folders.SURFACE,
    PROBE: result_folders.PROBE,
    OBJECTIVE: result_folders.OBJECTIVE,
    ROBUSTNESS: result_folders.ROBUSTNESS,
    SUPPLY_CHAIN: result_folders.SUPPLY_CHAIN,
}


@dataclass(frozen=True)
class Choice:
    """Which evidence is meant, where there is more than one."""

    evaluation: str | None = None
    """What the hash of its settings begins with; so also for the next four."""
    surface: str | None = None
    probe: str | None = None
    objective: str | None = None
    robustness: str | None = None
    supply_chain: str | None = None
    """Folder of a fine-tuning; none: one that is found."""
    comparison: str | None = None
    """Folder or file of a comparison of protocols; none: one that is found."""


@dataclass
class Sources:
    """The files that a card is made of."""

    folder: Path
    """The run's."""
    policy: str
    """SHA-256 of its weights."""
    manifest: dict[str, Any]
    choice: Choice
    cited: frozenset[str]
    """Hashes of files that a card names: where there are several, these are meant."""
    outside: list[Kept] = field(default_factory=list)
    """Results of other folders that were used."""

    def evaluation(self) -> Kept | None:
        """Return the run's evaluation that counts.

        Raises:
            UserError: if there are several, and nothing tells which.
        """
        found = result_folders.kept(self.folder, result_folders.EVALUATION)
        named = self._cited(found)
        if named is not None and self.choice.evaluation is None:
            return named
        own = own_key(RunFolder(self.folder))
        if self.choice.evaluation is None and own in [one.key for one in found]:
            return next(one for one in found if one.key == own)
        one = choose(self.folder, result_folders.EVALUATION, self.choice.evaluation, found)
        if one is None:
            result_folders.refuse_old(self.folder, result_folders.EVALUATION)
        return one

    def of(self, name: str) -> Kept | None:
        """Return a result that is no evaluation and no protocol's, by its name in `modes`.

        Raises:
            UserError: if there are several, and nothing tells which; if one that is named tells
                nothing of this agent.
        """
        kind = _KIND[name]
        wanted = getattr(self.choice, name)
        if name == SUPPLY_CHAIN and wanted is not None:
            homes, wanted = [Path(wanted)], None
        else:
            homes = self._homes(name)
        found = [
            one for home in homes for one in result_folders.kept(home, kind) if self._is_about(one)
        ]
        found = list({one.key: one for one in reversed(found) if self._counts(one)}.values())
        one = self._cited(found) or choose(self.folder, kind, wanted, found)
        if one is None:
            self._refuse_nothing(name, kind)
        elif not one.path.is_relative_to(self.folder):
            self.outside.append(one)
        return one

    def _refuse_nothing(self, name: str, kind: Kind) -> None:
        if name == SUPPLY_CHAIN and self.choice.supply_chain is not None:
            raise UserError(
                f"supply_chain={self.choice.supply_chain} says nothing about this agent,"
                "which is neither a base there nor fine-tuned from one"
            )
        result_folders.refuse_old(self.folder, kind)

    def _homes(self, name: str) -> list[Path]:
        """Return the folders to look in, those that go before others first."""
        homes = [self.folder]
        if name == SURFACE:
            homes.append(self.folder.parent)
        if name == SUPPLY_CHAIN:
            homes += sorted(path for path in self.folder.parent.parent.glob("*") if path.is_dir())
        return [*homes, self.folder / COPIES]

    def _is_about(self, one: Kept) -> bool:
        """Return whether a result counts this agent; those in the run's own folder are held to."""
        if one.kind is result_folders.SUPPLY_CHAIN:
            bases = {str(base.get("policy")) for base in one.found.get("bases", [])}
            return bool(bases & {self.policy, str(self.manifest["config"].get("init_policy"))})
        policies: Mapping[str, Any] = one.found.get("policies") or {}
        if one.path.parent.parent == self.folder and self.policy not in policies.values():
            raise UserError(
                f"{one.main} is about another policy than the run's: remove it, or make it again "
                "with the same command"
            )
        return self.policy in policies.values()

    def _counts(self, one: Kept) -> bool:
        """Return whether a card is held to a result: to what lies elsewhere, if it names it."""
        return not self.cited or one.path.is_relative_to(self.folder) or self._is_cited(one)

    def _cited(self, found: list[Kept]) -> Kept | None:
        """Return the result that has a file which a card names."""
        return next(filter(self._is_cited, found if self.cited else ()), None)

    def _is_cited(self, one: Kept) -> bool:
        return digest(one.main) in self.cited

    def comparison(self) -> Path | None:
        """Return the table of detection powers.

        Raises:
            UserError: if the one that was named does not exist.
        """
        from ..protocols.run import comparison_table

        if self.choice.comparison is not None:
            return comparison_table(self.choice.comparison)
        sweep = self.folder.parent
        inside = f"{result_folders.COMPARISON.folder}/*/{TABLE}"
        places = [sweep / TABLE, *sorted(sweep.parent.glob(f"*/{TABLE}"))]
        places += sorted(sweep.parent.glob(f"*/{inside}"))
        copies = sorted((self.folder / COPIES).glob(inside))
        found = [path for path in places if path.is_file()] or copies
        for path in (*found, *copies) if self.cited else ():
            if {digest(file) for file in comparison_files(path)} <= self.cited:
                return path
        found = copies if self.cited else found
        return max(found, key=lambda path: path.stat().st_mtime) if found else None


def comparison_files(table: Path) -> list[Path]:
    """Return a comparison's table, and what says how it was made, where that is there."""
    return [f for f in (table, table.with_name(result_folders.COMPARISON.main)) if f.is_file()]


def comparison_key(table: Path) -> str:
    """Return what names the folder of a comparison's copy."""
    return config_hash({file.name: digest(file) for file in comparison_files(table)})


def copy_outside(folder: Path, results: tuple[Kept, ...], comparison: Path | None) -> None:
    """Copy what a card rests on and lies elsewhere into the run's folder.

    Args:
        folder: the run's.
        results: of other folders.
        comparison: a comparison's table, or none.
    """
    for one in results:
        into = place(folder / COPIES, one.kind, one.key)
        with into.lock():
            into.unmark(DONE)
            for file in sorted(one.path.glob("*.json")) + sorted(one.path.glob("*.parquet")):
                _copy(file, into.path / file.name)
            into.mark(DONE, one.key)
    if comparison is not None and not comparison.is_relative_to(folder):
        into = place(folder / COPIES, result_folders.COMPARISON, comparison_key(comparison))
        into.path.mkdir(parents=True, exist_ok=True)
        for file in comparison_files(comparison):
            _copy(file, into.path / file.name)


def _copy(source: Path, target: Path) -> None:
    try:
        file = open_regular(source)
    except OSError as error:
        raise UserError(f"{source} cannot be copied ({error.strerror}): make it anew") from None
    with file:
        write_with(target, lambda out: shutil.copyfileobj(file, out))
