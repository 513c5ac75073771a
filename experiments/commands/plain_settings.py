"""Settings of the small commands that hydra has no part in: `name=value` words.

Public name: `plain_settings`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from misgen.envs.core.errors import UserError, did_you_mean


def plain_settings(argv: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """Return the settings of a command line; of one given twice, the last.

    Raises:
        UserError: for a setting that is not known.
    """
    settings: dict[str, str] = {}
    for word in argv:
        name, _, value = word.partition("=")
        if name not in known:
            hint = did_you_mean(name, known)
            raise UserError(f"{name!r} is not a setting: use one of {', '.join(known)}{hint}")
        settings[name] = value
    return settings
