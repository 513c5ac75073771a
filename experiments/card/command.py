"""The evaluation card of an agent: misgen card run=... [key=value ...].

A card says, for people who did not build the agent, how it was trained and at what cost, which
evaluations were run on it and what came out, what it goes for as far as the intervals carry, and
for each way in which such an agent can fail: which of the evaluations that were run reaches it,
with which detection power (where a comparison of protocols has measured it), or that nothing
reaches it.  What was not evaluated is said to be so, never left blank.

It is made of what other commands left in the run's folder: misgen evaluate, evaluate protocol=...,
probe, objective, robustness; evaluate shift=surface and supply-chain also in folders that count the
run.  Every figure is computed anew from the stored episodes.  Writes into the run's folder

  card.json    for machines; its schema is experiments/card/schema.json
  card.md      the same as Markdown
  card.html    the same as a page that needs no other file

`misgen card validate card=...` checks a card against the schema, and its figures, verdicts, hashes
and budgets against the stored episodes: a sentence for each that differs, and exit status 1.

Examples:
  misgen card run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789
  misgen card run=runs/coinrun-lab                       a card for each of its finished runs
  misgen card run=... comparison=runs/comparison         with detection powers
  misgen card validate card=runs/coinrun-lab/coinrun-rho1-seed0-0123456789/card.json
  misgen card validate card=copy.json run=runs/coinrun-lab/coinrun-rho1-seed0-0123456789

Settings
  run            a finished run's folder, or a sweep's; to validate: the run that a card is about,
                 unless it lies in its folder
  card           the card to validate
  comparison     folder or file of a comparison (misgen compare); otherwise the comparison.csv of
                 the sweep, or the newest in a folder beside it
  supply_chain   folder of a fine-tuning of this agent; otherwise one beside the sweep is looked for
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError

from ..checks import require_room
from ..config import typed
from ..overrides import read_plain, refuse_unused
from ..runs import DONE, RunFolder, read_json, write_json, write_text
from ..trained import TrainedRun, run_or_sweep

JSON, MARKDOWN, HTML = "card.json", "card.md", "card.html"


@dataclass(frozen=True)
class CardConfig:
    """One card to make, or to validate."""

    run: str | None = None
    """Folder of a finished run, or of a sweep."""
    card: str | None = None
    """Card to validate."""
    comparison: str | None = None
    """Folder or file of a comparison of protocols; none: one that is found."""
    supply_chain: str | None = None
    """Folder of a fine-tuning; none: one that is found."""


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
        print(f"  not evaluated: {unknown}\n  {folder.path / HTML}")
    return 0


def _check(folder: RunFolder, config: CardConfig) -> None:
    """Refuse a run that no card can be made of.

    Raises:
        UserError: naming the setting.
    """
    from .evidence import comparison_of

    TrainedRun.read(folder)
    comparison_of(folder.path, config.comparison)
    if config.supply_chain is not None and not Path(config.supply_chain).is_dir():
        raise UserError(
            f"supply_chain={config.supply_chain} is no folder: give that of a misgen supply-chain"
        )
    require_room(folder.path, "run", config.run)


def write_card(folder: RunFolder, config: CardConfig | None = None) -> dict[str, Any]:
    """Make a run's card, write it in three forms, and return it.

    Raises:
        UserError: if the run is not finished, or a file contradicts its own episodes.
    """
    from .build import build_card
    from .evidence import read_evidence
    from .render import html, markdown

    config = config or CardConfig()
    card = build_card(read_evidence(folder.path, config.comparison, config.supply_chain))
    write_json(folder.path / JSON, card)
    write_text(folder.path / MARKDOWN, markdown(card))
    write_text(folder.path / HTML, html(card))
    return card


def _validate(config: CardConfig) -> int:
    from .validate import validate_card

    if config.card is None:
        raise UserError("card is missing: give card=runs/<sweep>/<run>/card.json")
    path = Path(config.card)
    folder = Path(config.run) if config.run else path.parent
    card = read_json(path, "misgen card writes cards")
    wrong = validate_card(card, folder, config.comparison, config.supply_chain)
    for sentence in wrong:
        print(sentence)
    if wrong:
        print(f"{path} is not true: {len(wrong)} of its figures differ, see above.")
        return 1
    print(f"{path} fits the schema, and the stored files give all its figures.")
    return 0


def _config(argv: list[str]) -> CardConfig:
    """Read `key=value` words.

    Raises:
        UserError: for a word that is none, or an unknown key.
    """
    return typed(CardConfig, read_plain(CardConfig, argv))


if __name__ == "__main__":
    from ..command import run_module

    sys.exit(run_module("card", main))
