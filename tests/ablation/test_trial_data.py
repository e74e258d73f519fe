"""Data that the trials of a study have of their own: drawn anew by seed, or differing by arm."""

import numpy as np
import pytest
from fake_study import replaced, write_study

from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.experiment import prepare
from lelkern.config import ConfigError
from lelkern.data import DataConfig, DataSource

METHOD = """
from lelkern.config import Config
from lelkern.data import TaskData
from lelkern.methods import Method, Metric, Outcome


class Nothing(Config):
    level: float = 0.0


METHOD = Method(
    config=Nothing,
    data=TaskData,
    metrics={"accuracy": Metric("accuracy", better="higher")},
    run=lambda config, data, seed, runtime, progress: Outcome({"accuracy": 0.0}),
)
"""

STUDY = """
title = "Tasks"
method = "tasks_method.py"
metric = "accuracy"
seeds = 2

[base]
data = { name = "planted-rows", redraw = true, seed = 5 }

[[factor]]
key = "data.overlap"
label = "overlap"
scale = "linear"
values = [0.0, 1.0]

[[claim]]
says = "More is better."
shape = "increasing"

[[plot]]
"""


@pytest.fixture
def tasks(tmp_path):
    """Prepares the study of tasks, with parts of it replaced, and writes its data."""

    def tasks(*replacements):
        (tmp_path / "tasks_method.py").write_text(METHOD)
        (tmp_path / "tasks.toml").write_text(replaced(STUDY, *replacements))
        experiment = prepare(str(tmp_path / "tasks.toml"))
        files = DataFiles(tmp_path / "files", experiment.source)
        files.prepare(experiment.all_trials)
        experiment.check(files)
        return {(t.arm, t.seed): files.load(t) for t in experiment.all_trials}

    return tasks


def test_arms_differ_in_what_is_varied_and_seeds_in_what_is_drawn(tasks):
    found = tasks()
    for (arm, seed), data in found.items():
        config = DataConfig(name="planted-rows", seed=5 + seed, overlap=float(arm))
        expected = DataSource(config).load()
        assert np.array_equal(data.coefficients, expected.coefficients)
        assert np.array_equal(data.tasks[1].train_y, expected.tasks[1].train_y)
    assert len({data.tasks[1].train_y.tobytes() for data in found.values()}) == 4


def test_without_redraw_all_seeds_have_the_same_data(tasks):
    found = tasks(("redraw = true, ", ""))
    assert len({data.tasks[1].train_y.tobytes() for data in found.values()}) == 2
    for arm in ("0", "1"):
        assert np.array_equal(found[arm, 0].coefficients, found[arm, 1].coefficients)


def test_a_label_budget_is_drawn_from_each_seeds_own_data(tmp_path):
    file = write_study(
        tmp_path,
        ('data = { name = "DATA" }', 'data = { name = "DATA", redraw = true }'),
        ('key = "level"', 'key = "data.labels_per_class"'),
        ("values = [0.0, 1.0, 2.0, 4.0]", "values = [1, 2, 4]"),
        ("[quick.values]\nlevel = [0.0, 2.0, 4.0]\n", ""),
    )
    experiment = prepare(str(file))
    assert len({t.fingerprint for t in experiment.all_trials}) == 3
    files = DataFiles(tmp_path / "files", experiment.source)
    files.prepare(experiment.all_trials)
    by_seed = {}
    for trial in experiment.trials:
        data = files.load(trial)
        visible = data.train_y >= 0
        assert visible.sum() == 2 * trial.data.labels_per_class
        whole = DataSource(trial.data).load()
        assert (data.train_y[visible] == whole.train_y[visible]).all()
        by_seed.setdefault(trial.seed, set()).add(data.train_x.tobytes())
    assert [len(found) for found in by_seed.values()] == [1, 1, 1]
    assert len(set.union(*by_seed.values())) == 3


@pytest.mark.parametrize("key", ["data.seed", "data.redraw", "data.name", "data.test_fraction"])
def test_what_arms_share_is_no_factor(tasks, key):
    with pytest.raises(ConfigError, match=f"factor '{key}': all arms share data"):
        tasks(("data.overlap", key))
