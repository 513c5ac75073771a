"""Model cards of the Hugging Face hub, read back by its library, offline."""

import json
import shutil

import pytest

from misgen.agents.checkpoint import load_agent
from misgen.envs.core.errors import UserError
from misgen.envs.core.registry import make_world
from misgen.experiments.commands import card
from misgen.experiments.commands.export import main
from tests.exporting.conftest import COINRUN, make_run

hub = pytest.importorskip("huggingface_hub", reason="pip install 'misgen[hub]' for this test")


@pytest.fixture(scope="module")
def carded(tmp_path_factory):
    """A run with a card."""
    run = make_run(tmp_path_factory.mktemp("carded"), COINRUN)
    assert card.main([f"run={run.path}", "replay=4"]) == 0
    return run


def test_the_card_is_read_back_with_its_results(carded, tmp_path):
    to = tmp_path / "out"
    assert main(["format=hub", f"run={carded.path}", f"to={to}", "license=mit"]) == 0
    found = hub.ModelCard.load(to / "README.md")
    stored = json.loads((carded.path / "card.json").read_text())
    assert found.data.license == "mit"
    assert found.data.library_name == "misgen"
    assert found.data.model_name == carded.path.name
    assert {"reinforcement-learning", "misgen", "coinrun"} <= set(found.data.tags)
    own = {
        (one.dataset_config, one.metric_type): (
            one.metric_value, one.metric_args["low"], one.metric_args["high"]
        )
        for one in found.data.eval_results
    }  # fmt: skip
    expected = {
        (f"{row['placement']}, {row['actions']} actions", row["metric"]): (
            row["estimate"], row["low"], row["high"]
        )
        for row in stored["results"]
        if row["estimate"] is not None
    }  # fmt: skip
    assert own == expected
    assert len(own) > 10
    assert stored["verdict"]["sentence"] in found.text


def test_the_folder_holds_an_agent_that_loads(carded, tmp_path, monkeypatch):
    to = tmp_path / "out"
    assert main(["format=hub", f"run={carded.path}", f"to={to}"]) == 0
    assert hub.ModelCard.load(to / "README.md").data.license is None
    text = (to / "README.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(to)
    scope: dict = {}
    exec(code, scope)
    assert scope["agent"].name == "ppo"
    world = make_world(**COINRUN)
    assert load_agent(to, world.observation_space, world.action_space).name == "ppo"
    assert scope["world"] == world


def test_a_card_that_is_not_there_or_not_true_is_refused(carded, tmp_path):
    run = make_run(tmp_path, COINRUN)
    words = ["format=hub", f"to={tmp_path / 'out'}"]
    with pytest.raises(UserError, match="misgen card"):
        main([*words, f"run={run.path}"])
    shutil.copyfile(carded.path / "card.json", run.path / "card.json")
    with pytest.raises(UserError, match="is not true"):
        main([*words, f"run={run.path}"])
    assert card.main([f"run={run.path}", "replay=4"]) == 0
    assert main([*words, f"run={run.path}"]) == 0
    made = json.loads((run.path / "card.json").read_text())
    made["results"][0]["estimate"] = 0.987
    (run.path / "card.json").write_text(json.dumps(made))
    with pytest.raises(UserError, match="is not true"):
        main([*words, f"run={run.path}"])
    made["agent"]["policy_sha256"] = "0" * 64
    (run.path / "card.json").write_text(json.dumps(made))
    with pytest.raises(UserError, match="is not true"):
        main([*words, f"run={run.path}"])
