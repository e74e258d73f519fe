"""The two streams: what a command found goes to standard output, how it is getting on does not.

Text is printed as it is: brackets and colons in a path or a title are no markup.
"""

from rich.console import Console
from rich.text import Text


def out() -> Console:
    """Return the console for results (standard output)."""
    return Console(highlight=False, markup=False, emoji=False)


def err() -> Console:
    """Return the console for progress and remarks (standard error)."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def headed(heading: str, text: str) -> Text:
    """Return a text after its heading, which is bold."""
    return Text.assemble((heading, "bold"), " ", text)
