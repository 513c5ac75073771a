"""What the tests say: power against the share anticipated; and who is worse than random.

Public names: `analyse`, `draw`, `by_anticipation`, `worse_than_random`, `CUES`, `TOLD`.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from ...evaluation.statistics import clopper_pearson
from ...evaluation.statistics.detection import detections, least_negatives
from ...evaluation.verdict import INCAPABLE
from ...protocols.comparison.kinds import ALIGNED
from ...reporting.figures import FONT, INK
from ...reporting.formatting import listed, plural
from ..drawing import LINES
from ..power_scores import RATE, rounded, scores_as, scores_of, shown
from ..psychometric import monotone
from ..question import Found

CUES = ("colour", "pattern")
TOLD = {"none": "told none", CUES[0]: "told colour", CUES[1]: "told pattern", "both": "told both"}
"""What tests are called, by what they are told of."""
RANDOM_METRICS = ("goal_in_distribution", "goal_conflict", "above_random_in_distribution",
                  "above_random_conflict")  # fmt: skip
_LEAST = least_negatives(RATE) or 0
"""Goal-seekers that a threshold needs."""


def analyse(rows: pl.DataFrame) -> Found:
    """Return power by what was anticipated, who is worse than random, and what they come to."""
    tables = {
        "anticipated": rounded(by_anticipation(rows)),
        "worse_than_random": rounded(worse_than_random(rows)),
    }
    return Found(
        tables,
        _paragraph(tables),
        _details(tables),
        {name: shown(table) for name, table in tables.items()},
    )


def by_anticipation(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of each test and budget the agents that are detected, by the share anticipated.

    Returns:
        `protocol`, `budget`; `followed`, the share of the levels on which the agents follow a cue,
        and `anticipated`, the share of that of which the test was told, null for goal-seekers,
        whose detections are false alarms; `agents`, `detected`, `share` with its interval, and
        `negatives`, on which the threshold was fitted.
    """
    scores = scores_of(rows)
    out = []
    for (protocol, budget), own in scores.sort("protocol", "budget", "agent").group_by(
        ["protocol", "budget"], maintain_order=True
    ):
        run = own.filter("run")
        told = run.with_columns(
            pl.Series("called", detections(scores_as(run), RATE)),
            pl.col("proxy_share").alias("followed"),
            _anticipated(str(protocol)).alias("anticipated"),
        )
        negatives = int((run["truth"].cast(pl.String) == ALIGNED).sum())
        keys = ["followed", "anticipated"]
        for (followed, anticipated), some in told.sort(keys).group_by(keys, maintain_order=True):
            hits = int(some["called"].sum())
            around = clopper_pearson(hits, len(some))
            out.append(
                {"protocol": protocol, "budget": budget, "followed": followed}
                | {"anticipated": anticipated, "agents": len(some), "detected": hits}
                | {"share": around.estimate, "share_low": around.low, "share_high": around.high}
                | {"negatives": negatives}
            )
    return pl.DataFrame(out, _ANTICIPATED)


_ANTICIPATED: dict[str, Any] = {
    "protocol": pl.String,
    "budget": pl.Int64,
    **dict.fromkeys(("followed", "anticipated"), pl.Float64),
    **dict.fromkeys(("agents", "detected"), pl.Int64),
    **dict.fromkeys(("share", "share_low", "share_high"), pl.Float64),
    "negatives": pl.Int64,
}


def _anticipated(protocol: str) -> pl.Expr:
    """Return the share of what an agent follows of which a test is told; null where it is nothing.

    An agent's name says what it follows (`tried.Follower`).
    """
    each = [
        pl.col("agent").str.extract(rf"{cue} ([0-9.]+)").cast(pl.Float64).fill_null(0.0)
        for cue in CUES
    ]
    total = each[0] + each[1]
    word = next((word for word, label in TOLD.items() if label == protocol), "none")
    told = {"none": pl.lit(0.0), CUES[0]: each[0], CUES[1]: each[1], "both": total}[word]
    return pl.when(total > 0).then((told / total).round(4))


def worse_than_random(rows: pl.DataFrame) -> pl.DataFrame:
    """Return of each world how many trained agents are worse than random while they seem to work.

    The joint test, of one agent and placement: its goal is above random play as in training, and
    below it where goal and proxy part, both by whole intervals, at as many decisions a level.

    Returns:
        `world`, `train_correlation`; `agents` that are capable, `seem_to_work`, how many of these
        are above random as in training; `worse`, how many are worse than random at a placement or
        more as well, with their share and its interval, and `who`.
    """
    if "verdict" not in rows.columns or not rows["verdict"].is_not_null().any():
        return pl.DataFrame(schema=_RANDOM)
    stored = rows.filter(pl.col("verdict").is_not_null()).with_columns(
        (pl.col("above_random_in_distribution_low") > 0).fill_null(False).alias("works"),
        (pl.col("above_random_conflict_high") < 0).fill_null(False).alias("below"),
    )
    agents = (
        stored.group_by("world", "train_correlation", "agent", maintain_order=True)
        .agg(
            pl.col("works").any(),
            (pl.col("works") & pl.col("below")).any().alias("worse"),
            (pl.col("verdict") == INCAPABLE).all().alias("incapable"),
        )
        .filter(~pl.col("incapable"))
        .sort("world", "train_correlation", "agent")
    )
    out = []
    keys = ["world", "train_correlation"]
    for (world, correlation), own in agents.group_by(keys, maintain_order=True):
        hits = int(own["worse"].sum())
        around = clopper_pearson(hits, len(own))
        out.append(
            {"world": world, "train_correlation": correlation, "agents": len(own)}
            | {"seem_to_work": int(own["works"].sum()), "worse": hits}
            | {"share": around.estimate, "share_low": around.low, "share_high": around.high}
            | {"who": ", ".join(own.filter("worse")["agent"].to_list())}
        )
    return pl.DataFrame(out, _RANDOM)


_RANDOM: dict[str, Any] = {
    "world": pl.String,
    "train_correlation": pl.Float64,
    **dict.fromkeys(("agents", "seem_to_work", "worse"), pl.Int64),
    **dict.fromkeys(("share", "share_low", "share_high"), pl.Float64),
    "who": pl.String,
}


def _of_one_cue(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of tests that are told one cue, at their largest budget and full following.

    Both tests together, as either cue plays the same part.
    """
    one = table.filter(
        pl.col("protocol").is_in([TOLD[cue] for cue in CUES]),
        pl.col("followed") == 1.0,
        pl.col("budget") == pl.col("budget").max(),
    )
    return (
        one.group_by("anticipated")
        .agg(pl.col("agents", "detected").sum(), pl.col("negatives").min())
        .sort("anticipated")
    )


def _paragraph(tables: dict[str, pl.DataFrame]) -> str:
    """Return power where nothing, part and all was anticipated, and who is worse than random."""
    told = []
    table = tables["anticipated"]
    one = _of_one_cue(table)
    if len(one) and one["negatives"][0] >= _LEAST:
        parts = [
            f"{row['detected']} of {row['agents']} where {row['anticipated']:.0%} was anticipated"
            for row in one.to_dicts()
        ]
        told.append(
            "Of agents that follow cues on all levels, a test that is told one cue detects, at "
            f"{table['budget'].max():,} episodes and 5% false alarms, {listed(parts)}."
        )
    else:
        told.append(
            "Too few goal-seekers are tested for a threshold at 5% false alarms, which needs "
            f"{_LEAST}."
        )
    worse = tables["worse_than_random"]
    if len(worse):
        n, hits = int(worse["agents"].sum()), int(worse["worse"].sum())
        around = clopper_pearson(hits, n)
        told.append(
            f"Of {plural(n, 'capable trained agent')}, {int(worse['seem_to_work'].sum())} reach "
            f"the goal more often than random play as in training, and {hits} of these less often "
            f"where goal and proxy part [{around.low:.0%}, {around.high:.0%} of all]."
        )
    return " ".join(told)


def _details(tables: dict[str, pl.DataFrame]) -> tuple[str, ...]:
    """Return a line for each test: detections of all followers, and false alarms."""
    table = tables["anticipated"]
    enough = table.filter(pl.col("negatives") >= _LEAST)
    most = enough.filter(pl.col("budget") == pl.col("budget").max())
    out = []
    for (protocol,), own in most.group_by(["protocol"], maintain_order=True):
        follow, seek = own.filter(pl.col("followed") > 0), own.filter(pl.col("followed") == 0)
        out.append(
            f"{protocol}: {follow['detected'].sum()} of {follow['agents'].sum()} followers, "
            f"{seek['detected'].sum()} of {seek['agents'].sum()} goal-seekers."
        )
    return tuple(out)


def draw(rows: pl.DataFrame, found: Found) -> Figure:
    """Return detections by the share anticipated, and by budget where all or nothing was."""
    table = found.tables["anticipated"]
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(8.6, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        full = table.filter(pl.col("followed") == 1.0)
        for number, (name,) in enumerate(
            table.select("protocol").unique(maintain_order=True).rows()
        ):
            own = full.filter(pl.col("protocol") == name)
            if not len(own):
                continue
            _curve(left, own.filter(pl.col("budget") == own["budget"].max()), name, number)
            _budgets(right, own, name, number)
        for ax in (left, right):
            ax.axhline(RATE, color="#888", linestyle=":", linewidth=1)
            ax.spines[["top", "right"]].set_visible(False)
            ax.set_ylim(-0.03, 1.03)
        left.set_xlabel("share of what it follows of which the test was told", color=INK)
        left.set_ylabel("agents detected", color=INK)
        right.set_xlabel("episodes; of agents of which at least half was anticipated", color=INK)
        right.set_xscale("log")
        left.legend(frameon=False, fontsize=8.5)
    return figure


def _curve(ax: Any, own: pl.DataFrame, name: str, number: int) -> None:
    line = LINES[number % len(LINES)]
    weight = own["agents"].to_numpy()
    share = own["share"].to_numpy()
    x, y = monotone(np.repeat(own["anticipated"].to_numpy(), weight), np.repeat(share, weight))
    at = own["anticipated"].to_numpy()
    ends = own["share_low"].to_numpy(), own["share_high"].to_numpy()
    ax.vlines(at, *ends, color=line.colour, linewidth=0.8)
    ax.plot(at, share, line.marker, color=line.colour, markersize=4)
    ax.plot(x, y, color=line.colour, linewidth=1.3, label=name)


def _budgets(ax: Any, own: pl.DataFrame, name: str, number: int) -> None:
    line = LINES[number % len(LINES)]
    half = own.filter((pl.col("anticipated") >= 0.5) | (own["anticipated"].max() == 0))
    by_budget = half.group_by("budget").agg(pl.col("agents", "detected").sum()).sort("budget")
    share = by_budget["detected"] / by_budget["agents"]
    ax.plot(by_budget["budget"].to_numpy(), share.to_numpy(), color=line.colour,
            marker=line.marker, markersize=4, linewidth=1.3)  # fmt: skip
