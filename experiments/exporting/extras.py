"""The packages that exports need, each installed by an extra of misgen's.

Public names: `EXTRAS`, `require_extra`.
"""

from __future__ import annotations

import importlib

from misgen.envs.core.errors import UserError

EXTRAS = {
    "inspect": ("inspect_ai",),
    "minari": ("minari", "h5py"),
    "hub": ("huggingface_hub",),
}
"""The modules that each format needs; its extra has the format's name."""


def require_extra(name: str) -> None:
    """Refuse a format whose packages cannot be imported.

    Args:
        name: of the format.

    Raises:
        UserError: saying what to install.
    """
    for module in EXTRAS[name]:
        try:
            importlib.import_module(module)
        except ImportError as error:
            missing = error.name is not None and error.name.partition(".")[0] == module
            why = "is not installed" if missing else f"cannot be imported ({error})"
            raise UserError(
                f"format={name} needs the package {module}, which {why}: "
                f"pip install 'misgen[{name}]'"
            ) from None
