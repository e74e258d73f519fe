"""What a report looks like in a terminal, and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from lelkern.ablation.judge.statistics import Estimate
from lelkern.ablation.report import Report, write_report
from lelkern.ablation.results import in_words
from lelkern.ablation.study import EXPLORATORY
from lelkern.cli.output import err, headed, out
from lelkern.cli.whole_tables import Column, show_whole
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
    """Print the table of arms and baselines, in as many tables as their metrics need."""
    study = report.record.study
    rows = [*report.arms.items(), *report.baselines.items()]
    metrics = [(name, report.record.metrics[name]) for name in (study.metric, *study.metrics)]
    counted = [estimates.get(study.metric) for _, estimates in rows]
    columns = [
        Column(", ".join(axis.label for axis in study.axes()), [arm for arm, _ in rows]),
        *(
            Column(
                metric.axis_label,
                [_cell(metric, estimates.get(name)) for _, estimates in rows],
                whole=True,
                right=True,
            )
            for name, metric in metrics
        ),
        Column(
            "n",
            [str(found.n if found else 0) for found in counted],
            whole=True,
            right=True,
            repeated=True,
        ),
    ]
    if diverged := report.diverged:
        steps = [diverged.get(arm) for arm, _ in rows]
        columns.append(Column("diverged", [in_words(found) if found else "" for found in steps]))
    show_whole(
        columns,
        title=study.title,
        caption="mean ± 95 % interval over n seeds",
        apart=len(report.baselines),
    )


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
