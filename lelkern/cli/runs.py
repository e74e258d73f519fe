"""``lelkern runs``: which results are stored where, and which are of no use any more."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from lelkern.ablation.run.in_use import unless_in_use
from lelkern.ablation.run.inventory import Folder, take_stock
from lelkern.cli.folder import FolderPath
from lelkern.cli.output import err, out
from lelkern.cli.whole_tables import columns_of, show_whole


@dataclass(frozen=True)
class _Line:
    folder: str
    study: str
    trials: int
    stale: int
    failed: int
    megabytes: float


@click.command("runs")
@click.argument("folder", default="runs", type=FolderPath())
@click.option("--prune", is_flag=True, help="Remove what no study can use any more, after asking.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(folder: Path, prune: bool, yes: bool, as_json: bool) -> int:
    """List the results below FOLDER: finished trials, stale ones, failed ones, and their size.

    A stale trial was run by other code, packages or kernels than are there now, so that no study
    can use it; the data of trials that are gone are stale, too. A method that is a file is looked
    for where it was when the study ran last; if it, or a package with a method, isn't there any
    more, its trials are kept. Where a study is running nothing is removed.
    """
    if as_json and prune:
        raise click.UsageError("--json: must not be combined with --prune, which prints no list")
    stock = take_stock(folder)
    lines = [
        _Line(
            str(found.path),
            found.study,
            len(found.usable),
            len(found.stale),
            len(found.failed),
            round(found.size / 1e6, 1),
        )
        for found in stock
    ]
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], indent=2))
        return 0
    if not stock:
        err().print(f"{folder}: no results", soft_wrap=True)
        return 0
    if not prune:
        headings = ("folder", "study", "trials", "stale", "failed", "MB")
        show_whole(columns_of(headings, [tuple(map(str, asdict(line).values())) for line in lines]))
        return 0
    return _prune(stock, yes)


def _prune(stock: list[Folder], yes: bool) -> int:
    stale = [found for found in stock if found.removable()]
    if not stale:
        out().print("Nothing is stale.")
        return 0
    trials, size = _amount(stale)
    if not yes and not click.confirm(f"Remove {_said(trials, size)}?", err=True):
        return 0
    trials = size = 0
    for found in stale:
        with unless_in_use(found.path) as free:
            if not free:
                line = f"{found.path}: a study is running, so nothing is removed"
                err().print(line, soft_wrap=True)
                continue
            present = take_stock(found.path)  # a study may have ended since
            more = _amount(present)
            trials, size = trials + more[0], size + more[1]
            for path in (path for one in present for path in one.removable()):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    out().print(f"Removed {_said(trials, size)}.")
    return 0


def _amount(stock: list[Folder]) -> tuple[int, int]:
    """Return the number of trials that can be removed, and the bytes with what else can be."""
    trials = sum(len(found.stale) + len(found.failed) for found in stock)
    return trials, sum(found.removable_size() for found in stock)


def _said(trials: int, size: int) -> str:
    return f"{trials} trials and stale data, {size / 1e6:.1f} MB"
