"""Results compare by value where they hold NaN, and by identity where they hold arrays."""

from __future__ import annotations

import dataclasses
import math
import pkgutil
from importlib import import_module

import numpy as np
import pytest

import misgen.agents
import misgen.envs
import misgen.experiments
from misgen.envs.core.errors import UserError
from misgen.experiments.evaluation.statistics.intervals import Interval
from misgen.experiments.protocols.base import Point
from misgen.experiments.protocols.spec import Decision
from misgen.experiments.sweeps.watch import Seen
from misgen.experiments.training.by_value import ByValue

ARRAYS = ("NDArray", "ndarray", "DataFrame", "LevelBatch", "Series[")


def nan() -> float:
    """Return a NaN that is another object than `math.nan`."""
    return float(np.float64("nan"))


def dataclasses_of_the_project() -> list[type]:
    found: dict[str, type] = {}
    for folder in (misgen.envs, misgen.agents, misgen.experiments):
        for module in pkgutil.walk_packages(folder.__path__, folder.__name__ + "."):
            if not module.name.endswith(("__main__", ".course_lab")):  # the latter is a notebook
                for value in vars(import_module(module.name)).values():
                    if isinstance(value, type) and dataclasses.is_dataclass(value):
                        found[f"{value.__module__}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found) if name.startswith("misgen.")]


@pytest.mark.parametrize(
    ("result", "change"),
    [
        (Point(10, nan(), note="why"), {"note": "why not"}),
        (Point(10, 0.9), {"low": 0.8}),
        (Interval(0.5, nan(), nan(), note="one seed"), {"estimate": nan()}),
        (Seen("run", "training", 0.5, 10.0, nan()), {"success": 0.0}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nan_equals_nan(result, change):
    fields = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    again = {k: nan() if v != v else v for k, v in fields.items()}
    copy, other = type(result)(**again), dataclasses.replace(result, **change)
    assert copy == result
    assert (copy,) == (result,)
    assert len({copy, result, other}) == 2
    assert other != result
    assert result != tuple(fields.values())


def test_results_of_other_classes_differ():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Longer(Point):
        more: float = math.nan

    assert Longer(10, 0.9) != Point(10, 0.9)
    assert Longer(10, 0.9) == Longer(10, 0.9, more=nan())


def test_no_dataclass_compares_arrays():
    """A comparison of arrays is no truth value: it fails, but for the same object before 3.13."""
    comparing = {
        cls.__qualname__
        for cls in dataclasses_of_the_project()
        if cls.__eq__ is not object.__eq__ and not issubclass(cls, ByValue)
        for f in dataclasses.fields(cls)
        if f.compare and any(word in str(f.type) for word in ARRAYS)
    }
    assert comparing - {"Level", "LevelBatch"} == set()  # these say themselves what is equal


def test_no_default_is_nan_where_fields_are_compared_as_they_are():
    unequal = {
        cls.__qualname__
        for cls in dataclasses_of_the_project()
        if cls.__eq__ is not object.__eq__ and not issubclass(cls, ByValue)
        for f in dataclasses.fields(cls)
        if f.default != f.default
    }
    assert unequal == set()


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf])
def test_a_threshold_is_a_number(threshold):
    with pytest.raises(UserError, match=r"decision\.threshold=.* is out of range"):
        Decision(threshold=threshold)
