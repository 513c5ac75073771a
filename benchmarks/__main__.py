"""How fast it is, beside others: python -m benchmarks [key=value ...], or make bench ARGS="...".

Measures, on this machine and in one run,

  environments  frames of our worlds beside Procgen's, jaxgmg's and MiniGrid's
  training      CPU seconds until an agent seeks the goal, beside stable-baselines3 and sbx on our
                world
  success       CPU seconds until an agent gets 90% of the coins where goal and proxy coincide
  evaluation    levels of the evaluator beside a loop over levels as in the paper's code
  cost          what more slots, levels and agents cost
  worlds        frames of every world with tiles and with pixels, 256 environments
  pixels        decisions of training from pixels, beside stable-baselines3's own

prints a table of each (medians of turns with the lowest and the highest), and writes
runs/benchmarks/<part>.json.  What others need is installed by

  python -m benchmarks.peers install

and whoever is not there is left out.  `python -m benchmarks page` writes docs/benchmarks.md from
what the last run of each part found.

Settings
  only=environments       what to measure; without it, all but success, worlds
                          and pixels
  seconds=1 repeats=5     length and number of the turns
  threads=1               CPU cores and threads of the environments
  slots=[32,256]          numbers of environments side by side; without it, those of each world
  seeds=10                of the training
  programs=[misgen,sb3]   of the training: misgen, autograd, mlp, sb3, sbx
  limit=60                CPU seconds after which a training is given up
  levels=200              of the evaluation's loop, and twins in a test of the training
  policy=runs/.../run     the agent to evaluate; without it, one that comes with misgen
  runs=runs               where to write

Others, each with --help:
  python -m benchmarks.coverage   how often the reports' 95% intervals contain the truth
  python -m benchmarks.planner    how many levels the planner solves, and how fast
  python -m benchmarks.objective  how well goals are told apart by what agents do
  python -m benchmarks.training   how fast PPO trains on tiles, with closed gradients and without
  python -m benchmarks.learning_curves  whether PPO learns alike both ways
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError, in_range, one_of
from misgen.experiments.training.run_folder import write_json
from misgen.experiments.training.settings import typed

from .machine import describe_machine, load_now, machine
from .success import PROGRAMS, PULL, SUCCESS
from .tables import Table

PARTS = ("environments", "training", "evaluation", "cost")
_TARGETS = {"training": PULL, "success": SUCCESS}
"""Parts that train agents, and what these are to reach."""
MORE_PARTS = (*PARTS, "success", "worlds", "pixels")
Found = tuple[Any, list[Table]]


@dataclass(frozen=True)
class BenchConfig:
    """What to measure, and for how long."""

    only: tuple[str, ...] = PARTS
    """Parts to measure."""
    seconds: float = 1.0
    """Length of a turn."""
    repeats: int = 5
    """Turns of each."""
    threads: int = 1
    """CPU cores and threads of the environments."""
    slots: tuple[int, ...] = ()
    """Numbers of environments; none: those of each world."""
    seeds: int = 10
    """Trainings of each program."""
    programs: tuple[str, ...] = tuple(PROGRAMS)
    """Programs that train."""
    limit: float = 60.0
    """CPU seconds after which a training is given up."""
    levels: int = 200
    """Levels of the evaluation's loop, and twins in a test of the training."""
    policy: str | None = None
    """Folder of the trained agent to evaluate."""
    runs: str = "runs"
    """Folder whose `benchmarks` the figures are written to."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            UserError: naming the field.
        """
        for part in self.only:
            one_of("only", part, MORE_PARTS)
        for program in self.programs:
            one_of("programs", program, tuple(PROGRAMS))
        for slots in self.slots:
            in_range("slots", slots, 1, 100_000)
        in_range("seconds", self.seconds, 0.01, 600)
        in_range("repeats", self.repeats, 1, 1000)
        in_range("threads", self.threads, 1, 1024)
        in_range("seeds", self.seeds, 1, 1000)
        in_range("limit", self.limit, 1, 100_000)
        in_range("levels", self.levels, 10, 100_000)

    @property
    def folder(self) -> Path:
        """Where the figures are written."""
        return Path(self.runs) / "benchmarks"


def main(argv: list[str]) -> int:
    """Measure what is asked for, print it and write it down."""
    from rich.console import Console

    page = argv[:1] == ["page"]
    config = _config(argv[page:])
    if page:
        return _write_page(config)
    console = Console()
    words = [word for word in argv if not word.startswith("runs=")]  # the same wherever written
    command = " ".join(["python -m benchmarks", *words])
    console.print(command, style="bold", markup=False, soft_wrap=True)
    console.print(f"{describe_machine(machine())}\n", soft_wrap=True)
    for part in config.only:
        about = {"command": command, **machine()}
        keep = partial(_keep, config.folder / f"{part}.json", about)
        results, tables = _measure(part, config, keep)
        keep(results, tables)
        console.print(*[table.shown() for table in tables])
    console.print(f"load at the end: {load_now()}\n{config.folder}")
    return 0


def _config(words: list[str]) -> BenchConfig:
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(OmegaConf.from_dotlist(words))
    for key in {"only", "slots", "programs"} & set(plain):
        plain[key] = plain[key] if isinstance(plain[key], list) else [plain[key]]
    return typed(BenchConfig, plain)


def _measure(part: str, config: BenchConfig, keep: Callable[[Any, list[Table]], None]) -> Found:
    """Measure a part; what takes long is kept as it is found."""
    turns = config.seconds, config.repeats
    if part == "environments":
        from .environments import measure

        return measure(config.slots, config.threads, *turns, keep)
    if part in _TARGETS:
        from .success import measure

        target, learned = _TARGETS[part], (config.programs, config.seeds)
        return measure(target, *learned, config.limit, config.levels, keep)
    if part == "evaluation":
        from .evaluation import measure

        return measure(config.policy, config.levels, config.repeats)
    if part == "cost":
        from .cost import measure

        return measure(*turns, keep)
    if part == "worlds":
        from .worlds import measure
    else:
        from .pixels import measure
    return measure(*turns)


def _keep(path: Path, about: dict[str, Any], results: Any, tables: list[Table]) -> None:
    """Write what a part has found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [table.plain() for table in tables]
    write_json(path, {**about, "load_after": load_now(), "tables": told, "results": results})


def _write_page(config: BenchConfig) -> int:
    """Write docs/benchmarks.md from the last run of each part."""
    from .page import PAGE, read, write

    found = read(config.folder, MORE_PARTS)
    if not found:
        raise UserError(f"{config.folder} holds no figures yet: measure some with make bench")
    write(found)
    print(f"{PAGE}: {', '.join(found)}")
    return 0


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        sys.exit(0)
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
