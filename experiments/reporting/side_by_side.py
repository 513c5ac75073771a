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

from ..evaluation.verdict import LEAST_SEEDS, MISGENERALIZES, WORDING, RecipeVerdict
from .figures import FONT, INK, note, rates
from .formatting import part, points, rate
from .results import Results
from .sentences import share_interval

_MOST_COLUMNS = 4
_ITS = {"goal": "the world's goal", "proxy": "its proxy"}
HEADINGS = ("world", "trained at ρ", "goal in distribution", "goal moved to", "rule",
            "seeds misgeneralizing", "capability in conflict", "goal in conflict",
            "divergence, points", "of at most", "pursuit")  # fmt: skip
_ALIKE = ("on_proxy", "shift.correlation", "actions", "repeats", "references", "verdict", "backend")
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
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def side_by_side(sweeps: Sequence[Results]) -> Figure:
    """Return goal and capability on conflict levels against the correlation, a panel a sweep."""
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
            axes[row * columns].set_ylabel("reached on conflict levels", color=INK)
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=min(4, columns),
            frameon=False, fontsize=10, handlelength=2.4, columnspacing=1.8, labelcolor=INK,
        )  # fmt: skip
        note(figure, *sweeps)
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
            before, capability, goal, divergence, ceiling, goes_for = (
                results.interval(metric, correlation, place)
                for metric in ("goal_in_distribution", "capability_conflict", "goal_conflict",
                               "divergence", "divergence_ceiling", results.goes_for)
            )  # fmt: skip
            name = results.world.name.replace("_", " ")
            choice = "" if results.goes_for == "pursuit" else "choice "
            recipe = results.recipes[correlation, place, results.modes[0]]
            yield [
                "" if number else name, results.rho[correlation], rate(before),
                "" if number else place,
                "" if number else _rule(results), _seeds(recipe), rate(capability), rate(goal),
                points(divergence), points(ceiling).partition(" ")[0], f"{choice}{part(goes_for)}",
            ]  # fmt: skip


def _rule(results: Results) -> str:
    """Return what reaching the proxy does in the test; another rule than trained under is said."""
    trained, tested = results.rules
    return tested if trained == tested else f"{tested} (trained: {trained})"


def _seeds(recipe: RecipeVerdict) -> str:
    """Return how many seeds misgeneralize and what the others are; of too few, that they are."""
    bad = recipe.counts.get(MISGENERALIZES, 0)
    told = [f"{bad} of {recipe.seeds} {share_interval(recipe)}"]
    others = [f"{n} {WORDING[name].agent}" for name, n in recipe.counts.items()]
    told += [text for text in others if WORDING[MISGENERALIZES].agent not in text]
    told += [] if recipe.seeds >= LEAST_SEEDS else [f"{recipe.more_seeds} more needed"]
    return ", ".join(told + ["two groups"] * (recipe.groups is not None))
