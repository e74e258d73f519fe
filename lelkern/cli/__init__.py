"""The command line: ``lelkern ablate``, ``lelkern studies``, ``lelkern methods`` and others.

Standard output is data, standard error is progress. Exit code 0: done; 1: some trials failed;
2: wrong use, or a file that can't be read or written, with one line that says what; 3: a fault of
lelkern's own, with a traceback; 130: interrupted; 141: nobody reads the output any more.
"""

import contextlib
import errno
import gc
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NoReturn, TextIO

import click

from lelkern.cli.streams import spell_what_cannot_be_written
from lelkern.errors import UserError


class _HiddenError(Exception):
    """An error of which click would make something else; it is the cause of this one."""


@contextlib.contextmanager
def _hidden_from_click() -> Iterator[None]:
    """Keep from click what it would take for an interruption, or end with a code of its own."""
    try:
        yield
    except (EOFError, BrokenPipeError) as error:
        raise _HiddenError from error


class _Commands(click.Group):
    """Imports a command when it is called: what ``ablate`` needs, ``studies`` does not."""

    summaries: Mapping[str, str] = {
        "ablate": "Run a study: train every arm over several seeds, and judge its claims.",
        "compare": "Compare two runs of a study, arm by arm, and how they were made.",
        "config": "Show the keys of a method with type, range, default and meaning.",
        "export": "Export every metric and curve of every trial as CSV, JSON or Parquet.",
        "info": "Show versions, hardware, and for each op and device what serves it, and why.",
        "methods": "List the methods, or what one takes and reports.",
        "new-study": "Write a commented study of your own, which runs.",
        "replot": "Draw a study's plots again: other formats, sizes, fonts, labels.",
        "report": "Show again what studies found, from stored results, finished or not.",
        "runs": "List the results that are stored, and remove what is of no use any more.",
        "studies": "List the shipped studies: what each varies, claims and costs.",
    }

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.summaries)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.summaries:
            return None
        return _imported(name)

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first argument, and name the one that may be meant."""
        name = arguments[0]
        known = name in self.summaries or name.startswith("-")
        if not known and not context.resilient_parsing:  # as it is where a shell completes
            from lelkern.config import nearest  # not needed to find a command

            context.fail(f"No such command {name!r}; {nearest(name, self.summaries)}")
        return super().resolve_command(context, arguments)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the arguments, and do what ``--help`` and ``--version`` say."""
        with _hidden_from_click():
            return super().make_context(*arguments, **options)

    def invoke(self, context: click.Context) -> object:
        """Run the command."""
        with _hidden_from_click():
            return super().invoke(context)

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
    os.environ.pop("MPLBACKEND", None)  # plots are written, not shown, whatever would show them
    code = _run(arguments)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as it is where the shell has closed it
            _finish(stream)
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    """Run the command line, say what is wrong if anything is, and return the exit code."""
    try:
        try:
            try:
                code = cli.main(arguments, prog_name="lelkern", standalone_mode=False) or 0
            except click.exceptions.NoArgsIsHelpError as error:
                click.echo(error.format_message())
                code = 0
            if sys.stdout is not None:
                sys.stdout.flush()
        except _HiddenError as error:
            raise error.__cause__ or error from None
    except click.ClickException as error:
        return _refuse(error.format_message())
    except UserError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        return 141
    except OSError as error:  # a folder that cannot be written, a full disk
        what = error.filename
        if what is None and error.errno in _WRITING:
            what = "output"
        return _refuse(f"{what}: {error.strerror}" if what else str(error))
    except click.Abort:
        return 130
    except Exception:
        with contextlib.suppress(OSError):
            traceback.print_exc()
        return 3
    return int(code)


_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What goes wrong with an output and not with a file, which would be named."""


def _refuse(message: str) -> int:
    with contextlib.suppress(OSError):
        click.echo(f"lelkern: {message}", err=True)
    return 2


def _finish(stream: TextIO) -> None:
    """Write what a stream still holds, or throw it away: Python would try again, and complain."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
