"""What processes do with signals when tests start them.

Public names: `as_in_a_terminal`.
"""

from __future__ import annotations

import signal


def as_in_a_terminal() -> None:
    """Heed signals that whoever started the tests may ignore (`preexec_fn` of `subprocess.Popen`).

    What is ignored is so in all that a process starts: hang-ups under nohup, interrupts in the
    background of a shell.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
