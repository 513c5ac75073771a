"""The agents that come with misgen are there, small, and still do what was recorded of them."""

from __future__ import annotations

import shutil

import pytest

from misgen.agents import zoo
from misgen.agents.checkpoint import load_agent, load_policy
from misgen.envs.core.errors import UserError
from misgen.experiments.card.card_validation import validate_card
from misgen.experiments.card.config import CardConfig
from misgen.experiments.evaluation.evaluate_run import is_evaluated
from misgen.experiments.exporting.zoo import EVALUATION, RECIPES
from misgen.experiments.training.run_folder import read_json
from misgen.experiments.training.trained_run import TrainedRun, one_run

PLAYED = ("cheese_on_a_dish-rho1-seed0", "coinrun-rho0.5-seed0")
LARGEST = 15_000_000  # bytes


def test_all_are_there_and_small():
    assert zoo.names() == sorted(recipe.name for recipe in RECIPES)
    assert sum(path.stat().st_size for path in zoo.HOME.rglob("*")) < LARGEST


def test_they_load_without_more_than_their_name():
    agent = load_agent(f"{zoo.PREFIX}{PLAYED[0]}")
    assert agent.spec.encoder == "mlp"
    _, spec, _ = load_policy(f"{zoo.PREFIX}{PLAYED[1]}")
    assert spec.encoder == "cnn"


def test_an_unknown_one_is_answered_with_those_that_there_are():
    with pytest.raises(UserError, match=r"zoo:nobody is not in the zoo, which has .*coinrun-rho1"):
        load_agent("zoo:nobody")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_was_trained_as_its_recipe_says(recipe, tmp_path):
    run = TrainedRun.read(_copy(recipe.name, tmp_path))
    assert run.config.hash == recipe.config("runs").hash
    assert is_evaluated(run.folder, EVALUATION)


@pytest.mark.parametrize("name", PLAYED)
def test_they_play_as_was_recorded(name, tmp_path):
    folder = _copy(name, tmp_path)
    card = read_json(folder.path / "card.json", "")
    assert validate_card(card, folder.path, CardConfig(), replay=40) == []


def test_a_card_is_held_to_nothing_that_lies_around_it(tmp_path):
    folder = _copy(PLAYED[0], tmp_path / "sweep")
    card = read_json(folder.path / "card.json", "")
    assert _problems(card, folder) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "comparison.csv").write_text("protocol,budget,power\niid,40,1.0\n")
    assert _problems(card, folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
def test_all_play_as_was_recorded(name, tmp_path):
    folder = _copy(name, tmp_path)
    card = read_json(folder.path / "card.json", "")
    assert validate_card(card, folder.path, CardConfig(), replay=200) == []


def test_commands_work_on_a_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = one_run(f"{zoo.PREFIX}{PLAYED[0]}")
    assert run.path.parts == ("runs", "zoo", PLAYED[0])
    run.status(phase="looked at")
    assert one_run(f"{zoo.PREFIX}{PLAYED[0]}") == run
    assert (run.path / "status.json").is_file(), "the copy is kept"
    assert not (zoo.HOME / PLAYED[0] / "status.json").exists()


def _copy(name: str, into):
    into.mkdir(exist_ok=True)
    shutil.copytree(zoo.HOME / name, into / name)
    return one_run(str(into / name))


def _problems(card, folder) -> list[str]:
    return validate_card(card, folder.path, CardConfig(), replay=1)
