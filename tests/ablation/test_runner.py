"""Trials in worker processes: results, isolation, interruption."""

import json
import math
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

import pytest
from fake_method import surroundings
from light_workers import write_light_workers

import lelkern
from lelkern.ablation.run import runner
from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.runner import Started, run_trials
from lelkern.ablation.run.worker import Advanced, Done, Failed, Imports, work

pytestmark = pytest.mark.slow


def files_of(experiment, store):
    files = DataFiles(store.folder / "data", experiment.source)
    files.prepare(experiment.all_trials)
    return files


def run(experiment, store, workers=2):
    missing = store.missing(experiment.all_trials)
    with closing(run_trials(missing, files_of(experiment, store), store, workers)) as events:
        return list(events)


def kinds(events, kind):
    return [trial for trial, event in events if isinstance(event, kind)]


def results(experiment, store):
    rows = [store.row(trial) for trial in experiment.trials]
    return [
        (row.arm, row.seed, {k: v for k, v in row.metrics.items() if k != "pid"}, row.curves)
        for row in rows
    ]


def test_every_trial_runs_once_in_a_process_of_its_own(finished):
    trials = finished.experiment.all_trials
    for kind in (Started, Done):
        assert sorted(t.identity for t in kinds(finished.events, kind)) == sorted(
            t.identity for t in trials
        )
    pids = {finished.store.row(trial).metrics["pid"] for trial in finished.experiment.trials}
    assert len(pids) == len(finished.experiment.trials)
    assert os.getpid() not in pids
    assert finished.store.missing(trials) == []
    assert list(run_trials([], finished.files, finished.store, 2)) == []


def test_losses_and_curves_are_recorded(finished):
    row = finished.store.row(finished.experiment.trials[2])  # level 2: accuracy 1
    assert row.curves["loss"] == [(1, 1.0), (2, 1 / 2), (3, 1 / 3)]
    assert row.curves["path"] == [(x, x / 4) for x in range(5)]
    assert set(finished.store.row(finished.experiment.baselines[0]).curves) == {"loss"}


def test_the_number_of_workers_bounds_what_runs_at_once(study_file, store):
    experiment = prepare(str(study_file), quick=True, settings={"pause": 0.02})
    running = most = 0
    for _, event in run(experiment, store, workers=3):
        running += isinstance(event, Started) - isinstance(event, Done)
        most = max(most, running)
    assert most == 3


@pytest.mark.parametrize(
    ("fault", "summary"),
    [
        ("raise", "RuntimeError: no luck"),
        ("die", "died with exit code 7"),
        ("undeclared", "undeclared: ['bogus']"),
    ],
)
def test_one_failure_spoils_nothing_else_and_is_run_again(
    study_file, store, tmp_path, fault, summary
):
    settings = {"fault": fault, "only_once": str(tmp_path / "struck")}
    experiment = prepare(str(study_file), seeds=1, settings=settings)
    events = run(experiment, store, workers=1)
    failed = kinds(events, Failed)
    assert len(failed) == 1
    event = next(event for _, event in events if isinstance(event, Failed))
    assert summary in event.summary
    assert summary in event.file.read_text()
    assert store.missing(experiment.all_trials) == failed
    again = run(experiment, store)
    assert kinds(again, Done) == failed
    assert not event.file.exists()


@pytest.mark.parametrize(("fault", "losses"), [("diverge", 2), ("overflow", 3)])
def test_a_trial_that_diverges_is_a_result(study_file, store, fault, losses):
    settings = {"fault": fault, "steps": 3}
    experiment = prepare(str(study_file), seeds=1, settings=settings)
    trial = experiment.trials[0]
    *_, (_, event) = run_trials([trial], files_of(experiment, store), store, 1)
    assert isinstance(event, Done)
    assert event.diverged_at == 3
    row = store.row(trial)
    assert row.diverged_at == 3
    assert all(math.isnan(value) for value in row.metrics.values())
    assert row.curves["loss"] == [(i, 1 / i) for i in range(1, losses + 1)]
    assert row.curves["path"] == []
    assert store.missing([trial]) == []


def test_what_is_not_finite_before_the_first_step_is_a_failure(study_file, store):
    settings = {"fault": "overflow", "steps": 0}
    experiment = prepare(str(study_file), seeds=1, settings=settings)
    *_, (_, event) = run_trials(experiment.trials[:1], files_of(experiment, store), store, 1)
    assert isinstance(event, Failed)


def test_a_worker_reads_the_labels_that_its_budget_leaves(study_file, store, tmp_path):
    settings = {"data": {"labels_per_class": 3}, "seen": str(tmp_path)}
    experiment = prepare(str(study_file), settings=settings)
    trials = experiment.trials[:5:4]  # of seeds 0 and 1
    files = files_of(experiment, store)
    list(run_trials(trials, files, store, 2))
    for trial in trials:
        seen = json.loads((tmp_path / f"{trial.seed}.json").read_text())
        assert sorted(label for label in seen if label >= 0) == [0, 0, 0, 1, 1, 1]
        assert seen == files.load(trial).train_y.tolist()


def test_an_interrupted_study_continues_to_the_same_results(study_file, store, finished):
    experiment = prepare(str(study_file), settings={"pause": 0.01})
    with closing(
        run_trials(experiment.all_trials, files_of(experiment, store), store, 2)
    ) as events:
        for done, (_, event) in enumerate(events):
            if done > 8 and isinstance(event, Advanced | Started):
                break  # with trials in flight, as an exception in the loop would
    left = store.missing(experiment.all_trials)
    assert 0 < len(left) < len(experiment.all_trials)
    run(experiment, store)
    assert results(experiment, store) == results(finished.experiment, finished.store)


def test_an_interrupted_study_leaves_no_worker_at_work(study_file, store):
    settings = {"pause": 0.1, "steps": 600}  # a minute, which nobody has to wait for
    experiment = prepare(str(study_file), seeds=1, settings=settings)
    trials = experiment.trials[:2]
    with closing(run_trials(trials, files_of(experiment, store), store, 2)) as events:
        at_work = set()
        while len(at_work) < len(trials):
            trial, event = next(events)
            assert isinstance(event, Started | Advanced)
            if isinstance(event, Advanced):
                at_work.add(trial.identity)
    assert multiprocessing.active_children() == []
    assert store.missing(trials) == list(trials)  # they were ended, not waited for


@pytest.fixture
def start(finished):
    """Starts a worker by hand, from the fork server that the finished study has used."""
    server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if server else "spawn")
    receiver, sender = context.Pipe(duplex=False)

    def start(trial, files, store, imports):
        process = context.Process(
            target=work, args=(trial, trial.identity, files, store, sender, imports)
        )
        process.start()
        sender.close()
        return process, receiver

    return start


def test_a_worker_ends_when_nobody_listens(study_file, store, start):
    experiment = prepare(str(study_file), seeds=1, settings={"pause": 0.3, "steps": 200})
    trial = experiment.trials[0]
    process, messages = start(trial, files_of(experiment, store), store, Imports.here())
    messages.recv()  # the first report
    messages.close()
    process.join(timeout=30)  # at the next report; the trial itself takes a minute
    assert process.exitcode == 0
    assert store.result(trial) is None


def test_a_worker_with_another_lelkern_refuses_its_trial(study_file, store, start):
    experiment = prepare(str(study_file), seeds=1)
    trial = experiment.trials[0]
    other = replace(Imports.here(), lelkern="/elsewhere/lelkern/__init__.py")
    files = DataFiles(store.folder / "unread", experiment.source)
    process, messages = start(trial, files, store, other)
    event = messages.recv()
    process.join()
    assert isinstance(event, Failed)
    assert "the study runs with /elsewhere/lelkern/__init__.py" in event.summary
    assert store.result(trial) is None


def test_a_method_that_changes_under_a_study_fails_and_mixes_nothing(study_file, store):
    experiment = prepare(str(study_file), seeds=1)
    trials = store.missing(experiment.trials)  # by the code as it is now
    files = files_of(experiment, store)
    method = study_file.with_name("fake_method.py")
    method.write_text(f"{method.read_text()}\n\nANOTHER = 1\n")
    ((_, started), (_, failed)) = run_trials(trials[:1], files, store, 1)
    assert isinstance(started, Started)
    assert isinstance(failed, Failed)
    assert "fake_method.py has changed since the study began" in failed.summary
    assert list(store.folder.glob("trials/*/result.json")) == []


def test_a_result_that_cannot_be_stored_ends_the_study_and_names_the_file(study_file, store):
    experiment = prepare(str(study_file), seeds=1)
    files = files_of(experiment, store)
    (store.folder / "trials").write_text("in the way")
    with pytest.raises(OSError, match="trials") as caught:
        list(run_trials(experiment.trials, files, store, 2))
    assert str(store.folder / "trials") in caught.value.filename
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("place", [0, 1])
def test_a_process_that_cannot_be_started_fails_its_trial_only(
    study_file, store, monkeypatch, place
):
    experiment = prepare(str(study_file), seeds=1)
    trials, start = experiment.trials[:2], runner._start

    def fail_once(context, trial, *arguments):
        if trial == trials[place]:
            raise EOFError("the server is gone")
        return start(context, trial, *arguments)

    def wait_for_something(objects):
        assert objects  # for nothing it would be for ever
        return wait(objects)

    monkeypatch.setattr(runner, "wait", wait_for_something)
    monkeypatch.setattr(runner, "_start", fail_once)
    events = list(run_trials(trials, files_of(experiment, store), store, 1))
    (failed,) = [event for _, event in events if isinstance(event, Failed)]
    assert failed.summary == "no process could be started: EOFError: the server is gone"
    assert kinds(events, Done) == [trials[1 - place]]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="has no fork server")
def test_a_fork_server_that_is_killed_is_started_again(study_file, store, finished):
    experiment = prepare(str(study_file), seeds=1)
    files = files_of(experiment, store)
    multiprocessing.forkserver.ensure_running()
    os.kill(multiprocessing.forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    events = list(run_trials(experiment.trials[:2], files, store, 1))
    assert kinds(events, Done) == list(experiment.trials[:2])


@pytest.mark.parametrize(
    "failures",
    # The last: it has closed its socket, and the system has not yet said that it is dead.
    [[EOFError()], [ConnectionResetError()], [EOFError(), ConnectionRefusedError()]],
)
def test_a_fork_server_that_dies_while_it_starts_a_worker_has_a_successor(
    study_file, store, finished, monkeypatch, failures
):
    experiment = prepare(str(study_file), seeds=1)
    process = multiprocessing.get_context("forkserver").Process
    start, errors = process.start, list(reversed(failures))

    def fail_once(self):
        if errors:
            raise errors.pop()
        start(self)

    monkeypatch.setattr(process, "start", fail_once)
    events = list(run_trials(experiment.trials[:1], files_of(experiment, store), store, 1))
    assert [type(event) for _, event in events if not isinstance(event, Advanced)] == [
        Started,
        Done,
    ]


def test_a_long_temporary_folder_leaves_room_for_an_address(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with runner._short_paths():
        assert len(tempfile.gettempdir()) <= runner._LONGEST
    assert tempfile.gettempdir() == str(long)


def test_workers_need_not_import_what_is_slow(finished, tmp_path):
    file = tmp_path / "imported"
    slow = ("torch._dynamo", "sklearn.linear_model")
    found = f"str([name in sys.modules for name in {slow}])"
    look = f"import pathlib, sys\npathlib.Path({str(file)!r}).write_text({found})"
    process = multiprocessing.get_context("forkserver").Process(target=exec, args=(look,))
    process.start()
    process.join()
    assert file.read_text() == "[True, True]"


RUN_TRIALS = """
import multiprocessing, sys
from pathlib import Path

if __name__ == "__main__":
    from lelkern.ablation.run.data_files import DataFiles
    from lelkern.ablation.run.experiment import prepare
    from lelkern.ablation.run.runner import run_trials
    from lelkern.ablation.run.store import Store

    experiment, store = prepare(sys.argv[1]), Store(Path("results"))
    files = DataFiles(store.folder / "data", experiment.source)
    files.prepare(experiment.trials)
    for method, trial in zip(sys.argv[2:], experiment.trials):
        multiprocessing.get_all_start_methods = lambda: [method]
        for _, event in run_trials([trial], files, store, 1):
            print(method, event)
"""


def test_workers_import_nothing_from_the_working_directory(study_file, tmp_path):
    # The fork server last: it is kept, and has imported everything.
    methods = ["spawn", "forkserver"]
    methods = [name for name in methods if name in multiprocessing.get_all_start_methods()]
    script = tmp_path / "scripts" / "run_trials.py"
    script.parent.mkdir()
    script.write_text(RUN_TRIALS)
    folder = tmp_path / "folder"
    (folder / "lelkern").mkdir(parents=True)
    # What every new interpreter's multiprocessing imports, what the fork server does, a checkout.
    for name in ("pickle.py", "random.py", "heavy.py", "lelkern/__init__.py"):
        (folder / name).write_text("raise SystemExit('imported from the working directory')\n")
    # Of the true one, only an import takes a worker's seconds.
    light = write_light_workers(tmp_path / "site", imports="import heavy\n")
    (light / "heavy.py").touch()
    path = os.pathsep.join([str(light), str(Path(lelkern.__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": path}
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, str(script), str(study_file), *methods]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert all(f"{method} Done(" in ran.stdout for method in methods), ran.stdout
    assert "working directory" not in ran.stderr


@pytest.fixture
def interruptible():
    """Interrupts raise: a shell lets what it runs in the background ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_interrupt_is_not_held_back(interruptible):
    done = []

    def start():
        with runner._one_interrupt_held_back():
            signal.raise_signal(signal.SIGINT)
            done.append("what was begun")
            signal.raise_signal(signal.SIGINT)
            done.append("what hangs")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["what was begun"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_is_not_forgotten_where_no_process_could_be_started(interruptible):
    def start():
        with runner._one_interrupt_held_back():
            signal.raise_signal(signal.SIGINT)
            raise OSError("no more processes")

    with pytest.raises(KeyboardInterrupt):
        start()


def test_workers_have_the_path_and_the_environment_of_the_parent(
    study_file, store, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "nothing here"))
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    expected = surroundings()
    file = tmp_path / "surroundings.json"
    experiment = prepare(str(study_file), seeds=1, settings={"surroundings": str(file)})
    list(run_trials(experiment.trials[:1], files_of(experiment, store), store, 1))
    assert surroundings() == expected
    seen = json.loads(file.read_text())
    assert seen == {**expected, "path": [entry or os.getcwd() for entry in expected["path"]]}
