"""Results on disk: whole or not at all, of one format, and the same when they are read."""

import json
import math

import pytest

from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.store import FORMAT, Store, folder_format
from lelkern.config import ConfigError
from lelkern.methods import Outcome

METRICS = {"accuracy": 0.5, "plain": math.nan, "cost": math.inf, "pid": 1.0}


@pytest.fixture
def trial(study_file):
    return prepare(str(study_file)).trials[1]


def test_what_is_stored_is_what_is_read(store, trial):
    points = [(0.0, 1.0), (1.5, 0.1 + 0.2)]
    store.save(trial, Outcome({**METRICS, "cost": 1e-300}, {"loss": points}), 1.25)
    row = store.row(trial)
    assert (row.arm, row.seed) == ("1", 0)
    assert row.metrics["accuracy"] == 0.5
    assert row.metrics["cost"] == 1e-300
    assert row.curves == {"loss": points}
    assert store.result(trial)["seconds"] == 1.25


def test_what_is_no_number_comes_back_as_nan_and_the_file_is_json(store, trial):
    store.save(trial, Outcome(METRICS, {"loss": [(1, 2.0), (2, math.nan), (3, math.inf)]}), 1.0)
    row = store.row(trial)
    assert math.isnan(row.metrics["plain"])
    assert math.isnan(row.metrics["cost"])
    (x1, y1), (x2, y2), (x3, y3) = row.curves["loss"]
    assert (x1, y1, x2, x3) == (1, 2.0, 2, 3)
    assert math.isnan(y2)
    assert math.isnan(y3)

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    (path,) = store.folder.glob("trials/*/result.json")
    json.loads(path.read_text(), parse_constant=refuse)


def test_a_result_says_all_that_decided_it(finished):
    trial = finished.experiment.trials[1]
    result = finished.store.result(trial)
    assert result["config"]["level"] == 1.0
    assert result["seed"] == 0
    assert result["labels"] == {}
    assert result["runtime"]["device"] in ("cpu", "cuda")
    assert result["data"] == finished.experiment.source.fingerprint
    assert {key: result[key] for key in trial.describe()} == trial.describe()
    assert result["seconds"] >= 0
    assert result["environment"]["torch"]


def test_missing_names_each_identity_once_and_in_order(store, study_file):
    trials = prepare(str(study_file)).trials
    store.save(trials[1], Outcome(METRICS), 1.0)
    assert store.missing([*trials[:3], trials[0]]) == [trials[0], trials[2]]


@pytest.mark.parametrize(
    "content",
    [
        '{"metrics": {"accuracy"',
        "",
        "[]",
        "{}",
        '{"metrics": {}, "curves": {}, "config": {}}',
        '{"metrics": 1, "curves": {}, "config": {}, "seconds": 1}',
        "null",
        '"text"',
        "[" * 100_000,
    ],
)
def test_half_a_result_is_no_result(store, trial, content):
    store.save(trial, Outcome(METRICS), 1.0)
    assert store.missing([trial]) == []
    (path,) = store.folder.glob("trials/*/result.json")
    path.write_text(content)
    assert store.missing([trial]) == [trial]
    assert store.row(trial) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("metrics", {"accuracy": "0.5"}),
        ("metrics", {"accuracy": True}),
        ("metrics", {"accuracy": 10**400}),
        ("metrics", {"accuracy": math.inf}),
        ("metrics", {}),
        ("metrics", [0.5]),
        ("curves", {"loss": [[1, "2"]]}),
        ("curves", {"loss": [[None, 2.0]]}),
        ("curves", {"loss": [[1, 2.0, 3.0]]}),
        ("curves", {"loss": 1.0}),
        ("seconds", "1"),
        ("seconds", None),
        ("seed", 1),
        ("seed", "0"),
        ("data", "another"),
        ("config", {}),
        ("runtime", "cpu"),
        ("environment", None),
    ],
)
def test_what_is_not_of_the_form_of_a_result_or_of_another_trial_is_none(store, trial, key, value):
    store.save(trial, Outcome(METRICS, {"loss": [(1, 2.0), (2, math.nan)]}), 1.0)
    assert store.damaged([trial]) == []
    (path,) = store.folder.glob("trials/*/result.json")
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, key: value}))
    assert store.missing([trial]) == [trial]
    assert store.row(trial) is None
    assert store.damaged([trial]) == [path]
    path.write_text(json.dumps({name: part for name, part in whole.items() if name != key}))
    assert store.missing([trial]) == [trial]


@pytest.mark.parametrize("step", ["soon", [1], -3, 2.5, True])
def test_a_divergence_is_at_a_step(store, trial, step):
    store.save(trial, Outcome(METRICS, {}, 3), 1.0)
    (path,) = store.folder.glob("trials/*/result.json")
    assert store.damaged([trial]) == []
    path.write_text(json.dumps({**json.loads(path.read_text()), "diverged_at": step}))
    assert store.damaged([trial]) == [path]


def test_a_success_replaces_an_error(store, trial):
    file = store.save_error(trial, "Traceback: no luck\n")
    assert file.read_text() == "Traceback: no luck\n"
    assert store.missing([trial]) == [trial]
    store.save(trial, Outcome(METRICS), 1.0)
    assert not file.exists()


# --- formats --------------------------------------------------------------------------------


def test_a_new_folder_is_marked_and_opens_again(store):
    assert folder_format(store.folder) is None
    store.open()
    assert folder_format(store.folder) == FORMAT
    store.open()


@pytest.mark.parametrize("mark", [None, '{"format": 1}', '{"format": 99}', '{"fo', "{}", "[]"])
def test_a_folder_of_another_format_is_refused_and_stays_as_it_is(tmp_path, mark):
    (tmp_path / "trials" / "0123").mkdir(parents=True)
    if mark is not None:
        (tmp_path / "format.json").write_text(mark)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="results of another version") as error:
        Store(tmp_path).open()
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_with_other_files_may_be_used(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    Store(tmp_path).open()
    assert (tmp_path / "notes.txt").read_text() == "mine"
