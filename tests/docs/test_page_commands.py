"""Commands on the pages are commands: their options, studies and keys are there."""

import re
import shlex

import click
import pytest
from documented import PAGES, ROOT

from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.study import studies_folder
from lelkern.cli import cli
from lelkern.cli.settings import parse_settings
from lelkern.config import ConfigError

# Lines of blocks without a language, and code within a line of text.
COMMAND = re.compile(r"^(?P<line>lelkern [a-z].*)$|`(?P<code>lelkern [a-z][^`]*)`", re.MULTILINE)


def commands(*, named):
    """Return the commands on the pages, with the place of their first mention.

    Args:
        named: those that a text merely names (`lelkern report`), or those that are to run.
    """
    found = {}
    for page in PAGES:
        if page == "CHANGELOG.md":
            continue  # it tells what commands were, too
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        for match in COMMAND.finditer(text):
            command = " ".join((match["line"] or match["code"]).split())
            if named != (match["code"] is not None and command.count(" ") == 1):
                continue
            found.setdefault(command, f"{page}:{text.count(chr(10), 0, match.start()) + 1}")
    return [pytest.param(command, id=place) for command, place in found.items()]


def parsed(command):
    """Return what click makes of a command; an error if it takes no such thing."""
    _, name, *arguments = shlex.split(command, comments=True)
    group = cli.make_context("lelkern", [name, *arguments])
    subcommand = cli.get_command(group, name)
    if subcommand is None:
        raise click.UsageError(f"no such command: {name}")
    return subcommand.make_context(name, arguments, parent=group)


def check(command, images):
    """Raise an error unless the command would run, were a reader's own files there."""
    context = parsed(command)
    options = context.params
    if context.command.name == "ablate":
        own = options["study"].endswith(".toml")
        data = options["data"]
        prepare(
            str(studies_folder() / "template.toml") if own else options["study"],
            quick=options["quick"],
            seeds=options["seeds"],
            without=options["without"],
            settings=parse_settings(options["assignments"]),
            data=str(images) if data and "/" in data else data,
            data_root=options["data_root"],
            download=options["download"],
        )


@pytest.mark.parametrize("command", commands(named=False))
def test_a_command_would_run(command, images):
    check(command, images)


@pytest.mark.parametrize("command", commands(named=True))
def test_a_command_that_is_named_is_there(command):
    name = command.split()[1]
    assert cli.get_command(cli.make_context("lelkern", [name]), name) is not None


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("lelkern ablat temperature", click.UsageError),
        ("lelkern ablate", click.UsageError),
        ("lelkern ablate temperature --sneeds 3", click.UsageError),
        ("lelkern ablate temprature", ConfigError),
        ("lelkern ablate temperature --set stepps=3", ConfigError),
        ("lelkern ablate temperature --without 'raw pixel'", ConfigError),
    ],
)
def test_what_is_stale_is_told(command, error, images):
    with pytest.raises(error):
        check(command, images)
