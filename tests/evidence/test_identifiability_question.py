"""The analysis of `identifiability`: the null holds for clones, and fails where it must."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from misgen.experiments.evidence.identifiability import analysis
from misgen.experiments.evidence.identifiability.analysis import AS_TRAINED, CLONES, PARTED
from tests.evidence.trials import is_blind, sees, table_of, trial

INSIDE, OUTSIDE = ("iid", "red_team_in"), "pairs"


def rows_of(variant, inside, seed=0, agents=30):
    """Return agents of both ends and between, tried within the support and outside."""
    rng = np.random.default_rng(seed)
    shares = [*[0.0] * agents, *[1.0] * agents, 0.25, 0.5, 0.75]
    tests = dict.fromkeys(INSIDE, inside) | {OUTSIDE: sees}
    return [
        trial(f"{variant} {n}", share, name, score(rng, share), variant=variant,
              in_support=name != OUTSIDE)
        for n, share in enumerate(shares)
        for name, score in tests.items()
    ]  # fmt: skip


def test_of_clones_no_test_within_the_support_tells_them_apart_and_outside_all_do():
    found = analysis.analyse(table_of(rows_of(CLONES, is_blind), variant=pl.String))
    areas = {row["protocol"]: row for row in found.tables["areas"].to_dicts()}
    for name in INSIDE:
        assert areas[name]["auc_family_low"] < 0.5 < areas[name]["auc_family_high"]
        assert areas[name]["auc_family_low"] <= areas[name]["auc_low"]
    assert areas[OUTSIDE]["auc"] == 1.0
    assert "Of clones at ρ = 1, 0 of 2 tests tell the two apart" in found.paragraph
    assert (areas["iid"]["goal"], areas["iid"]["proxy"]) == (30, 30), (
        "agents between count for none"
    )


@pytest.mark.parametrize("variant", [AS_TRAINED, PARTED])
def test_the_null_fails_where_agents_differ_within_the_support(variant):
    def slightly(rng, share):
        return 1.5 * share + rng.normal()

    found = analysis.analyse(table_of(rows_of(variant, slightly), variant=pl.String))
    assert "2 of 2 tests tell the two apart" in found.paragraph
    (line,) = found.details
    assert "(mean scores 0." in line, "what is seen is how often they fail"
    assert "Of clones at ρ = 1" not in found.paragraph


def test_of_clones_the_null_is_rejected_as_rarely_as_it_says():
    """The interval for all tests at once misses one half in about 5% of studies."""
    missed = 0
    for seed in range(10):
        table = analysis.areas(table_of(rows_of(CLONES, is_blind, seed, 15), variant=pl.String))
        inside = table.filter("in_support")
        apart = (inside["auc_family_low"] > 0.5) | (inside["auc_family_high"] < 0.5)
        missed += bool(apart.any())
    assert missed <= 3


def test_variants_and_worlds_have_a_panel_each():
    rows = table_of([*rows_of(CLONES, is_blind), *rows_of(PARTED, sees)], variant=pl.String)
    figure = analysis.draw(rows, analysis.analyse(rows))
    assert [ax.get_title() for ax in figure.axes] == ["w, clones", "w, clones at 0.9"]
