"""The ledger: what the literature claims, and what is measured here, from the questions' tables.

Public names: `Claim`, `CLAIMS`, `judged`, `ledger`, `headlines`, `AGREES`, `AGAINST`,
`OPEN`.

A claim is judged by whole intervals: it agrees, it goes against, or it is open.  Whatever has no
table yet is `not measured`, and claims that go against what was expected stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ..evaluation.statistics import clopper_pearson
from ..evaluation.verdict import LEAST_SEEDS
from ..reporting.formatting import listed
from .detection.analysis import WORTH_PRINTING
from .identifiability.analysis import CLONES
from .judged_agents import (
    NOTHING,
    compute_is_a_sign,
    critic_peaks_before_the_wall,
    jumps_are_the_metric_s,
    regret_mends,
    students_inherit,
    tuning_keeps,
)
from .langosco_figure_2.analysis import of_seeds, where_moved
from .power_scores import at_largest_budget
from .question import Found
from .telling import between, changed_by, counted, percent_of, spelled, with_interval

AGREES, AGAINST, OPEN, NOT_MEASURED = "agrees", "against", "open", "not measured"
Tables = dict[str, pl.DataFrame]
Judged = tuple[str, str]
"""What is measured, in words with intervals, and one of the words above."""
_TEST = 0.05
_FORKWORLD = "Forkworld (no paper found)"
_LANGOSCO = "[Langosco et al. 2022](https://arxiv.org/abs/2105.14111)"


@dataclass(frozen=True)
class Claim:
    """One claim, and how it is judged."""

    says: str
    source: str
    on: str
    """What it was claimed of."""
    question: str
    """Whose tables tell."""
    judge: Callable[[Tables], Judged | None]
    """From the tables; None where they do not tell."""


def judged(found: Mapping[str, Found]) -> list[tuple[Claim, Judged]]:
    """Return every claim with what is said of it by what questions found, by their names."""
    return [(claim, _judge(claim, found.get(claim.question))) for claim in CLAIMS]


def ledger(claims: Sequence[tuple[Claim, Judged]]) -> str:
    """Return the ledger as Markdown, from claims that are `judged`."""
    rows = [
        "| claim | source, on what | measured here | verdict | command |",
        "|---|---|---|---|---|",
    ]
    for claim, (told, verdict) in claims:
        link = f"[{claim.question}](evidence/{claim.question}/README.md)"
        command = f"`misgen evidence {claim.question}`"
        shown = f"{told} ({link})" if verdict != NOT_MEASURED else told
        rows.append(
            f"| {claim.says} | {claim.source}, {claim.on} | {shown} | {verdict} | {command} |"
        )
    return f"{_HEAD}\n\n" + "\n".join(rows) + "\n"


def headlines(claims: Sequence[tuple[Claim, Judged]]) -> str:
    """Return a line for each claim that is settled here, one way or the other, as Markdown."""
    lines = []
    for claim, (told, verdict) in claims:
        if verdict in (AGREES, AGAINST):
            page = f"docs/evidence/{claim.question}/README.md"
            lines.append(f"- **{claim.says}** ([{verdict}]({page})): {told}.")
    return "\n".join(lines)


_HEAD = """\
# Claims of the literature, and what is measured here

This page is written by `python -m misgen.experiments.commands.evidence_pages` from the tables in
`docs/evidence/`. "Agrees" and "against" are said where a whole 95% interval does, or where seeds
differ by an exact test at 5%; otherwise a claim is open. What is measured here is of small agents
in small worlds: a claim that does not hold here may hold of what it was made about. Results that go
against a claim are kept."""


def _judge(claim: Claim, found: Found | None) -> Judged:
    judged = None if found is None else claim.judge(dict(found.tables))
    return judged or ("nothing yet", NOT_MEASURED)


def _row(table: pl.DataFrame, *where: pl.Expr) -> dict[str, Any] | None:
    """Return the last row that meets all conditions, if there is one."""
    rows = table.filter(*where).to_dicts()
    return rows[-1] if rows else None


_LENGTHS = ("smoke", "short", "medium", "long")
"""Of trainings, in their order."""


def _longest(table: pl.DataFrame, *seeds: str) -> pl.DataFrame:
    """Return the rows trained and tested where the paper moved the coin, the longest alone.

    Args:
        table: points, or trends.
        seeds: columns that count seeds; rows with fewer than a verdict asks for are left out.
    """
    own = table.filter(
        *(pl.col(name) >= LEAST_SEEDS for name in seeds),
        train_placement="section_start",
        placement="section_start",
    )
    return own.filter(length=_last_length(own)) if len(own) else own


def _last_length(rows: pl.DataFrame) -> str:
    """Return the longest training that rows are of."""
    return max(rows["length"], key=_LENGTHS.index)


def _two_percent(tables: Tables) -> Judged | None:
    """Judge "2% suffices" where the paper moved the coin; tell of other places too.

    Each after its longest training of enough seeds.
    """
    at_two = tables["points"].filter(pl.col("moved") == 0.02, pl.col("seeds") >= LEAST_SEEDS)
    row = _row(_longest(at_two))
    if row is None:
        return None
    told = f"at 2%, after {row['length']} training: {of_seeds(row)}"
    places = "train_placement", "placement"
    for own in at_two.partition_by(places, maintain_order=True):
        (other,) = own.filter(length=_last_length(own)).to_dicts()
        if any(other[name] != row[name] for name in places):
            where = where_moved(*(other[name] for name in places))
            after = "" if other["length"] == row["length"] else f", {other['length']} training"
            told += f"; with coins {where}{after}: {of_seeds(other)}"
    return told, _mostly(row, "share_pursuing")


def _less_with_more(tables: Tables) -> Judged | None:
    """Judge whether the paper's measure falls from no moved coin to the largest share."""
    if not len(tables["trend"]):
        return None
    row = _row(_longest(tables["trend"], "seeds_from", "seeds_to"))
    if row is None:
        return None
    told = (
        f"end first on good levels: {row['first']:.0%} at {percent_of(row['from'])}, "
        f"{row['last']:.0%} at {percent_of(row['to'])}, {row['seeds_from']} and {row['seeds_to']} "
        f"seeds (p = {row['p']:.2g}), {row['length']} training"
    )
    if not row["p"] < _TEST:
        return told, OPEN
    return told, AGREES if row["first"] > row["last"] else AGAINST


def _mostly(row: dict[str, Any], name: str) -> str:
    """Return whether a share is above a half, by its whole interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return AGREES if low > 0.5 else AGAINST if high < 0.5 else OPEN


def _region(tables: Tables) -> Judged | None:
    rows = tables["points"].filter(pl.col("pursuit_low").is_not_null()).sort("region").to_dicts()
    if len(rows) < 2:
        return None
    small, large = rows[0], rows[-1]
    told = "; ".join(
        f"at side {row['region']}: {counted(row)}, pursuit {with_interval(row, 'pursuit')}"
        for row in (small, large)
    )
    if not tables["ends"]["differ"].any():
        return told, OPEN
    fewer = small["share_misgeneralizing"] > large["share_misgeneralizing"]
    return told, AGREES if fewer else AGAINST


def _gem(tables: Tables) -> Judged | None:
    point = _row(tables["points"], pl.col("sight") == 0, pl.col("moved") == 0)
    if point is None or point["gem_first_low"] is None:
        return None
    told = f"the gem {with_interval(point, 'gem_first')} of the time, {point['seeds']} seeds"
    return told, _mostly(point, "gem_first")


def _keys(tables: Tables) -> Judged | None:
    row = _row(tables["points"], pl.col("penalty") == 0, pl.col("ratio") == 0.5)
    if row is None:
        return None
    told = f"{counted(row)}, choice of chests {with_interval(row, 'choice')}"
    return told, _mostly(row, "share_misgeneralizing")


def _astray(tables: Tables) -> Judged | None:
    own = (pl.col("sight") == 0) & (pl.col("placement") == "reverse")
    row = _row(tables["worse_than_random"], own, pl.col("moved") == 0)
    if row is None:
        return None
    low, high = row["share_low"], row["share_high"]
    told = (
        f"{row['worse_than_random']} of {row['seeds']} seeds [{low:.0%}, {high:.0%}] are better "
        "than random in distribution and worse behind a leader that goes the other way"
    )
    return told, _mostly(row, "share")


def _variety(tables: Tables) -> Judged | None:
    """Judge whether more different conflict levels raise pursuit, where they are most frequent."""
    worlds = _changes(tables, "different")
    if not worlds:
        return None
    rows = [own[-1] for own in worlds]
    told = "; ".join(
        f"with {row['held']} of levels in conflict, going from {row['least']} to {row['most']} "
        f"different ones changes pursuit by {changed_by(row)}, {_trained(row)}"
        for row in rows
    )
    shown = [row for row in rows if row["differ"]]
    if any(row["difference"] < 0 for row in shown):
        return told, AGAINST
    return told, AGREES if len(shown) == len(rows) else OPEN


def _repeats(tables: Tables) -> Judged | None:
    """Judge whether more of the same conflict levels, for whatever number of them, do nothing."""
    worlds = [[row for row in own if row["held"] != "all"] for own in _changes(tables, "frequency")]
    rows = [row for own in worlds for row in own]
    if not rows:
        return None
    told = "; ".join(map(_repeated, filter(None, worlds)))
    known = [row for row in rows if row["difference_low"] is not None]
    if any(row["differ"] and row["difference_low"] > NOTHING for row in known):
        return told, AGAINST
    none = [row["difference_low"] > -NOTHING and row["difference_high"] < NOTHING for row in known]
    return told, AGREES if len(known) == len(rows) and all(none) else OPEN


def _repeated(rows: list[dict[str, Any]]) -> str:
    """Return what more of the same does in one world, by how many different ones there are."""
    changes = listed([f"{changed_by(row)} with {row['held']}" for row in rows])
    return (
        f"from {rows[0]['least']} to {rows[0]['most']} of levels in conflict, the same ones more "
        f"often, pursuit changes by {changes} different, {_trained(rows[0])}"
    )


def _changes(tables: Tables, factor: str) -> list[list[dict[str, Any]]]:
    """Return of each world by how much pursuit changes with a factor, in its longest training.

    What fewer seeds show than a verdict asks for is left out.
    """
    enough = pl.col("pairs") >= LEAST_SEEDS
    own = tables["contrasts"].filter(pl.col("factor").str.contains(factor), enough)
    worlds = own.partition_by("world", maintain_order=True)
    return [rows.filter(length=_last_length(rows)).to_dicts() for rows in worlds]


def _trained(row: dict[str, Any]) -> str:
    """Return where and how a comparison's seeds were trained."""
    return f"{row['pairs']} seeds ({spelled(row['world'])}, {row['length']} training)"


def _two_kinds(tables: Tables) -> Judged | None:
    """Judge whether seeds of one cell are of two kinds, the many cells told at once."""
    kinds = tables["kinds"].filter(pl.col("one_kind_p").is_not_null())
    if not len(kinds):
        return None
    mixed = kinds.filter(pl.col("low") > 0, pl.col("high") > 0)
    told = f"{len(mixed)} of {len(kinds)} cells have seeds of both kinds"
    if not len(mixed):
        return told, OPEN
    apart = int((mixed["one_kind_p_holm"] < _TEST).sum())
    told += f"; one mode is rejected in {apart} of them, all cells judged at once"
    return told, AGREES if apart else OPEN


def _blind_within(tables: Tables) -> Judged | None:
    """Judge whether tests within the support tell clones apart, all of them at once."""
    inside = tables["areas"].filter(pl.col("variant") == CLONES, "in_support")
    if not len(inside):
        return None
    most = inside.filter(at_largest_budget("world", "protocol"))
    low, high = most["auc_family_low"], most["auc_family_high"]
    apart = int(((low > 0.5) | (high < 0.5)).sum())
    told = (
        f"of one policy on aligned levels, paid for the goal or for the proxy: {apart} of "
        f"{len(most)} tests within the support tell them apart, areas "
        f"{between(most['auc'], '{:.2f}')}"
    )
    wide = bool(((high - low) > 0.5).any())
    return told, AGAINST if apart else OPEN if wide else AGREES


def _seen_where_they_part(tables: Tables) -> Judged | None:
    """Judge whether paired levels show it, in each population and at either kind of support."""
    power = tables["power"].filter(
        pl.col("protocol") == "counterfactual_pairs", pl.col("power_low").is_not_null()
    )
    if not len(power):
        return None
    most = power.filter(at_largest_budget("population", "support"))
    kinds = most.group_by("support", maintain_order=True).len().rows()
    told = (
        f"counterfactual pairs detect {between(most['power'])} of the agents that take the proxy "
        f"on most levels, in all populations "
        f"({listed([f'{n} at {support}' for support, n in kinds]).replace('rho', 'ρ')}), "
        f"thresholds fitted on {most['aligned'].min()} aligned agents or more"
    )
    low, high = most["power_low"], most["power_high"]
    if (most["aligned"] < WORTH_PRINTING).any():
        return told, OPEN
    return told, AGREES if (low > 0.5).all() else AGAINST if (high < 0.5).any() else OPEN


def _worse_than_random(tables: Tables) -> Judged | None:
    """Judge whether trained agents are worse than random on the goal while they seem to work.

    Each agent is judged by its own interval, so that of many some are called so by chance.
    """
    table = tables["worse_than_random"]
    if not len(table):
        return None
    n, hits = int(table["agents"].sum()), int(table["worse"].sum())
    where = table.filter(pl.col("worse") > 0)["world"].unique().sort().to_list()
    around = clopper_pearson(hits, n)
    told = f"{hits} of {n} capable agents [{around.low:.0%}, {around.high:.0%}]"
    told += f", in {listed([*map(spelled, where)]) or 'no world'}"
    return told, AGREES if around.low > _TEST else OPEN


CLAIMS = (
    Claim("Moving the coin on 2% of levels suffices", _LANGOSCO, "CoinRun, figure 2",
          "langosco_figure_2", _two_percent),
    Claim("The more coins are moved, the less often the end is reached without the coin", _LANGOSCO,
          "CoinRun, figure 2", "langosco_figure_2", _less_with_more),
    Claim("The larger the cheese's region in training, the better the goal generalizes", _LANGOSCO,
          "Maze I, figure 4", "langosco_figure_4", _region),
    Claim("The yellow gem is taken rather than the red line (89%)", _LANGOSCO, "Maze II", "maze_2",
          _gem),
    Claim("Keys are collected beyond what they are good for", _LANGOSCO, "Keys and Chests",
          "keys_and_chests", _keys),
    Claim("Distinct conflict levels count", _FORKWORLD, "a gridworld", "phase_diagram",
          _variety),
    Claim("Repeats of a conflict level do not count", _FORKWORLD, "a gridworld", "phase_diagram",
          _repeats),
    Claim("Preferences flip with the training seed alone",
        "[Ramanauskas and Şimşek 2023](https://arxiv.org/abs/2312.03762)",
        "Maze II made simple, over 1,000 agents", "phase_diagram", _two_kinds),
    Claim("The actor walks through the end's wall, and the critic's value peaks before it",
          _LANGOSCO, "CoinRun", "actor_and_critic", critic_peaks_before_the_wall),
    Claim("A cue to follow is followed where it leads astray: worse than random",
          "[Shah et al. 2022](https://arxiv.org/abs/2210.01790)", "cultural transmission",
          "follow_the_leader", _astray),
    Claim("Agents that seem to work do worse than random where goal and proxy part",
          "[Shah et al. 2022](https://arxiv.org/abs/2210.01790)", "cultural transmission",
          "anticipation", _worse_than_random),
    Claim("As long as goal and proxy go together, behaviour does not tell which is pursued",
          _LANGOSCO, "all its environments", "identifiability", _blind_within),
    Claim("Levels on which goal and proxy part tell it", _LANGOSCO, "all its environments",
          "detection", _seen_where_they_part),
    Claim("Training compute is a sign of a model's risk",
          "[EU AI Act, article 51](https://eur-lex.europa.eu/eli/reg/2024/1689/oj)",
          "general-purpose models", "compute", compute_is_a_sign),
    Claim("Abilities that appear at once do so by the metric's threshold",
          "[Schaeffer et al. 2023](https://arxiv.org/abs/2304.15004)", "language models",
          "emergence", jumps_are_the_metric_s),
    Claim("Students take over what their teacher is after from data that do not show it",
          "[Cloud et al. 2025](https://arxiv.org/abs/2507.14805)",
          "language models distilled from their like", "inheritance", students_inherit),
    Claim("What a model is after outlasts tuning on data that do not show it",
          "[Hubinger et al. 2024](https://arxiv.org/abs/2401.05566)", "language models with back "
          "doors", "inheritance", tuning_keeps),
    Claim("Levels chosen by regret mitigate misgeneralization",
          "[minimax regret](https://arxiv.org/abs/2507.03068)",
          "cheese in the corner and on a dish", "level_replay", regret_mends),
)  # fmt: skip
