"""Run one protocol on one agent: misgen evaluate protocol=... run=... [key=value ...].

`misgen evaluate --help` explains it.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from ..evaluation.result_folders import PROTOCOL
from ..protocols.run import ProtocolCommand, comparison_table, evaluate_with, protocol_folder
from ..protocols.spec import ACCESS, load_protocol
from ..training.overrides import checked_words, keys_of, refuse_unused
from ..training.progress import counter, episode_progress
from ..training.settings import compose, typed
from ..training.terminal import make_console, show_table
from ..training.trained_run import one_run
from .common import print_config

_GROUP = "protocol"


def main(argv: list[str]) -> int:
    """Run the command; `argv` has a word `protocol=...`."""
    own = [w for w in argv if w.lstrip("+").startswith((f"{_GROUP}=", f"{_GROUP}."))]
    rest = [w for w in argv if w not in own]
    inside = checked_words(
        w.lstrip("+").removeprefix(f"{_GROUP}.") for w in own if f"{_GROUP}." in w.partition("=")[0]
    )
    protocol = load_protocol(keys_of(own)[_GROUP], inside)
    if "--cfg" in rest:
        return print_config("evaluate_protocol", rest)
    config = typed(ProtocolCommand, compose("evaluate_protocol", rest))
    if config.levels is not None:
        refuse_unused("evaluate protocol=...", rest, {"replicate": "the levels are those of files"})
    comparison_table(config.comparison)
    folder = one_run(config.run)
    budgets = protocol.affordable(config.budgets or (protocol.budget,)) or (protocol.most or 1,)
    if set(config.budgets or ()) - set(budgets):
        print(
            f"budgets={list(config.budgets or ())}: {protocol.name} is meant for up to "
            f"{protocol.most} episodes, so it is run with {list(budgets)}",
            file=sys.stderr,
        )
    with episode_progress(protocol.name) as show:
        found = evaluate_with(protocol, folder, config, counter(show, max(budgets)))
    print_found(found, protocol_folder(folder, found["config"]).path)
    return 0


def print_found(found: dict[str, Any], folder: Path) -> None:
    """Print what a protocol found, what it covers, and what it does not."""
    from rich.table import Table

    protocol, console = found["protocol"], make_console()
    title = f"{protocol['name']} ({found['protocol_hash']}) on {found['run']}"
    console.print(title, style="bold", markup=False)
    console.print(protocol["question"], markup=False)
    if found["reason"]:
        console.print(f"not applicable: {found['reason']}", markup=False)
        return
    table = Table("budget", "score", "95% interval", "episodes", "CPU s")
    for point in found["points"]:
        bounds = (point["low"], point["high"])
        table.add_row(
            str(point["budget"]),
            _number(point["score"]),
            f"[{_number(bounds[0])}, {_number(bounds[1])}]",
            str(point["episodes"]),
            f"{point['seconds']:.1f}",
        )
    show_table(console, table)
    console.print(f"{found['decision']}: {found['why']}", style="bold")
    if found["measured"]:
        console.print(_power(found["measured"], found["comparison"]), markup=False)
    console.print(f"score: {protocol['score']}", markup=False)
    console.print(_square(protocol))
    console.print("may use: " + "; ".join(ACCESS[word] for word in protocol["access"]))
    console.print(f"cannot detect: {protocol['blind_to']}", markup=False)
    print(f"written: {folder / PROTOCOL.main}")


def _power(row: dict[str, Any], comparison: str) -> str:
    """Return what a comparison measured, in a sentence."""
    if row.get("power") is None:
        return (
            f"detection power not measured by {comparison}: {row.get('note') or 'too few agents'}"
        )
    ends = f" [{row['power_low']:.0%}, {row['power_high']:.0%}]" if row.get("power_low") else ""
    return (
        f"detection power {row['power']:.0%}{ends} at {row['budget']} episodes, over "
        f"{row['agents']} {row['population']} agents ({row['support']}) of {comparison}"
    )


def _square(protocol: dict[str, Any]) -> str:
    """Return whether a protocol stays within the training support, and knows the proxy."""
    stays = {True: "only such as training may draw", False: "others than training draws"}
    told = {True: "yes", False: "no"}
    levels, proxy = protocol.get("in_support"), protocol.get("told_proxy")
    return (
        f"levels: {stays.get(levels, 'not said whether training may draw them')}; "  # pyright: ignore
        f"told the proxy: {told.get(proxy, 'not said')}"  # pyright: ignore
    )


def _number(value: float | None) -> str:
    return "n/a" if value is None or math.isnan(value) else f"{value:.3f}"
