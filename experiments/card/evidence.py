"""The evidence about a run's agent, read from files and recomputed from stored episodes.

Public names: `Evidence`, `Item`, `Choice`, `read_evidence`, `digest`.

Whatever can be computed from episodes is recomputed; the files that other commands wrote beside
them (tables, scores, findings) are only compared with the result.  The provenance of each is
checked: the hashes of the run's config, of the weights and of the episodes.  Some episodes are
replayed (`replay`).  `sources` finds the files.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from misgen.agents.checkpoint import load_agent
from misgen.agents.external.record import read_record
from misgen.agents.spec import weights_checksum
from misgen.envs.core.errors import UserError

from ..evaluation import result_folders
from ..evaluation.chosen import key_of
from ..evaluation.result_folders import Kept
from ..training.run_folder import EPISODES, RunFolder, read_parquet
from ..training.run_folder import file_sha256 as digest
from ..training.settings import typed
from ..training.trained_run import TrainedRun
from .modes import EVALUATION, OBJECTIVE, PROBE, ROBUSTNESS, SUPPLY_CHAIN, SURFACE
from .replay import REPLAY, Replayed, not_replayed, replay_evaluation, replay_protocol
from .sources import Choice, Sources

_HINT = "make it again with its command, or restore it"
_DAMAGED = (
    KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, pl.exceptions.PolarsError,
)  # fmt: skip
_SAME = 1e-6  # scores that differ by less are equal
PLAYED_AGAIN = "computed from episodes, of which a sample was replayed"
PLAYED_IF_TRUSTED = (
    "computed from episodes; the agent was trained elsewhere, and a sample of them is played again "
    "only where its code is trusted"
)
COMPUTED = "computed from episodes"
BELIEVED = "taken from the file"


@dataclass(frozen=True)
class Item:
    """One piece of evidence."""

    name: str
    """What it is: one of `modes.COMMAND`, or a protocol's name."""
    files: tuple[Path, ...]
    """What it was read from."""
    found: dict[str, Any]
    """What it says."""
    checked: str = BELIEVED
    """How far its figures are checked."""


@dataclass(frozen=True)
class Evidence:
    """All that was found about one agent."""

    run: TrainedRun
    policy: str
    """SHA-256 of its weights."""
    items: dict[str, Item] = field(default_factory=dict)
    """By name, those that are no protocols."""
    protocols: tuple[Item, ...] = ()
    """By name of the protocol."""
    comparison: Path | None = None
    """A table of detection powers."""
    left_out: tuple[str, ...] = ()
    """Sentences on what is there and was not used."""
    evaluation_key: str = ""
    """Hash of the evaluation's settings."""
    replayed: Replayed = field(default_factory=Replayed)
    """Episodes that were replayed."""
    not_replayed: str = ""
    """Why the agent's own were not, in a sentence; empty: they were."""
    outside: tuple[Kept, ...] = ()
    """Results that lie in other folders."""


def read_evidence(
    folder: Path,
    choice: Choice | None = None,
    *,
    cited: frozenset[str] = frozenset(),
    replay: int = REPLAY,
) -> Evidence:
    """Read all that is known of the agent of a finished run.

    Args:
        folder: the run's.
        choice: which files, where there are several.
        cited: hashes of the files that a card names: where one of them is found, it is used.
        replay: how many episodes of each kind are played again; 0: none.

    Raises:
        UserError: if the run is not finished, a file contradicts its own episodes or was made from
            something else, or the agent does not do what is stored.
    """
    run = TrainedRun.read(RunFolder(folder))
    policy = _policy(run)
    sources = Sources(folder, policy, run.manifest, choice or Choice(), cited)
    comparison = sources.comparison()
    reader = _Reader(run, policy, sources, comparison, replay)
    items = {item.name: item for item in reader.items()}
    protocols = tuple(reader.protocols())
    return Evidence(
        run,
        policy,
        items,
        protocols,
        comparison,
        tuple(reader.left_out),
        reader.evaluation_key,
        reader.replayed,
        outside=tuple(sources.outside),
        not_replayed=not_replayed(run.folder.path) if replay else "",
    )


def _policy(run: TrainedRun) -> str:
    """Return the SHA-256 of the run's weights, having made sure that they are what is said.

    That the config is what its hash says was made sure of with the manifest.

    Raises:
        UserError: if the weights are not those that their hash says.
    """
    world = run.config.world
    if not not_replayed(run.folder.path):
        load_agent(run.folder.path, world.observation_space, world.action_space)
    return weights_checksum(run.folder.path)


class _Reader:
    """Reads one kind of evidence after the other."""

    def __init__(
        self,
        run: TrainedRun,
        policy: str,
        sources: Sources,
        comparison: Path | None,
        replay: int,
    ) -> None:
        self._run = run
        self._policy = policy
        self._sources = sources
        self._comparison = comparison
        self._replay = replay
        self.replayed = Replayed(0, 0)
        external = read_record(run.folder.path) is not None
        self._checked = PLAYED_IF_TRUSTED if external else PLAYED_AGAIN
        self.left_out: list[str] = []
        self.evaluation_key = ""

    def items(self) -> Iterator[Item]:
        """Yield what is no protocol."""
        evaluation = self._sources.evaluation()
        if evaluation is not None:
            with _as_user_error(evaluation):
                self.evaluation_key = key_of(evaluation.found.get("config", {}))
                item = self._evaluation(evaluation)
            yield item
        readers: dict[str, Callable[[Kept], Item]] = {
            SURFACE: _surface,
            PROBE: _probe,
            OBJECTIVE: _objective,
            ROBUSTNESS: _robustness,
            SUPPLY_CHAIN: self._supply_chain,
        }
        for name, read in readers.items():
            one = self._sources.of(name)
            if one is not None:
                with _as_user_error(one):
                    item = read(one)
                yield item

    def _evaluation(self, one: Kept) -> Item:
        """Compute every metric and verdict anew from the evaluation's episodes."""
        from ..evaluation.config import VerdictConfig
        from ..evaluation.metrics import seed_table
        from ..evaluation.verdict import judge_seeds

        file, summary = one.path / EPISODES, one.found
        settings = summary.get("config", {})
        _require(one, "config_hash", summary.get("config_hash"), key_of(settings))
        _require(one, "policy", summary.get("policy"), self._policy)
        _require(
            one,
            "run_config_hash",
            summary.get("run_config_hash"),
            self._run.manifest["config_hash"],
        )
        _require(one, "episodes_sha256", summary.get("episodes_sha256"), digest(file))
        episodes = read_parquet(file, hint=_HINT)
        self.replayed += replay_evaluation(
            self._run, settings, episodes, digest(file), self._replay
        )
        lines = typed(VerdictConfig, settings["verdict"], "verdict.")
        table = seed_table(episodes, lines)
        if "metrics" in summary:
            _require_metrics(one, summary["metrics"], table)
        verdicts = [
            {
                "placement": keys["placement"],
                "actions": keys["actions"],
                "on_proxy": keys["on_proxy"],
                "verdict": verdict.name,
                "worse_than_random": verdict.worse_than_random,
                "reasons": list(verdict.reasons),
            }
            for keys, _, verdict in judge_seeds(table, lines)
        ]
        found = {
            "config": settings,
            "config_hash": str(summary.get("config_hash", "")),
            "episodes": len(episodes),
            "metrics": table.to_dicts(),
            "verdicts": verdicts,
            "levels": summary.get("levels", {}),
        }
        return Item(EVALUATION, (file, one.main), found, self._checked)

    def _supply_chain(self, one: Kept) -> Item:
        """Compute what a fine-tuning left anew from its episodes."""
        from ..evaluation.inheritance import gone_table, inheritance_seeds, inheritance_table

        file, stored = _rows(one, "supply_chain.parquet"), one.found
        episodes, config = read_parquet(file, hint=_HINT), stored["config"]
        known = {base["policy"] for base in stored["bases"]}
        found = {
            "config": config,
            "bases": stored["bases"],
            "is_base": self._policy in known,
            "table": inheritance_table(episodes).to_dicts(),
            "seeds": inheritance_seeds(episodes).to_dicts(),
            "gone": gone_table(episodes, float(config["gone"])).to_dicts(),
        }
        return Item(SUPPLY_CHAIN, (file, one.main), found, COMPUTED)

    def protocols(self) -> Iterator[Item]:
        """Yield what protocols found, their scores computed from the stored rows."""
        from ..protocols.known_methods import is_own

        for one in result_folders.kept(self._run.folder.path, result_folders.PROTOCOL):
            stored = one.found
            if "level_files" in stored:
                self.left_out.append(
                    f"{one.path.name} is about levels made by hand, not the protocol's own."
                )
                continue
            if stored.get("policy") != self._policy:
                self.left_out.append(
                    f"{one.path.name} is about another policy than the run's: run it again."
                )
                continue
            with _as_user_error(one):
                method = str(stored["protocol"]["method"])
                if not is_own(method):  # its code may be anybody's: it is not run
                    self.left_out.append(
                        f"{one.path.name} is by {method[:100]}, which misgen does not ship: its "
                        "numbers cannot be computed again without running that code."
                    )
                    continue
                item = self._protocol(one)
            yield item

    def _protocol(self, one: Kept) -> Item:
        """Return what a protocol found.

        Raises:
            UserError: if its file contradicts its rows, or the agent gives others.
        """
        from ..protocols.run import ROWS
        from ..protocols.spec import protocol_from

        stored, details = one.found, one.path / ROWS
        protocol = protocol_from(stored["protocol"])
        _require(one, "protocol_hash", stored.get("protocol_hash"), protocol.hash)
        _require(
            one, "config.protocol", _plain(stored["config"]["protocol"]), _plain(stored["protocol"])
        )
        known = self._run.manifest["config_hash"]
        _require(one, "run_config_hash", stored.get("run_config_hash"), known)
        if not (stored["applicable"] and details.is_file()):
            return Item(protocol.name, (one.main,), stored)
        _require(one, "rows_sha256", stored.get("rows_sha256"), digest(details))
        rows = read_parquet(details, hint=_HINT)
        self.replayed += replay_protocol(self._run, protocol, stored, rows, self._replay)
        found = _scored_anew(one.main, stored, rows, self._threshold(stored, protocol))
        return Item(protocol.name, (details, one.main), found, self._checked)

    def _threshold(self, stored: Mapping[str, Any], protocol: Any) -> float:
        """Return the threshold that the comparison at hand gives, if the protocol was run with it.

        A threshold whose comparison is not at hand cannot be checked, and decides nothing.
        """
        from ..protocols.run import measured

        used = stored["config"].get("comparison_sha256")
        if used is None or self._comparison is None or digest(self._comparison) != used:
            return math.nan
        budget, correlation = max(stored["config"]["budgets"]), self._run.config.correlation
        row = measured(protocol, budget, str(self._comparison), correlation)
        return float(row["threshold"]) if row.get("threshold") is not None else math.nan


@contextlib.contextmanager
def _as_user_error(one: Kept) -> Iterator[None]:
    """Say of a result whose files are not what they should be that it is damaged.

    They may be anybody's, and of any shape.

    Raises:
        UserError: naming the file.
    """
    try:
        yield
    except UserError:
        raise
    except _DAMAGED as error:
        raise UserError(
            f"{one.path} is damaged ({type(error).__name__}: {_short(error)}): make it again with "
            "the same command, or remove the folder"
        ) from error


def _require(one: Kept, name: str, stored: Any, known: Any) -> None:
    """Refuse a result that was made from something else than what is here.

    Raises:
        UserError: naming the field.
    """
    if stored != known:
        raise UserError(
            f"{one.main}: {name} is {_short(stored)}, and what is here has {_short(known)}: a file "
            "was changed, or is of another run; make it again with the same command"
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=True, default=str))


def _require_metrics(one: Kept, stored: Any, table: pl.DataFrame) -> None:
    """Refuse a summary whose metrics its episodes do not give.

    Raises:
        UserError: naming the first.
    """
    from ..training.run_folder import without_nan
    from .differences import differences

    wrong = next(differences(stored, _plain(without_nan(table.to_dicts())), "metrics"), None)
    if wrong:
        wrong = wrong.replace("in the card", f"in {one.main.name}").rstrip(".")
        raise UserError(f"{one.main}: {wrong}; the file was changed: evaluate the run again")


def _surface(one: Kept) -> Item:
    """Compute the surface anew from its episodes."""
    from ..evaluation.surface import surface_seeds, surface_table

    file = _rows(one, "surface.parquet")
    episodes = read_parquet(file, hint=_HINT)
    found = {
        **one.found,
        "cells": surface_table(episodes).to_dicts(),
        "seeds": surface_seeds(episodes).to_dicts(),
    }
    return Item(SURFACE, (file, one.main), found, COMPUTED)


def _probe(one: Kept) -> Item:
    return Item(PROBE, (one.main,), one.found)


def _objective(one: Kept) -> Item:
    """Compute the shares of each objective anew from what the episodes' actions say."""
    from ..evaluation.objective.behavioural_objective import ObjectiveConfig
    from ..evaluation.objective.explain import explain, sentence

    file, config = _rows(one, "objective.parquet"), one.found["config"]
    settings = typed(ObjectiveConfig, config.get("objective", {}), "objective.")
    table = explain(read_parquet(file, hint=_HINT), settings)
    found = {"config": config, "explained": table.to_dicts(), "words": sentence(table)}
    return Item(OBJECTIVE, (file, one.main), found, COMPUTED)


def _robustness(one: Kept) -> Item:
    """Compute goal and capability under attack anew from the episodes."""
    from ..evaluation.robustness.drops import robustness_table

    file, config = _rows(one, "robustness.parquet"), one.found["config"]
    table = robustness_table(read_parquet(file, hint=_HINT)).to_dicts()
    return Item(ROBUSTNESS, (file, one.main), {"config": config, "table": table}, COMPUTED)


def _rows(one: Kept, name: str) -> Path:
    """Return the file of a result's episodes.

    Raises:
        UserError: if it is not the one that the result was made from.
    """
    file = one.path / name
    _require(one, "episodes_sha256", one.found.get("episodes_sha256"), digest(file))
    return file


def _scored_anew(
    file: Path, stored: dict[str, Any], rows: pl.DataFrame, fitted: float
) -> dict[str, Any]:
    """Return what a protocol found, its scores computed from the stored rows.

    Raises:
        UserError: if the file says otherwise.
    """
    from ..protocols.base import make_method
    from ..protocols.run import judge
    from ..protocols.spec import protocol_from

    protocol = protocol_from(stored["protocol"])
    score: Callable[[pl.DataFrame, int], Any] | None = getattr(make_method(protocol), "score", None)
    if score is None:  # a method that cannot do so: its file is believed, and its hash noted
        return stored
    budgets = [old["budget"] for old in stored["points"]]
    if budgets != list(stored["config"]["budgets"]) or not budgets:
        raise UserError(
            f"{file}: its points have the budgets {budgets}, and its settings "
            f"{stored['config']['budgets']}: the file was changed; run the protocol again"
        )
    points = []
    for old in stored["points"]:
        point = score(rows.filter(pl.col("order") < old["budget"]), old["budget"])
        for name in ("score", "low", "high"):
            _require_same(file, old["budget"], name, old[name], getattr(point, name))
        points.append({**old, **{n: _number(getattr(point, n)) for n in ("score", "low", "high")}})
    decision, why = judge(protocol, point, fitted)
    return {**stored, "points": points, "decision": decision, "why": why}


def _require_same(file: Path, budget: int, name: str, old: float | None, new: float) -> None:
    known = _number(new)
    same = old is known or (old is not None and known is not None and abs(old - known) < _SAME)
    if not same:
        raise UserError(
            f"{file}: {name} at budget {budget} is {old}, and its stored rows give {known}: the "
            "file was changed; run the protocol again"
        )


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
