"""``lelkern studies``: which studies there are."""

import json

import click
from rich.table import Table

from lelkern.ablation.study import load_study, shipped_studies
from lelkern.cli.output import out


@click.command("studies")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(as_json: bool) -> None:
    """List the shipped studies: what each varies and what it claims."""
    studies = {name: (path, load_study(name)) for name, path in shipped_studies().items()}
    if as_json:
        listing = [
            {
                "name": name,
                "title": study.title,
                "claim": study.claim,
                "method": study.method,
                "factors": {factor.key: factor.levels() for factor in study.factor},
                "seeds": study.seeds,
                "file": str(path),
            }
            for name, (path, study) in studies.items()
        ]
        click.echo(json.dumps(listing, indent=2))
        return
    table = Table("study", "varies", "arms", "seeds", "claim")
    for name, (_, study) in studies.items():
        varies = ", ".join(factor.key for factor in study.factor)
        table.add_row(name, varies, str(len(study.arms())), str(study.seeds), study.claim)
    out().print(table)
