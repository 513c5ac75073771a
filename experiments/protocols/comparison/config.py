"""What a comparison of protocols is: agents, truth, protocols, budgets.

Public names: `CompareConfig`, `read_config`, `world_facts`, `world_of`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.distribution import require_disjoint
from misgen.envs.core.errors import UserError, in_range

from ...evaluation.result_folders import COMPARISON, place
from ...training.config import config_hash, require_name
from ...training.overrides import schema
from ...training.run_folder import RunFolder, read_json
from ...training.settings import typed
from ..base import make_method
from ..spec import MAX_REPLICATES, Protocol, load_protocol, protocol_names
from .population import PopulationConfig
from .truth import TruthConfig

if TYPE_CHECKING:
    from misgen.envs.core.world import World

_SWEEP_WORDS = ("env", "preset", "placement", "correlations", "seeds", "steps", "sweep", "runs")
_EVALUATE = "evaluate.repeats=1"  # the sweep's own evaluation is not what counts here


@schema("compare")
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
            raise UserError("budgets=[] is empty: give some, such as budgets=[10,100]")
        for name in ("protocols", "agents"):
            if getattr(self, name) == ():
                raise UserError(f"{name}=[] is empty: give some, or leave it out for all")
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
        found = [load_protocol(name) for name in self.protocols or protocol_names()]
        for protocol in found:
            make_method(protocol, self.trust)
        names = [protocol.name for protocol in found]
        if len(set(names)) < len(names):
            raise UserError(f"protocols={names} names one twice: each needs a name of its own")
        require_disjoint({protocol.name: protocol.ids(0) for protocol in found})
        return found


def world_facts(world: World) -> dict[str, Any]:
    """Return which world, at which parameters, agents were compared in, but for a test's rules."""
    plain = json.loads(json.dumps({"name": world.name, **dataclasses.asdict(world)}))
    return {key: value for key, value in plain.items() if key != "on_proxy"}


def world_of(table: Path) -> str:
    """Return the name of the world that a comparison's table is about."""
    file = table.with_name(COMPARISON.main)
    world: Any = read_json(file, "compare again").get("world") if file.is_file() else None
    return str(world.get("name", "unknown")) if isinstance(world, dict) else "unknown"


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
    name = _named("name", plain.pop("name"), f"comparison-{suffix}")
    own["sweep"] = _named("sweep", own["sweep"], f"population-{suffix}")
    plain["folder"] = str(Path(own["runs"]) / name)
    plain["population"]["sweep"] = _sweep_words(own | {"jobs": plain["jobs"]})
    if plain["jobs"] is None:
        del plain["jobs"]
    return typed(CompareConfig, plain)


def _named(key: str, given: Any, otherwise: str) -> str:
    """Return what names a folder: what is given or, where nothing is, the other."""
    return require_name(key, otherwise if given is None else str(given))


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
