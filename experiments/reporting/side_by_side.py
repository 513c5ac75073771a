"""Several sweeps side by side: a figure and a table.

The first placement of each sweep is shown, which is the usual one of its world, so that no
placement is chosen by its outcome.

Public names: `side_by_side`, `markdown`, `rows_of`, `HEADINGS`, `require_alike`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from misgen.envs.core.errors import UserError

from .figures import FONT, INK, rates
from .formatting import points, rate
from .results import Results

_MOST_COLUMNS = 4
_ITS = {"goal": "the world's goal", "proxy": "its proxy"}
HEADINGS = ("world", "trained at ρ", "goal before", "goal moved to", "capability after",
             "goal after", "divergence, points")  # fmt: skip
_ALIKE = ("on_proxy", "shift.correlation", "actions", "accident_repeats", "metrics", "backend")
"""Settings of an evaluation in which sweeps side by side must not differ."""


def require_alike(sweeps: Sequence[Results]) -> None:
    """Refuse sweeps whose numbers mean different things.

    Levels and placements may differ, as every world has its own.

    Raises:
        UserError: naming the setting.
    """
    first = sweeps[0]
    for other in sweeps[1:]:
        for name in _ALIKE:
            one, two = (_setting(results.evaluation, name) for results in (first, other))
            if one != two:
                raise UserError(
                    f"{first.folder} and {other.folder} were evaluated with different settings, "
                    f"{name}={one} and {name}={two}, and cannot be shown in one table: evaluate "
                    "one "
                    "of them like the other, or choose with evaluation=<beginning of its hash>"
                )


def _setting(settings: Mapping[str, Any], name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def side_by_side(sweeps: Sequence[Results]) -> Figure:
    """Return goal and capability after the shift against the correlation, a panel a sweep."""
    columns = min(len(sweeps), _MOST_COLUMNS)
    rows = -(-len(sweeps) // columns)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(3.2 * columns + 0.4, 3.0 * rows + 0.6), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False, sharey=True).ravel())
        for ax, results in zip(axes, sweeps, strict=False):
            place = results.placements[0]
            rates(ax, results, place, _ITS)
            ax.set_title(f"{results.world.name.replace('_', ' ')}\n{place}", fontsize=10.5)
        for ax in axes[len(sweeps) :]:
            ax.remove()
        for row in range(rows):
            axes[row * columns].set_ylabel("reached on shifted levels", color=INK)
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5,
            frameon=False, fontsize=10, handlelength=2.4, columnspacing=1.8, labelcolor=INK,
        )  # fmt: skip
        return figure


def markdown(sweeps: Sequence[Results]) -> str:
    """Return the results as a Markdown table: a row for each sweep and correlation."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows_of(sweeps)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def rows_of(sweeps: Sequence[Results]) -> Iterator[list[str]]:
    """Yield the cells below `HEADINGS`: a row for each sweep and correlation."""
    for results in sweeps:
        place = results.placements[0]
        for number, correlation in enumerate(results.correlations):
            before, capability, goal, divergence = (
                results.interval(metric, correlation, place)
                for metric in ("goal_heldout", "capability_shifted", "goal_shifted", "divergence")
            )
            name = results.world.name.replace("_", " ")
            yield [
                "" if number else name, results.rho[correlation], rate(before),
                "" if number else place, rate(capability), rate(goal), points(divergence),
            ]  # fmt: skip
