"""Which of several proxies an agent follows: the table, and what is printed of it."""

import polars as pl
import pytest

from misgen.experiments.evaluation.metrics import KEYS, proxy_table
from misgen.experiments.reporting.evaluation_summary import proxy_rows

NAMES = ("colour", "pattern", "sound")


def episodes(proxies: list[int], first: list[int] | None = None, **labels: object) -> pl.DataFrame:
    """Return episodes that reached these proxies (bit i: proxy i), some of them before the goal."""
    first = first or [0] * len(proxies)
    keys = {
        "train_correlation": 1.0,
        "train_placement": "each",
        "train_on_proxy": "continue",
        "role": "agent",
        "agent": "ppo",
        "actions": "sampled",
        "placement": "each",
        "test_correlation": 0.0,
        "on_proxy": "continue",
        "condition": "conflict",
        **labels,
    }
    columns = {
        "proxies": pl.Series(proxies, dtype=pl.UInt8),
        "first_proxies": pl.Series(first, dtype=pl.UInt8),
        "first": ["proxy" if bits else "neither" for bits in first],
    }
    return pl.DataFrame(columns).with_columns(
        pl.lit(value).alias(name) for name, value in keys.items()
    )


FRAME = pl.concat(
    [
        episodes([0, 1, 3, 2], first=[0, 1, 2, 0]),
        episodes([4, 4], placement="pattern"),
        episodes([7, 0], condition="in_distribution"),
        episodes([2, 2], agent="random", role="floor"),
    ]
)


def test_each_bit_is_a_proxy():
    table = proxy_table(FRAME, NAMES)
    assert set(KEYS) < set(table.columns)
    found = {
        (row["agent"], row["placement"], row["condition"], row["proxy"]): (
            row["episodes"],
            row["share"],
            row["first"],
        )
        for row in table.iter_rows(named=True)
    }
    conflict = [found["ppo", "each", "conflict", name] for name in NAMES]
    assert conflict == [(4, 0.5, 0.25), (4, 0.5, 0.25), (4, 0.0, 0.0)]
    assert [found["ppo", "pattern", "conflict", name][1] for name in NAMES] == [0, 0, 1]
    assert [found["ppo", "each", "in_distribution", name][1] for name in NAMES] == [0.5, 0.5, 0.5]
    assert not [key for key in found if key[0] == "random"], "the floor is no agent"


def test_rows_of_the_printed_summary():
    table = proxy_table(FRAME, NAMES).to_dicts()
    assert proxy_rows(table, [("pattern", "sampled"), ("each", "sampled")]) == [
        ("reached, conflict", []),
        (" colour", ["0", "50"]),
        (" pattern", ["0", "50"]),
        (" sound", ["100", "0"]),
    ]


@pytest.mark.parametrize("names", [(), ("corner",)])
def test_a_single_proxy_needs_no_rows(names):
    table = proxy_table(FRAME, names).to_dicts() if names else []
    assert proxy_rows(table, [("each", "sampled")]) == []
