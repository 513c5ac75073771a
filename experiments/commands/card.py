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
  trust          recreate an agent that was trained elsewhere, which runs its code; without trust,
                 its episodes are not replayed, and the card says so
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
            f"{again['episodes']:,} episodes replayed, all as stored\n"
            + (f"  {again['not_replayed']}\n" if again["not_replayed"] else "")
            + f"  {folder.path / CARD_HTML}"
        )
    return 0


def _validate(config: CardConfig) -> int:
    from ..card.card_validation import validate_card
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
        print(f"{path} is not valid: {len(wrong)} mistakes, listed above.")
        return 1
    print(f"{path} fits the schema, and all its figures agree with the stored files.")
    if parse_replay(config.replay) == 0:
        print("No episode was replayed (replay=0), so it was not checked that the agent made them.")
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
