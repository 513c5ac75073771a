"""What a training cost: decisions, operations, seconds, memory, energy.

Public names: `Meter`, `compute_of`.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.agents.zoo import located
from misgen.envs.core.errors import UserError

from .run_folder import MANIFEST, SNAPSHOTS, RunFolder, read_json
from .trained_run import config_of

if TYPE_CHECKING:
    from .config import TrainConfig

_RAPL = Path("/sys/class/powercap")
_PROC = Path("/proc/self")
_SUMMED = ("starts", "wall_seconds", "cpu_seconds", "energy_joules")


class Meter:
    """Measures this process from now on.

    Its memory and processor time are the process's, of all threads.  Energy is that of the
    processor packages, whoever uses them meanwhile; where the machine does not tell it, none.
    """

    def __init__(self) -> None:
        with contextlib.suppress(OSError):  # forget the peak of what the process did before
            (_PROC / "clear_refs").write_text("5")
        self._wall, self._cpu = time.monotonic(), time.process_time()
        self._energy = _counters()

    def read(self, earlier: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was used, with what earlier starts of the same training used.

        Args:
            earlier: what this returned in the last of them; empty if there were none.
        """
        now = {
            "starts": 1,
            "wall_seconds": time.monotonic() - self._wall,
            "cpu_seconds": time.process_time() - self._cpu,
            "energy_joules": _used(self._energy, _counters()),
            "peak_memory_bytes": _peak(),
        }
        for name in _SUMMED:
            if name in earlier:
                before, own = earlier[name], now[name]
                now[name] = None if before is None or own is None else before + own
        if earlier.get("peak_memory_bytes") and now["peak_memory_bytes"]:
            now["peak_memory_bytes"] = max(now["peak_memory_bytes"], earlier["peak_memory_bytes"])
        return now


def compute_of(config: TrainConfig, network: Any, decisions: int) -> dict[str, Any]:
    """Return what a training computed, counted from its settings and its network's layers.

    Args:
        config: the run.
        network: a torch module.
        decisions: how many it was trained for.
    """
    from .compute import network_cost, training_flops

    cost = network_cost(network)
    return {
        "decisions": decisions,
        "environment_steps": decisions * config.world.action_repeat,
        "parameters": cost.parameters,
        "active_parameters": cost.active,
        "forward_flops": cost.forward_flops,
        "training_flops": training_flops(cost, config.agent.passes(decisions)),
        **_from_others(config, decisions),
    }


def _from_others(config: TrainConfig, decisions: int) -> dict[str, int | float | None]:
    """Return the operations that other agents' work on this one took, of an heir.

    Returns:
        `teacher_flops`: of asking its teacher; `inherited_flops`: of the trainings of the base it
        started from and of its teacher, theirs included; None where they are not known.
    """
    from misgen.agents.checkpoint import load_policy
    from misgen.agents.config import DistillConfig

    from .compute import network_cost

    found: dict[str, int | float | None] = {}
    agent, sources = config.agent, [config.init] if config.init else []
    if isinstance(agent, DistillConfig):
        each = network_cost(load_policy(agent.teacher)[0]).forward_flops
        found["teacher_flops"] = None if each is None else each * agent.asked(decisions)
        sources.append(agent.teacher)
    if sources:
        spent = [_spent_on(located(source)) for source in sources]
        known = [one for one in spent if one is not None]
        found["inherited_flops"] = sum(known) if len(known) == len(spent) else None
    return found


def _spent_on(folder: Path) -> float | None:
    """Return the operations that a trained policy cost with all that it was made from.

    One that was kept on the way cost its part of its training.
    """
    on_the_way = folder.parent.name == SNAPSHOTS and folder.name.isdecimal()
    home = folder.parent.parent if on_the_way else folder
    try:
        manifest = read_json(home / MANIFEST, "")
        config = config_of(RunFolder(home), manifest)
    except UserError:
        return None
    spent = manifest.get("compute") or _counted(home, config, manifest)
    part = int(folder.name) / int(manifest["environment_steps"]) if on_the_way else 1.0
    heir = config.init_policy is not None or bool(config.agent.policies)
    parts = {"training_flops": part, **({"inherited_flops": 1.0} if heir else {})}
    parts |= {"teacher_flops": part} if config.agent.policies else {}
    known = [of * spent[name] for name, of in parts.items() if spent.get(name) is not None]
    return sum(known) if len(known) == len(parts) else None


def _counted(folder: Path, config: TrainConfig, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operations of a training from before manifests told them."""
    from misgen.agents.checkpoint import load_policy

    from .compute import network_cost, training_flops

    cost = network_cost(load_policy(folder)[0])
    passes = config.agent.passes(int(manifest["environment_steps"]))
    return {"training_flops": training_flops(cost, passes)}


def _peak() -> int | None:
    """Return the most memory that the process held, in bytes, where that is told."""
    with contextlib.suppress(OSError, ValueError):
        for line in (_PROC / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    with contextlib.suppress(ImportError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most
    return None


def _counters() -> dict[str, tuple[int, int]]:
    """Return the energy counter of each processor package, and where it begins anew, in uJ."""
    found = {}
    for package in _RAPL.glob("intel-rapl:*"):
        if package.name.count(":") == 1:  # a package, and not a part of one
            with contextlib.suppress(OSError, ValueError):
                now = int((package / "energy_uj").read_text())
                found[package.name] = (now, int((package / "max_energy_range_uj").read_text()))
    return found


def _used(
    before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]
) -> float | None:
    """Return the joules between two readings; None where there are none."""
    if not before or before.keys() != after.keys():
        return None
    used = 0
    for name, (now, around) in after.items():
        gone = now - before[name][0]
        used += gone if gone >= 0 else gone + around
    return used / 1e6
