"""Arms that are sweeps: training runs that differ in correlation and seed alone.

Public names: `Sweep`, `evaluation_words`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from ..evaluation.conditions import AGENT
from ..evaluation.config import EvaluateConfig
from ..evaluation.evaluate_run import evaluation_folder, is_evaluated
from ..sweeps import sweep
from ..sweeps.config import SweepConfig, read_config
from ..training.config import TrainConfig
from ..training.run_folder import DONE, EPISODES, SUMMARY, RunFolder, read_json, read_parquet
from ..training.settings import compose
from ..training.shell import shell_words
from ..training.train import run_folder
from .columns import SHOWN
from .earlier import rows_of_runs
from .question import Collected

if TYPE_CHECKING:
    from .config import EvidenceConfig


@dataclass(frozen=True)
class Sweep:
    """One sweep of a question; each of its runs, evaluated, leaves a row a test placement."""

    name: str
    """Tells its folder from those of the others."""
    words: tuple[str, ...]
    """Settings of `misgen sweep`, but for correlations, seeds and name."""
    correlations: tuple[float, ...]
    factors: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the question's table by which its arms differ."""
    seeds: int | None = None
    """Training seeds at each correlation; none: as many as the size says."""

    def words_of(self, config: EvidenceConfig, seeds: int | None = None) -> list[str]:
        """Return the settings of `misgen sweep` that train and evaluate it."""
        listed = ",".join(map(repr, self.correlations))
        return [
            *self.words,
            f"correlations=[{listed}]",
            f"seeds={seeds or config.seeds_of(self)}",
            f"name={config.question}-{self.name}",
            f"runs={config.runs}",
        ]

    def sweep_of(self, config: EvidenceConfig, seeds: int | None = None) -> SweepConfig:
        """Return the sweep, of so many training seeds; none: of all that are asked for."""
        return _read((*self.words_of(config, seeds), f"jobs={config.jobs}"))

    def told(self, config: EvidenceConfig) -> str:
        """Return the command that does this arm alone."""
        return shell_words("misgen", "sweep", *self.words_of(config))

    def check(self, config: EvidenceConfig) -> None:
        """Refuse what could not be trained or evaluated.

        Raises:
            UserError: naming the setting.
        """
        ends = tuple({self.correlations[0]: 0, self.correlations[-1]: 0})
        few = dataclasses.replace(self, correlations=ends)  # the others differ in nothing else
        sweep.check(few.sweep_of(config))

    def runs(self, config: EvidenceConfig) -> list[str]:
        """Return the names of its runs' folders."""
        return [run_folder(run).path.name for run in self.sweep_of(config).runs]

    def carry_out(self, config: EvidenceConfig, seeds: int) -> list[str]:
        """Train and evaluate what is not done of so many seeds; return the runs that failed."""
        own, words = self.sweep_of(config, seeds), self.words_of(config, seeds)
        failed = sweep.run(own, words, rows_of_runs(config))
        return [folder.path.name for folder in failed]

    def collect(self, config: EvidenceConfig) -> Collected:
        """Return the rows of the runs that are done.

        Raises:
            UserError: if a stored result is damaged.
        """
        own, of_run = self.sweep_of(config), config.asked.of_run
        earlier = rows_of_runs(config)
        rows: list[dict[str, Any]] = []
        beside: list[pl.DataFrame] = []
        done, decisions = 0, {True: 0, False: 0}
        for run in own.runs:
            folder = run_folder(run)
            if not (folder.marked(DONE, run.hash) and is_evaluated(folder, own.evaluate)):
                known = earlier.get(folder.path.name, [])
                done += bool(known)
                decisions[bool(known)] += run.agent.total_steps
                rows += known
                continue
            done += 1
            decisions[True] += run.agent.total_steps
            into = evaluation_folder(folder, own.evaluate)
            summary = read_json(into.path / SUMMARY, "evaluate the run again")
            rows += list(self._rows(run, folder, summary))
            if of_run is not None:
                episodes = read_parquet(into.path / EPISODES, summary["episodes_sha256"])
                found = of_run(episodes.filter(pl.col("role") == AGENT))
                beside.append(found.with_columns(pl.lit(folder.path.name).alias("run")))
        return Collected(len(own.runs), done, rows, beside, decisions[True], decisions[False])

    def _rows(
        self, run: TrainConfig, folder: RunFolder, summary: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Yield a row for each placement and action mode of one evaluation."""
        manifest = folder.manifest()
        spent: list[float | None] = [
            (manifest.get("compute") or {}).get("cpu_seconds"),
            summary.get("cpu_seconds"),
        ]
        for verdict in summary["verdicts"]:
            own = [
                row
                for row in summary["metrics"]
                if all(row[key] == verdict[key] for key in ("placement", "actions", "on_proxy"))
            ]
            numbers = {row["metric"]: row for row in own}
            yield {
                "arm": self.name,
                **self.factors,
                "decisions": manifest["environment_steps"],
                "train_correlation": run.correlation,
                "train_placement": run.placement,
                "distinct_conflicts": run.distinct_conflicts,
                "distinct_levels": manifest["training_levels"]["distinct_conflict_levels"],
                "conflict_share": _conflict_share(manifest),
                "train_seed": run.seed,
                "placement": verdict["placement"],
                "actions": verdict["actions"],
                "verdict": verdict["name"],
                "worse_than_random": verdict["worse_than_random"],
                "levels": numbers["capability_conflict"]["n_levels"],
                **{
                    f"{metric}{end}": numbers[metric][f"{end[1:] or 'estimate'}"]
                    for metric in SHOWN
                    for end in ("", "_low", "_high")
                },
                "cpu_seconds": None if None in spent else sum(one or 0.0 for one in spent),
                "finished": summary["finished"][:10],
                "commit": (manifest["git"]["commit"] or "")[:10],
                "run": folder.path.name,
            }
            spent = [0.0]  # counted once


def _conflict_share(manifest: Mapping[str, Any]) -> float | None:
    """Return what share of the levels that training drew were in conflict, where it was counted."""
    drawn = manifest.get("level_replay")
    return drawn and drawn["conflict_levels"] / drawn["levels"]


@lru_cache(maxsize=256)
def _read(words: tuple[str, ...]) -> SweepConfig:
    return read_config(compose("sweep", list(words)), list(words))


def evaluation_words(placements: tuple[str, ...], **settings: Any) -> tuple[str, ...]:
    """Return settings of a sweep's evaluations: sampled actions, planned seekers beside."""
    usual = EvaluateConfig()
    told = {"actions": "[sampled]", "repeats": usual.repeats, **settings}
    quoted = ",".join(f"'{one}'" if "(" in one else one for one in placements)
    words = [f"evaluate.{name}={value}" for name, value in told.items()]
    return (*words, f"evaluate.shift.placements=[{quoted}]")
