"""A study's results as files: every trial in CSV, the summary in JSON, the plots in PNG and SVG."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lelkern.ablation.judge.statistics import Estimate, summarize
from lelkern.ablation.judge.verdict import Verdict, judge
from lelkern.ablation.labels import format_value
from lelkern.ablation.plot import plot_study
from lelkern.ablation.results import Row
from lelkern.ablation.run.experiment import Experiment
from lelkern.ablation.run.store import Store
from lelkern.files import write_text_atomically


@dataclass(frozen=True)
class Report:
    """What a study found, and where it is written.

    Attributes:
        arms: arm to metric to estimate over the seeds.
        baselines: the same for what the arms are compared with.
        diverged: arm or baseline to seed to the step at which its training diverged.
        verdicts: of every claim, whether the data support it.
        files: written files by kind: ``csv``, ``curves``, ``json``, ``png``, ``svg``; of further
            plots ``png-2`` and so on.
    """

    experiment: Experiment
    arms: dict[str, dict[str, Estimate]]
    baselines: dict[str, dict[str, Estimate]]
    diverged: dict[str, dict[int, int]]
    verdicts: tuple[Verdict, ...]
    files: dict[str, Path]

    def describe(self) -> dict[str, Any]:
        """Return the report as plain data, as ``summary.json`` and ``--json`` show it."""
        experiment, study = self.experiment, self.experiment.study
        arms = {arm.label: arm for arm in study.arms()}
        baselines = {arm.label: arm for arm in study.baseline_arms()}
        return {
            "study": experiment.name,
            "title": study.title,
            "data": experiment.source.config.model_dump(mode="json"),
            "runtime": experiment.trials[0].runtime.model_dump(mode="json"),
            "seeds": study.seeds,
            "metric": study.metric,
            "verdicts": [dataclasses.asdict(verdict) for verdict in self.verdicts],
            "arms": [
                {
                    "arm": label,
                    "method": arms[label].method,
                    "values": dict(arms[label].values),
                    "metrics": _plain(estimates),
                    "diverged": self._diverged(label),
                }
                for label, estimates in self.arms.items()
            ],
            "baselines": [
                {
                    "name": label,
                    "method": baselines[label].method,
                    "metrics": _plain(estimates),
                    "diverged": self._diverged(label),
                }
                for label, estimates in self.baselines.items()
            ],
            "files": {kind: str(path) for kind, path in self.files.items()},
        }

    def _diverged(self, label: str) -> list[dict[str, int]]:
        steps = self.diverged.get(label, {})
        return [{"seed": seed, "step": step} for seed, step in steps.items()]


def write_report(experiment: Experiment, store: Store) -> Report:
    """Summarise the finished trials of an experiment into the store's folder."""
    study, folder = experiment.study, store.folder
    results = experiment.results(store)
    verdicts = judge(study, results, experiment.metrics)
    files = {
        "csv": folder / "results.csv",
        "curves": folder / "curves.csv",
        "json": folder / "summary.json",
    }
    subtitle = _in_words(verdicts)
    for i, plot in enumerate(study.plot):
        number = f"-{i + 1}" if i else ""
        png, svg = plot_study(
            study,
            plot,
            results,
            folder / f"plot{number}",
            metrics=experiment.metrics,
            curves=experiment.curves,
            subtitle=subtitle,
        )
        files |= {f"png{number}": png, f"svg{number}": svg}
    report = Report(
        experiment,
        arms=_summary(results.arms, [arm.label for arm in study.arms()]),
        baselines=_summary(results.baselines, [b.label for b in study.baseline]),
        diverged=results.diverged(),
        verdicts=verdicts,
        files=files,
    )
    write_text_atomically(files["csv"], _csv(experiment, store))
    write_text_atomically(files["curves"], _curves([*results.baselines, *results.arms]))
    write_text_atomically(files["json"], json.dumps(report.describe(), indent=2) + "\n")
    return report


def _in_words(verdicts: Sequence[Verdict]) -> str:
    """Return the verdict with its reason, or of several the outcomes."""
    if len(verdicts) == 1:
        return f"Verdict: {verdicts[0].outcome}. {verdicts[0].reason}"
    return " ".join(f"{v.outcome.capitalize()}: {v.says}" for v in verdicts)


def _summary(rows: Sequence[Row], labels: Sequence[str]) -> dict[str, dict[str, Estimate]]:
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    return summarize(rows, labels, metrics)


def _plain(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {metric: dataclasses.asdict(estimate) for metric, estimate in estimates.items()}


def _csv(experiment: Experiment, store: Store) -> str:
    keys = [axis.key for axis in experiment.study.axes()]
    values = {arm.label: arm.values for arm in experiment.study.arms()}
    trials = (*experiment.trials, *experiment.baselines)
    done = [
        (trial, row, store.result(trial))
        for trial in trials
        if (row := store.row(trial)) is not None
    ]
    metrics = list(dict.fromkeys(name for _, row, _ in done for name in row.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", *keys, "seed", *metrics, "diverged_at", "seconds", "trial"])
    for trial, row, result in done:
        levels = [format_value(values.get(trial.arm, {}).get(key, "")) for key in keys]
        figures = [row.metrics.get(metric, "") for metric in metrics]
        seconds = result["seconds"] if result else ""
        diverged = "" if row.diverged_at is None else row.diverged_at
        writer.writerow(
            [trial.arm, *levels, trial.seed, *figures, diverged, seconds, trial.identity]
        )
    return text.getvalue()


def _curves(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", "seed", "curve", "x", "y"])
    for row in rows:
        for name, points in row.curves.items():
            writer.writerows([row.arm, row.seed, name, x, y] for x, y in points)
    return text.getvalue()
