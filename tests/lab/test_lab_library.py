"""What the lab calls: stored evaluations by name, training by settings, replays in a notebook."""

from __future__ import annotations

import shutil

import pytest

from misgen.agents import zoo
from misgen.experiments import RunFolder, UserError, lab, stored_evaluation, train_agent


def test_a_stored_evaluation_is_found_by_name_folder_and_run(tmp_path):
    name = "cheese_on_a_dish-rho1-seed0"
    by_name = stored_evaluation(f"zoo:{name}")
    assert by_name.verdicts["anywhere", "sampled"].name == "misgeneralizes"
    folder = tmp_path / name
    shutil.copytree(zoo.HOME / name, folder)
    assert stored_evaluation(folder).episodes.equals(by_name.episodes)
    assert stored_evaluation(RunFolder(folder), "ddb").metrics.equals(by_name.metrics)
    with pytest.raises(UserError, match="evaluation=nothing"):
        stored_evaluation(folder, "nothing")
    shutil.rmtree(folder / "evaluations")
    with pytest.raises(UserError, match="was not evaluated yet: misgen evaluate run="):
        stored_evaluation(folder)


@pytest.mark.parametrize("run", ["zoo:nobody", "no-such-run"])
def test_what_is_no_run_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=run):
        stored_evaluation(run)
    with pytest.raises(UserError, match=run):
        lab.episodes(run)
    with pytest.raises(UserError, match=run):
        lab.watch(run)


def test_training_by_settings_refuses_what_the_command_refuses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, said in (
        (("correlation=2",), "correlation"),
        (("correlatoin=1",), "correlatoin"),
        (("preset=lap",), "lap"),
    ):
        with pytest.raises(UserError, match=said):
            train_agent(*words)
    assert not list(tmp_path.iterdir())


def test_tables_of_the_lab_refuse_other_places():
    with pytest.raises(UserError, match=r"where='nowhere'.*off_path"):
        lab.episodes("zoo:coinrun-rho1-seed0", "nowhere")
    with pytest.raises(UserError, match="where='calm'"):
        lab.verdicts("calm")
    assert len(lab.agents()) == 12
    assert lab.agents("no_world") == []


@pytest.mark.slow
def test_replays_are_shown_in_a_frame(tmp_path):
    page = lab.watch("zoo:cheese_on_a_dish-rho1-seed0", 2)
    assert "2 replays" in repr(page)
    shown = page._repr_html_()
    assert shown.startswith("<iframe")
    assert "<script>" not in shown  # the page's own, held as text
    assert page.save(tmp_path / "x.html").read_text(encoding="utf-8") == page.text
    assert str(tmp_path) not in page.text
