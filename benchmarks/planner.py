"""How many levels the planner solves, and how fast.

`python -m benchmarks.planner` plans the shortest way to the goal and to the proxy on conflict
levels, on one core, for each mode, placement and action repeat, and prints

- solved, unsolvable (everything reachable was searched) and unknown (the search ran out of nodes);
- shortest: of the solved, those shown to have no shorter plan at the search's resolution;
- replayed: of the solved, those whose plan reaches its target in the engine when it says it does;
- the plan's decisions (median), and milliseconds of planning a level (median, 95th percentile).

The way to the proxy does not depend on the placement and has one row.  Figures go to
`runs/benchmarks/planner.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before numba: figures are for one core

import numba
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from misgen.envs.coinrun.constants import MODES
from misgen.envs.coinrun.world import CoinRun
from misgen.envs.core.distribution import LevelDistribution
from misgen.envs.core.engine import Engine
from misgen.envs.core.level import LevelBatch
from misgen.envs.core.planning.planner import (
    NOTHING,
    PlanStatus,
    TargetPlans,
    make_planner,
    target_event,
)
from misgen.envs.core.world import World

OUTPUT = Path("runs/benchmarks/planner.json")


def cases(args: argparse.Namespace) -> list[tuple[str, int, str, str]]:
    """Mode, action repeat, target and placement of each row."""
    return [
        (mode, repeat, target, placement)
        for mode in args.modes
        for repeat in args.repeats
        for target, placement in [
            *(("goal", placement) for placement in args.placements),
            ("proxy", args.placements[0]),
        ]
    ]


def measure(
    mode: str, repeat: int, target: str, placement: str, args: argparse.Namespace
) -> dict[str, Any]:
    """Plan on every level by itself; return a row of the table."""
    world = CoinRun(mode=mode, action_set="distinct", action_repeat=repeat, on_proxy=args.on_proxy)
    ids = np.arange(args.first, args.first + args.levels)
    levels = LevelDistribution(world, 0.0, placement).levels(ids)
    planner = make_planner(world)
    states = np.zeros(len(levels), world.state_dtype)
    world.load(states, np.arange(len(levels)), levels)
    planner.plan_from(states[:1], target)  # compiles
    milliseconds, status, shortest, replayed, decisions = [], [], 0, 0, []
    for i in range(len(levels)):
        begin = time.process_time()
        found = planner.plan_from(states[i : i + 1], target)
        milliseconds.append(1000 * (time.process_time() - begin))
        status.append(int(found.status[0]))
        if found.solved[0]:
            decisions.append(int(found.decisions[0]))
            shortest += int(found.shortest[0])
            replayed += replays(levels.take(slice(i, i + 1)), found, world)
    counts = {kind.name.lower(): status.count(kind) for kind in PlanStatus}
    return {
        "mode": mode,
        "action_repeat": repeat,
        "target": target,
        "placement": placement if target == "goal" else "any",
        "levels": len(levels),
        **counts,
        "shortest": shortest,
        "replayed": replayed,
        "decisions_median": float(np.median(decisions)) if decisions else None,
        "milliseconds_median": float(np.median(milliseconds)),
        "milliseconds_95": float(np.quantile(milliseconds, 0.95)),
        "milliseconds_mean": float(np.mean(milliseconds)),
        "not_solved": ids[np.array(status) != PlanStatus.SOLVED].tolist(),
    }


def replays(level: LevelBatch, plan: TargetPlans, world: World) -> bool:
    """Whether the plan of one level reaches its target at its last decision, and not before."""
    engine = Engine(world, 1)
    engine.load(np.zeros(1, np.int64), level)
    if plan.target == "proxy":  # the plan takes no notice of the goal
        engine.states["goal_cell"] = -1
    reached = 0
    chosen: NDArray[np.int8] = plan.actions[0][plan.actions[0] != NOTHING]
    for action in chosen:
        if reached or not engine.episodes["running"][0]:
            return False
        engine.step(np.array([action]))
        reached = int(engine.episodes["events"][0]) & target_event(plan.target)
    return bool(reached) and len(chosen) == int(plan.decisions[0])


def print_table(rows: list[dict[str, Any]], levels: int) -> None:
    table = Table(title=f"Shortest plans, {levels} conflict levels each, one core")
    for column in ("mode", "repeat", "target", "placement"):
        table.add_column(column, no_wrap=True)
    for column in ("solved", "unsolvable", "unknown", "shortest", "replayed", "decisions"):
        table.add_column(column, justify="right")
    table.add_column("ms (95%)", justify="right", no_wrap=True)
    for row in rows:
        length = row["decisions_median"]
        table.add_row(
            row["mode"],
            str(row["action_repeat"]),
            row["target"],
            row["placement"],
            *(str(row[k]) for k in ("solved", "unsolvable", "unknown", "shortest", "replayed")),
            "-" if length is None else f"{length:g}",
            f"{row['milliseconds_median']:.1f} ({row['milliseconds_95']:.0f})",
        )
    Console(width=max(Console().width, 118)).print(table)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planner",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--levels", type=int, default=500, help="levels of each row (500)")
    parser.add_argument("--first", type=int, default=2_000_000, help="id of the first (2000000)")
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--repeats", type=int, nargs="+", default=[3, 1], help="frames a decision")
    parser.add_argument(
        "--placements",
        nargs="+",
        default=list(CoinRun.placements),
        help="where the goal goes; any that misgen evaluate takes",
    )
    parser.add_argument(
        "--on-proxy",
        default="end",
        choices=("end", "continue"),
        help="end: the way to the goal must not touch the proxy first",
    )
    args = parser.parse_args(argv)
    if args.levels < 1:
        parser.error(f"--levels {args.levels} is too few: give 1 or more")
    return args


def main(argv: list[str]) -> None:
    """Measures every row, prints the table and writes the JSON."""
    args = parse(argv)
    numba.set_num_threads(1)
    started = time.perf_counter()
    progress = track(cases(args), "planner", console=Console(stderr=True))
    rows = [measure(*case, args) for case in progress]
    print_table(rows, args.levels)
    report = {
        "command": " ".join(["python -m benchmarks.planner", *argv]),
        "settings": vars(args),
        "seconds": round(time.perf_counter() - started, 1),
        "machine": f"{platform.platform()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Numba {numba.__version__}",
        "results": rows,
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{report['seconds']} s; written to {OUTPUT}")


if __name__ == "__main__":
    main(sys.argv[1:])
