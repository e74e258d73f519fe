"""The two streams: what a command found goes to standard output, how it is getting on does not."""

from rich.console import Console


def out() -> Console:
    """Return the console for results (standard output)."""
    return Console(highlight=False)


def err() -> Console:
    """Return the console for progress and remarks (standard error)."""
    return Console(stderr=True, highlight=False)
