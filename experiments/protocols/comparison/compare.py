"""A comparison from its config to its tables and figures.

Public names: `check`, `compare`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import polars as pl

from ...evaluation.result_folders import COMPARISON
from ...training.run_folder import DONE, RunFolder, provenance, write_json
from ..spec import Protocol
from . import jobs, population, trained
from .config import CompareConfig, world_facts
from .figure import write_figures


def check(config: CompareConfig) -> list[Protocol]:
    """Refuse a comparison of which something could not be done; return its protocols.

    Raises:
        UserError: naming the setting.
    """
    protocols = config.specified()
    trained.sweep_of(config.population)  # its settings are checked before anything is made
    jobs.check(config, protocols)
    return protocols


def compare(config: CompareConfig, protocols: list[Protocol]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compare protocols and write what comes out into `config.results`.

    Returns:
        What comparison.csv and agents.csv hold.

    Raises:
        UserError: if there are no agents, or a job failed.
    """
    results = config.results
    with RunFolder(Path(config.folder)).lock(), results.lock():
        results.unmark(DONE)
        scores = jobs.score_all(config, protocols)
        table, agents = jobs.write_tables(scores, config)
        specified = [dataclasses.asdict(one) | {"hash": one.hash} for one in protocols]
        world = world_facts(population.members(config.population)[0].training.world)
        used = {"config": dataclasses.asdict(config), "protocols": specified, "world": world}
        write_json(results.path / COMPARISON.main, {**provenance(), **used})
        curve = jobs.read_curve(config)
        write_figures(table, curve, config.false_alarms, results.path)
        results.mark(DONE, results.path.name)
    return table, agents
