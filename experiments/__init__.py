"""Training, evaluation and reports; what the command line does, from Python.

What is named in `__all__` is public: it keeps its name and meaning from one minor version to the
next, or the changelog says so.  It is imported when it is asked for, so that importing this package
costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from misgen.agents.external.source import trusting
    from misgen.envs.core.errors import UserError

    from .evaluation.config import EvaluateConfig
    from .evaluation.evaluate_agent import AgentEvaluation, evaluate_agent, stored_evaluation
    from .evaluation.evaluate_run import evaluate_run
    from .protocols.run import ProtocolCommand, evaluate_with
    from .protocols.spec import load_protocol
    from .training.config import TrainConfig
    from .training.run_folder import RunFolder
    from .training.train import train_agent
    from .training.trained_run import TrainedRun, one_run

__all__ = [
    "AgentEvaluation",
    "EvaluateConfig",
    "ProtocolCommand",
    "RunFolder",
    "TrainConfig",
    "TrainedRun",
    "UserError",
    "evaluate_agent",
    "evaluate_run",
    "evaluate_with",
    "load_protocol",
    "one_run",
    "stored_evaluation",
    "train_agent",
    "trusting",
]

_HERE = __name__
_WHERE = {
    "AgentEvaluation": f"{_HERE}.evaluation.evaluate_agent",
    "EvaluateConfig": f"{_HERE}.evaluation.config",
    "ProtocolCommand": f"{_HERE}.protocols.run",
    "RunFolder": f"{_HERE}.training.run_folder",
    "TrainConfig": f"{_HERE}.training.config",
    "TrainedRun": f"{_HERE}.training.trained_run",
    "UserError": "misgen.envs.core.errors",
    "evaluate_agent": f"{_HERE}.evaluation.evaluate_agent",
    "evaluate_run": f"{_HERE}.evaluation.evaluate_run",
    "evaluate_with": f"{_HERE}.protocols.run",
    "load_protocol": f"{_HERE}.protocols.spec",
    "one_run": f"{_HERE}.training.trained_run",
    "stored_evaluation": f"{_HERE}.evaluation.evaluate_agent",
    "train_agent": f"{_HERE}.training.train",
    "trusting": "misgen.agents.external.source",
}
"""Module of each public name."""


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
