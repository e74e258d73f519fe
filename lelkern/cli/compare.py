"""``lelkern compare``: two runs of a study side by side."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from lelkern.ablation.compare import Comparison, Difference, compare
from lelkern.ablation.judge.statistics import p_in_words
from lelkern.ablation.report import stored_report
from lelkern.cli.output import headed, out
from lelkern.cli.whole_tables import columns_of, show_whole
from lelkern.methods.metric import Metric


@click.command("compare")
@click.argument("first", metavar="OUT_A", type=click.Path(path_type=Path))
@click.argument("second", metavar="OUT_B", type=click.Path(path_type=Path))
@click.option("--metric", help="What is compared. [default: the first study's metric]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(first: Path, second: Path, metric: str | None, as_json: bool) -> None:
    """Compare two runs, arm by arm: seeds that both have in pairs, else their means.

    OUT_A and OUT_B are folders that `lelkern ablate` wrote. Shown is B less A with its 95 %
    interval, and a two-sided p-value, which Holm's correction makes allow for the number of arms.
    Below stands what differs in how the runs were made.
    """
    reports = stored_report(first), stored_report(second)
    found = compare(*reports, metric)
    if as_json:
        content = {"first": str(first), "second": str(second), **asdict(found)}
        click.echo(json.dumps(content, indent=2))
        return
    _show(found, reports[0].record.metrics[found.metric])


def _show(found: Comparison, metric: Metric) -> None:
    console = out()
    headings = ("", "A", "B", "B - A", "p", "p after Holm", "seeds")
    rows = [
        (
            one.label,
            metric.number(one.first.mean),
            metric.number(one.second.mean),
            _interval(one, metric),
            _p(one.p_value),
            _p(one.p_adjusted),
            f"{one.shared} in pairs" if one.shared else f"{one.first.n} and {one.second.n}",
        )
        for one in found.differences
    ]
    show_whole(columns_of(headings, rows, whole=headings[1:]), title=metric.axis_label)
    for name, labels in (("A", found.only_first), ("B", found.only_second)):
        if labels:
            console.print(headed(f"Only in {name}:", "; ".join(labels)))
    if not found.settings:
        console.print("Both were made in the same way.")
        return
    made = [(key, *values) for key, values in found.settings.items()]
    show_whole(columns_of(("made with", "A", "B"), made))


def _interval(one: Difference, metric: Metric) -> str:
    difference = metric.difference(one.difference)
    if one.half_width is None:
        return difference
    return f"{difference} ± {metric.number(one.half_width)}"


def _p(value: float | None) -> str:
    return "–" if value is None else p_in_words(value)
