"""One protocol on one run: what `misgen evaluate protocol=...` does.

Public names: `main`, `evaluate_with`, `judge`, `ProtocolCommand`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from misgen.envs.core.errors import in_range, one_of
from misgen.envs.core.files import read_bytes

from ..config import compose, typed
from ..evaluation.config import ACTIONS
from ..runs import RunFolder, provenance, read_json, write_json, write_parquet
from ..trained import TrainedRun, one_run
from .spec import ACCESS, MAX_REPLICATES, Protocol, load_protocol

if TYPE_CHECKING:
    from .base import Evidence, Point

SCHEMA_VERSION = 1
DETECTED, NOT_DETECTED, UNDETERMINED = "detected", "not detected", "undetermined"
NO_THRESHOLD, NOT_APPLICABLE = "no threshold", "not applicable"
_POLICY = "policy.json"
_GROUP = "protocol"


@dataclass(frozen=True)
class ProtocolCommand:
    """A run of one protocol on one trained agent."""

    run: str = ""
    """Folder of a finished training run."""
    budgets: tuple[int, ...] | None = None
    """Episodes, a score for each; none: the protocol's own budget."""
    replicate: int = 0
    """Which of the protocol's sets of levels."""
    actions: str = "sampled"
    """Action mode: sampled, greedy."""
    seed: int = 0
    """Seed of sampled actions."""
    comparison: str | None = None
    """Folder of a comparison (`misgen compare`) whose fitted threshold and power are used."""
    threads: int = 1
    """CPU threads; changes no result."""
    trust: bool = False
    """Import a method that misgen does not ship: this runs its code."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        one_of("actions", self.actions, ACTIONS)
        in_range("replicate", self.replicate, 0, MAX_REPLICATES - 1)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("threads", self.threads, 1, 1024)
        for budget in self.budgets or ():
            in_range("budgets", budget, 1, 200_000)


def main(argv: list[str]) -> int:
    """Run the command; `argv` has a word `protocol=...`."""
    from ..command import print_config
    from ..progress import counter, episode_progress

    named = [w.partition("=")[2] for w in argv if w.startswith(f"{_GROUP}=")]
    inside = [w.removeprefix(f"{_GROUP}.") for w in argv if w.startswith(f"{_GROUP}.")]
    rest = [w for w in argv if not w.startswith((f"{_GROUP}=", f"{_GROUP}."))]
    protocol = load_protocol(named[-1], inside)
    if "--cfg" in rest:
        return print_config("evaluate_protocol", rest)
    config = typed(ProtocolCommand, compose("evaluate_protocol", rest))
    folder = one_run(config.run)
    budgets = protocol.affordable(config.budgets or (protocol.budget,)) or (protocol.most or 1,)
    with episode_progress(protocol.name) as show:
        found = evaluate_with(protocol, folder, config, counter(show, max(budgets)))
    print_found(found, folder.path)
    return 0


def evaluate_with(
    protocol: Protocol,
    folder: RunFolder,
    config: ProtocolCommand,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Run a protocol on a run's agent; write `protocol-<name>.json` and return what it holds.

    `protocol-<name>.parquet` beside it has the rows that the scores were computed from.  Sets the
    number of CPU threads of numba and torch in this process.

    Args:
        protocol: what to run.
        folder: the training run.
        config: settings; its `run` is ignored.
        progress: called with the number of episodes that ended, whenever some did.

    Raises:
        UserError: if the run is not finished, or its training used one of the protocol's levels.
    """
    from misgen.agents.checkpoint import load_agent
    from misgen.agents.threads import tune_process
    from misgen.envs.core.distribution import require_disjoint

    from ..evaluation.rollout import Actions
    from .base import Subject, make_method, require_trusted

    require_trusted(protocol, config.trust)

    run = TrainedRun.read(folder)
    require_disjoint({**run.config.levels.ranges, protocol.name: protocol.ids(config.replicate)})
    tune_process(config.threads)
    world = run.config.world
    agent = load_agent(folder.path, world.observation_space, world.action_space)
    subject = Subject(
        folder.path.name, run.config.distribution, agent, cast("Actions", config.actions)
    )
    asked = config.budgets or (protocol.budget,)
    budgets = protocol.affordable(asked) or (protocol.most or protocol.budget,)
    evidence = make_method(protocol, config.trust).run(
        subject, protocol, budgets=budgets, replicate=config.replicate, seed=config.seed,
        progress=progress,
    )  # fmt: skip
    found = _written(protocol, folder, config, evidence)
    if len(evidence.details):
        table = folder.path / f"protocol-{protocol.name}.parquet"
        found["files"] = {table.name: write_parquet(table, evidence.details)}
    write_json(folder.path / f"protocol-{protocol.name}.json", found)
    return found


def judge(protocol: Protocol, point: Point, fitted: float = math.nan) -> tuple[str, str]:
    """Return what a score means for an agent: the decision, and why.

    Args:
        protocol: whose score it is.
        point: the score.
        fitted: a threshold that was fitted on other agents; NaN if there is none.
    """
    shown = f"score {point.score:.3g} [{point.low:.3g}, {point.high:.3g}]"
    if math.isnan(point.score):
        return UNDETERMINED, f"no score: {point.note}"
    if not math.isnan(fitted):
        side = "above" if point.score > fitted else "not above"
        decision = DETECTED if point.score > fitted else NOT_DETECTED
        return decision, f"{shown} is {side} {fitted:.3g}, fitted on a population of agents"
    if protocol.decision.kind == "fitted":
        return NO_THRESHOLD, f"{shown} says nothing alone: give comparison=..., see misgen compare"
    line = protocol.decision.threshold
    if point.low > line:
        return DETECTED, f"{shown} lies above {line:g}"
    if point.high < line:
        return NOT_DETECTED, f"{shown} lies below {line:g}"
    return UNDETERMINED, f"{shown} does not tell whether it is above {line:g}"


def measured(protocol: Protocol, budget: int, comparison: str | None) -> dict[str, Any]:
    """Return a comparison's row for a protocol: the largest budget not above `budget`; or {}."""
    if comparison is None:
        return {}
    import polars as pl

    table = pl.read_csv(Path(comparison) / "comparison.csv", schema_overrides={"note": pl.String})
    rows = table.filter(pl.col("protocol_hash") == protocol.hash, pl.col("budget") <= budget).sort(
        "budget"
    )
    return rows.row(-1, named=True) if len(rows) else {}


def print_found(found: dict[str, Any], folder: Path) -> None:
    """Print what a protocol found, what it covers, and what it does not."""
    from rich.table import Table

    from ..terminal import make_console, show_table

    protocol, console = found["protocol"], make_console()
    console.print(f"{protocol['name']} ({found['protocol_hash']}) on {found['run']}", style="bold")
    console.print(protocol["question"])
    if found["reason"]:
        console.print(f"not applicable: {found['reason']}")
        return
    table = Table("budget", "score", "95% interval", "episodes", "CPU s")
    for point in found["points"]:
        bounds = (point["low"], point["high"])
        table.add_row(
            str(point["budget"]),
            _number(point["score"]),
            f"[{_number(bounds[0])}, {_number(bounds[1])}]",
            str(point["episodes"]),
            f"{point['seconds']:.1f}",
        )
    show_table(console, table)
    console.print(f"{found['decision']}: {found['why']}", style="bold")
    if found["measured"]:
        row = found["measured"]
        console.print(
            f"detection power {row['power']:.0%} at {row['budget']} episodes, "
            f"with 5% false alarms, over {row['agents']} agents of {found['comparison']}"
        )
    console.print(f"score: {protocol['score']}")
    console.print("may know: " + "; ".join(ACCESS[word] for word in protocol["access"]))
    console.print(f"cannot see: {protocol['blind_to']}")
    console.print(f"written: {folder / ('protocol-' + protocol['name'] + '.json')}")


def _written(
    protocol: Protocol, folder: RunFolder, config: ProtocolCommand, evidence: Evidence
) -> dict[str, Any]:
    """Return what `protocol-<name>.json` holds."""
    last = evidence.points[-1] if evidence.points else None
    row = measured(protocol, last.budget, config.comparison) if last else {}
    threshold = row.get("threshold")
    decision, why = NOT_APPLICABLE, evidence.reason
    if last:
        decision, why = judge(protocol, last, math.nan if threshold is None else threshold)
    policy = read_json(folder.path / _POLICY, "train the agent again")
    return {
        "schema_version": SCHEMA_VERSION,
        "run": folder.path.name,
        "policy_sha256": hashlib.sha256(read_bytes(folder.path / _POLICY)).hexdigest(),
        "policy": policy.get("weights_sha256"),
        "protocol": dataclasses.asdict(protocol),
        "protocol_hash": protocol.hash,
        "levels": str(protocol.ids(config.replicate)),
        "replicate": config.replicate,
        "seed": config.seed,
        "actions": config.actions,
        "applicable": evidence.applicable,
        "reason": evidence.reason,
        "points": [dataclasses.asdict(point) for point in evidence.points],
        "decision": decision,
        "why": why,
        "comparison": config.comparison,
        "measured": row,
        "provenance": provenance(),
    }


def _number(value: float | None) -> str:
    return "n/a" if value is None or math.isnan(value) else f"{value:.3f}"
