"""Warnings: what is wrong and in nobody's way."""

import click

from lelkern.methods import problems


def warn(line: str) -> None:
    """Say in one line on standard error what is wrong."""
    click.echo(f"lelkern: warning: {line}", err=True)


def warn_of_broken_packages() -> None:
    """Say which methods that packages install cannot be used."""
    for line in problems():
        warn(line)
