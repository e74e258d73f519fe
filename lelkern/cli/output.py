"""The two streams: what a command found goes to standard output, how it is getting on does not."""

import errno
import os
from typing import NoReturn

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the command line, which has a code for it; rich would exit with another."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def out() -> Console:
    """Return the console for results (standard output)."""
    return _Console(highlight=False)


def err() -> Console:
    """Return the console for progress and remarks (standard error)."""
    return _Console(stderr=True, highlight=False)
