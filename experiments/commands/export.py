"""Export a run for other tools: misgen export format=... run=... [key=value ...].

Writes the stored results of a finished run in the format of another library; nothing is uploaded.
Each format needs that library, which an extra of misgen installs.

  format=inspect   eval logs of Inspect (pip install 'misgen[inspect]'): a log for each condition,
                   placement and action mode; a sample is a level, an epoch one of its repeats.
                   Scores: goal, proxy and capability of each episode; metrics with 95% intervals.
                   Look at them with: inspect view --log-dir <folder>
  format=minari    datasets of Minari (pip install 'misgen[minari]'): the evaluation's episodes
                   with observations, actions, rewards, terminations and truncations, and for each
                   episode the seed and the reset options that reproduce it.  The agent replays them
                   for this; an episode that differs from the stored one is refused.
                   Load them with MINARI_DATASETS_PATH=<folder> and minari.load_dataset(<name>)
  format=hub       a folder for the Hugging Face hub (pip install 'misgen[hub]'): README.md, the
                   model card with the results in its front matter, made from the run's card.json
                   (misgen card), and the weights.  The card is validated first.

Everything is written to <run>/exports/<format>, completely or not at all; it replaces an earlier
export and nothing else.

Examples:
  misgen export format=inspect run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen export format=inspect run=... condition=all to=logs
  misgen export format=minari run=... condition=conflict actions=sampled episodes=500
  misgen export format=hub run=... license=mit
  misgen export format=hub run=runs/coinrun-lab          every finished run of the sweep

Settings
  format       inspect, minari or hub
  run          a finished run's folder, or a sweep's: its finished runs, a folder for each
  to           the folder to write into (default: <run>/exports/<format>)
  evaluation   which of several evaluations: the beginning of the hash that its folder has; the
               sweep's own, and otherwise the only one, unless given
  condition    in_distribution, conflict, aligned (the same levels with the goal at the proxy) or
               all (default: in_distribution and conflict)
  placement    where the goal is moved to (default: everywhere that it was)
  actions      sampled or greedy (default: those that were evaluated)
  episodes     how many of each condition, placement and action mode, from the first level on; all
               (default: 100 for minari, which stores every observation; all for inspect)
  trust        for minari: recreate an agent that was trained elsewhere, which runs its code
  license      for hub: the licence of the weights, as the hub names it (default: none is named)
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from misgen.envs.core.errors import UserError, one_of

from ..exporting.extras import EXTRAS, require_extra
from ..exporting.folders import require_free, whole_folder
from ..exporting.source import ALL, Choice, read_source
from ..training.checks import require_room
from ..training.overrides import read_plain, refuse_unused
from ..training.run_folder import DONE, RunFolder
from ..training.settings import typed
from ..training.trained_run import TrainedRun, run_or_sweep

INSPECT, MINARI, HUB = EXTRAS
EXPORTS = "exports"
_MINARI_EPISODES = 100
_ONLY_EPISODES = {
    name: "it exports a card, which is about one evaluation and all of its episodes"
    for name in ("evaluation", "condition", "placement", "actions", "episodes")
}
_ONLY_HUB = {"license": "it is for format=hub alone"}
_ONLY_MINARI = {"trust": "it is for format=minari alone, for which the agent plays again"}


@dataclass(frozen=True)
class ExportConfig:
    """One export of a run, or of a sweep's runs."""

    format: str = ""
    """`inspect`, `minari` or `hub`."""
    run: str | None = None
    """Folder of a finished run, or of a sweep."""
    to: str | None = None
    """Folder to write into."""
    evaluation: str | None = None
    """What the hash of the evaluation's settings begins with."""
    condition: str | None = None
    placement: str | None = None
    actions: str | None = None
    episodes: str | None = None
    """How many of each group, or `all`."""
    trust: bool = False
    """Make an agent that was trained elsewhere again, which runs the code that makes it."""
    license: str | None = None
    """Of the weights, as the hub names it."""

    def __post_init__(self) -> None:
        """Refuse values that cannot be.

        Raises:
            UserError: naming the field.
        """
        if not self.format:
            raise UserError(f"format is missing: give format= and one of {', '.join(EXTRAS)}")
        one_of("format", self.format, tuple(EXTRAS))
        self.choice  # noqa: B018  # checks the other fields

    @property
    def choice(self) -> Choice:
        """Which episodes are meant."""
        default = str(_MINARI_EPISODES) if self.format == MINARI else ALL
        count = _count(self.episodes if self.episodes is not None else default)
        return Choice(self.condition, self.placement, self.actions, count)


def main(argv: list[str]) -> int:
    """Run the command."""
    config = typed(ExportConfig, read_plain(ExportConfig, argv))
    unused = _ONLY_EPISODES if config.format == HUB else _ONLY_HUB
    if config.format != MINARI:
        unused = unused | _ONLY_MINARI
    refuse_unused(f"export format={config.format}", argv, unused)
    require_extra(config.format)
    folders = run_or_sweep(config.run or "")
    done = [one for one in folders if one.marked(DONE, str(one.manifest().get("config_hash")))]
    places = [(folder, _place(folder, config, len(folders) > 1)) for folder in done or folders]
    for folder, to in places:
        _check(folder, to, config)
    for folder, to in places:
        for line in export_run(folder, to, config):
            print(line)
        print(f"written: {to}")
    return 0


def export_run(folder: RunFolder, to: Path, config: ExportConfig) -> list[str]:
    """Export one run, and return what was written, a line each.

    Raises:
        UserError: if there is nothing to export, or what is stored is not true.
    """
    if config.format == HUB:
        from ..exporting.hub_card import write_hub_folder

        with whole_folder(to) as new:
            card = write_hub_folder(TrainedRun.read(folder), new, config.license)
            names = sorted(one.name for one in new.iterdir() if one != card)
            return [f"{folder.path.name}: {card.name}, {', '.join(names)}"]
    source = read_source(folder, config.evaluation)
    groups = source.groups(config.choice)
    with whole_folder(to) as new:
        if config.format == INSPECT:
            from ..exporting.inspect_log import write_inspect_logs

            names = [file.name for file in write_inspect_logs(source, groups, new)]
        else:
            from misgen.agents.external.source import trusting

            from ..exporting.minari_data import write_minari_datasets

            with trusting(config.trust):
                names = write_minari_datasets(source, groups, new)
    return [
        f"{name}: {len(group.episodes):,} episodes"
        for name, group in zip(names, groups, strict=True)
    ]


def _place(folder: RunFolder, config: ExportConfig, several: bool) -> Path:
    if config.to is None:
        return folder.path / EXPORTS / config.format
    return Path(config.to) / folder.path.name if several else Path(config.to)


def _check(folder: RunFolder, to: Path, config: ExportConfig) -> None:
    """Refuse a run that cannot be exported, before the first one is.

    Raises:
        UserError: naming the setting.
    """
    TrainedRun.read(folder)
    require_free(to)
    require_room(to, "to" if config.to else "run", config.to or config.run)
    if config.format != HUB:
        read_source(folder, config.evaluation).groups(config.choice)


def _count(text: str) -> int | None:
    """Return a number of episodes, None for all.

    Raises:
        UserError: for anything else.
    """
    if text == ALL:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise UserError(f"episodes={text!r} is not allowed: give a number of at least 1, or all")
    return int(text)


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("export", main))
