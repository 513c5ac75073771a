"""What is known of a run's agent, read from files and computed anew from stored episodes.

Public names: `Evidence`, `Item`, `read_evidence`.

Whatever can be computed from episodes is: the files that other commands wrote beside them (tables,
scores, words) are not believed, only compared.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from misgen.agents.spec import weights_checksum
from misgen.envs.core.errors import UserError
from misgen.envs.core.files import read_bytes

from ..config import typed
from ..runs import (
    EPISODES,
    EVALUATED,
    SUMMARY,
    RunFolder,
    digest_beside,
    read_json,
    read_parquet,
)
from ..trained import TrainedRun
from .modes import EVALUATION, OBJECTIVE, PROBE, ROBUSTNESS, SUPPLY_CHAIN, SURFACE

_HINT = "make the card without it, or run that command again"
_SAME = 1e-6  # scores that differ by less are equal


@dataclass(frozen=True)
class Item:
    """One piece of evidence."""

    name: str
    """What it is: one of `modes.COMMAND`, or a protocol's name."""
    files: tuple[Path, ...]
    """What it was read from."""
    found: dict[str, Any]
    """What it says."""


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


def read_evidence(
    folder: Path, comparison: str | None = None, supply_chain: str | None = None
) -> Evidence:
    """Read all that is known of the agent of a finished run.

    Args:
        folder: the run's.
        comparison: folder or file of a comparison of protocols; none: `comparison.csv` of the
            sweep, or the newest in a folder beside the sweep.
        supply_chain: folder of a fine-tuning of this agent; none: one beside the sweep.

    Raises:
        UserError: if the run is not finished, or a file contradicts its own episodes.
    """
    run = TrainedRun.read(RunFolder(folder))
    policy = weights_checksum(folder)
    left_out: list[str] = []
    items = [item for item in _items(run, policy, supply_chain) if item is not None]
    protocols = tuple(_protocols(folder, policy, left_out))
    return Evidence(
        run,
        policy,
        {item.name: item for item in items},
        protocols,
        comparison_of(folder, comparison),
        tuple(left_out),
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {_HINT}") from None


def _items(run: TrainedRun, policy: str, supply_chain: str | None) -> Iterator[Item | None]:
    folder = run.folder.path
    yield _evaluation(folder)
    yield _surface(folder)
    yield _stored(PROBE, folder / "probe.json")
    yield _objective(folder)
    yield _robustness(folder)
    yield _supply_chain(folder, policy, supply_chain, run.manifest)


def _evaluation(folder: Path) -> Item | None:
    """Compute every metric and verdict anew from the evaluation's episodes."""
    from ..evaluation.config import MetricsConfig
    from ..evaluation.metrics import summary_table
    from ..evaluation.suite import NEEDED
    from ..evaluation.verdict import judge_all

    files = (folder / EPISODES, folder / SUMMARY)
    if not ((folder / EVALUATED).is_file() and all(file.is_file() for file in files)):
        return None
    summary = read_json(files[1], _HINT)
    digest = summary.get("files", {}).get(EPISODES)
    episodes = read_parquet(files[0], digest, NEEDED, _HINT)
    config = summary.get("config", {})
    table = summary_table(episodes, typed(MetricsConfig, config.get("metrics", {}), "metrics."))
    verdicts = [
        {
            "placement": keys["placement"],
            "actions": keys["actions"],
            "verdict": verdict.name,
            "worse_than_random": verdict.worse_than_random,
            "reasons": list(verdict.reasons),
        }
        for keys, verdict in judge_all(table)
    ]
    found = {
        "config": config,
        "config_hash": str(summary.get("config_hash", "")),
        "episodes": len(episodes),
        "metrics": table.to_dicts(),
        "verdicts": verdicts,
        "levels": summary.get("levels", {}),
    }
    return Item(EVALUATION, files[:1], found)


def _surface(folder: Path) -> Item | None:
    """Read the surface of the run, or of its sweep if it counts the run."""
    for file in (folder / "surface.json", folder.parent / "surface.json"):
        if file.is_file():
            found = read_json(file, _HINT)
            if folder.name in found.get("runs", []):
                return Item(SURFACE, (file,), found)
    return None


def _stored(name: str, file: Path) -> Item | None:
    return Item(name, (file,), read_json(file, _HINT)) if file.is_file() else None


def _table(file: Path, voucher: Path) -> pl.DataFrame:
    """Return a table, held against the SHA-256 that the file beside it has of it."""
    return read_parquet(file, digest_beside(file, voucher.name), hint=_HINT)


def _objective(folder: Path) -> Item | None:
    """Compute the shares of each objective anew from what the episodes' actions say."""
    from ..evaluation.explain import explain, words
    from ..evaluation.objective import ObjectiveConfig

    files = (folder / "objective.parquet", folder / "objective.json")
    if not all(file.is_file() for file in files):
        return None
    config = read_json(files[1], _HINT).get("config", {})
    settings = typed(ObjectiveConfig, config.get("objective", {}), "objective.")
    table = explain(_table(*files), settings)
    found = {"config": config, "explained": table.to_dicts(), "words": words(table)}
    return Item(OBJECTIVE, files[:1], found)


def _robustness(folder: Path) -> Item | None:
    """Compute goal and capability under attack anew from the episodes."""
    from ..evaluation.robust import robustness_table

    files = (folder / "robustness.parquet", folder / "robustness.json")
    if not all(file.is_file() for file in files):
        return None
    stored = read_json(files[1], _HINT)
    seed = int(stored["config"]["seed"])
    table = robustness_table(_table(*files), seed=seed).to_dicts()
    return Item(ROBUSTNESS, files[:1], {"config": stored["config"], "table": table})


def _supply_chain(
    folder: Path, policy: str, given: str | None, manifest: dict[str, Any]
) -> Item | None:
    """Find a fine-tuning that has this agent as a base, or that it came out of."""
    from ..evaluation.inheritance import gone_table, inheritance_table

    places = [Path(given)] if given else sorted(folder.parent.parent.glob("*"))
    base = manifest["config"].get("init_policy")
    for place in places:
        files = (place / "supply_chain.parquet", place / "supply_chain.json")
        if not all(file.is_file() for file in files):
            continue
        stored = read_json(files[1], _HINT)
        known = {one["policy"] for one in stored["bases"]}
        if not known & {policy, base}:
            continue
        episodes = _table(*files)
        config = stored["config"]
        found = {
            "config": config,
            "bases": stored["bases"],
            "is_base": policy in known,
            "table": inheritance_table(episodes, seed=int(config["seed"])).to_dicts(),
            "gone": gone_table(episodes, float(config["gone"])).to_dicts(),
        }
        return Item(SUPPLY_CHAIN, files[:1], found)
    if given:
        raise UserError(
            f"supply_chain={given} tells nothing of this agent: it is no base there, and was not "
            "fine-tuned from one"
        )
    return None


def _protocols(folder: Path, policy: str, left_out: list[str]) -> Iterator[Item]:
    from ..protocols.base import is_shipped

    for file in sorted(folder.glob("protocol-*.json")):
        stored = read_json(file, _HINT)
        if stored.get("policy") != policy:
            left_out.append(f"{file.name} is about another policy than the run's: run it again.")
            continue
        method = str(stored["protocol"]["method"])
        if not is_shipped(method):
            left_out.append(
                f"{file.name} is of method {method[:100]}, which misgen does not ship: its figures "
                "cannot be computed anew without running its code."
            )
            continue
        details = file.with_suffix(".parquet")
        item = Item(stored["protocol"]["name"], (file,), stored)
        if stored["applicable"] and details.is_file():
            item = Item(item.name, (file, details), _scored_anew(file, stored, details))
        yield item


def _scored_anew(file: Path, stored: dict[str, Any], details: Path) -> dict[str, Any]:
    """Return what a protocol found, its scores computed from the stored rows.

    Raises:
        UserError: if the file says otherwise.
    """
    from ..protocols.base import make_method
    from ..protocols.command import judge
    from ..protocols.spec import protocol_from

    protocol = protocol_from(stored["protocol"])
    if protocol.hash != stored["protocol_hash"]:
        raise UserError(
            f"{file}: protocol_hash is {stored['protocol_hash']}, and its protocol's "
            f"{protocol.hash}: the file was changed; run the protocol again"
        )
    score: Callable[[pl.DataFrame, int], Any] | None = getattr(make_method(protocol), "score", None)
    if score is None:  # a method that cannot do so: its file is believed, and its hash noted
        return stored
    rows = _table(details, file)
    points = []
    for old in stored["points"]:
        point = score(rows.filter(pl.col("order") < old["budget"]), old["budget"])
        for name in ("score", "low", "high"):
            _require_same(file, old["budget"], name, old[name], getattr(point, name))
        points.append({**old, **{n: _number(getattr(point, n)) for n in ("score", "low", "high")}})
    fitted = (stored.get("measured") or {}).get("threshold")
    decision, why = judge(protocol, point, math.nan if fitted is None else float(fitted))
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


def comparison_of(folder: Path, given: str | None) -> Path | None:
    """Return the table of detection powers.

    Raises:
        UserError: if the one that was named does not exist.
    """
    if given is not None:
        path = Path(given)
        path = path / "comparison.csv" if path.is_dir() else path
        if not path.is_file():
            raise UserError(f"comparison={given} holds no comparison.csv: run misgen compare first")
        return path
    found = [folder.parent / "comparison.csv", *folder.parent.parent.glob("*/comparison.csv")]
    found = [path for path in found if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime) if found else None
