"""The command line: ``lelkern ablate``, ``lelkern studies``, ``lelkern methods`` and others.

Standard output is data, standard error is progress. Exit code 0: done; 1: some trials failed;
2: wrong use, with one line that says what; 130: interrupted.
"""

import gc
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NoReturn

import click

from lelkern.cli.streams import spell_what_cannot_be_written
from lelkern.errors import UserError


class _Commands(click.Group):
    """Imports a command when it is called: what ``ablate`` needs, ``studies`` does not."""

    summaries: Mapping[str, str] = {
        "ablate": "Run a study: train every arm over several seeds, and judge its claims.",
        "info": "Show versions, hardware, and for each op and device what serves it, and why.",
        "methods": "List the methods, or one's keys with type, default and meaning.",
        "new-study": "Write a commented study of your own, which runs.",
        "runs": "List the results that are stored, and remove what is of no use any more.",
        "studies": "List the shipped studies: what each varies, claims and costs.",
    }

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.summaries)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.summaries:
            return None
        return _imported(name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))


def _imported(name: str) -> click.Command:
    """Import a command without what takes a quarter of the time of one that only lists things.

    That is to look for garbage among the many objects that imports make and keep, and to read the
    metadata of every installed package for plug-ins of pydantic.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    try:
        command: click.Command = import_module(f"lelkern.cli.{name.replace('-', '_')}").command
    finally:
        gc.enable()
    return command


def _show_version(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        import lelkern

        click.echo(f"lelkern, version {lelkern.__version__}")
        context.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Label-efficient learning: ablations of its methods on fused kernels."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; wrong use ends with one line on standard error and exit code 2."""
    spell_what_cannot_be_written()
    try:
        sys.exit(cli.main(arguments, prog_name="lelkern", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        click.echo(f"lelkern: {error.format_message()}", err=True)
        sys.exit(2)
    except UserError as error:
        click.echo(f"lelkern: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # a folder that cannot be written, a full disk
        if error.filename is None:
            raise
        click.echo(f"lelkern: {error.filename}: {error.strerror}", err=True)
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
