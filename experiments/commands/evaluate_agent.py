"""Evaluate an agent of your own: misgen evaluate agent=my_module:make_agent [key=value ...].

`misgen evaluate --help` explains it, docs/bring_your_own_agent.md step by step.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from misgen.envs.core.errors import UserError

from ..evaluation.config import EvaluateConfig
from ..evaluation.evaluate_agent import AgentEvaluation, OwnAgentConfig, evaluate_own
from ..evaluation.tracked_evaluation import track_evaluation
from ..training.overrides import ONE_RUN, refuse_unused
from ..training.progress import episode_progress
from ..training.run_folder import RunFolder
from ..training.settings import compose, typed
from ..training.shell import shell_words
from ..training.trackers import notes
from .common import is_multirun, print_config
from .print_evaluation import print_summary

_CONFIG = "evaluate_agent"
_NOT_HERE = {
    "run": "it names a run of misgen train: give agent=... or run=...",
    "shift.capability": "evaluate the agent first, then its folder with shift=surface",
}


def main(argv: list[str]) -> int:
    """Run the command; `argv` has a word `agent=...`."""
    refuse_unused("evaluate agent=...", argv, _NOT_HERE)
    if is_multirun(argv):
        raise UserError(
            "-m goes with run=..., not with agent=...: call misgen evaluate agent=... once for "
            "each agent, with another train_seed or name"
        )
    refuse_unused("evaluate", argv, ONE_RUN)
    if "--cfg" in argv:
        return print_config(_CONFIG, argv)
    plain = compose(_CONFIG, argv)
    told, config = _typed(plain)
    for text in notes(config.logger):
        print(text, file=sys.stderr)
    with episode_progress(told.called or told.agent) as show:
        found = evaluate_own(told.agent, told, config, show, trust=config.trust)
    track_evaluation(RunFolder(found.run), config)
    _print(found)
    return 0


def _typed(plain: dict[str, Any]) -> tuple[OwnAgentConfig, EvaluateConfig]:
    """Return what is told of the agent, and how to evaluate it."""
    own = {field.name for field in dataclasses.fields(OwnAgentConfig)}
    told = typed(OwnAgentConfig, {key: one for key, one in plain.items() if key in own})
    rest = {key: one for key, one in plain.items() if key not in own and key != "run"}
    if told.agent in ("", "???"):
        raise UserError(
            "agent is missing: give agent=my_module:make_agent, a function that makes the agent"
        )
    return told, typed(EvaluateConfig, rest)


def _print(found: AgentEvaluation) -> None:
    """Print the main numbers, what is not known, and what to do next."""
    print_summary(found.summary)
    record = found.manifest["external_agent"]
    if not record["repeatable"]:
        print(
            "The agent answers differently each time it is asked the same: let it return "
            "probabilities, from which misgen draws the actions, and episodes can be played again.",
            file=sys.stderr,
        )
    print(f"written: {found.folder}")
    print(f"next: {shell_words('misgen', 'card', f'run={found.run}', 'trust=true')}")
