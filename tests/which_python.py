"""The Python that commands are tested with: this one, or that of an environment with the wheel.

`MISGEN_TEST_PYTHON` names another one, in which misgen and the packages of `examples/` are
installed, as `.ci/run` does.
"""

from __future__ import annotations

import os
import sys

IS_ANOTHER = bool(os.environ.get("MISGEN_TEST_PYTHON"))
PYTHON = os.environ.get("MISGEN_TEST_PYTHON") or sys.executable
