"""How fast it is: python -m benchmarks [key=value ...], or make bench ARGS="...".

Measures, on this machine and in one run,

  env          frames/s of CoinRun (hard, observations made, random actions, levels generated as
               episodes end) through the vector view, beside the original Procgen and our backend
               that runs it (pixels, levels by id) where it is installed; they take turns, and the
               median of several turns counts
  worlds       frames/s of every world side by side, with tiles and with pixels (the defaults of
               the world, 256 environments, one thread)
  training     decisions/s of PPO with the lab preset, on one thread
  evaluation   levels/s of the evaluator with an agent of the lab preset, on one thread
  pixels       frames/s of the original, of our rgb and of our grid side by side (64 and 256
               environments, 2 threads), and decisions/s of training from pixels beside
               stable-baselines3's own; only when asked for

prints a table of each, and writes runs/benchmarks/<date>.json.

Settings
  only=env                what to measure
  slots=[64,256]          numbers of environments side by side
  threads=[1,2]           CPU threads of the environments (the original's too)
  seconds=2 repeats=5     length and number of the turns
  rollouts=10             of training; the first is not counted
  levels=2000             of the evaluation
  policy=runs/.../run     a trained agent to evaluate; without it one that was never trained, whose
                          episodes mostly last until the time-out
  runs=runs               where to write

Others, each with --help:
  python -m benchmarks.coverage   how often the reports' 95% intervals contain the truth
  python -m benchmarks.planner    how many levels the planner solves, and how fast
  python -m benchmarks.objective  how well goals are told apart by what agents do
  python -m benchmarks.training   how fast PPO trains on tiles, with closed gradients and without
  python -m benchmarks.learning_curves  whether PPO learns alike both ways
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import IdRange, LevelDistribution
from misgen.envs.core.errors import UserError, in_range, one_of
from misgen.envs.core.views.vector_env import MisgenVectorEnv
from misgen.envs.procgen.coinrun import ProcgenCoinRun
from misgen.envs.procgen.library import WHEELS, installed
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.run_folder import git_state, write_json
from misgen.experiments.training.settings import compose, typed

if TYPE_CHECKING:
    from rich.table import Table

    from misgen.agents import Agent

PARTS = ("env", "worlds", "training", "evaluation")
MORE_PARTS = (*PARTS, "pixels")
STOCK_SLOTS = (64, 256)
"""Numbers of environments that the original is measured with."""
_LEVELS = IdRange(0, 100_000)
_EVALUATED_FROM = 2_000_000
_ACTIONS = 512  # steps of random actions, drawn beforehand
_WARM_UP = 300  # steps, until episodes end at different times


@dataclass(frozen=True)
class BenchConfig:
    """What to measure, and for how long."""

    only: tuple[str, ...] = PARTS
    """Parts to measure."""
    slots: tuple[int, ...] = (64, 256, 1024, 4096)
    """Numbers of environments."""
    threads: tuple[int, ...] = (1, 2)
    """CPU threads of the environments."""
    seconds: float = 2.0
    """Length of a turn."""
    repeats: int = 5
    """Turns of each."""
    rollouts: int = 10
    """Rollouts of training."""
    levels: int = 2000
    """Levels to evaluate on."""
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
        for slots in self.slots:
            in_range("slots", slots, 1, 100_000)
        for threads in self.threads:
            in_range("threads", threads, 1, 1024)
        in_range("seconds", self.seconds, 0.01, 600)
        in_range("repeats", self.repeats, 1, 1000)
        in_range("rollouts", self.rollouts, 2, 10_000)
        in_range("levels", self.levels, 1, 1_000_000)


def main(argv: list[str]) -> int:
    """Measure what is asked for, print it and write it down."""
    from omegaconf import OmegaConf
    from rich.console import Console

    plain: Any = OmegaConf.to_container(OmegaConf.from_dotlist(argv))
    for key in {"only", "slots", "threads"} & set(plain):
        plain[key] = plain[key] if isinstance(plain[key], list) else [plain[key]]
    config = typed(BenchConfig, plain)
    console = Console()
    found: dict[str, Any] = {"command": " ".join(["python -m benchmarks", *argv]), **machine()}
    console.print(f"[bold]{found['command']}[/]\n{describe_machine(found)}\n", soft_wrap=True)
    for part, measure in (
        ("env", measure_environments),
        ("worlds", measure_worlds),
        ("training", measure_training),
        ("evaluation", measure_evaluation),
        ("pixels", measure_pixels),
    ):
        if part in config.only:
            found[part], *tables = measure(config)
            console.print(*tables)
    folder = Path(config.runs) / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{datetime.now():%Y-%m-%d-%H%M%S}.json"
    write_json(out, found)
    console.print(f"load during the run: {load_now()}\n{out}")
    return 0


# --- frames of the environments


class Stepper(Protocol):
    """Environments that random actions are fed to."""

    def step(self, t: int) -> None:
        """Make a step in every environment."""
        ...


class Ours:
    """A world through the vector view, CoinRun unless told; `threads` holds while it steps."""

    def __init__(
        self, slots: int, threads: int, distribution: LevelDistribution | None = None
    ) -> None:
        """Start the environments."""
        distribution = distribution or LevelDistribution(CoinRun())
        self._env = MisgenVectorEnv(distribution.at(ids=_LEVELS), slots)
        self._env.reset(seed=0)
        self._actions = random_actions(slots, int(distribution.world.action_space.n))
        self._threads = threads

    def step(self, t: int) -> None:
        """Make a step in every environment."""
        if t == 0:
            import numba

            numba.set_num_threads(self._threads)
        self._env.step(self._actions[t % _ACTIONS])


class Backend(Ours):
    """The original CoinRun behind our interface: pixels, levels by id, half of the coins moved."""

    def __init__(self, slots: int, threads: int) -> None:
        """Start the environments."""
        super().__init__(
            slots, threads, LevelDistribution(ProcgenCoinRun(num_threads=threads), 0.5)
        )


class Stock:
    """The original CoinRun through gym3."""

    def __init__(self, slots: int, threads: int) -> None:
        """Start the environments."""
        from procgen import ProcgenGym3Env  # pyright: ignore[reportMissingImports]

        self._env = ProcgenGym3Env(
            num=slots,
            env_name="coinrun",
            distribution_mode="hard",
            start_level=_LEVELS.start,
            num_levels=len(_LEVELS),
            num_threads=threads,
            rand_seed=0,
        )
        self._actions = random_actions(slots)

    def step(self, t: int) -> None:
        """Make a step in every environment."""
        self._env.act(self._actions[t % _ACTIONS])
        self._env.observe()


PROGRAMS = {"misgen": Ours, "procgen": Stock, "backend": Backend}
"""What takes turns."""


def measure_environments(config: BenchConfig) -> tuple[list[dict[str, Any]], Table]:
    """Return frames/s for every number of environments and threads, and a table of them."""
    import numba

    most: int = numba.config.NUMBA_NUM_THREADS  # pyright: ignore
    there = {"procgen": has_stock(), "backend": installed() is not None}
    rows: list[dict[str, Any]] = [
        {"program": program, "threads": threads, "slots": slots, "rates": []}
        for threads in config.threads
        for slots in config.slots
        for program in PROGRAMS
        if threads <= most and (program == "misgen" or (there[program] and slots in STOCK_SLOTS))
    ]
    steppers: list[tuple[dict[str, Any], Stepper]] = [
        (row, PROGRAMS[row["program"]](row["slots"], row["threads"])) for row in rows
    ]
    for _, stepper in steppers:
        for t in range(_WARM_UP):
            stepper.step(t)
    for _ in range(config.repeats):
        for row, stepper in steppers:
            row["rates"].append(row["slots"] * steps_per_second(stepper.step, config.seconds))
    for row in rows:
        row["frames_per_second"] = median(row["rates"])
    return rows, environment_table(rows)


def steps_per_second(step: Callable[[int], None], seconds: float) -> float:
    """Return how often `step` ran in a second."""
    begin = time.perf_counter()
    t, passed = 0, 0.0
    while passed < seconds:
        step(t)
        t += 1
        passed = time.perf_counter() - begin
    return t / passed


def random_actions(slots: int, num_actions: int = 15) -> np.ndarray:
    """Return actions (by default of the original's code), int64 [_ACTIONS, slots]."""
    return np.random.default_rng(0).integers(0, num_actions, (_ACTIONS, slots))


def has_stock() -> bool:
    """Return whether the original's own interface, gym3, is there; our backend needs none."""
    from importlib.util import find_spec

    return find_spec("procgen") is not None


def environment_table(rows: list[dict[str, Any]]) -> Table:
    """Return a table of the rows: ours, the original's, and our backend's that runs it."""
    from rich.table import Table

    table = Table(title="CoinRun hard with observations, random actions: frames/s", min_width=78)
    for column in (
        "threads",
        "environments",
        "misgen",
        "Procgen",
        "ratio",
        "backend",
        "of Procgen",
    ):
        table.add_column(column, justify="right")
    rates = {(r["program"], r["threads"], r["slots"]): r["frames_per_second"] for r in rows}
    for (program, threads, slots), rate in rates.items():
        if program != "misgen":
            continue
        same = rates.get(("procgen", threads, slots))
        best = max(
            (v for (p, t, _), v in rates.items() if (p, t) == ("procgen", threads)), default=0
        )
        ratio = f"{rate / same:.0f}x" if same else f"{rate / best:.0f}x best" if best else ""
        shown = f"{same:,.0f}" if same else ""
        there = rates.get(("backend", threads, slots))
        ours = (f"{there:,.0f}" if there else "", f"{there / same:.0%}" if there and same else "")
        table.add_row(str(threads), str(slots), f"{rate:,.0f}", shown, ratio, *ours)
    if installed() is None:
        table.caption = "Procgen is not installed here: pip install 'misgen[procgen]'"
    elif not has_stock():
        table.caption = "Procgen's own interface, gym3, is in its wheels for Python 3.11 and 3.12"
    return table


def measure_worlds(config: BenchConfig) -> tuple[list[dict[str, Any]], Table]:
    """Return frames/s of every world with each of its observations, and a table of them."""
    from .pixels import Maker, measure_frames
    from .worlds import SLOTS, distributions, worlds_table

    makers: dict[str, Maker] = {
        name: partial(Ours, distribution=levels)
        for name, levels in distributions(installed() is not None).items()
    }
    rows = measure_frames(makers, config.seconds, config.repeats, (SLOTS,), threads=1)
    return rows, worlds_table(rows)


# --- training and evaluation


def lab() -> TrainConfig:
    """Return the lab preset's training run."""
    return typed(TrainConfig, compose("train", ["preset=lab"]))


def measure_training(config: BenchConfig) -> tuple[dict[str, Any], Table]:
    """Return decisions/s of training, rollout and update together, and a table of them."""
    import dataclasses

    from misgen.agents import PPOConfig
    from misgen.agents.ppo import train_ppo
    from misgen.envs.core.views.sb3 import MisgenVecEnv

    run = lab()
    agent = run.agent
    assert isinstance(agent, PPOConfig)
    steps = config.rollouts * agent.num_envs * agent.num_steps
    agent = dataclasses.replace(agent, total_steps=steps, threads=1)
    rates: list[float] = []
    env = MisgenVecEnv(run.distribution, agent.num_envs, 0)
    train_ppo(env, agent, 0, lambda record: rates.append(record["steps_per_second"]))
    counted = rates[1:]
    found = {"decisions_per_second": median(counted), "rates": counted, "threads": 1}
    table = _table("PPO, lab preset, one thread", "rollouts", "decisions/s", "slowest", "fastest")
    shown = (found["decisions_per_second"], min(counted), max(counted))
    table.add_row(str(len(counted)), *(f"{rate:,.0f}" for rate in shown))
    return found, table


def measure_evaluation(config: BenchConfig) -> tuple[list[dict[str, Any]], Table]:
    """Return levels/s of the evaluator for each action mode, and a table of them."""
    from misgen.agents.threads import tune_process
    from misgen.experiments.evaluation.rollout import run_levels

    tune_process(1)
    run = lab()
    agent = _agent(config.policy, run)
    distribution = run.distribution.at(correlation=0.0)
    ids = np.arange(_EVALUATED_FROM, _EVALUATED_FROM + config.levels)
    run_levels(agent, distribution, ids[:64], actions="sampled", seed=0)
    rows = []
    for actions in ("sampled", "greedy"):
        begin = time.perf_counter()
        episodes = run_levels(agent, distribution, ids, actions=actions, seed=0)
        seconds = time.perf_counter() - begin
        decisions = int(episodes["steps"].sum())
        rows.append(
            {
                "actions": actions,
                "levels": len(ids),
                "policy": config.policy,
                "levels_per_second": len(ids) / seconds,
                "decisions_per_second": decisions / seconds,
                "decisions_per_level": decisions / len(ids),
            }
        )
    title = f"Evaluation, one thread, {config.policy or 'an untrained agent'}"
    columns = ("levels", "levels/s", "decisions/s", "decisions a level", "10,000 levels")
    table = _table(title, "actions", *columns)
    for row in rows:
        table.add_row(
            row["actions"],
            str(row["levels"]),
            f"{row['levels_per_second']:,.0f}",
            f"{row['decisions_per_second']:,.0f}",
            f"{row['decisions_per_level']:.0f}",
            f"{10_000 / row['levels_per_second']:.0f} s",
        )
    return rows, table


def measure_pixels(config: BenchConfig) -> tuple[dict[str, Any], Table, Table]:
    """Return frames/s and decisions/s with pixels, and a table of each."""
    from .pixels import Maker, frames_table, measure_frames, measure_training

    makers: dict[str, Maker] = {"procgen": Stock} if has_stock() else {}
    makers["rgb"] = partial(Ours, distribution=LevelDistribution(CoinRun(observation="rgb")))
    makers["grid"] = Ours
    frames = measure_frames(makers, config.seconds, config.repeats)
    training, table = measure_training(config.repeats)
    return {"frames": frames, "training": training}, frames_table(frames), table


def _agent(policy: str | None, run: TrainConfig) -> Agent:
    from misgen.agents.checkpoint import build_policy, load_agent
    from misgen.agents.policy import PolicyAgent
    from misgen.agents.spec import PolicySpec

    spaces = run.world.observation_space, run.world.action_space
    if policy is not None:
        return load_agent(policy, *spaces)
    spec = PolicySpec.of(run.agent, *spaces)
    return PolicyAgent(build_policy(spec), spec, "untrained")


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, min_width=78)
    for column in columns:
        table.add_column(column, justify="right")
    return table


# --- where it was measured


def machine() -> dict[str, Any]:
    """Return what a figure depends on besides the code."""
    names = ("numpy", "numba", "torch", "stable-baselines3", *WHEELS.values())
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "git": git_state(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in names},
        "load_before": load_now(),
    }


def describe_machine(found: dict[str, Any]) -> str:
    """Return the machine in a line, with a warning where it has other work."""
    text = f"{found['processor']}, {found['cpus']} CPUs, Python {found['python']}"
    load = found["load_before"]
    if load is not None and load > 0.5:
        text += f"\n[yellow]load {load}: other programs are at work, the figures will be low[/]"
    return text


def load_now() -> float | None:
    """Return how many processes wanted a CPU in the last minute, None where that is not known."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        sys.exit(0)
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
