"""The evaluation card of an agent: misgen card run=... [key=value ...].

A card says, for people who did not build the agent, how it was trained and at what cost, which
evaluations were run on it and what came out, what it goes for as far as the intervals carry, and
for each way in which such an agent can fail: which of the evaluations that were run reaches it,
with which detection power (where a comparison of protocols has measured it), or that nothing
reaches it.  What was not evaluated is said to be so, never left blank.

It is made of what other commands left in the run's folder: misgen evaluate, evaluate protocol=...,
probe, objective, robustness; evaluate shift=surface and supply-chain also in folders that count the
run.  Every figure is computed anew from the stored episodes, and names the file, with its hash,
that it comes from.  What the episodes were made from is checked (the hashes of config, weights and
files), and a sample of them is played again with the agent: they must come out the same.  Writes
into the run's folder

  card.json    for machines; its schema is experiments/card/schema.json
  card.md      the same as Markdown
  card.html    the same as a page that needs no other file
  evidence/    copies of what the card rests on and lies elsewhere: a sweep's surface, a comparison

`misgen card validate card=...` checks a card against the schema, its figures, verdicts, hashes
and budgets against the stored episodes, and the episodes against the agent: a sentence for each
that differs, and exit status 1.  The run's folder may have been moved, copied or renamed.

A protocol is known by its content: one that is not word for word one of misgen's is marked so,
whatever its name.

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
  evaluation, surface, probe, objective, robustness
                 which of several results: the beginning of the hash that its folder has; the
                 sweep's own evaluation, and otherwise the only result, unless given
  replay         how many episodes of each condition, placement, action mode and agent are played
                 again (default: 64, and protocols of up to 2,000 episodes whole); which, follows
                 from the hash of their file; all: every one; 0: none
  trust          make an agent that was trained elsewhere again, which runs the code that makes it;
                 without it its episodes are not played again, and the card says so
"""

from __future__ import annotations

import sys
from pathlib import Path

from misgen.agents.external.source import trusting
from misgen.envs.core.errors import UserError

from ..card.config import CardConfig
from ..card.replay import parse_replay
from ..card.write import check, write_card
from ..evaluation.result_folders import CARD_HTML
from ..training.overrides import read_plain, refuse_unused
from ..training.run_folder import DONE, read_json
from ..training.settings import typed
from ..training.trained_run import run_or_sweep


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
        check(folder, config)
    for folder in chosen:
        card = write_card(folder, config)
        print(f"{folder.path.name}: {card['verdict']['name']}. {card['verdict']['sentence']}")
        unknown = ", ".join(card["nothing_reaches"]).lower() or "none"
        about = card["evaluation"]
        print(f"  evaluation {about['hash']}: {about['settings']}" if about else "  no evaluation")
        again = card["written"]
        print(
            f"  not evaluated: {unknown}\n  {again['episodes_played_again']:,} of "
            f"{again['episodes']:,} episodes played again, all as stored\n"
            + (f"  {again['not_replayed']}\n" if again["not_replayed"] else "")
            + f"  {folder.path / CARD_HTML}"
        )
    return 0


def _validate(config: CardConfig) -> int:
    from ..card.validate import validate_card
    from ..protocols.run import comparison_table

    if config.card is None:
        raise UserError("card is missing: give card=runs/<sweep>/<run>/card.json")
    path = Path(config.card)
    folder = Path(config.run) if config.run else path.parent
    card = read_json(path, "misgen card writes cards")
    comparison_table(config.comparison)
    with trusting(config.trust):
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
