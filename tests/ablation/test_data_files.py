"""The data of a study on disk: labels that a trial may not see are not in what it reads."""

import numpy as np
import pytest
import torch
from fake_study import write_study

from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.experiment import prepare
from lelkern.data import DataError, TableData

BUDGET = [
    ('key = "level"', 'key = "data.labels_per_class"'),
    ("values = [0.0, 1.0, 2.0, 4.0]", "values = [1, 2, 4]"),
    ("[quick.values]\nlevel = [0.0, 2.0, 4.0]\n", ""),
]


def trial_of(experiment, arm, seed):
    return next(t for t in experiment.all_trials if (t.arm, t.seed) == (arm, seed))


def written(experiment, tmp_path):
    files = DataFiles(tmp_path / "files", experiment.source)
    files.prepare(experiment.all_trials)
    return files


@pytest.fixture
def experiment(tmp_path):
    return prepare(str(write_study(tmp_path, *BUDGET)))


@pytest.fixture
def files(experiment, tmp_path):
    return written(experiment, tmp_path)


def test_the_file_of_the_data_holds_no_label(files):
    (path,) = files.folder.glob("*.data")
    data = TableData.load(path)
    assert set(data.train_y.tolist()) == {-1}
    assert set(data.test_y.tolist()) == {0, 1}  # what a method is judged by


def test_the_labels_file_of_a_budget_holds_those_that_are_visible_and_no_others(files, experiment):
    everything = torch.from_numpy(np.load(next(files.folder.glob("*-labels.npy"))))
    for path in files.folder.glob("*-labels-*.npy"):
        labels = np.load(path)
        shown = labels >= 0
        assert 0 < shown.sum() < len(labels)
        assert (labels[shown] == everything.numpy()[shown]).all()
    assert len(list(files.folder.glob("*-labels-*.npy"))) == 3 * experiment.study.seeds


@pytest.mark.parametrize(("arm", "count"), [("1", 2), ("2", 4), ("4", 8), ("constant", 32)])
def test_a_trial_sees_its_budget(files, experiment, arm, count):
    data = files.load(trial_of(experiment, arm, 0))
    assert (data.train_y >= 0).sum() == count
    assert len(data.train_y) == 32


def test_budgets_are_nested_and_differ_by_seed(files, experiment):
    def seen(arm, seed):
        return set(np.flatnonzero(files.load(trial_of(experiment, arm, seed)).train_y >= 0))

    for seed in range(3):
        assert seen("1", seed) < seen("2", seed) < seen("4", seed)
    assert len({frozenset(seen("4", seed)) for seed in range(3)}) > 1
    assert seen("constant", 0) == set(range(32))


def test_data_are_read_once(files, experiment, monkeypatch):
    def fail(self):
        raise AssertionError("read again")

    monkeypatch.setattr(type(experiment.source), "load", fail)
    before = {path: path.stat().st_mtime_ns for path in files.folder.iterdir()}
    files.prepare(experiment.all_trials)
    assert {path: path.stat().st_mtime_ns for path in files.folder.iterdir()} == before


def test_a_damaged_file_is_written_again(files, experiment):
    trial = trial_of(experiment, "2", 1)
    seen = files.load(trial).train_y
    (path,) = files.folder.glob("*.data")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="not a data set"):
        files.load(trial)
    files.prepare(experiment.all_trials)
    assert (files.load(trial).train_y == seen).all()


@pytest.mark.parametrize("name", ["*.data", "*-labels.npy", "*-labels-*-seed-1.npy"])
@pytest.mark.parametrize("damage", ["zeros", "a byte", "cut off", "missing"])
def test_a_damaged_file_of_any_kind_is_made_anew(files, experiment, name, damage):
    trials = [trial_of(experiment, "2", 1), trial_of(experiment, "constant", 0)]
    seen = [files.load(trial) for trial in trials]
    for path in files.folder.glob(name):
        content = path.read_bytes()
        path.unlink()
        middle = len(content) // 2
        if damage != "missing":
            path.write_bytes(
                {
                    "zeros": content[:middle] + bytes(len(content) - middle),
                    "a byte": content[:-60] + bytes([content[-60] ^ 1]) + content[-59:],
                    "cut off": content[:middle],
                }[damage]
            )
    files.prepare(experiment.all_trials)
    for trial, before in zip(trials, seen, strict=True):
        now = files.load(trial)
        assert (now.train_y == before.train_y).all()
        assert (now.train_x == before.train_x).all()


@pytest.mark.parametrize("damage", ["missing", "cut off", "empty"])
def test_a_damaged_labels_file_is_an_error_that_names_it(files, experiment, damage):
    for path in files.folder.glob("*-labels-*-seed-1.npy"):
        content = path.read_bytes()
        path.unlink()
        if damage != "missing":
            path.write_bytes(content[:-3] if damage == "cut off" else b"")
    with pytest.raises(DataError, match=r"labels-.*-seed-1\.npy: no such file, or damaged"):
        files.load(trial_of(experiment, "2", 1))


def test_targets_have_no_labels_to_hide(tmp_path):
    (tmp_path / "targets.csv").write_text("x,y\n" + "".join(f"{i},{i}.5\n" for i in range(20)))
    experiment = prepare(str(write_study(tmp_path)), data=str(tmp_path / "targets.csv"))
    files = written(experiment, tmp_path)
    assert [path.suffix for path in files.folder.iterdir()] == [".data"]
    data = files.load(experiment.trials[0])
    assert len(data.train_y) == 16
    assert {y % 1 for y in data.train_y} == {0.5}


def test_images_are_hidden_too(images, tmp_path):
    text = 'title = "T"\nmethod = "simclr"\nmetric = "knn"\nseeds = 1\n[[factor]]\n'
    text += 'key = "data.labels"\nlabel = "l"\nvalues = [2, 0.5]\n[[claim]]\nsays = "More."\n'
    text += f'shape = "ordered"\n[[plot]]\n[base]\ndata = {{ name = "{images}" }}\n'
    (tmp_path / "study.toml").write_text(text)
    experiment = prepare(str(tmp_path / "study.toml"))
    files = written(experiment, tmp_path)
    (path,) = files.folder.glob("*.data")
    assert set(experiment.source.kind.load(path).train_labels.tolist()) == {-1}
    counts = [int((files.load(t).train_labels >= 0).sum()) for t in experiment.trials]
    assert counts == [2, 16]
