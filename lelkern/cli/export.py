"""``lelkern export``: every metric and curve of every trial, for other programs."""

from pathlib import Path

import click

from lelkern.ablation.export import as_csv, as_json, write_parquet
from lelkern.ablation.report import stored_report
from lelkern.files import write_atomically, write_text_atomically


@click.command("export")
@click.argument(
    "folders", metavar="OUT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "json", "parquet"]),
    default="csv",
    show_default=True,
    help="Of the table.",
)
@click.option(
    "--to",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write. [default: standard output; needed for parquet]",
)
def command(folders: tuple[Path, ...], kind: str, path: Path | None) -> None:
    """Export every metric and curve of every finished trial as one table, a number a row.

    OUT is a folder that `lelkern ablate` wrote. Columns: study, role (arm or baseline), label,
    seed, trial, kind (metric or curve), name, x (of a curve), value, and the study's axes.
    """
    if kind == "parquet" and path is None:
        raise click.UsageError("--format parquet: needs --to FILE, got none")
    reports = [stored_report(folder) for folder in folders]
    if kind == "parquet":
        assert path is not None
        write_atomically(path, lambda temporary: write_parquet(reports, temporary))
        return
    text = as_csv(reports) if kind == "csv" else as_json(reports)
    if path is None:
        click.echo(text, nl=False)
    else:
        write_text_atomically(path, text)
