"""``lelkern studies``: which studies there are, and what they cost."""

import json
from itertools import groupby

import click
from rich.markup import escape
from rich.table import Table

from lelkern.ablation.study import Study, load_study, shipped_studies
from lelkern.cli.output import out


@click.command("studies")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(as_json: bool) -> None:
    """List the shipped studies by chapter: what each varies, claims and costs.

    Minutes are for two CPU cores; in brackets with --quick.
    """
    studies = [(path, load_study(name)) for name, path in shipped_studies().items()]
    if as_json:
        listing = [
            {
                "name": path.stem,
                "chapter": path.parent.name,
                "title": study.title,
                "claims": [claim.says for claim in study.claim],
                "methods": list(dict.fromkeys(arm.method for arm in study.arms())),
                "axes": {axis.key: axis.levels for axis in study.axes()},
                "seeds": study.seeds,
                "trials": trials(study),
                "minutes": study.minutes,
                "quick": {"trials": trials(study.quickened()), "minutes": study.quick.minutes},
                "file": str(path),
            }
            for path, study in studies
        ]
        click.echo(json.dumps(listing, indent=2))
        return
    table = Table("study", "varies", "trials", "minutes", "claims")
    for chapter, group in groupby(studies, lambda item: item[0].parent.name):
        table.add_section()
        table.add_row(f"[bold]{chapter.replace('-', ' ')}[/]")
        for path, study in group:
            varies = ", ".join(axis.key for axis in study.axes())
            table.add_row(
                f"  {path.stem}",
                escape(varies),
                f"{trials(study)} ({trials(study.quickened())})",
                f"{_minutes(study.minutes)} ({_minutes(study.quick.minutes)})",
                escape(" ".join(claim.says for claim in study.claim)),
            )
    out().print(table)


def trials(study: Study) -> int:
    """Return how many trials a study has, baselines included."""
    baselines = sum(min(b.seeds or study.seeds, study.seeds) for b in study.baseline)
    return len(study.arms()) * study.seeds + baselines


def _minutes(minutes: float | None) -> str:
    return "?" if minutes is None else f"{minutes:g}"
