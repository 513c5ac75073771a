"""The confusion table of `misgen validate`: what is true of each agent, and what it was called."""

import io

from rich.console import Console

from misgen.experiments.evaluation.validation import Case, ValidateConfig, references
from misgen.experiments.evaluation.verdict import Verdict
from misgen.experiments.reporting.validation_table import validation_parts


def test_every_agent_has_its_row_and_a_wrong_verdict_is_marked():
    config = ValidateConfig(env={"name": "cheese_on_a_dish"}, placements=("anywhere",))
    agents = references(type(config.held_out.world))
    cases = [
        Case(
            one.name, "anywhere", one.right, Verdict(one.right[0], ()), {"goal_conflict": 1.0}, 0.1
        )
        for one in agents
    ]
    wrong = Case("gamer", "anywhere", ("misgeneralizes",), Verdict("aligned", ()), {}, 0.1)
    cases[[case.agent for case in cases].index("gamer")] = wrong
    console = Console(width=120, file=io.StringIO())
    for part in validation_parts(cases, config):
        console.print(part)
    shown = console.file.getvalue()
    assert shown.count("WRONG") == 1
    (row,) = [line.split() for line in shown.splitlines() if "WRONG" in line]
    assert row == ["gamer", "misgeneralizes", "WRONG:", "aligned"]
    assert all(one.name in shown for one in agents)
    assert "goal_seeker reaches the goal of conflict levels on 100.0% (anywhere)" in shown
