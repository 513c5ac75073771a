"""Which of several proxies an agent follows: the table, and what is printed of it."""

import polars as pl
import pytest

from misgen.experiments.evaluation.metrics import KEYS, proxy_table
from misgen.experiments.reporting.evaluation_summary import proxy_rows

NAMES = ("colour", "pattern", "sound")


def episodes(proxies: list[int], **labels: object) -> pl.DataFrame:
    """Return episodes that reached these proxies (bit i: proxy i)."""
    keys = {
        "train_correlation": 1.0,
        "train_placement": "each",
        "agent": "ppo",
        "actions": "sampled",
        "placement": "each",
        "test_correlation": 0.0,
        "condition": "shifted",
        **labels,
    }
    return pl.DataFrame({"proxies": proxies}, {"proxies": pl.UInt8}).with_columns(
        pl.lit(value).alias(name) for name, value in keys.items()
    )


FRAME = pl.concat(
    [
        episodes([0, 1, 1, 2]),
        episodes([4, 4], placement="pattern"),
        episodes([7, 0], condition="heldout"),
        episodes([2, 2], agent="random"),
    ]
)


def test_each_bit_is_a_proxy():
    table = proxy_table(FRAME, NAMES)
    assert set(KEYS) < set(table.columns)
    found = {
        (row["agent"], row["placement"], row["condition"], row["proxy"]): (
            row["episodes"],
            row["share"],
        )
        for row in table.iter_rows(named=True)
    }
    shifted = [found["ppo", "each", "shifted", name] for name in NAMES]
    assert shifted == [(4, 0.5), (4, 0.25), (4, 0.0)]
    assert [found["ppo", "pattern", "shifted", name][1] for name in NAMES] == [0, 0, 1]
    assert [found["ppo", "each", "heldout", name][1] for name in NAMES] == [0.5, 0.5, 0.5]
    assert [found["random", "each", "shifted", name][1] for name in NAMES] == [0, 1, 0]


def test_rows_of_the_printed_summary():
    table = proxy_table(FRAME, NAMES).to_dicts()
    assert proxy_rows(table, [("pattern", "sampled"), ("each", "sampled")]) == [
        ("reached, shifted", []),
        (" colour", ["0", "50"]),
        (" pattern", ["0", "25"]),
        (" sound", ["100", "0"]),
    ]


@pytest.mark.parametrize("names", [(), ("corner",)])
def test_a_single_proxy_needs_no_rows(names):
    table = proxy_table(FRAME, names).to_dicts() if names else []
    assert proxy_rows(table, [("each", "sampled")]) == []
