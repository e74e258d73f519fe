"""Ctrl-C while a command is still being imported, when there is nothing to keep.

Imports little that Python has not loaded by then, so that the first moments are covered too.
"""

import os
import signal
from types import FrameType


def end_at_interrupt() -> None:
    """End this process at Ctrl-C with exit code 130: an exception would show an import's traceback.

    Holds until :func:`raise_at_interrupt` is called. Where Ctrl-C is ignored, as by what a script
    starts in the background, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_at_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, once there is something to put in order."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(130)
