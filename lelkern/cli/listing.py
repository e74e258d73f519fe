"""Lists of names with what they mean, by chapter, as ``--help`` lists commands."""

import shutil
from collections.abc import Iterable

import click

_WIDEST = 100  # columns that are still easy to read


def listing(chapters: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> str:
    """Return chapters of names and texts, wrapped to the terminal.

    Args:
        chapters: headings as folders spell them, and the lines under each: a name, or nothing to go
            on with the one before, and its text.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    formatter = click.HelpFormatter(width=width)
    for chapter, lines in chapters:
        with formatter.section(chapter.replace("_", " ").replace("-", " ")):
            formatter.write_dl(list(lines))
    return formatter.getvalue().strip()
