from dataclasses import dataclass

import pytest
from fake_study import write_study

from lelkern.ablation.report import Report, read_report, start_report, write_report
from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.experiment import Experiment, prepare
from lelkern.ablation.run.recording import record_of
from lelkern.ablation.run.runner import run_trials
from lelkern.ablation.run.store import Store


@pytest.fixture
def study_file(tmp_path):
    """The study of the fake method, in a folder of its own."""
    return write_study(tmp_path)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@dataclass(frozen=True)
class Finished:
    """A study that has run, for tests that only look at it."""

    experiment: Experiment
    store: Store
    files: DataFiles
    events: list
    report: Report


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    experiment, store = prepare(str(write_study(folder))), Store(folder / "results")
    store.open()
    files = DataFiles(store.folder / "data", experiment.source)
    record = record_of(experiment, files.prepare(experiment.all_trials))
    start_report(record, store.folder)
    events = list(run_trials(experiment.all_trials, files, store, 2))
    report = read_report(record, store.folder)
    write_report(report)
    return Finished(experiment, store, files, events, report)
