"""The evaluation card of an agent: misgen card run=... [key=value ...].

A card is written for people who did not build the agent.  It says how the agent was trained and at
what cost, which evaluations were run and what they found, and what the agent pursues, claimed only
where the intervals support it.  For each way in which such an agent can fail it names the
evaluations that cover it, with their detection power (where a comparison of protocols has measured
it), or says that none does.  What was not evaluated is reported as such, never left blank.

A card is made from what other commands wrote to the run's folder: misgen evaluate, evaluate
protocol=..., probe, objective, robustness; evaluate shift=surface and supply-chain also from
folders that include the run.  Every figure is recomputed from the stored episodes and cites the
file, with its hash, that it comes from.  The episodes' provenance is checked (hashes of config,
weights and files), and the agent replays a sample of them, which must come out the same.  Writes to
the run's folder

  card.json    for machines; its schema is experiments/card/schema.json
  card.md      the same as Markdown
  card.html    the same as a page that needs no other file
  evidence/    copies of evidence from other folders: a sweep's surface, a comparison

`misgen card validate card=...` checks the card against the schema, its figures, verdicts, hashes
and budgets against the stored episodes, and the episodes against the agent.  It prints a sentence
for each difference and exits with status 1 if there is one.  The run's folder may have been moved,
copied or renamed.

A protocol is identified by its content: one that differs from those that misgen ships is marked,
whatever its name.

Examples:
  misgen card run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen card run=runs/coinrun-lab                       a card for each of its finished runs
  misgen card run=... comparison=runs/comparison         with detection powers
  misgen card validate card=runs/coinrun-lab/coinrun-rho1-seed0-0123456789/card.json
  misgen card validate card=copy.json run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789

Settings
  run            folder of a finished run, or of a sweep; with validate: the run that the card
                 describes, if the card is not in that folder
  card           the card to validate
  comparison     folder or file of a comparison (misgen compare); default: the comparison.csv of
                 the sweep, or the newest in a folder beside it
  supply_chain   folder of a fine-tuning of this agent; default: one found beside the sweep
  evaluation, surface, probe, objective, robustness
                 which of several results, by the beginning of the hash in its folder's name;
                 default: the sweep's own evaluation, or the only result
  replay         how many episodes of each condition, placement, action mode and agent to replay
                 (default: 64; protocols of up to 2,000 episodes in full); the hash of their file
                 decides which; all: every one; 0: none
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError

from ..card.replay import REPLAY, parse_replay
from ..card.sources import Choice, copy_outside
from ..evaluation.checks import require_room
from ..training.config import typed
from ..training.overrides import read_plain, refuse_unused
from ..training.run_folder import DONE, RunFolder, read_json, write_json, write_text
from ..training.trained_run import TrainedRun, run_or_sweep

JSON, MARKDOWN, HTML = "card.json", "card.md", "card.html"


@dataclass(frozen=True)
class CardConfig(Choice):
    """One card to make, or to validate."""

    run: str | None = None
    """Folder of a finished run, or of a sweep."""
    card: str | None = None
    """Card to validate."""
    replay: str = str(REPLAY)
    """Episodes of each kind to play again: a number, or all."""

    def __post_init__(self) -> None:
        """Refuse an impossible number.

        Raises:
            UserError: naming it.
        """
        parse_replay(self.replay)


def main(argv: list[str]) -> int:
    """Run the command."""
    validating = argv[:1] == ["validate"]
    config = _config(argv[1:] if validating else argv)
    if validating:
        return _validate(config)
    refuse_unused("card", argv, {"card": "to check a card write misgen card validate card=..."})
    folders = run_or_sweep(config.run or "")
    done = [one for one in folders if one.marked(DONE, str(one.manifest().get("config_hash")))]
    chosen = done or folders
    for folder in chosen:
        _check(folder, config)
    for folder in chosen:
        card = write_card(folder, config)
        print(f"{folder.path.name}: {card['verdict']['name']}. {card['verdict']['sentence']}")
        unknown = ", ".join(card["nothing_reaches"]).lower() or "none"
        about = card["evaluation"]
        print(f"  evaluation {about['hash']}: {about['settings']}" if about else "  no evaluation")
        again = card["written"]
        print(
            f"  not evaluated: {unknown}\n  {again['episodes_played_again']:,} of "
            f"{again['episodes']:,} episodes played again, all as stored\n  {folder.path / HTML}"
        )
    return 0


def _check(folder: RunFolder, config: CardConfig) -> None:
    """Refuse a run that no card can be made of.

    Raises:
        UserError: naming the setting.
    """
    from ..protocols.run import comparison_table

    TrainedRun.read(folder)
    comparison_table(config.comparison)
    if config.supply_chain is not None and not Path(config.supply_chain).is_dir():
        raise UserError(
            f"supply_chain={config.supply_chain} is no folder: give that of a misgen supply-chain"
        )
    require_room(folder.path, "run", config.run)


def write_card(folder: RunFolder, config: CardConfig | None = None) -> dict[str, Any]:
    """Make a run's card, write it in three forms, and return it.

    Raises:
        UserError: if the run is not finished, a file contradicts its own episodes, or the agent
            does not do what is stored.
    """
    from ..card.build import build_card
    from ..card.evidence import read_evidence
    from ..card.render import html, markdown

    config = config or CardConfig()
    evidence = read_evidence(folder.path, config, replay=parse_replay(config.replay))
    card = build_card(evidence)
    copy_outside(folder.path, evidence.outside, evidence.comparison)
    write_json(folder.path / JSON, card)
    write_text(folder.path / MARKDOWN, markdown(card))
    write_text(folder.path / HTML, html(card))
    return card


def _validate(config: CardConfig) -> int:
    from ..card.validate import validate_card
    from ..protocols.run import comparison_table

    if config.card is None:
        raise UserError("card is missing: give card=runs/<sweep>/<run>/card.json")
    path = Path(config.card)
    folder = Path(config.run) if config.run else path.parent
    card = read_json(path, "misgen card writes cards")
    comparison_table(config.comparison)
    wrong = validate_card(card, folder, config, replay=parse_replay(config.replay))
    for sentence in wrong:
        print(sentence)
    if wrong:
        print(f"{path} is not true: {len(wrong)} things are wrong, see above.")
        return 1
    print(f"{path} fits the schema, and the stored files give all its figures.")
    if parse_replay(config.replay) == 0:
        print("No episode was played again (replay=0): whether the agent made them is not known.")
    return 0


def _config(argv: list[str]) -> CardConfig:
    """Read `key=value` words.

    Raises:
        UserError: for a word that is none, or an unknown key.
    """
    return typed(CardConfig, read_plain(CardConfig, argv))


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("card", main))
