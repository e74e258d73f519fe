"""What a report looks like in a terminal, and as JSON."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.table import Table

from lelkern.ablation.judge.statistics import Estimate
from lelkern.ablation.report import Report, write_report
from lelkern.ablation.results import in_words
from lelkern.ablation.study import EXPLORATORY
from lelkern.cli.output import err, headed, out
from lelkern.methods.metric import Metric


def write_and_show(reports: Sequence[Report], as_json: bool) -> None:
    """Write the files of reports, and print what they found.

    What cannot be written does not keep it from being shown first.

    Args:
        reports: one or several, which JSON has as a list then.
        as_json: print JSON instead of tables.

    Raises:
        OSError: a file cannot be written, as on a full disk or in somebody else's folder.
    """
    failures: list[OSError] = []
    lacking: set[str] = set()
    for report in reports:
        try:
            written = write_report(report)
            lacking |= set(written.lacking)
            if written.earlier:
                say_where_it_is(written.earlier)
        except OSError as error:
            failures.append(error)
        if not as_json:
            _show(report)
            if not failures:
                for kind, path in report.files.items():
                    out().print(f"{kind}: {path}", soft_wrap=True)
    if as_json:
        described = [report.describe() for report in reports]
        click.echo(json.dumps(described if len(described) > 1 else described[0], indent=2))
    say_what_is_lacking("".join(sorted(lacking)))
    if failures:
        raise failures[0]


_WIDEST = 40  # characters of a label that has the room of other columns


def say_where_it_is(earlier: Path) -> None:
    """Say where the report is now that was there before."""
    err().print(
        f"The report that was there has other trials or plots; it is in {earlier} now.",
        soft_wrap=True,
    )


def say_what_is_lacking(characters: str) -> None:
    """Say that plots show boxes, if no installed font has some characters."""
    if characters:
        err().print(
            f"No installed font has {characters}: plots show boxes instead. Install one that does, "
            "such as Noto's, and run the same command again."
        )


def show_table(report: Report) -> None:
    """Print the table of arms and baselines, in which no label of an arm is cut off."""
    study, metrics = report.record.study, report.record.metrics
    names = (study.metric, *study.metrics)
    groups = [
        [(arm, *_cells(report, arm, estimates)) for arm, estimates in group.items()]
        for group in (report.arms, report.baselines)
    ]
    headings = [
        ", ".join(axis.label for axis in study.axes()),
        *(metrics[name].axis_label for name in names),
        "n",
        *(["diverged"] if report.diverged else []),
    ]
    widths = [max(map(len, column)) for column in zip(*groups[0], *groups[1], strict=True)]
    console = out()
    if sum(map(max, map(len, headings), widths)) + 3 * len(headings) + 1 > console.width:
        # Before numbers are: a heading in several lines is as easy to read.
        headings[1:] = [
            textwrap.fill(heading, max(width, 8), break_long_words=False)
            for heading, width in zip(headings[1:], widths[1:], strict=True)
        ]
    table = Table(title=study.title, caption="mean ± 95 % interval over n seeds")
    table.add_column(headings[0], no_wrap=widths[0] <= _WIDEST, overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="left" if heading == "diverged" else "right")
    for style, group in zip(("", "dim"), groups, strict=True):
        for row in group:
            table.add_row(*row, style=style)
        table.add_section()
    console.print(table)


def _cells(report: Report, arm: str, estimates: Mapping[str, Estimate]) -> list[str]:
    """Return the cells beside an arm: its metrics, the number of seeds, and what diverged."""
    study, metrics = report.record.study, report.record.metrics
    cells = [_cell(metrics[name], estimates.get(name)) for name in (study.metric, *study.metrics)]
    cells.append(str(estimates[study.metric].n if study.metric in estimates else 0))
    if report.diverged:
        steps = report.diverged.get(arm)
        cells.append(in_words(steps) if steps else "")
    return cells


def _show(report: Report) -> None:
    show_table(report)
    console = out()
    if report.done < report.planned:
        console.print(headed("Incomplete:", f"{report.done} of {report.planned} trials are done."))
    if report.record.study.exploratory:
        console.print(EXPLORATORY)
    for verdict in report.verdicts:
        console.print(headed("Claim:", verdict.says))
        console.print(headed(f"Verdict: {verdict.outcome}.", verdict.reason))
        if verdict.outlook:
            console.print(verdict.outlook)
        console.print(headed("Test:", verdict.test))
    if any(verdict.more_seeds for verdict in report.verdicts):
        console.print(
            "Decide on the number of seeds before you look again: testing after every few, and "
            "stopping once a claim is supported, finds support where there is none."
        )


def _cell(metric: Metric, estimate: Estimate | None) -> str:
    if estimate is None or estimate.n == 0:
        return "–"
    return metric.interval(estimate.mean, estimate.half_width)
