"""A study's results as files: every trial in CSV, the summary in JSON, the plots in PNG and SVG.

A report is made of a :class:`~lelkern.ablation.record.Record` and the results that are stored,
whether the study has just run or did so long ago: :func:`read_report` finds out what there is, and
:func:`write_report` writes it.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lelkern.ablation.caption import what_was_measured
from lelkern.ablation.earlier_report import (
    keep_another_report,
    keep_fuller_report,
    results_folder,
)
from lelkern.ablation.judge.statistics import Estimate, summarize
from lelkern.ablation.judge.verdict import Verdict, judge
from lelkern.ablation.record import FILE, Record
from lelkern.ablation.report_plots import draw_plots, lacking, plot_names
from lelkern.ablation.results import Results, Row
from lelkern.ablation.run.store import Store
from lelkern.ablation.study import EXPLORATORY
from lelkern.files import write_text_atomically

FORMATS = ("png", "svg")
"""Of the plots of a report."""


@dataclass(frozen=True)
class Report:
    """What a study found, and where it is written.

    Attributes:
        record: of the study.
        results: the trials that are done.
        arms: arm to metric to estimate over the seeds.
        baselines: the same for what the arms are compared with.
        verdicts: of every claim, whether the data support it; none of an exploratory study.
        files: its files by kind: ``csv``, ``curves``, ``json``, ``png``, ``svg``; of further plots
            ``png-2`` and so on.
    """

    record: Record
    results: Results
    arms: dict[str, dict[str, Estimate]]
    baselines: dict[str, dict[str, Estimate]]
    verdicts: tuple[Verdict, ...]
    files: dict[str, Path]

    @property
    def diverged(self) -> dict[str, dict[int, int]]:
        """Arm or baseline to seed to the step at which its training diverged."""
        return self.results.diverged()

    @property
    def folder(self) -> Path:
        """The folder of results."""
        return self.files["json"].parent

    @property
    def done(self) -> int:
        """How many trials are done."""
        return len(self.results.arms) + len(self.results.baselines)

    @property
    def planned(self) -> int:
        """How many trials there are to be."""
        return len(self.record.all_trials)

    def describe(self) -> dict[str, Any]:
        """Return the report as plain data, as ``summary.json`` and ``--json`` show it."""
        record, study = self.record, self.record.study
        arms = {arm.label: arm for arm in study.arms()}
        return {
            "study": record.name,
            "origin": record.origin,
            "variant": record.variant,
            "measured": what_was_measured(record),
            "asked": record.asked.model_dump(mode="json"),
            "title": study.title,
            "data": record.data.model_dump(mode="json"),
            "found": list(record.found),
            "runtime": record.recipes[next(iter(arms))].runtime.model_dump(mode="json"),
            "environment": record.environment,
            "settings": record.shared(),
            "seeds": study.seeds,
            "trials": {"planned": self.planned, "done": self.done},
            "metric": study.metric,
            "verdicts": [dataclasses.asdict(verdict) for verdict in self.verdicts],
            "exploratory": study.exploratory,
            "remark": EXPLORATORY if study.exploratory else "",
            "arms": [
                {
                    "arm": label,
                    "values": dict(arms[label].values),
                    **self._of_arm(label, estimates),
                }
                for label, estimates in self.arms.items()
            ],
            "baselines": [
                {"name": label, **self._of_arm(label, estimates)}
                for label, estimates in self.baselines.items()
            ],
            "files": {kind: str(path) for kind, path in self.files.items()},
        }

    def _of_arm(self, label: str, estimates: Mapping[str, Estimate]) -> dict[str, Any]:
        steps, recipe, shared = (
            self.diverged.get(label, {}),
            self.record.recipes[label],
            self.record.shared(),
        )
        return {
            "method": recipe.method,
            "settings": {
                k: v for k, v in recipe.settings().items() if k not in shared or shared[k] != v
            },
            "metrics": {name: dataclasses.asdict(found) for name, found in estimates.items()},
            "diverged": [{"seed": seed, "step": step} for seed, step in steps.items()],
        }


def start_report(record: Record, folder: Path) -> Path | None:
    """Write a record into a folder of results, before its trials run.

    A report that is there and has other trials or more plots is kept, in a folder ``earlier``, with
    the record that it was made of.

    Args:
        record: of the study.
        folder: of results, which a store has opened.

    Returns:
        The folder in which the earlier report is now; None if there was none to keep.
    """
    identities = [trial.identity for trial in record.all_trials]
    files = [folder / FILE, *_files(record, folder).values()]
    earlier = keep_another_report(folder, identities, files)
    record.save(folder)
    return earlier


def read_report(record: Record, folder: Path) -> Report:
    """Summarise and judge the trials of a study that are done.

    Args:
        record: of the study.
        folder: of the report: that of the results, or of an earlier report below it.
    """
    store = Store(results_folder(folder))
    results = Results(store.rows(record.trials), store.rows(record.baselines))
    study = record.study
    return Report(
        record,
        results,
        arms=_summary(results.arms, [arm.label for arm in study.arms()]),
        baselines=_summary(results.baselines, [b.label for b in study.baseline]),
        verdicts=judge(study, results, record.metrics),
        files=_files(record, folder),
    )


def stored_report(folder: Path) -> Report:
    """Read, summarise and judge what a folder of results holds.

    Raises:
        ConfigError: it holds no record, or one or results of another version.
    """
    record = Record.load(folder)
    Store(results_folder(folder)).check()
    return read_report(record, folder)


class Written(NamedTuple):
    """What there is to say of a report that is written.

    Attributes:
        lacking: characters of the plots that no installed font has, which are boxes in them.
        earlier: the folder of the report that was there, if it had trials that are gone; else None.
    """

    lacking: str
    earlier: Path | None


def write_report(report: Report) -> Written:
    """Write the files of a report; one that has trials which are gone now is kept."""
    record, results, files = report.record, report.results, report.files
    there = [row.trial for row in (*results.arms, *results.baselines)]
    earlier = keep_fuller_report(files["csv"].parent, there)
    write_text_atomically(files["csv"], _csv(record, results))
    write_text_atomically(files["curves"], _curves([*results.baselines, *results.arms]))
    write_text_atomically(files["json"], json.dumps(report.describe(), indent=2) + "\n")
    drawings = draw_plots(record, results, report.verdicts)
    for name, drawing in drawings.items():
        for kind in FORMATS:
            drawing.write(files["csv"].with_name(f"{name}.{kind}"))
    return Written(lacking(drawings.values()), earlier)


def _files(record: Record, folder: Path) -> dict[str, Path]:
    files = {
        "csv": folder / "results.csv",
        "curves": folder / "curves.csv",
        "json": folder / "summary.json",
    }
    for name in plot_names(record):
        for kind in FORMATS:
            files[kind + name.removeprefix("plot")] = folder / f"{name}.{kind}"
    return files


def _summary(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    return summarize(rows, labels, metrics)


def _csv(record: Record, results: Results) -> str:
    axes = record.study.axes()
    names = {
        arm.label: [axis.names[i] for axis, i in zip(axes, arm.place, strict=True)]
        for arm in record.study.arms()
    }
    rows = (*results.arms, *results.baselines)
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["label", *(axis.key for axis in axes), "seed", *metrics, "diverged_at", "seconds", "trial"]
    )
    for row in rows:
        levels = names.get(row.arm, [""] * len(axes))
        figures = [row.metrics.get(metric, "") for metric in metrics]
        diverged = "" if row.diverged_at is None else row.diverged_at
        writer.writerow([row.arm, *levels, row.seed, *figures, diverged, row.seconds, row.trial])
    return text.getvalue()


def _curves(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "seed", "curve", "x", "y"])
    for row in rows:
        for name, points in row.curves.items():
            writer.writerows([row.arm, row.seed, name, x, y] for x, y in points)
    return text.getvalue()
