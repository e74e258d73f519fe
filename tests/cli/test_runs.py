import io
import json
import time

import pytest

from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.store import Store
from lelkern.methods import Outcome


@pytest.fixture
def results(folder):
    """A folder with one usable trial and one that failed."""
    experiment = prepare("fake.toml")
    store = Store(folder / "runs" / "fake")
    store.open()
    store.save(experiment.trials[0], Outcome({"accuracy": 0.5}), 1.0)
    store.save_error(experiment.trials[1], "no luck")
    return store.folder


def test_what_is_stored(results, call):
    code, out, _ = call("runs")
    assert code == 0
    assert "runs/fake" in out
    (line,) = json.loads(call("runs", "--json")[1])
    assert line["folder"] == "runs/fake"
    assert (line["trials"], line["stale"], line["failed"]) == (1, 0, 1)


def test_nothing_stored(folder, call):
    code, out, err = call("runs", "elsewhere")
    assert (code, out) == (0, "")
    assert "elsewhere: no results" in err
    assert json.loads(call("runs", "elsewhere", "--json")[1]) == []


def trials(folder):
    return sorted(path.name for path in (folder / "trials").iterdir())


@pytest.mark.parametrize(
    ("options", "answer", "left"),
    [([], "n\n", 2), ([], "y\n", 1), (["--yes"], "", 1)],
    ids=["no", "yes", "--yes"],
)
def test_prune_asks_and_removes_what_is_of_no_use(
    results, call, monkeypatch, options, answer, left
):
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code, out, err = call("runs", "--prune", *options)
    assert code == 0
    assert ("Remove 1 trials and stale data" in err) == (not options)
    assert ("Removed 1 trials" in out) == (left == 1)
    assert len(trials(results)) == left
    assert (results / "trials" / trials(results)[0]).is_dir()
    assert len(list(results.glob("trials/*/result.json"))) == 1


def test_prune_removes_nothing_where_a_study_runs(folder, spawn, light, call):
    process = spawn("ablate", "fake.toml", "--set", "pause=30", environment=light)
    try:
        deadline = time.monotonic() + 120
        while not (begun := list(folder.glob("runs/*/format.json"))):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        unfinished = begun[0].parent / "trials" / "unfinished"
        unfinished.mkdir(parents=True)
        code, out, err = call("runs", "--prune", "--yes")
        assert (code, out) == (0, "Removed 0 trials and stale data, 0.0 MB.\n")
        assert ": a study is running, so nothing is removed" in err
        assert unfinished.is_dir()
    finally:
        process.kill()
        process.communicate()
    code, out, err = call("runs", "--prune", "--yes")
    assert "Removed 1 trials" in out
    assert "running" not in err
    assert not unfinished.exists()


def test_what_came_to_an_end_before_the_answer_is_kept(results, call, monkeypatch):
    """What was a trial without a result when the question was asked has one by now."""
    finished = results / "trials" / trials(results)[0]
    (done,) = results.glob("trials/*/result.json")

    def answer(*arguments, **options):
        for path in (results / "trials").iterdir():
            if not (path / "result.json").exists():
                (path / "result.json").write_bytes(done.read_bytes())
        return True

    monkeypatch.setattr("click.confirm", answer)
    code, out, _ = call("runs", "--prune")
    assert code == 0
    assert "Removed 0 trials" in out
    assert finished.is_dir()
    assert len(trials(results)) == 2


def test_prune_prints_no_list(results, call):
    code, _, err = call("runs", "--prune", "--yes", "--json")
    assert code == 2
    assert "--json: must not be combined with --prune" in err
    assert len(trials(results)) == 2


def test_prune_without_an_answer_removes_nothing(results, call, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert call("runs", "--prune")[0] == 130
    assert len(trials(results)) == 2


def test_prune_with_nothing_to_remove(results, call):
    assert call("runs", "--prune", "--yes")[0] == 0
    code, out, _ = call("runs", "--prune")
    assert (code, out) == (0, "Nothing is stale.\n")
