"""Trials in worker processes: results, isolation, interruption."""

import json
import multiprocessing
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fake_method import surroundings

import lelkern
from lelkern.ablation.experiment import prepare
from lelkern.ablation.report import write_report
from lelkern.ablation.runner import Started, run_trials
from lelkern.ablation.store import Store
from lelkern.ablation.worker import Advanced, Done, Failed, Imports, work


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def run(experiment, store, workers=2):
    data_file = store.data_file(experiment.source)
    with closing(
        run_trials(store.missing(experiment.all_trials), data_file, store, workers)
    ) as events:
        return list(events)


def kinds(events, kind):
    return [trial for trial, event in events if isinstance(event, kind)]


def metrics(experiment, store):
    results = [store.result(trial)["metrics"] for trial in experiment.trials]
    return [{k: v for k, v in result.items() if k != "pid"} for result in results]


def test_every_trial_runs_once_in_a_process_of_its_own(study_file, store):
    experiment = prepare(str(study_file))
    events = run(experiment, store)
    for kind in (Started, Done):
        assert sorted(t.identity for t in kinds(events, kind)) == sorted(
            t.identity for t in experiment.all_trials
        )
    pids = {store.result(trial)["metrics"]["pid"] for trial in experiment.trials}
    assert len(pids) == len(experiment.trials)
    assert os.getpid() not in pids
    assert store.missing(experiment.all_trials) == []
    assert run(experiment, store) == []


def test_the_number_of_workers_bounds_what_runs_at_once(study_file, store):
    experiment = prepare(str(study_file), settings={"pause": 0.02})
    running = most = 0
    for _, event in run(experiment, store, workers=3):
        running += isinstance(event, Started) - isinstance(event, Done)
        most = max(most, running)
    assert most == 3


@pytest.mark.parametrize(("fault", "summary"), [("raise", "RuntimeError: no luck"), ("die", "7")])
def test_one_failure_spoils_nothing_else_and_is_run_again(
    study_file, store, tmp_path, fault, summary
):
    settings = {"fault": fault, "only_once": str(tmp_path / "struck")}
    experiment = prepare(str(study_file), settings=settings)
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


def test_an_interrupted_study_continues_to_the_same_results(study_file, store, tmp_path):
    slow = {"pause": 0.05}
    experiment = prepare(str(study_file), settings=slow)
    whole = Store(tmp_path / "undisturbed")
    run(experiment, whole)

    data_file = store.data_file(experiment.source)
    with closing(run_trials(experiment.all_trials, data_file, store, 2)) as events:
        for done, (_, event) in enumerate(events):
            if done > 8 and isinstance(event, Advanced | Started):
                break  # with trials in flight, as an exception in the loop would
    left = store.missing(experiment.all_trials)
    assert 0 < len(left) < len(experiment.all_trials)
    run(experiment, store)
    assert metrics(experiment, store) == metrics(experiment, whole)


def test_a_worker_ends_when_nobody_listens(study_file, store):
    experiment = prepare(str(study_file), seeds=1, settings={"pause": 0.3, "steps": 200})
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    data_file = store.data_file(experiment.source)
    arguments = (experiment.trials[0], data_file, store, sender, Imports.here())
    process = context.Process(target=work, args=arguments)
    process.start()
    sender.close()
    receiver.recv()  # the first report
    receiver.close()
    process.join(timeout=30)  # at the next report; the trial itself takes a minute
    assert process.exitcode == 0
    assert store.result(experiment.trials[0]) is None


RUN_ONE_TRIAL = """
import multiprocessing, sys
from pathlib import Path

if __name__ == "__main__":
    import fake_method
    from lelkern.ablation.experiment import prepare
    from lelkern.ablation.runner import run_trials
    from lelkern.ablation.store import Store

    multiprocessing.get_all_start_methods = lambda: [sys.argv[1]]
    experiment, store = prepare(sys.argv[2]), Store(Path("results"))
    data_file = store.data_file(experiment.source)
    for _, event in run_trials(experiment.trials[:1], data_file, store, 1):
        print(event)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_workers_import_nothing_from_the_working_directory(study_file, tmp_path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    script = tmp_path / "scripts" / "run_one_trial.py"
    script.parent.mkdir()
    script.write_text(RUN_ONE_TRIAL)
    folder = tmp_path / "folder"
    (folder / "lelkern").mkdir(parents=True)
    # What every new interpreter's multiprocessing imports, what the fork server does, a checkout.
    for name in ("pickle.py", "random.py", "kornia.py", "lelkern/__init__.py"):
        (folder / name).write_text("raise SystemExit('imported from the working directory')\n")
    path = [Path(lelkern.__file__).parents[1], Path(__file__).parent]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, str(script), method, str(study_file)]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "Done(" in ran.stdout, ran.stdout
    assert "working directory" not in ran.stderr


def test_workers_have_the_path_and_the_environment_of_the_parent(
    study_file, store, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "nothing here"))
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    expected = surroundings()
    file = tmp_path / "surroundings.json"
    experiment = prepare(str(study_file), seeds=1, settings={"surroundings": str(file)})
    run(experiment, store)
    assert surroundings() == expected
    seen = json.loads(file.read_text())
    assert seen == {**expected, "path": [entry or os.getcwd() for entry in expected["path"]]}


def test_a_worker_with_another_lelkern_refuses_its_trial(study_file, store):
    trial = prepare(str(study_file), seeds=1).trials[0]
    other = Imports("/elsewhere/lelkern/__init__.py", Imports.here().environment)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(trial, Path("unread"), store, sender, other))
    process.start()
    event = receiver.recv()
    process.join()
    assert isinstance(event, Failed)
    assert "the study runs with /elsewhere/lelkern/__init__.py" in event.summary
    assert store.result(trial) is None


def test_half_a_result_is_no_result(study_file, store):
    experiment = prepare(str(study_file), seeds=1)
    run(experiment, store)
    trial = experiment.trials[0]
    (store.folder / "trials" / trial.identity / "result.json").write_text('{"metrics": {"knn"')
    assert store.missing(experiment.trials) == [trial]


def test_a_result_says_all_that_decided_it(study_file, store):
    experiment = prepare(str(study_file), seeds=1)
    run(experiment, store)
    trial = experiment.trials[1]
    result = store.result(trial)
    assert result["config"]["level"] == 1.0
    assert result["seed"] == 0
    assert result["runtime"]["device"] != "auto"
    assert result["data"] == experiment.source.fingerprint
    assert {k: result[k] for k in trial.describe()} == trial.describe()
    assert result["seconds"] >= 0


def test_the_report_holds_every_trial_and_the_verdict(study_file, store):
    experiment = prepare(str(study_file))
    run(experiment, store)
    report = write_report(experiment, store)
    assert report.verdict.outcome == "supported"
    summary = json.loads(report.files["json"].read_text())
    assert summary == json.loads(json.dumps(report.describe()))
    probe = {a["arm"]: a["metrics"]["linear_probe"] for a in summary["arms"]}
    # 0.6 + 0.004 seed at level 4: the quantile t(0.975, 2) times 0.004 / sqrt(3).
    assert probe["4"]["mean"] == pytest.approx(0.604)
    assert probe["4"]["half_width"] == pytest.approx(4.302653 * 0.004 / 3**0.5)
    assert [baseline["name"] for baseline in summary["baselines"]] == [
        "raw pixels",
        "random encoder",
    ]
    lines = report.files["csv"].read_text().splitlines()
    assert len(lines) == 1 + len(experiment.all_trials)
    assert lines[0].startswith("arm,level,seed,linear_probe,knn")
    assert lines[1].startswith("0,0,0,0.6,0.6")
    for kind in ("png", "svg"):
        assert report.files[kind].stat().st_size > 5000
    kept = {kind: report.files[kind].read_bytes() for kind in ("csv", "json", "png")}
    write_report(experiment, store)
    assert {kind: report.files[kind].read_bytes() for kind in kept} == kept
