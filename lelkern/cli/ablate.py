"""``lelkern ablate``: run a study, or what is missing of it, and show what it found."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from lelkern.ablation.earlier_report import refuse_another_study
from lelkern.ablation.report import read_report, start_report
from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.experiment import Experiment, prepare
from lelkern.ablation.run.in_use import using
from lelkern.ablation.run.recording import record_of
from lelkern.ablation.run.runner import run_trials
from lelkern.ablation.run.store import Store
from lelkern.ablation.run.trial import Trial
from lelkern.ablation.run.worker import Done
from lelkern.cli.completion import complete_data, complete_key, complete_study
from lelkern.cli.folder import FolderPath
from lelkern.cli.output import err, out
from lelkern.cli.progress import StudyProgress
from lelkern.cli.settings import parse_settings
from lelkern.cli.shown_report import say_where_it_is, write_and_show
from lelkern.cli.warning import warn_of_broken_packages
from lelkern.cli.whole_tables import columns_of, show_whole
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
        _show_plan(experiment, store, _described(experiment, found), as_json)
        return 0
    store.open()
    with using(store.folder):
        return _run_and_report(experiment, store, workers, as_json)


def _run_and_report(
    experiment: Experiment, store: Store, workers: int | None, as_json: bool
) -> int:
    """Run what is missing, judge and show it, and return the exit code."""
    files = DataFiles(store.folder / "data", experiment.source)
    found = _prepare(experiment, files)
    for line in _described(experiment, found):
        err().print(line, soft_wrap=True)
    record = record_of(experiment, found)
    earlier = start_report(record, store.folder)
    if earlier:
        say_where_it_is(earlier)
    try:
        with _termination_as_interrupt():
            failures = _run(experiment, store, files, workers)
    except KeyboardInterrupt:
        left = len(store.missing(experiment.all_trials))
        err().print(
            f"Interrupted with {left} of {len(experiment.all_trials)} trials left to run. "
            "What is done is kept: the same command goes on from here, and "
            f"`lelkern report {store.folder}` shows what there is.",
            soft_wrap=True,
        )
        return 130
    if store.keep_models and any(trial.recipe.build for trial in experiment.all_trials):
        err().print(
            f"Models: {store.folder}/trials/TRIAL/models.safetensors, "
            "with the column `trial` of results.csv.",
            soft_wrap=True,
        )
    write_and_show([read_report(record, store.folder)], as_json)
    if failures:
        err().print(f"{failures} trials failed; the same command runs them again.", style="red")
    return 1 if failures else 0


def _prepare(experiment: Experiment, files: DataFiles) -> list[str]:
    """Read the data, refuse what a trial could not work with, and return descriptions of it."""
    found = files.prepare(experiment.all_trials)
    experiment.check(files)
    return found


def _described(experiment: Experiment, found: list[str]) -> list[str]:
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
    rows = []
    for trial in experiment.all_trials:
        state = "to run" if trial.identity in missing else "done"
        if store.lacks_models(trial):
            state = "to run again, for its models"
        rows.append((trial.arm, str(trial.seed), trial.identity, state))
    headings = ("arm", "seed", "trial", "state")
    show_whole(columns_of(headings, rows, whole=["trial"]), title=experiment.study.title)
    for line in data:
        out().print(line, soft_wrap=True)
    out().print(
        f"{len(missing)} of {len(experiment.all_trials)} trials to run in {store.folder}",
        soft_wrap=True,
    )
