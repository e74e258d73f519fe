"""``lelkern ablate``: run a study, or what is missing of it, and show what it found."""

import json
import os
import signal
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.table import Table

from lelkern.ablation.earlier_report import refuse_another_study
from lelkern.ablation.judge.statistics import Estimate
from lelkern.ablation.report import Report, write_report
from lelkern.ablation.results import in_words
from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.experiment import Experiment, prepare
from lelkern.ablation.run.runner import run_trials
from lelkern.ablation.run.store import Store
from lelkern.ablation.run.trial import Trial
from lelkern.ablation.run.worker import Done
from lelkern.ablation.study import EXPLORATORY
from lelkern.cli.completion import complete_data, complete_key, complete_study
from lelkern.cli.folder import FolderPath
from lelkern.cli.output import err, headed, out
from lelkern.cli.progress import StudyProgress
from lelkern.cli.settings import parse_settings
from lelkern.cli.warning import warn_of_broken_packages
from lelkern.interrupts import raise_at_interrupt
from lelkern.methods.metric import Metric


@click.command("ablate")
@click.argument("study", metavar="NAME_OR_FILE", shell_complete=complete_study)
@click.option(
    "--data",
    shell_complete=complete_data,
    help="A data set's name, a folder with a folder of images a class, or a table's file.",
)
@click.option(
    "--data-root",
    type=FolderPath(),
    help="Folder in which a named data set's files lie.",
)
@click.option("--download", is_flag=True, help="Fetch a named data set if it is missing.")
@click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds, shared by all arms.")
@click.option(
    "--without",
    metavar="LABEL",
    multiple=True,
    help="Leave out a baseline, such as 'raw pixels'; may be repeated.",
)
@click.option(
    "--set",
    "assignments",
    metavar="KEY=VALUE",
    multiple=True,
    shell_complete=complete_key,
    help="Replace a value of the study's base configuration; may be repeated.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Trials at a time. [default: CPU cores / threads a trial; 1 on a GPU]",
)
@click.option("--quick", is_flag=True, help="The study's short form: to see that it works.")
@click.option(
    "--out",
    "folder",
    type=FolderPath(),
    help="Folder for results. [default: runs/STUDY...]",
)
@click.option(
    "--keep-models",
    is_flag=True,
    help="Store what each trial trains; a trial that was done without runs again.",
)
@click.option(
    "--dry-run", is_flag=True, help="Check everything, show what would run, and run nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(
    study: str,
    data: str | None,
    data_root: Path | None,
    download: bool,
    seeds: int | None,
    without: tuple[str, ...],
    assignments: tuple[str, ...],
    workers: int | None,
    quick: bool,
    folder: Path | None,
    keep_models: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Run a study: train every arm over several seeds, and judge the slide's claims, if any.

    NAME_OR_FILE is a shipped study (see `lelkern studies`) or a TOML file of the same form.
    Finished trials are kept, so that the same command continues an interrupted study.
    """
    warn_of_broken_packages()
    experiment = prepare(
        study,
        quick=quick,
        seeds=seeds,
        without=without,
        settings=parse_settings(assignments),
        data=data,
        data_root=data_root,
        download=download,
    )
    raise_at_interrupt()
    store = Store(folder or experiment.default_folder, keep_models)
    store.check()
    refuse_another_study(store.folder, experiment.name, experiment.origin)
    if dry_run:
        with TemporaryDirectory() as place:
            found = _prepare(experiment, DataFiles(Path(place), experiment.source))
        _show_plan(experiment, store, found, as_json)
        return 0
    store.open()
    files = DataFiles(store.folder / "data", experiment.source)
    for line in _prepare(experiment, files):
        err().print(line, soft_wrap=True)

    try:
        with _termination_as_interrupt():
            failures = _run(experiment, store, files, workers)
    except KeyboardInterrupt:
        left = len(store.missing(experiment.all_trials))
        err().print(
            f"Interrupted with {left} of {len(experiment.all_trials)} trials left to run. "
            "What is done is kept: the same command goes on from here."
        )
        return 130
    report = write_report(experiment, store)
    if keep_models and any(trial.recipe.build for trial in experiment.all_trials):
        err().print(
            f"Models: {store.folder}/trials/TRIAL/models.safetensors, "
            "with the column `trial` of results.csv.",
            soft_wrap=True,
        )
    if report.earlier:
        err().print(
            f"The report that was there has other trials or plots; it is in {report.earlier} now.",
            soft_wrap=True,
        )
    if report.lacking:
        err().print(
            f"No installed font has {report.lacking}: plots show boxes instead. Install one that "
            "does, such as Noto's, and run the same command again."
        )
    if as_json:
        click.echo(json.dumps(report.describe(), indent=2))
    else:
        _show(report)
    if failures:
        err().print(f"{failures} trials failed; the same command runs them again.", style="red")
    return 1 if failures else 0


def _prepare(experiment: Experiment, files: DataFiles) -> list[str]:
    """Read the data, refuse what a trial could not work with, and say what was found."""
    found = files.prepare(experiment.all_trials)
    experiment.check(files)
    return [f"{experiment.source.config.name}: {description}" for description in found]


def _run(experiment: Experiment, store: Store, files: DataFiles, workers: int | None) -> int:
    """Run the missing trials and return how many failed."""
    for path in store.damaged(experiment.all_trials):
        line = f"{path}: not the result of its trial, which runs again"
        err().print(line, soft_wrap=True)
    missing = store.missing(experiment.all_trials)
    done = len(experiment.all_trials) - len(missing)
    if done:
        err().print(f"{done} of {len(experiment.all_trials)} trials were done before.")
    _say_what_models_are_kept(experiment, store, missing)
    workers = workers or _default_workers(experiment)
    with (
        StudyProgress(len(missing), *_main_metric(experiment)) as progress,
        closing(run_trials(missing, files, store, workers)) as events,
    ):
        for trial, event in events:
            progress.show(trial, event)
            if isinstance(event, Done):
                _say_what_changed(store, trial, event)
    return len(progress.failed)


def _say_what_models_are_kept(
    experiment: Experiment, store: Store, missing: Sequence[Trial]
) -> None:
    if not store.keep_models:
        return
    if again := sum(store.lacks_models(trial) for trial in missing):
        err().print(f"{again} trials were done before without their models, and run again.")
    recipes = {trial.describe()["method"]: trial.recipe for trial in experiment.all_trials}
    for name, recipe in recipes.items():
        if recipe.build is None:
            err().print(f"{name} has no model to keep.", soft_wrap=True)


def _say_what_changed(store: Store, trial: Trial, event: Done) -> None:
    for name, (before, now) in event.changed.items():
        err().print(
            f"{store.models_file(trial)}: of a run in which {name} was {now}; the result that is "
            f"kept, from before, has {before}",
            style="yellow",
            soft_wrap=True,
        )


def _main_metric(experiment: Experiment) -> tuple[str, Metric]:
    name = experiment.study.metric
    return name, experiment.metrics[name]


def _default_workers(experiment: Experiment) -> int:
    runtime = experiment.trials[0].runtime
    if runtime.device != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // runtime.threads)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, which batch systems send, end a study as tidily as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_plan(experiment: Experiment, store: Store, data: list[str], as_json: bool) -> None:
    missing = {trial.identity for trial in store.missing(experiment.all_trials)}
    if as_json:
        plan = [
            {"arm": t.arm, "trial": t.identity, "done": t.identity not in missing, **t.describe()}
            for t in experiment.all_trials
        ]
        content = {"folder": str(store.folder), "data": data, "trials": plan}
        click.echo(json.dumps(content, indent=2))
        return
    table = Table("arm", "seed", "trial", "state", title=experiment.study.title)
    for trial in experiment.all_trials:
        state = "to run" if trial.identity in missing else "done"
        if store.lacks_models(trial):
            state = "to run again, for its models"
        table.add_row(trial.arm, str(trial.seed), trial.identity, state)
    out().print(table)
    for line in data:
        out().print(line, soft_wrap=True)
    out().print(
        f"{len(missing)} of {len(experiment.all_trials)} trials to run in {store.folder}",
        soft_wrap=True,
    )


_WIDEST = 40  # characters of a label that has the room of other columns


def show_table(report: Report) -> None:
    """Print the table of arms and baselines, in which no label of an arm is cut off."""
    study, metrics = report.experiment.study, report.experiment.metrics
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
    """Return what stands beside an arm: its metrics, how many seeds have one, what diverged."""
    study, metrics = report.experiment.study, report.experiment.metrics
    cells = [_cell(metrics[name], estimates.get(name)) for name in (study.metric, *study.metrics)]
    cells.append(str(estimates[study.metric].n if study.metric in estimates else 0))
    if report.diverged:
        steps = report.diverged.get(arm)
        cells.append(in_words(steps) if steps else "")
    return cells


def _show(report: Report) -> None:
    show_table(report)
    console = out()
    if report.experiment.study.exploratory:
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
    for kind, path in report.files.items():
        console.print(f"{kind}: {path}", soft_wrap=True)


def _cell(metric: Metric, estimate: Estimate | None) -> str:
    if estimate is None or estimate.n == 0:
        return "–"
    mean = metric.number(estimate.mean)
    if not estimate.half_width:
        return mean
    return f"{mean} ± {metric.number(estimate.half_width)}"
