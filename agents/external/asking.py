"""Ask code of a stranger's, and say in a sentence where it failed.

Public names: `asked`, `where_of`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from misgen.envs.core.errors import UserError


def asked(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a stranger's function answers.

    Raises:
        UserError: if it fails, saying where.
    """
    try:
        return function(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"agent {name!r} failed when it was asked ({type(error).__name__}: "
            f"{_short(error)}{where_of(error)}): mend it, or try it on an observation of the "
            "world's observation_space"
        ) from error


def where_of(error: BaseException) -> str:
    """Return the innermost line that an error came through, as `, my_module.py line 3`."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    return f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"{text[:157]}..."
