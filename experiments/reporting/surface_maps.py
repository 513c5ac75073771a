"""The divergence surface as heat maps, and as a table in the terminal.

Public names: `draw_surface`, `write_figures`, `surface_parts`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ..evaluation.surface import AS_TRAINED, CELLS, MEASURES, SURFACE
from ..training.run_folder import read_json
from ..training.trained_at import UNKNOWN, rho_words
from .figures import INK, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..training.terminal import Part

_COLOURS = {"capability": "Blues", "goal": "Oranges", "divergence": "PuOr_r"}
_LOWEST = {"capability": 0.0, "goal": 0.0, "divergence": -1.0}
_AGAIN = "make it again: misgen evaluate shift=surface"
_CELL = 0.92, 0.52  # inches
_TITLES = {
    "capability": "capability: goal or proxy, %",
    "goal": "goal, %",
    "divergence": "divergence, points",
}


def write_figures(folder: Path) -> list[Path]:
    """Draw the surface of a folder, one figure a training correlation; return the pictures."""
    cells = _cells(folder)
    written: list[Path] = []
    for (label,), own in cells.group_by("trained_at", maintain_order=True):
        name = (
            f"surface-rho-{label}".replace(" ", "-")
            if UNKNOWN in str(label)
            else f"surface-rho{label}"
        )
        written += write_figure(draw_surface(own), folder / name)
    return written


def draw_surface(cells: pl.DataFrame) -> Figure:
    """Return heat maps of the agents of one training correlation.

    A row of maps for each parameter of the capability shift, a map for each measure; in each, the
    goal shift runs down and the parameter across, its first column being no capability shift.  A
    cell shows the estimate and its 95% interval.

    Args:
        cells: `surface.surface_table` of one `train_correlation`, with its label as `trained_at`.
    """
    parameters = [p for p in cells["parameter"].unique(maintain_order=True) if p != AS_TRAINED]
    grids = {parameter: _columns(cells, parameter) for parameter in parameters}
    goals = _goals(cells)
    widest = max(len(columns) for columns in grids.values())
    size = (
        len(MEASURES) * (widest * _CELL[0] + 0.3) + 1.8,
        len(parameters) * (len(goals) * _CELL[1] + 0.75) + 0.9,
    )
    with matplotlib.rc_context({"font.size": 9.5, "svg.hashsalt": "m"}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(parameters), len(MEASURES), squeeze=False)
        for row, parameter in zip(axes, parameters, strict=True):
            for ax, measure in zip(row, MEASURES, strict=True):
                _map(ax, cells, measure, parameter, grids[parameter], goals)
                ax.set_yticklabels([_goal_name(*goal) for goal in goals] if ax is row[0] else [])
        for ax, measure in zip(axes[0], MEASURES, strict=True):
            ax.set_title(_TITLES[measure], fontsize=11, fontweight="bold", color=INK)
        seeds = cells["n_seeds"].max()
        figure.suptitle(
            f"Agents trained at {rho_words(cells['trained_at'][0])} "
            f"({seeds} training seed{'s' * (seeds != 1)}); rows: the goal shift, "
            "columns: the capability shift",
            color=INK,
        )
        figure.draw_without_rendering()
    return figure


def surface_parts(folder: Path) -> list[Part]:
    """Return capability, goal and divergence at every crossing, a table a training correlation."""
    from rich.table import Table

    cells = _cells(folder)
    parts: list[Part] = []
    for (label,), own in cells.group_by("trained_at", maintain_order=True):
        goals = _goals(own)
        table = Table(box=None, pad_edge=False, title=f"trained at {rho_words(str(label))}")
        table.add_column("", no_wrap=True)
        for goal in goals:
            table.add_column(_goal_name(*goal), justify="right")
        for parameter in own["parameter"].unique(maintain_order=True):
            for _, value, name in _columns(own, parameter)[parameter != AS_TRAINED :]:
                label = name if parameter == AS_TRAINED else f"{parameter} {name}"
                texts = [_triple(own, parameter, value, goal) for goal in goals]
                table.add_row(label, *texts)
        parts.append(table)
    parts.append(
        "Each cell: capability / goal in percent; below, the divergence in points with its 95% "
        "interval, where the training seeds are enough for one."
    )
    rule = read_json(folder / SURFACE, _AGAIN).get("on_proxy", {})
    if rule.get("played") != rule.get("trained"):
        parts.append(
            f"Played with on_proxy={', '.join(rule['played'])}, trained with "
            f"{', '.join(rule['trained'])}: a shift of its own."
        )
    return parts


def _cells(folder: Path) -> pl.DataFrame:
    found = read_json(folder / SURFACE, _AGAIN)
    cells = pl.DataFrame(found["cells"], CELLS)
    told = found.get("trained_at", {})  # files of earlier versions have numbers alone
    labels = [told.get(f"{rho:g}", f"{rho:g}") for rho in cells["train_correlation"]]
    cells = cells.with_columns(pl.Series("trained_at", labels, pl.String))
    return cells.sort("train_correlation", descending=True, maintain_order=True)


def _goals(cells: pl.DataFrame) -> list[tuple[str, float]]:
    """Return the goal shifts, placement and test correlation, in the order they were played."""
    return list(
        cells.select("placement", "test_correlation").unique(maintain_order=True).iter_rows()
    )


def _goal_name(placement: str, correlation: float) -> str:
    return "ρ = 1" if correlation == 1 else f"ρ = {correlation:g}\n{placement}"


def _columns(cells: pl.DataFrame, parameter: str) -> list[tuple[str, float, str]]:
    """Return what a parameter's map has across: parameter and value of the cells, and a name."""
    values = sorted(cells.filter(pl.col("parameter") == parameter)["value"].unique().to_list())
    shifted = [(parameter, value, f"{value:g}") for value in values if parameter != AS_TRAINED]
    return [(AS_TRAINED, 0.0, "as trained"), *shifted]


def _map(
    ax: Axes,
    cells: pl.DataFrame,
    measure: str,
    parameter: str,
    columns: list[tuple[str, float, str]],
    goals: list[tuple[str, float]],
) -> None:
    own = cells.filter(pl.col("measure") == measure)
    found = [[_cell(own, shift, value, goal) for shift, value, _ in columns] for goal in goals]
    estimates = np.array([[np.nan if c is None else c["estimate"] for c in row] for row in found])
    scale = {"cmap": _COLOURS[measure], "vmin": _LOWEST[measure], "vmax": 1.0}
    ax.imshow(estimates.astype(float), aspect="auto", **scale)
    for (y, x), value in np.ndenumerate(estimates.astype(float)):
        if (cell := found[y][x]) is not None and not np.isnan(value):
            ink = "white" if abs(value) > 0.62 else INK
            sign = "+" if measure == "divergence" else ""
            ax.text(x, y - 0.13, f"{100 * value:{sign}.0f}", ha="center", va="center", color=ink)
            bounds = _bounds(cell)
            ax.text(x, y + 0.25, bounds, ha="center", va="center", color=ink, fontsize=6.8)
    ax.set_xticks(range(len(columns)), [name for _, _, name in columns])
    ax.set_yticks(range(len(goals)))
    ax.set_xlabel(parameter, color=INK)
    ax.tick_params(length=0, labelcolor=INK)
    ax.spines[:].set_visible(False)


def _cell(
    cells: pl.DataFrame, parameter: str, value: float, goal: tuple[str, float]
) -> dict[str, Any] | None:
    rows = cells.filter(
        pl.col("parameter") == parameter,
        pl.col("value") == value,
        pl.col("placement") == goal[0],
        pl.col("test_correlation") == goal[1],
    )
    return rows.row(0, named=True) if len(rows) else None


def _bounds(cell: dict[str, Any]) -> str:
    if cell["low"] is None:
        return ""
    return f"[{100 * cell['low']:.0f}, {100 * cell['high']:.0f}]"


def _triple(cells: pl.DataFrame, parameter: str, value: float, goal: tuple[str, float]) -> str:
    found = {
        measure: _cell(cells.filter(pl.col("measure") == measure), parameter, value, goal)
        for measure in MEASURES
    }
    if any(cell is None or cell["estimate"] is None for cell in found.values()):
        return "–"
    numbers = {m: 100 * cell["estimate"] for m, cell in found.items() if cell}
    bounds = _bounds(found["divergence"] or {"low": None})
    return (
        f"{numbers['capability']:.0f} / {numbers['goal']:.0f}\n"
        f"{numbers['divergence']:+.0f} {bounds}".rstrip()
    )
