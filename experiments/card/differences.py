"""Differences between a card and what the files say, in sentences.

Public name: `differences`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_NAMES = ("metric", "placement", "actions", "on_proxy", "mode", "name", "by", "of", "file")
"""Fields by which a message names an entry of a list."""
_EQUAL = 1e-9  # relative


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
                yield f"{where} is in the card, but not in the stored files."
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
    return "; ".join(said) or "some appear twice"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else f"{text[:157]}..."
