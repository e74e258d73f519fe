"""``lelkern report``: tables, verdicts and plots again, from what is stored, without running."""

from pathlib import Path

import click

from lelkern.ablation.earlier_report import results_folder
from lelkern.ablation.html import write_page
from lelkern.ablation.record import Record
from lelkern.ablation.report import read_report
from lelkern.ablation.run.outdated import outdated
from lelkern.ablation.run.store import Store
from lelkern.cli.output import err, out
from lelkern.cli.shown_report import write_and_show


@click.command("report")
@click.argument(
    "folders", metavar="OUT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one page of HTML as well, with all that is known of the studies.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(folders: tuple[Path, ...], page: Path | None, as_json: bool) -> int:
    """Show what studies found, from their folders of results, and write their reports anew.

    OUT is a folder that `lelkern ablate` wrote, such as runs/temperature. Nothing runs, and neither
    the study's file nor its methods and data are needed. Of an interrupted study the report is of
    what is there, and says so. With several folders, --json prints a list.
    """
    records = {folder: Record.load(folder) for folder in folders}
    damaged = []
    for folder, record in records.items():
        store = Store(results_folder(folder))
        store.check()
        damaged += store.damaged(record.all_trials)
        if note := outdated(record):
            err().print(f"{folder}: {note}", soft_wrap=True)
    reports = [read_report(record, folder) for folder, record in records.items()]
    write_and_show(reports, as_json)
    if page is not None:
        write_page(reports, page)
        if not as_json:
            out().print(f"html: {page}", soft_wrap=True)
    for path in damaged:
        line = f"{path}: damaged, and left out; `lelkern ablate` runs its trial again"
        err().print(line, soft_wrap=True)
    return 2 if damaged else 0
