"""Stored results, written as the commands leave them."""

from misgen.experiments.evaluation.chosen import key_of
from misgen.experiments.evaluation.result_folders import EVALUATION, place
from misgen.experiments.training.run_folder import DONE, file_sha256, write_json


def write_evaluation(folder, episodes, summary):
    """Write an evaluation as misgen evaluate leaves it; return its folder."""
    key = key_of(summary["config"])
    into = place(folder.path, EVALUATION, key)
    into.path.mkdir(parents=True)
    episodes.write_parquet(into.path / "episodes.parquet")
    made_from = {"episodes_sha256": file_sha256(into.path / "episodes.parquet")}
    write_json(into.path / "summary.json", {**summary, "config_hash": key, **made_from})
    into.mark(DONE, key)
    return into
