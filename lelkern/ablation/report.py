"""A study's results as files: every trial in CSV, the summary in JSON, the plot in PNG and SVG."""

import csv
import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lelkern.ablation.experiment import Experiment
from lelkern.ablation.plot import plot_study
from lelkern.ablation.statistics import Estimate, Row, summarize
from lelkern.ablation.store import Store
from lelkern.ablation.study import format_value
from lelkern.ablation.verdict import Verdict, verdict
from lelkern.files import write_text_atomically


@dataclass(frozen=True)
class Report:
    """What a study found, and where it is written.

    Attributes:
        arms: arm to metric to estimate over the seeds.
        baselines: the same for raw pixels and the untrained encoder.
        verdict: whether the data support the claim.
        files: written files by kind: ``csv``, ``json``, ``png``, ``svg``.
    """

    experiment: Experiment
    arms: dict[str, dict[str, Estimate]]
    baselines: dict[str, dict[str, Estimate]]
    verdict: Verdict
    files: dict[str, Path]

    def describe(self) -> dict[str, Any]:
        """Return the report as plain data, as ``summary.json`` and ``--json`` show it."""
        experiment, study = self.experiment, self.experiment.study
        values = {arm.label: dict(arm.values) for arm in study.arms()}
        return {
            "study": experiment.name,
            "title": study.title,
            "claim": study.claim,
            "method": study.method,
            "data": experiment.source.config.model_dump(mode="json"),
            "runtime": experiment.trials[0].runtime.model_dump(mode="json"),
            "seeds": study.seeds,
            "metric": study.metric,
            "verdict": dataclasses.asdict(self.verdict),
            "arms": [
                {"arm": arm, "values": values[arm], "metrics": _plain(estimates)}
                for arm, estimates in self.arms.items()
            ],
            "baselines": [
                {"name": name, "metrics": _plain(estimates)}
                for name, estimates in self.baselines.items()
            ],
            "files": {kind: str(path) for kind, path in self.files.items()},
        }


def write_report(experiment: Experiment, store: Store) -> Report:
    """Summarise the finished trials of an experiment into the store's folder."""
    study = experiment.study
    rows = experiment.rows(store)
    baselines = experiment.baseline_rows(store)
    folder = store.folder
    files = {
        "csv": folder / "results.csv",
        "json": folder / "summary.json",
        "png": folder / "plot.png",
        "svg": folder / "plot.svg",
    }
    found = verdict(study, rows)
    labels = [arm.label for arm in study.arms()]
    report = Report(
        experiment,
        arms=summarize(rows, labels, _metrics(rows)),
        baselines={
            baseline.name: summarize(baseline.rows, [baseline.name], _metrics(baseline.rows))[
                baseline.name
            ]
            for baseline in baselines
        },
        verdict=found,
        files=files,
    )
    write_text_atomically(files["csv"], _csv(experiment, store))
    plot_study(study, rows, baselines, folder / "plot", f"Verdict: {found.outcome}. {found.reason}")
    write_text_atomically(files["json"], json.dumps(report.describe(), indent=2) + "\n")
    return report


def _metrics(rows: list[Row] | tuple[Row, ...]) -> list[str]:
    """Every metric that some row has, in the order of their first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row.metrics))


def _plain(estimates: dict[str, Estimate]) -> dict[str, Any]:
    return {metric: dataclasses.asdict(estimate) for metric, estimate in estimates.items()}


def _csv(experiment: Experiment, store: Store) -> str:
    keys = [factor.key for factor in experiment.study.factor]
    values = {arm.label: arm.values for arm in experiment.study.arms()}
    trials = (*experiment.trials, *experiment.baselines)
    results = [(trial, store.result(trial)) for trial in trials]
    done = [(trial, result) for trial, result in results if result is not None]
    metrics = list(dict.fromkeys(name for _, result in done for name in result["metrics"]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arm", *keys, "seed", *metrics, "seconds", "trial"])
    for trial, result in done:
        levels = [format_value(values.get(trial.arm, {}).get(key, "")) for key in keys]
        figures = [result["metrics"].get(metric, "") for metric in metrics]
        writer.writerow(
            [trial.arm, *levels, trial.seed, *figures, result["seconds"], trial.identity]
        )
    return text.getvalue()
