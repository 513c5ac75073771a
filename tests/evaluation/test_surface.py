"""Capability shifts crossed with goal shifts."""

import json

import polars as pl
import pytest

from misgen.envs.core.errors import UserError
from misgen.envs.make import distribution
from misgen.experiments.commands.cli import main
from misgen.experiments.evaluation.config import ShiftConfig
from misgen.experiments.evaluation.result_folders import SURFACE as SURFACES
from misgen.experiments.evaluation.result_folders import kept
from misgen.experiments.evaluation.surface import (
    AS_TRAINED,
    EPISODES,
    MEASURES,
    SURFACE,
    crossings,
    surface_seeds,
    surface_table,
)

LEVELS = distribution("coinrun", mode="easy", start_level=2_000_000, num_levels=8)


def shift(**changes):
    settings = {
        "placements": ("section_start", "anywhere"),
        "correlations": (1.0, 0.0),
        "capability": {"gravity": [0.8, 1.0], "sections": [2]},
    } | changes
    return ShiftConfig(parameters=tuple(settings["capability"]), **settings)


def test_every_parameter_is_crossed_with_every_goal_shift_once():
    found = [
        (one.parameter, one.value, one.levels.correlation, one.levels.placement)
        for one in crossings(LEVELS, shift())
    ]
    goals = [(1.0, "section_start"), (0.0, "section_start"), (0.0, "anywhere")]
    changes = [(AS_TRAINED, 0.0), ("gravity", 0.8), ("sections", 2)]  # gravity 1 is the training's
    assert found == [(*change, *goal) for change in changes for goal in goals]


def test_one_parameter_is_changed_at_a_time():
    for one in crossings(LEVELS, shift()):
        world = one.levels.world
        for name in world.capability:
            as_trained = getattr(LEVELS.world, name)
            assert getattr(world, name) == (one.value if name == one.parameter else as_trained)


@pytest.mark.parametrize(
    ("capability", "message"),
    [
        ({"gravty": [1.2]}, "did you mean 'gravity'?"),
        ({"gravity": [9.0]}, "env.gravity=9.0 is out of range"),
        ({"sections": [2.5]}, "shift.capability.sections=2.5 must be a whole number"),
    ],
)
def test_impossible_shifts_are_named(capability, message):
    with pytest.raises(UserError) as error:
        list(crossings(LEVELS, shift(capability=capability)))
    assert message in str(error.value)


def test_a_parameter_without_values_is_refused():
    with pytest.raises(UserError, match=r"shift\.capability\.gravity no value"):
        shift(capability={"gravity": []})


def episodes(outcomes, parameter=AS_TRAINED, correlation=1.0, seed=0):
    return pl.DataFrame(
        {
            "train_correlation": 1.0,
            "train_seed": seed,
            "parameter": parameter,
            "value": 0.0 if parameter == AS_TRAINED else 0.8,
            "placement": "anywhere",
            "test_correlation": correlation,
            "level_id": range(len(outcomes)),
            "outcome": [{"G": "GOAL", "P": "PROXY", "D": "DEATH"}[o] for o in outcomes],
            "reached_goal": [o == "G" for o in outcomes],
            "goal_fraction": [float(o == "G") for o in outcomes],
            "proxy_fraction": [float(o == "P") for o in outcomes],
            "first": [{"G": "goal", "P": "proxy"}.get(o, "neither") for o in outcomes],
            "cell_first": False,
            "aligned": correlation == 1,
        }
    )


def test_measures_of_hand_made_episodes():
    """On a part of the levels alone, the divergence compares with those levels as trained."""
    table = surface_table(
        pl.concat(
            [
                episodes("GGGGGGGGDD"),
                episodes("GGPPPPPPDD", correlation=0.0),
                episodes("GGPPDDDD", "gravity", correlation=0.0),
            ]
        )
    )
    found = {
        (row["parameter"], row["test_correlation"], row["measure"]): row
        for row in table.iter_rows(named=True)
    }
    assert len(found) == 3 * len(MEASURES)

    def estimates(*key):
        return [round(found[(*key, measure)]["estimate"], 9) for measure in MEASURES]

    assert estimates(AS_TRAINED, 1.0) == [0.8, 0.8, 0.0]
    assert estimates(AS_TRAINED, 0.0) == [0.8, 0.2, 0.6]
    assert estimates("gravity", 0.0) == [0.5, 0.25, 0.25]
    assert found["gravity", 0.0, "goal"]["n_levels"] == 8
    for row in found.values():
        assert row["low"] <= row["estimate"] <= row["high"]


def test_each_seed_has_its_interval_and_few_seeds_have_none_together():
    frames = [
        episodes(outcomes * 4, correlation=correlation, seed=seed)
        for seed, conflict in ((1, "GGGGG"), (4, "PPPPP"))
        for correlation, outcomes in ((1.0, "GGGGG"), (0.0, conflict))
    ]
    conflict = {"test_correlation": 0.0, "measure": "divergence"}
    each = surface_seeds(pl.concat(frames)).filter(**conflict).sort("train_seed")
    assert each.select("train_seed", "estimate").rows() == [(1, 0.0), (4, 1.0)]
    assert each["low"].null_count() == 0
    assert -1 <= each["low"].min() <= each["high"].max() <= 1  # pyright: ignore
    row = surface_table(pl.concat(frames)).filter(**conflict).row(0, named=True)
    assert (row["estimate"], row["n_seeds"], row["n_levels"]) == (0.5, 2, 20)


def test_aligned_levels_are_played_whatever_correlations_are_asked_for():
    found = list(crossings(LEVELS, shift(correlations=(0.0,), placements=("anywhere",))))
    assert [(one.parameter, one.levels.correlation) for one in found[:2]] == [
        (AS_TRAINED, 1.0), (AS_TRAINED, 0.0),
    ]  # fmt: skip
    assert all(one.levels.correlation == 0 for one in found[1:])


def test_the_command_on_a_sweep(tmp_path, capsys):
    """Trains two tiny agents, crosses two shifts, and writes numbers and pictures."""
    tiny = ["agent.total_steps=4096", "agent.num_envs=32", "agent.num_steps=32"]
    where = [f"runs={tmp_path}", "name=tiny", "levels.test=2000000:2000012"]
    for seed in (0, 1):
        assert main(["train", "preset=smoke", f"seed={seed}", *tiny, *where]) == 0
    varied = ["shift.parameters=[gravity,difficulty]", "shift.capability.gravity=[0.8]"]
    sweep = tmp_path / "tiny"
    assert main(["evaluate", "shift=surface", f"run={sweep}", *varied, "shift.levels=10"]) == 0
    printed = capsys.readouterr().out
    assert "gravity 0.8 " in printed
    (one,) = kept(sweep, SURFACES)
    surface = json.loads((one.path / SURFACE).read_text())
    assert surface["levels"] == "2000000:2000010"
    assert len(surface["runs"]) == 2
    assert surface["on_proxy"] == {"trained": ["continue"], "played": ["continue"]}
    cells = pl.DataFrame(surface["cells"])
    assert set(cells["parameter"]) == {AS_TRAINED, "gravity", "difficulty"}
    assert set(cells["n_seeds"]) == {2}
    played = pl.read_parquet(one.path / EPISODES)
    keys = ["parameter", "value", "placement", "test_correlation", "train_seed", "level_id"]
    assert not played.select(keys).is_duplicated().any()
    assert (one.path / "surface-rho1.png").stat().st_size > 10_000
