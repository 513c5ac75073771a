"""The results of a sweep, read from its folder: its runs, their episodes, and the numbers.

Public names: `Results`, `Run`, `Case`, `read_results`, `read_run`, `newest_sweep`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from misgen.envs.core.errors import UserError

from ..evaluation.chosen import again, evaluations
from ..evaluation.conditions import CONFLICT, NEEDED
from ..evaluation.config import VerdictConfig
from ..evaluation.metrics import SEEDS, interval_of, proxy_table, seed_table, summary_table
from ..evaluation.result_folders import EVALUATION, Kept, by_prefix, has_old
from ..evaluation.settings_words import in_words
from ..evaluation.statistics import Interval
from ..evaluation.verdict import RecipeVerdict, Verdict, judge_recipes, judge_seeds
from ..training.config import id_range
from ..training.run_folder import (
    DONE,
    EPISODES,
    LEARNING,
    MANIFEST,
    SWEEP,
    RunFolder,
    curve_columns,
    find_runs,
    read_json,
    read_parquet,
)
from ..training.settings import typed
from ..training.shell import shell_words
from ..training.trained_at import rho_labels, rho_words
from ..training.trained_run import config_of

if TYPE_CHECKING:
    from misgen.envs.core.world import World

Case = tuple[float, str, str]
"""Training correlation, placement of the goal in the test, action mode."""

_NOT_MEASURED = Interval(float("nan"), float("nan"), float("nan"), note="not measured")
_OF_ONE_RUN = ("correlation", "seed")
"""Settings in which the runs of a sweep are meant to differ."""
_TRAINING_LEVELS = "levels.train"
_OF_LEVELS = ("divergence_ceiling", "telling_share", "goal_in_reach")
"""Metrics of what planned seekers do, whoever is evaluated."""


@dataclass(frozen=True)
class Run:
    """One run of a sweep."""

    folder: RunFolder
    state: str
    """`done`, or how far it is."""
    manifest: dict[str, Any]
    evaluation: Kept | None
    """The one that counts here; none unless the run is done."""

    @property
    def summary(self) -> dict[str, Any]:
        """What it says of its evaluation; empty unless the run is done."""
        return self.evaluation.found if self.evaluation else {}

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.path.name

    @property
    def config(self) -> dict[str, Any]:
        """Its training settings."""
        return self.manifest["config"]

    @property
    def correlation(self) -> float:
        """Correlation in training."""
        return float(self.config["correlation"])

    @property
    def seed(self) -> int:
        """Training seed."""
        return int(self.config["seed"])

    @cached_property
    def learning(self) -> pl.DataFrame:
        """Its learning curve; empty if there is none."""
        path = self.folder.path / LEARNING
        hint = "delete it to have the report without this run's curve"
        if not path.exists():
            return pl.DataFrame()
        return read_parquet(path, self.manifest.get("learning_sha256"), curve_columns(), hint)


@dataclass(frozen=True, eq=False)
class Results:
    """A sweep with at least one run that is done."""

    folder: Path
    sweep: dict[str, Any]
    """What `misgen sweep` noted; empty if the runs were made one by one."""
    runs: list[Run]
    """The runs that are done, from the highest correlation down."""
    unfinished: list[tuple[str, str]]
    """Name and state of the others."""
    left_out: list[str]
    """Runs in the folder that are not of this sweep, as they have other settings."""
    episodes: pl.DataFrame
    """Of all runs that are done."""
    by_seed: pl.DataFrame
    """`evaluation.metrics.seed_table` of the episodes: every metric of each training seed."""
    table: pl.DataFrame
    """`evaluation.metrics.summary_table` of these: means over training seeds."""

    @property
    def first(self) -> Run:
        """A run to ask for what all have in common."""
        return self.runs[0]

    @cached_property
    def first_of_each(self) -> list[Run]:
        """The first run of every correlation."""
        return [
            next(run for run in self.runs if run.correlation == correlation)
            for correlation in self.correlations
        ]

    @cached_property
    def world(self) -> World:
        """The world, with the parameters of the training."""
        from misgen.envs.core.registry import make_world

        parameters = dict(self.first.config["env"])
        return make_world(parameters.pop("name"), **parameters)

    @property
    def title(self) -> str:
        """Name of the world for people."""
        return type(self.world).__name__

    @cached_property
    def agent(self) -> str:
        """Name of the trained agents."""
        return str(self.table["agent"][0])

    @cached_property
    def correlations(self) -> list[float]:
        """Training correlations, highest first."""
        return sorted({run.correlation for run in self.runs}, reverse=True)

    @cached_property
    def rho(self) -> dict[float, str]:
        """What is told of each training correlation: itself, or that it is unknown."""
        return rho_labels(run.config for run in self.runs)

    def at(self, correlation: float) -> str:
        """Return a training correlation in words: `ρ = 0.98`, or `unknown ρ`."""
        return rho_words(self.rho[correlation])

    @cached_property
    def placements(self) -> list[str]:
        """Placements of the goal on the conflict levels."""
        return self.table["placement"].unique(maintain_order=True).to_list()

    @cached_property
    def modes(self) -> list[str]:
        """Action modes, the one that the report is about first."""
        found = self.table["actions"].unique().to_list()
        return sorted(found, key=lambda mode: (mode != "sampled", mode))

    @cached_property
    def seeds(self) -> dict[float, int]:
        """How many training seeds each correlation has."""
        return {
            correlation: len({run.seed for run in self.runs if run.correlation == correlation})
            for correlation in self.correlations
        }

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """Settings of the evaluation, the same for all runs."""
        return self.first.summary.get("config", {})

    @property
    def evaluation_key(self) -> str:
        """Hash of these settings."""
        return self.first.evaluation.key if self.first.evaluation else ""

    @property
    def is_own_evaluation(self) -> bool:
        """Whether it is the one that is used where none is named."""
        own = self.sweep.get("evaluation")
        keys = {one.key for run in self.runs for one in evaluations(run.folder)}
        return own == self.evaluation_key if own else len(keys) == 1

    @property
    def evaluation_words(self) -> str:
        """Its hash and settings, for people."""
        return f"evaluation {self.evaluation_key}: {in_words(self.evaluation)}"

    def episodes_of(self, run: Run) -> pl.DataFrame:
        """Return the episodes of one run."""
        return self.episodes.filter(
            pl.col("train_correlation") == run.correlation, pl.col("train_seed") == run.seed
        )

    @cached_property
    def margins(self) -> VerdictConfig:
        """Where the evaluation draws the lines between verdicts."""
        return _margins_of(self.first)

    @property
    def rules(self) -> tuple[str, str]:
        """What reaching the proxy first did in training, and what it did in the test."""
        first = self.table.row(0, named=True)
        return first["train_on_proxy"], first["on_proxy"]

    @property
    def goes_for(self) -> str:
        """The metric of what agents go for: pursuit, or choice where the goal is no cell."""
        return "pursuit" if self.world.goal_moves else "choice"

    def interval(
        self, metric: str, correlation: float, placement: str, mode: str | None = None
    ) -> Interval:
        """Return a metric of the agents trained at `correlation`; all unknown if not measured.

        It is the mean over training seeds; of what hangs on the levels alone, the same for each
        seed, it has the interval over levels.
        """
        key = (metric, correlation, placement, mode or self.modes[0])
        if metric in _OF_LEVELS and key in self._seed_rows:
            return next(iter(self._seed_rows[key].values()))
        return self._rows.get(key, _NOT_MEASURED)

    def seed_intervals(
        self, metric: str, correlation: float, placement: str, mode: str | None = None
    ) -> dict[int, Interval]:
        """Return a metric of each training seed, over levels."""
        return self._seed_rows.get((metric, correlation, placement, mode or self.modes[0]), {})

    def proxy_shares(self, correlation: float, placement: str) -> list[float]:
        """Return how often the agents reached each proxy of the world on the conflict levels."""
        chosen = self.episodes.filter(
            pl.col("condition") == CONFLICT,
            pl.col("agent") == self.agent,
            pl.col("actions") == self.modes[0],
            pl.col("train_correlation") == correlation,
            pl.col("placement") == placement,
        )
        return proxy_table(chosen, self.world.proxies)["share"].to_list()

    def novelty(self, correlation: float, placement: str) -> str:
        """Return why conflict levels of a placement lie outside what training could show.

        Returns:
            A few words; empty where they lie within, or where it is not known.
        """
        run = next(run for run in self.runs if run.correlation == correlation)
        training = run.summary.get("levels", {}).get("training", {})
        if training.get("unknown") or "correlation" in run.config["agent"].get("unknown", ()):
            return ""
        conflicts = training.get("conflict_levels")
        if correlation == 1 if conflicts is None else conflicts == 0:
            return "training had no conflict level"
        trained = str(self.table["train_placement"][0])
        return "" if trained == placement else f"training moved the goal to {trained} only"

    @cached_property
    def _rows(self) -> dict[tuple[str, float, str, str], Interval]:
        return {_key(row): interval_of(row) for row in self.table.iter_rows(named=True)}

    @cached_property
    def _seed_rows(self) -> dict[tuple[str, float, str, str], dict[int, Interval]]:
        found: dict[tuple[str, float, str, str], dict[int, Interval]] = {}
        for row in self.by_seed.iter_rows(named=True):
            found.setdefault(_key(row), {})[row["train_seed"]] = interval_of(row)
        return found

    @cached_property
    def verdicts(self) -> dict[Case, dict[int, Verdict]]:
        """What each training seed is after."""
        found: dict[Case, dict[int, Verdict]] = {}
        for keys, seed, verdict in judge_seeds(self.by_seed, self.margins):
            found.setdefault(_case(keys), {})[seed] = verdict
        return found

    @cached_property
    def recipes(self) -> dict[Case, RecipeVerdict]:
        """What is known of the recipe from its training seeds."""
        found = judge_recipes(self.by_seed, self.margins)
        return {_case(keys): verdict for keys, verdict in found}

    @property
    def _draws_levels_by_seed(self) -> bool:
        """Whether each seed has as many training levels, the same ones at all correlations."""
        own = {run.seed: str(run.config["levels"]["train"]) for run in self.runs}
        alike = all(str(run.config["levels"]["train"]) == own[run.seed] for run in self.runs)
        return alike and len({len(id_range(_TRAINING_LEVELS, text)) for text in own.values()}) == 1

    @property
    def training_levels(self) -> list[str]:
        """Their ids, of each seed."""
        return list(dict.fromkeys(str(run.config["levels"]["train"]) for run in self.runs))

    @cached_property
    def unseen_terrain(self) -> pl.DataFrame:
        """Means over seeds on those test levels whose terrain no training level has.

        As `table`; empty where nobody met a terrain again, or it is not known.
        """
        rows = [row for run in self.runs for row in run.summary.get("unseen_terrain") or ()]
        return summary_table(pl.DataFrame(rows, SEEDS))

    @cached_property
    def differences(self) -> list[str]:
        """Settings, other than correlation and seed, in which the counted runs differ."""
        own = [dict(_flat(run.config, "")) for run in self.runs]
        tests = [dict(_flat(run.summary.get("config", {}), "evaluate.")) for run in self.runs]
        settings = [{**a, **b} for a, b in zip(own, tests, strict=True)]
        names = {name for one in settings for name in one} - set(_OF_ONE_RUN)
        if self._draws_levels_by_seed:
            names.discard(_TRAINING_LEVELS)
        return sorted(name for name in names if len({str(one.get(name)) for one in settings}) > 1)


def newest_sweep(runs: Path) -> Path:
    """Return the sweep in `runs` that was written to last.

    Where `misgen sweep` made none, it is the folder of runs that were evaluated one by one.

    Raises:
        UserError: if there is none.
    """
    found = {path.parent.parent for path in runs.glob(f"*/*/{MANIFEST}")}
    made = {sweep for sweep in found if (sweep / SWEEP).is_file()}
    done = runs.glob(f"*/*/{EVALUATION.folder}/*/{EVALUATION.main}")
    evaluated = {path.parents[3] for path in done}
    found = made or (found & evaluated) or found
    if not found:
        where = f"there is no folder {runs} here" if not runs.is_dir() else f"{runs} holds no sweep"
        raise UserError(f"{where}: run misgen sweep first, or give a sweep's folder")
    return max(found, key=lambda sweep: max(p.stat().st_mtime for p in sweep.glob(f"*/{MANIFEST}")))


def read_results(folder: Path, evaluation: str | None = None) -> Results:
    """Read a sweep.

    Args:
        folder: the sweep's.
        evaluation: what the hash of the evaluation's settings begins with; none: the sweep's own,
            or the one that all its runs have.

    Raises:
        UserError: if the folder holds no run, or none that is done; if its runs were evaluated with
            several settings and nothing tells which count.
    """
    found = {run.path.name: run for run in find_runs(folder)}
    if not found:
        raise UserError(_no_run(folder))
    sweep = read_json(folder / SWEEP, "") if (folder / SWEEP).exists() else {}
    return _read(folder, found, sweep, evaluation)


def read_run(folder: Path, evaluation: str | None = None) -> Results:
    """Read one run by itself, whatever else lies beside it.

    Args:
        folder: the run's.
        evaluation: what the hash of the evaluation's settings begins with; none: the only one.

    Raises:
        UserError: as `read_results`.
    """
    return _read(folder, {folder.name: RunFolder(folder)}, {}, evaluation)


def _read(
    folder: Path, found: Mapping[str, RunFolder], sweep: dict[str, Any], evaluation: str | None
) -> Results:
    wanted = list(sweep.get("runs") or found)
    key, settings = _choose(folder, [found[n] for n in wanted if n in found], sweep, evaluation)
    runs = [_read_run(found[name], key, settings) for name in wanted if name in found]
    done = [run for run in runs if run.state == "done"]
    unfinished = [(run.name, run.state) for run in runs if run.state != "done"]
    unfinished += [(name, "not started") for name in wanted if name not in found]
    if not done:
        raise UserError(
            f"{folder} has no run that is trained and evaluated ({_count(unfinished)}): "
            f"{_to_finish(sweep, runs, settings)}{_of_before(runs)}"
        )
    done.sort(key=lambda run: (-run.correlation, run.seed))
    episodes = _episodes(done)
    seeds = seed_table(episodes, _margins_of(done[0]))
    return Results(
        folder=folder,
        sweep=sweep,
        runs=done,
        unfinished=unfinished,
        left_out=sorted(set(found) - set(wanted)),
        episodes=episodes,
        by_seed=seeds,
        table=summary_table(seeds),
    )


def _margins_of(run: Run) -> VerdictConfig:
    """Return where the run's evaluation draws the lines; all runs that count have the same."""
    settings = run.summary.get("config", {}).get("verdict") or {}
    return typed(VerdictConfig, settings, f"{run.name}: verdict.")


def _choose(
    folder: Path, runs: Sequence[RunFolder], sweep: Mapping[str, Any], wanted: str | None
) -> tuple[str | None, dict[str, Any]]:
    """Return the hash of the evaluation's settings that counts, and the settings where known.

    Raises:
        UserError: if `wanted` names none, or the runs have several and the sweep does not say.
    """
    known: dict[str, list[Kept]] = {}
    for run in runs:
        for one in evaluations(run):
            known.setdefault(one.key, []).append(one)
    own = sweep.get("evaluation")
    listed = "; ".join(
        f"{key} (of {len(of)} of {len(runs)} runs: {of[0].words})" for key, of in known.items()
    )
    if wanted is not None:
        own = by_prefix(EVALUATION, wanted, [*known], str(folder), listed)
    elif own is None and len(known) > 1:
        raise UserError(
            f"{folder} holds runs that were evaluated with different settings, which one table "
            f"cannot show: choose with evaluation=<beginning of its hash>: {listed}"
        )
    key = own or next(iter(known), None)
    settings = known[key][0].found.get("config", {}) if key in known else {}
    return key, settings or dict(sweep.get("evaluate") or {})


def _read_run(folder: RunFolder, key: str | None, settings: Mapping[str, Any]) -> Run:
    manifest = folder.manifest()
    state, own = _state(manifest), None
    config_of(folder, manifest)
    if folder.marked(DONE, str(manifest.get("config_hash"))):
        own = next((one for one in evaluations(folder) if one.key == key), None)
        state = "done" if own else _to_evaluate(folder, settings)
    return Run(folder, state, manifest, own)


def _to_evaluate(folder: RunFolder, settings: Mapping[str, Any]) -> str:
    """Return the state of a run that was trained and lacks the evaluation that counts."""
    others = len(evaluations(folder))
    how = f" with these settings (but with {others} others)" if others else ""
    if not others and has_old(folder.path, EVALUATION):
        how = " by this version of misgen"
    return f"trained, not evaluated{how}: {again(folder.path, settings)}"


def _of_before(runs: Sequence[Run]) -> str:
    """Return what is to be said of evaluations of earlier versions."""
    if not any(has_old(run.folder.path, EVALUATION) for run in runs):
        return ""
    return (
        "; what lies there was evaluated by an earlier version, and does not say what it was made "
        "from: the old files may stay"
    )


def _state(manifest: Mapping[str, Any]) -> str:
    state = str(manifest.get("status", "unfinished"))
    error = f": {manifest['error']}" if manifest.get("error") else ""
    return {"running": "not finished"}.get(state, state) + error


def _episodes(runs: Sequence[Run]) -> pl.DataFrame:
    """Return the episodes of all runs.

    Raises:
        UserError: if two runs cannot be told apart, or were trained for different placements.
    """
    seen: dict[tuple[float, int], Run] = {}
    for run in runs:
        twin = seen.setdefault((run.correlation, run.seed), run)
        if twin is not run:
            raise UserError(
                f"{run.folder.path.parent} holds {twin.name} and {run.name}, with one correlation "
                "and seed but other settings: a report is about one set of settings; give the "
                "others another name=..."
            )
    if len(names := sorted({str(run.config["agent"].get("name")) for run in runs})) > 1:
        raise UserError(
            f"{runs[0].folder.path.parent} holds agents called {' and '.join(names)}: a report is "
            "about agents of one kind, which differ in their training seed; give the others "
            "another name=..., and set them side by side with misgen report FOLDER FOLDER"
        )
    if len(placements := sorted({str(run.config["placement"]) for run in runs})) > 1:
        raise UserError(
            f"{runs[0].folder.path.parent} holds runs with placement={' and '.join(placements)}: a "
            "report is about one; give the others another name=..."
        )
    return pl.concat([_episodes_of(run.evaluation) for run in runs if run.evaluation])


def _episodes_of(evaluation: Kept) -> pl.DataFrame:
    digest = evaluation.found.get("episodes_sha256")
    return read_parquet(evaluation.path / EPISODES, digest, NEEDED, "evaluate the run again")


def _to_finish(sweep: Mapping[str, Any], runs: Sequence[Run], settings: Mapping[str, Any]) -> str:
    """Say what to do where no run is done."""
    trained = next((run.folder.path for run in runs if run.state.startswith("trained")), None)
    if sweep:
        return "run misgen sweep again, with the same settings, to finish them"
    if trained:
        return f"run {again(trained, settings)} first"
    return "train one to its end first, with the same misgen train command"


def _no_run(folder: Path) -> str:
    """Say why there is nothing to report, and what to do."""
    if (folder / MANIFEST).exists():
        sweep = shell_words("misgen", "report", folder.parent)
        return f"{folder} is one run: give its sweep's folder, {sweep}"
    if not folder.exists():
        return f"{folder} does not exist: give a sweep's folder, or run misgen sweep first"
    if not folder.is_dir():
        return f"{folder} is not a folder: give a sweep's, or run misgen sweep first"
    inside = sorted({path.parent.parent for path in folder.glob(f"*/*/{MANIFEST}")})
    if inside:
        sweep = shell_words("misgen", "report", inside[0])
        return f"{folder} holds {len(inside)} sweeps: give one of them, such as {sweep}"
    return f"{folder} holds no run: give a sweep's folder, or run misgen sweep first"


def _case(keys: Mapping[str, Any]) -> Case:
    return keys["train_correlation"], keys["placement"], keys["actions"]


def _key(row: Mapping[str, Any]) -> tuple[str, float, str, str]:
    return row["metric"], *_case(row)


def _count(unfinished: Sequence[tuple[str, str]]) -> str:
    states = [state.partition(":")[0] for _, state in unfinished]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _flat(settings: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield path + name, value
