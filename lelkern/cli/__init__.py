"""The command line: ``lelkern ablate``, ``lelkern studies``, ``lelkern info``.

Standard output is data, standard error is progress. Exit code 0: done; 1: some trials failed;
2: wrong use, with one line that says what; 130: interrupted.
"""

import sys
from typing import NoReturn

import click

from lelkern import __version__
from lelkern.config import ConfigError
from lelkern.data import DataError


class _Commands(click.Group):
    """Imports a command when it is called: what ``ablate`` needs, ``info`` does not."""

    names = ("ablate", "info", "studies")

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.names)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.names:
            return None
        module = __import__(f"lelkern.cli.{name}", fromlist=["command"])
        command: click.Command = module.command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lelkern")
def cli() -> None:
    """Label-efficient learning: ablations of self-supervised methods on fused kernels."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line; wrong use ends with one line on standard error and exit code 2."""
    try:
        sys.exit(cli.main(arguments, prog_name="lelkern", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.ClickException as error:
        click.echo(f"lelkern: {error.format_message()}", err=True)
        sys.exit(2)
    except (ConfigError, DataError) as error:
        click.echo(f"lelkern: {error}", err=True)
        sys.exit(2)
    except OSError as error:  # a folder that cannot be written, a full disk
        if error.filename is None:
            raise
        click.echo(f"lelkern: {error.filename}: {error.strerror}", err=True)
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
