"""The two streams: what a command found goes to standard output, how it is getting on does not."""

import errno
import os
from typing import NoReturn

from rich import console


class Console(console.Console):
    """A console that leaves a closed pipe to the command line."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise what the command line has an exit code for; rich would exit with another."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def out() -> Console:
    """Return the console for results (standard output)."""
    return Console(highlight=False)


def err() -> Console:
    """Return the console for progress and remarks (standard error)."""
    return Console(stderr=True, highlight=False)
