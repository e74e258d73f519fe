"""A study's results as files: every trial in CSV, the summary in JSON, the plots in PNG and SVG."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lelkern.ablation.earlier_report import set_aside
from lelkern.ablation.judge.statistics import Estimate, summarize
from lelkern.ablation.judge.verdict import Verdict, judge
from lelkern.ablation.plot import plot_study
from lelkern.ablation.results import Row
from lelkern.ablation.run.experiment import Experiment
from lelkern.ablation.run.store import Store
from lelkern.ablation.study import EXPLORATORY
from lelkern.files import write_text_atomically


@dataclass(frozen=True)
class Report:
    """What a study found, and where it is written.

    Attributes:
        arms: arm to metric to estimate over the seeds.
        baselines: the same for what the arms are compared with.
        diverged: arm or baseline to seed to the step at which its training diverged.
        verdicts: of every claim, whether the data support it; none of an exploratory study.
        files: written files by kind: ``csv``, ``curves``, ``json``, ``png``, ``svg``; of further
            plots ``png-2`` and so on.
        earlier: folder of the report that was there before, if it has trials or plots that this
            one lacks; else None.
        lacking: characters of the plots that no installed font has.
    """

    experiment: Experiment
    arms: dict[str, dict[str, Estimate]]
    baselines: dict[str, dict[str, Estimate]]
    diverged: dict[str, dict[int, int]]
    verdicts: tuple[Verdict, ...]
    files: dict[str, Path]
    earlier: Path | None = None
    lacking: str = ""

    def describe(self) -> dict[str, Any]:
        """Return the report as plain data, as ``summary.json`` and ``--json`` show it."""
        experiment, study = self.experiment, self.experiment.study
        arms = {arm.label: arm for arm in study.arms()}
        baselines = {arm.label: arm for arm in study.baseline_arms()}
        return {
            "study": experiment.name,
            "origin": experiment.origin,
            "title": study.title,
            "data": experiment.source.config.model_dump(mode="json"),
            "runtime": experiment.trials[0].runtime.model_dump(mode="json"),
            "seeds": study.seeds,
            "metric": study.metric,
            "verdicts": [dataclasses.asdict(verdict) for verdict in self.verdicts],
            "exploratory": study.exploratory,
            "remark": EXPLORATORY if study.exploratory else "",
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
    """Summarise the finished trials of an experiment into the store's folder.

    A report that is there and has other trials or more plots is kept, in a folder ``earlier``.
    """
    study, folder = experiment.study, store.folder
    results = experiment.results(store)
    verdicts = judge(study, results, experiment.metrics)
    files = {
        "csv": folder / "results.csv",
        "curves": folder / "curves.csv",
        "json": folder / "summary.json",
    }
    stems = [folder / ("plot" if i == 0 else f"plot-{i + 1}") for i in range(len(study.plot))]
    pictures = [stem.with_name(stem.name + kind) for stem in stems for kind in (".png", ".svg")]
    identities = [trial.identity for trial in experiment.all_trials]
    earlier = set_aside(folder, identities, (*files.values(), *pictures))
    subtitle = _in_words(verdicts)
    lacking: set[str] = set()
    for plot, stem in zip(study.plot, stems, strict=True):
        number = stem.name.removeprefix("plot")
        drawn = plot_study(
            study,
            plot,
            results,
            stem,
            metrics=experiment.metrics,
            curves=experiment.curves,
            subtitle=subtitle,
        )
        files |= {f"png{number}": drawn.png, f"svg{number}": drawn.svg}
        lacking |= set(drawn.lacking)
    report = Report(
        experiment,
        arms=_summary(results.arms, [arm.label for arm in study.arms()]),
        baselines=_summary(results.baselines, [b.label for b in study.baseline]),
        diverged=results.diverged(),
        verdicts=verdicts,
        files=files,
        earlier=earlier,
        lacking="".join(sorted(lacking)),
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
    axes = experiment.study.axes()
    names = {
        arm.label: [axis.names[i] for axis, i in zip(axes, arm.place, strict=True)]
        for arm in experiment.study.arms()
    }
    trials = (*experiment.trials, *experiment.baselines)
    done = [
        (trial, row, store.result(trial))
        for trial in trials
        if (row := store.row(trial)) is not None
    ]
    metrics = list(dict.fromkeys(name for _, row, _ in done for name in row.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["label", *(axis.key for axis in axes), "seed", *metrics, "diverged_at", "seconds", "trial"]
    )
    for trial, row, result in done:
        levels = names.get(trial.arm, [""] * len(axes))
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
