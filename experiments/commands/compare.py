"""Compare protocols on agents whose goals are known: misgen compare [key=value ...].

Which evaluation detects that an agent misgeneralizes its goal?  Agents trained at several
correlations, and reference agents with built-in goals, are first evaluated on far more levels than
any protocol may use; the result is taken as the truth.  Then every protocol tests every agent with
budgets of 10 to 10,000 episodes, without knowing the truth.  Prints the comparison, and writes to
runs/<name>/comparisons/<hash of settings>/

  comparison.csv   a row per protocol and budget: area under the ROC curve; detection power, the
                   share of misgeneralizing agents detected with false alarms on at most 5% of the
                   others; 95% intervals over agents; false alarms among aligned and among incapable
                   agents; episodes and seconds; the threshold.  Thresholds are fitted on other
                   agents than those they are applied to
  scores.parquet   a row per protocol, agent, replicate and budget
  agents.csv       each agent with its truth
  power.png, .svg  detection power against budget

Finished work (agents, truth, scores) is skipped, so a comparison that was stopped resumes.  Agents
that are missing are trained by misgen sweep.

Examples:
  misgen compare                                    cheese on a dish, all protocols
  misgen compare population.train=false             only with agents that are already trained
  misgen compare protocols=[iid,counterfactual_pairs] budgets=[10,100]
  misgen compare protocols=[iid,/path/mine.yaml]    your own protocol beside one of ours
  misgen compare agents=[rho1-,random] jobs=8
  misgen compare size=smoke name=try                minutes, to check that it works
  misgen compare env=coinrun placement=anywhere     another world
  misgen compare env=shape_colour_maze placement=each steps=null truth.placements=[each]

Settings (misgen compare --cfg prints them all with their values)
  env, preset, placement, correlations, seeds, steps    how the population is trained
  sweep             name of its sweep (default: population-<env>)
  protocols         names of configs/protocol, or YAML files (default: all protocols)
  agents            only agents whose names contain one of these words
  budgets           episodes that a protocol may spend on an agent
  false_alarms      false-alarm rate at which power is measured
  planned_most      largest budget for agents that plan, which are slow; larger budgets reuse the
                    score at this one
  replicates        sets of levels that each protocol is run on
  truth.*           the exhaustive evaluation: levels, placements, capable, ...
  population.*      train, short_steps, references
  jobs              parallel processes of one thread each (default: one per CPU core)
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.distribution import require_disjoint
from misgen.envs.core.errors import UserError, in_range

from ..evaluation.result_folders import COMPARISON, place
from ..protocols.comparison import population
from ..protocols.comparison.population import PopulationConfig, left_out, sweep_of
from ..protocols.comparison.truth import TruthConfig
from ..protocols.spec import MAX_REPLICATES, Protocol, load_protocol, protocol_names
from ..training.config import compose, config_hash, require_name, typed
from ..training.run_folder import DONE, RunFolder, provenance, write_json

if TYPE_CHECKING:
    from misgen.envs.core.world import World

_SWEEP_WORDS = ("env", "preset", "placement", "correlations", "seeds", "steps", "sweep", "runs")
_EVALUATE = "evaluate.accident_repeats=3"  # the sweep's own evaluation is not what counts here


@dataclass(frozen=True)
class CompareConfig:
    """A comparison of protocols."""

    population: PopulationConfig
    """The agents."""
    truth: TruthConfig
    """How it is found what they are."""
    folder: str
    """Where results go."""
    budgets: tuple[int, ...]
    """Episodes that a protocol may spend on an agent."""
    protocols: tuple[str, ...] | None = None
    """Names, or paths of YAML files; none: all of `configs/protocol`."""
    agents: tuple[str, ...] | None = None
    """Only agents whose names hold one of these words; none: all."""
    false_alarms: float = 0.05
    """Share of agents that do not misgeneralize and may be called so."""
    planned_most: int = 300
    """Largest budget of agents that plan; their scores are carried on to larger ones."""
    replicates: int = 1
    """Sets of levels that each protocol is run on."""
    seed: int = 0
    """Seed of sampled actions."""
    resamples: int = 500
    """Bootstrap resamples of an interval over agents."""
    trust: bool = False
    """Import methods that misgen does not ship: this runs their code."""
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    """One-thread processes side by side."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        in_range("false_alarms", self.false_alarms, 0.0, 1.0)
        in_range("planned_most", self.planned_most, 1, 1_000_000)
        in_range("replicates", self.replicates, 1, MAX_REPLICATES)
        in_range("seed", self.seed, 0, 2**31 - 1)
        in_range("resamples", self.resamples, 10, 1_000_000)
        in_range("jobs", self.jobs, 1, 1024)
        if not self.budgets:
            raise UserError("budgets=[] names none: give some, such as budgets=[10,100]")
        for budget in self.budgets:
            in_range("budgets", budget, 1, 200_000)

    @property
    def results(self) -> RunFolder:
        """Where the tables go; what single agents got is shared by all, in the folder itself."""
        plain = {k: v for k, v in dataclasses.asdict(self).items() if k not in ("folder", "jobs")}
        words = plain["population"]["sweep"]
        plain["population"]["sweep"] = [w for w in words if not w.startswith(("jobs=", "runs="))]
        plain["protocols"] = [protocol.hash for protocol in self.specified()]
        return place(Path(self.folder), COMPARISON, config_hash(plain))

    def specified(self) -> list[Protocol]:
        """Return the protocols.

        Raises:
            UserError: if one's method is not trusted or takes other options, or if two have one
                name, or share level ids.
        """
        from ..protocols.base import make_method

        found = [load_protocol(name) for name in self.protocols or protocol_names()]
        for protocol in found:
            make_method(protocol, self.trust)
        names = [protocol.name for protocol in found]
        if len(set(names)) < len(names):
            raise UserError(f"protocols={names} names one twice: each needs a name of its own")
        require_disjoint({protocol.name: protocol.ids(0) for protocol in found})
        return found


def main(argv: list[str]) -> int:
    """Run the command."""
    from ..protocols.comparison.figure import write_figures
    from ..protocols.comparison.jobs import check, score_all, write_tables
    from .common import print_plain
    from .comparison_table import print_comparison

    plain = compose("compare", [word for word in argv if word != "--cfg"])
    if "--cfg" in argv:
        return print_plain(plain)
    config = read_config(plain)
    protocols = config.specified()
    sweep_of(config.population)  # its settings are checked before anything is made
    folder = Path(config.folder)
    check(config, protocols)
    for text in left_out(config.population):
        print(text, file=sys.stderr)
    with RunFolder(folder).lock(), config.results.lock():
        config.results.unmark(DONE)
        scores = score_all(config, protocols)
        table, agents = write_tables(scores, config, protocols)
        specified = [dataclasses.asdict(one) | {"hash": one.hash} for one in protocols]
        world = world_facts(population.members(config.population)[0].training.world)
        used = {"config": dataclasses.asdict(config), "protocols": specified, "world": world}
        into = config.results.path
        write_json(into / COMPARISON.main, {**provenance(), **used})
        write_figures(table, config.false_alarms, into)
        config.results.mark(DONE, into.name)
    print_comparison(table, agents, config.false_alarms)
    print(f"written: {into}/comparison.csv, agents.csv, scores.parquet, power.png, power.svg")
    return 0


def world_facts(world: World) -> dict[str, Any]:
    """Return which world, at which parameters, agents were compared in, but for a test's rules."""
    plain = json.loads(json.dumps({"name": world.name, **dataclasses.asdict(world)}))
    return {key: value for key, value in plain.items() if key != "on_proxy"}


def read_config(plain: dict[str, Any]) -> CompareConfig:
    """Return the comparison that a composed config describes.

    Raises:
        UserError: for an unknown setting or an impossible value.
    """
    own = {key: plain.pop(key) for key in _SWEEP_WORDS}
    if not isinstance(own["correlations"], list):
        raise UserError(f"correlations={own['correlations']} must be a list: correlations=[1,0.5]")
    if not isinstance(plain["population"], dict):
        raise UserError(
            f"population={plain['population']} must be a group of settings, such as "
            "population.train=false"
        )
    usual = own["preset"] == "lab"
    suffix = own["env"] if usual else f"{own['env']}-{own['preset']}"
    name = require_name("name", plain.pop("name") or f"comparison-{suffix}")
    own["sweep"] = own["sweep"] or f"population-{suffix}"
    plain["folder"] = str(Path(own["runs"]) / name)
    plain["population"]["sweep"] = _sweep_words(own | {"jobs": plain["jobs"]})
    if plain["jobs"] is None:
        del plain["jobs"]
    return typed(CompareConfig, plain)


def _sweep_words(own: dict[str, Any]) -> list[str]:
    """Return what stands after `misgen sweep` to train the population."""
    listed = ",".join(map(str, own["correlations"]))
    wanted = {"agent.total_steps": own["steps"], "jobs": own["jobs"]}
    given = [f"{word}={value}" for word, value in wanted.items() if value is not None]
    return [
        f"env={own['env']}", f"preset={own['preset']}", f"placement={own['placement']}", *given,
        f"correlations=[{listed}]", f"seeds={own['seeds']}", f"name={own['sweep']}",
        f"runs={own['runs']}", _EVALUATE,
    ]  # fmt: skip


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("protocols.compare", main))
