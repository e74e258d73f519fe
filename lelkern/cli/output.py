"""The two streams: what a command found goes to standard output, how it is getting on does not.

Text is printed as it is: brackets and colons in a path or a title are no markup.
"""

import errno
import os
from typing import NoReturn

from rich import console
from rich.text import Text


class Console(console.Console):
    """A console that leaves a closed pipe to the command line."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise what the command line has an exit code for; rich would exit with another."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def out() -> Console:
    """Return the console for results (standard output)."""
    return Console(highlight=False, markup=False, emoji=False)


def err() -> Console:
    """Return the console for progress and remarks (standard error)."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def headed(heading: str, text: str) -> Text:
    """Return a text after its heading, which is bold."""
    return Text.assemble((heading, "bold"), " ", text)
