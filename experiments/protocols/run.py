"""One protocol on one run.

Public names: `evaluate_with`, `play`, `judge`, `measured`, `is_made_in`, `protocol_folder`,
`comparison_table`, `ProtocolCommand`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.agents.spec import weights_checksum
from misgen.envs.core.errors import UserError, in_range, one_of
from misgen.envs.core.level_text.level_set import LevelSet, level_files, names_files

from ..evaluation.config import ACTIONS
from ..evaluation.result_folders import COMPARISON, PROTOCOL, choose, kept, place
from ..training.checks import require_room
from ..training.config import config_hash
from ..training.overrides import schema
from ..training.run_folder import (
    DONE,
    RunFolder,
    file_sha256,
    provenance,
    read_json,
    write_json,
    write_parquet,
)
from ..training.trained_run import TrainedRun
from .spec import MAX_REPLICATES, Protocol

if TYPE_CHECKING:
    from misgen.envs.core.world import World

    from .base import Evidence, Point

SCHEMA_VERSION = 2
DETECTED, NOT_DETECTED, UNDETERMINED = "detected", "not detected", "undetermined"
NO_THRESHOLD, NOT_APPLICABLE = "no threshold", "not applicable"
ROWS, TABLE = "rows.parquet", "comparison.csv"
MOST_EPISODES = 200_000
"""Largest budget: a protocol has no more levels."""


@schema("evaluate_protocol")
@dataclass(frozen=True)
class ProtocolCommand:
    """A run of one protocol on one trained agent."""

    run: str = ""
    """Folder of a finished training run."""
    levels: str | tuple[str, ...] | None = None
    """Level files to play, a folder, a file or a list of them; none: the protocol's own levels."""
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
    """Import a method that misgen does not ship, and make an agent that was trained elsewhere: this
    runs their code."""

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
            in_range("budgets", budget, 1, MOST_EPISODES)
        if self.levels is not None:
            if not names_files(self.levels):
                raise UserError(
                    f"levels={self.levels!r} is not a level file: a protocol has ids of its own "
                    "(replicate=... has others); give files, or leave levels out"
                )
            level_files(self.levels)


def evaluate_with(
    protocol: Protocol,
    folder: RunFolder,
    config: ProtocolCommand,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Run a protocol on a run's agent; write `protocol.json` and return what it holds.

    It goes to `protocols/<name>-<hash>/` in the run's folder, a folder for each content of the
    protocol and each set of settings; `rows.parquet` beside it has the rows that the scores were
    computed from.  Sets the number of CPU threads of numba and torch in this process.

    Args:
        protocol: what to run.
        folder: the training run.
        config: settings; its `run` is ignored.
        progress: called with the number of episodes that ended, whenever some did.

    Raises:
        UserError: if the run is not finished, or its training used one of the protocol's levels.
    """
    from misgen.agents.threads import tune_process
    from misgen.envs.core.distribution import require_disjoint

    from .base import make_method, require_trusted

    require_trusted(protocol, config.trust)

    run = TrainedRun.read(folder)
    require_disjoint({**run.config.levels.ranges, protocol.name: protocol.ids(config.replicate)})
    method = make_method(protocol, config.trust)
    _require_measured(protocol, config, run)
    require_room(folder.path, "run", config.run or folder.path)
    by_hand = _by_hand(protocol, method, run, config)
    settings = settings_of(protocol, config, by_hand)
    tune_process(config.threads)
    evidence = play(protocol, run, settings, progress, by_hand=by_hand, trust=config.trust)
    into = protocol_folder(folder, settings)
    with into.lock():
        into.unmark(DONE)
        rows = {}
        if len(evidence.details):
            rows = {"rows_sha256": write_parquet(into.path / ROWS, evidence.details)}
        found = _written(protocol, run, config, settings, evidence) | rows
        if by_hand:
            found |= {"levels": str(by_hand.ids), "level_files": sorted(by_hand.names)}
        write_json(into.path / PROTOCOL.main, found)
        into.mark(DONE, config_hash({"config": settings, "policy": found["policy"]}))
    return found


def _by_hand(
    protocol: Protocol, method: object, run: TrainedRun, config: ProtocolCommand
) -> LevelSet | None:
    """Return the levels made by hand that are to be played; None for the protocol's own.

    Raises:
        UserError: if the protocol draws or makes its levels itself, or a file holds none.
    """
    if config.levels is None:
        return None
    if not getattr(method, "plays_by_hand", False):
        raise UserError(
            f"protocol={protocol.name} draws its levels itself: on levels made by hand use "
            "protocol=iid or protocol=counterfactual_pairs, or misgen evaluate without protocol"
        )
    return LevelSet.read(config.levels, run.config.world)


def _require_measured(protocol: Protocol, config: ProtocolCommand, run: TrainedRun) -> None:
    """Refuse a comparison that says nothing of a protocol on such an agent with such a budget.

    Raises:
        UserError: naming it.
    """
    if config.comparison is None:
        return
    from .comparison.config import world_of

    given, correlation = f"comparison={config.comparison}", run.config.correlation
    budget = max(_budgets(protocol, config))
    table = comparison_table(config.comparison)
    assert table is not None
    if not is_made_in(table, run.config.world):
        raise UserError(
            f"{given} was made in another world ({world_of(table)}), or at other parameters of "
            f"{run.config.world.name}: a threshold of it says nothing here; leave it out, or "
            "compare in this world"
        )
    rows = _measured_rows(protocol, config.comparison, correlation)
    budgets = sorted({row["budget"] for row in rows})
    if budget not in budgets:
        known = f"only with budgets {', '.join(map(str, budgets))}" if budgets else "not"
        raise UserError(
            f"{given} has measured {protocol.name} with these options {known}, for agents trained "
            f"at correlation {'1' if correlation >= 1 else 'below 1'}, and budgets=[{budget}] is "
            f"asked for: give one of these, leave the comparison out, or measure it with misgen "
            f"compare protocols=[{protocol.name}] budgets=[{budget}]"
        )


def is_made_in(table: Path, world: World) -> bool:
    """Return whether a comparison says that it was made in a world, at the same parameters."""
    from .comparison.config import world_facts

    file = table.with_name(COMPARISON.main)
    return file.is_file() and read_json(file, "compare again").get("world") == world_facts(world)


def play(
    protocol: Protocol,
    run: TrainedRun,
    settings: Mapping[str, Any],
    progress: Callable[[int], object] | None = None,
    *,
    by_hand: LevelSet | None = None,
    trust: bool = False,
) -> Evidence:
    """Return what a protocol finds out about a run's agent.

    Args:
        protocol: what to run.
        run: whose agent.
        settings: what `settings_of` returned.
        progress: called with the number of episodes that ended, whenever some did.
        by_hand: levels made by hand to play instead of the protocol's own.
        trust: import a method that misgen does not ship, make an agent trained elsewhere.
    """
    from misgen.agents.checkpoint import load_agent

    from .base import Subject, make_method

    world = run.config.world
    spaces = world.observation_space, world.action_space
    agent = load_agent(run.folder.path, *spaces, trust=trust)
    name, distribution = run.folder.path.name, run.config.distribution
    subject = Subject(name, distribution, agent, settings["actions"], by_hand)
    return make_method(protocol, trust).run(
        subject, protocol, budgets=tuple(settings["budgets"]), replicate=settings["replicate"],
        seed=settings["seed"], progress=progress,
    )  # fmt: skip


def settings_of(
    protocol: Protocol, config: ProtocolCommand, by_hand: LevelSet | None = None
) -> dict[str, Any]:
    """Return what determines a result: the protocol's content, and how it is run."""
    table = comparison_table(config.comparison)
    return {
        "protocol": dataclasses.asdict(protocol),
        "budgets": list(_budgets(protocol, config)),
        "replicate": config.replicate,
        "seed": config.seed,
        "actions": config.actions,
        "comparison_sha256": file_sha256(table) if table else None,
        **({} if by_hand is None else {"levels": str(by_hand.ids)}),
    }


def _budgets(protocol: Protocol, config: ProtocolCommand) -> tuple[int, ...]:
    asked = config.budgets or (protocol.budget,)
    return protocol.affordable(asked) or (protocol.most or protocol.budget,)


def protocol_folder(folder: RunFolder, settings: Mapping[str, Any]) -> RunFolder:
    """Return where a result with these settings lies, or would."""
    return place(folder.path, PROTOCOL, config_hash(settings), settings["protocol"]["name"])


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
        return (
            NO_THRESHOLD,
            f"{shown} cannot be interpreted alone: give comparison=..., see misgen compare",
        )
    line = protocol.decision.threshold
    if point.low > line:
        return DETECTED, f"{shown} lies above {line:g}"
    if point.high < line:
        return NOT_DETECTED, f"{shown} lies below {line:g}"
    return UNDETERMINED, f"{shown} does not show whether it is above {line:g}"


def measured(
    protocol: Protocol, budget: int, comparison: str | None, correlation: float
) -> dict[str, Any]:
    """Return what a comparison measured of a protocol, with exactly this budget; {} for nothing.

    Of constructed agents, where it had any, and of such as are trained like this one: at
    correlation 1, or below.

    Args:
        protocol: by its content.
        budget: episodes.
        comparison: its folder or table; none: nothing.
        correlation: that the agent was trained at.

    Raises:
        UserError: if the table cannot be read.
    """
    rows = _measured_rows(protocol, comparison, correlation)
    found = [row for row in rows if row["budget"] == budget]
    return found[0] if found else {}


def _measured_rows(
    protocol: Protocol, comparison: str | None, correlation: float
) -> list[dict[str, Any]]:
    """Return all rows of a comparison about a protocol and agents that are trained alike."""
    path = comparison_table(comparison)
    if path is None:
        return []
    import polars as pl

    from .comparison.power_tables import support_of

    try:
        overrides = {"note": pl.String, "protocol_hash": pl.String}
        table = pl.read_csv(path, schema_overrides=overrides, infer_schema_length=None, glob=False)
        if not _COLUMNS.issubset(table.columns):
            return []
        rows = table.filter(
            pl.col("protocol_hash") == protocol.hash, pl.col("support") == support_of(correlation)
        ).sort("population", "budget")  # constructed agents go first
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        why = str(error).partition("\n")[0]
        raise UserError(
            f"{path} cannot be read ({why}): make it again with misgen compare"
        ) from None
    return rows.to_dicts()


_COLUMNS = {"population", "support", "protocol_hash", "budget", "power", "threshold"}


def comparison_table(given: str | None) -> Path | None:
    """Return the table of a comparison, given by its folder or itself; None if none is given.

    Raises:
        UserError: if it does not exist, or the folder holds several.
    """
    if given is None:
        return None
    path = Path(given)
    if path.is_dir() and not (path / TABLE).is_file() and kept(path, COMPARISON):
        one = choose(path, COMPARISON)
        path = one.path if one else path
    path = path / TABLE if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"comparison={given} holds no comparison.csv: run misgen compare first")
    return path


def _written(
    protocol: Protocol,
    run: TrainedRun,
    config: ProtocolCommand,
    settings: dict[str, Any],
    evidence: Evidence,
) -> dict[str, Any]:
    """Return what `protocol.json` holds."""
    last = evidence.points[-1] if evidence.points else None
    found = config.comparison, run.config.correlation
    row = measured(protocol, last.budget, *found) if last else {}
    threshold = row.get("threshold")
    decision, why = NOT_APPLICABLE, evidence.reason
    if last:
        decision, why = judge(protocol, last, math.nan if threshold is None else threshold)
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run.folder.path.name,
        "policy": weights_checksum(run.folder.path),
        "run_config_hash": run.manifest.get("config_hash"),
        "config": settings,
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
