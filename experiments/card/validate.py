"""Is a card true?  Its form against the schema, its figures against the stored episodes.

Public names: `validate_card`, `schema`, `differences`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .build import build_card
from .evidence import read_evidence

_UNCHECKED = ("written",)
"""Parts of a card that no file gives back."""
_NAMES = ("metric", "placement", "actions", "mode", "name", "by", "of", "file")
"""Fields by which a message names an entry of a list."""
_EQUAL = 1e-9  # relative


def validate_card(
    card: Any, folder: Path, comparison: str | None = None, supply_chain: str | None = None
) -> list[str]:
    """Return what is wrong with a card, a sentence each; empty if nothing is.

    Args:
        card: what card.json holds.
        folder: the run that it is about.
        comparison: as for `read_evidence`.
        supply_chain: as for `read_evidence`.

    Raises:
        UserError: if the run's own files cannot be read, or contradict one another.
    """
    wrong = list(_against_schema(card))
    if wrong:
        return wrong
    known = build_card(read_evidence(folder, comparison, supply_chain))
    parts = [key for key in known if key not in _UNCHECKED]
    return list(differences({k: card[k] for k in parts}, {k: known[k] for k in parts}))


def schema() -> dict[str, Any]:
    """Return the JSON schema of a card."""
    return json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))


def differences(card: Any, known: Any, path: str = "") -> Iterator[str]:
    """Yield a sentence for each figure that a card has and its evidence does not give.

    Args:
        card: the card, or a part.
        known: the same, computed anew.
        path: where the part stands.
    """
    if isinstance(card, Mapping) and isinstance(known, Mapping):
        for key in sorted(card.keys() | known.keys()):
            where = f"{path}.{key}" if path else key
            if key not in known:
                yield f"{where} is in the card and nothing gives it."
            elif key not in card:
                yield f"{where} is missing in the card; it is {_shown(known[key])}."
            else:
                yield from differences(card[key], known[key], where)
    elif _is_list(card) and _is_list(known):
        if len(card) != len(known):
            yield (
                f"{path} has {len(card)} entries in the card, and the stored files give "
                f"{len(known)}: {_names(list(card), list(known))}."
            )
            return
        for number, (one, other) in enumerate(zip(card, known, strict=True)):
            yield from differences(one, other, f"{path}[{_label(other, number)}]")
    elif not _same(card, known):
        yield f"{path} is {_shown(card)} in the card, and {_shown(known)} from the stored files" + (
            f": {abs(card - known):.6g} too {'high' if card > known else 'low'}."
            if _is_number(card) and _is_number(known)
            else "."
        )


def _against_schema(card: Any) -> Iterator[str]:
    import jsonschema

    checker = jsonschema.Draft202012Validator(schema())
    for error in sorted(checker.iter_errors(card), key=lambda e: list(map(str, e.absolute_path))):
        where = ".".join(map(str, error.absolute_path)) or "the card"
        yield f"{where} does not fit the schema: {error.message[:200]}."


def _same(card: Any, known: Any) -> bool:
    if _is_number(card) and _is_number(known):
        return abs(card - known) <= _EQUAL * max(1.0, abs(known))
    return type(card) is type(known) and card == known


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _label(entry: Any, number: int) -> str:
    names = [str(entry[k]) for k in _NAMES if k in entry] if isinstance(entry, Mapping) else []
    return " ".join(names) or str(number)


def _names(card: Sequence[Any], known: Sequence[Any]) -> str:
    one, other = ({_label(e, n) for n, e in enumerate(part)} for part in (card, known))
    more, less = sorted(one - other), sorted(other - one)
    said = [f"{', '.join(more)} is not among them"] * bool(more)
    said += [f"{', '.join(less)} was left out"] * bool(less)
    return "; ".join(said) or "some stand there twice"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else f"{text[:157]}..."
