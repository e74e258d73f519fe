"""``lelkern methods``: which methods there are, and what one can be told."""

import json
from collections.abc import Iterator
from itertools import groupby

import click

from lelkern.cli.completion import complete_method
from lelkern.cli.listing import listing
from lelkern.cli.warning import warn, warn_of_broken_packages
from lelkern.config import ConfigError
from lelkern.methods import MethodFile, available


@click.command("methods")
@click.argument("name", required=False, shell_complete=complete_method)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(name: str | None, as_json: bool) -> None:
    """List the methods by chapter; with NAME, what one takes and reports.

    Installed packages may add methods. NAME is a method's, or the path of a file that holds one.
    Its keys are those of `lelkern config NAME`.
    """
    if name is None:
        _list(as_json)
    else:
        _show(name, as_json)


def _list(as_json: bool) -> None:
    methods = list(_readable())
    warn_of_broken_packages()
    if as_json:
        rows = [
            {"name": m.name, "chapter": m.chapter, "package": m.distribution, "summary": m.summary}
            for m in methods
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    chapters = groupby(methods, lambda method: method.chapter or "of installed packages")
    click.echo(
        listing((chapter, ((m.name, _about(m)) for m in group)) for chapter, group in chapters)
    )


def _about(method: MethodFile) -> str:
    """Return the summary of a method, and its package if that is not lelkern."""
    package = f"[{method.distribution} {method.version}]" if method.distribution else ""
    return f"{method.summary} {package}".strip()


def _readable() -> Iterator[MethodFile]:
    """Yield the methods that can be described, and warn of others."""
    for method in available().values():
        try:
            _ = method.summary
        except ConfigError as error:
            warn(f"method {method.name!r} of {method.origin}: {error}")
        else:
            yield method


def _show(name: str, as_json: bool) -> None:
    from lelkern.ablation.keys import keys_of_study
    from lelkern.cli.key_table import method_of, records_of, show_keys
    from lelkern.cli.output import out

    method = method_of(name)
    keys = list(keys_of_study([method.config]))
    reports = {key: metric.axis_label for key, metric in method.metrics.items()}
    curves = {k: f"{c.y.axis_label} against {c.x.axis_label}" for k, c in method.curves.items()}
    if as_json:
        click.echo(
            json.dumps(
                {
                    "name": name,
                    "data": method.data.kind,
                    "keys": records_of(keys),
                    "metrics": reports,
                    "curves": curves,
                },
                indent=2,
            )
        )
        return
    console = out()
    show_keys(name, keys)
    console.print(f"takes data of the kind: {method.data.kind}")
    console.print("reports: " + ", ".join(f"{k} ({label})" for k, label in reports.items()))
    if curves:
        console.print("curves: " + "; ".join(f"{k} ({s})" for k, s in curves.items()))
