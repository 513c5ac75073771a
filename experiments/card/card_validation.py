"""Check a card: its form against the schema, its figures against the stored episodes.

The episodes themselves are checked against the agent (`replay`).

Public names: `validate_card`, `schema`, `differences`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError

from .build import build_card
from .differences import differences
from .evidence import read_evidence
from .replay import REPLAY
from .sources import Choice

__all__ = ["differences", "schema", "validate_card"]
_UNCHECKED = ("written",)
"""Parts of a card that no file gives back."""


def validate_card(
    card: Any, folder: Path, choice: Choice | None = None, *, replay: int = REPLAY
) -> list[str]:
    """Return what is wrong with a card, a sentence each; empty if nothing is.

    Args:
        card: what card.json holds.
        folder: the run that it is about.
        choice: as for `read_evidence`; otherwise the files that the card names count.
        replay: how many episodes of each kind are played again; 0: none.
    """
    wrong = list(_against_schema(card))
    if wrong:
        return wrong
    cited = frozenset(str(one["sha256"]) for one in card["evidence"])
    try:
        known = build_card(read_evidence(folder, choice, cited=cited, replay=replay))
    except UserError as error:  # the run's own files contradict one another, or the agent
        return [f"{error}."]
    parts = [key for key in known if key not in _UNCHECKED]
    return list(differences({k: card[k] for k in parts}, {k: known[k] for k in parts}))


def schema() -> dict[str, Any]:
    """Return the JSON schema of a card."""
    return json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))


def _against_schema(card: Any) -> Iterator[str]:
    import jsonschema

    checker = jsonschema.Draft202012Validator(schema())
    for error in sorted(checker.iter_errors(card), key=lambda e: list(map(str, e.absolute_path))):
        where = ".".join(map(str, error.absolute_path)) or "the card"
        yield f"{where} does not fit the schema: {error.message[:200]}."
