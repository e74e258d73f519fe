from dataclasses import replace

import numpy as np
import pytest
from kinds import shared_tasks, tasks

from lelkern.data import DataConfig, DataError, Task, TaskData


def test_tasks_with_shared_inputs_are_split_alike():
    data = shared_tasks().prepare(DataConfig(val_fraction=0.3))
    assert data.shared_inputs
    first, second = data.tasks
    for part in ("train", "val", "test"):
        x = getattr(first, f"{part}_x")
        assert np.array_equal(x, getattr(second, f"{part}_x"))
        assert np.array_equal(getattr(first, f"{part}_y"), x[:, 0])
        assert np.array_equal(getattr(second, f"{part}_y"), x[:, 1])
    assert [len(first.train_x), len(first.val_x), len(first.test_x)] == [5, 2, 3]


def test_tasks_with_inputs_of_their_own_are_split_each():
    data = tasks()
    assert not data.shared_inputs
    sizes = [(len(task.train_x), len(task.test_x)) for task in data.tasks]
    assert sizes == [(3, 2), (6, 2), (2, 1)]  # 0.3 of 5, 8 and 3, rounded
    for task in data.tasks:
        assert np.array_equal(task.train_y, task.train_x[:, 0])
        assert np.array_equal(task.test_y, task.test_x[:, 0])
    split = data.prepare(DataConfig(val_fraction=0.5))
    assert len(split.tasks[2].train_x) == len(split.tasks[2].val_x) == 1
    with pytest.raises(DataError, match=r"^toy: task '1' has 1 sample; a split needs at least 2"):
        replace(
            split, tasks=tuple(replace(t, val_x=None, val_y=None) for t in split.tasks)
        ).prepare(DataConfig(val_fraction=0.5))


def test_tasks_of_one_size_are_not_split_alike():
    x = list(np.random.default_rng(0).normal(size=(2, 100, 1)))
    data = TaskData.from_arrays("toy", x, [np.arange(100.0)] * 2, test_fraction=0.5, seed=0)
    assert not np.array_equal(data.tasks[0].test_y, data.tasks[1].test_y)
    other = TaskData.from_arrays("toy", x, [np.arange(100.0)] * 2, test_fraction=0.5, seed=1)
    assert not np.array_equal(data.tasks[0].test_y, other.tasks[0].test_y)


def test_tasks_may_have_different_features():
    data = TaskData.from_arrays(
        "toy", [np.ones((4, 2)), np.ones((4, 5))], [np.ones(4)] * 2, test_fraction=0.5, seed=0
    )
    assert data.features is None
    assert data.describe() == "2 tasks, 4 training and 4 test samples, 2 to 5 features"


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [], "no tasks"),
        ([np.eye(3)], [np.ones(3)] * 2, "1 arrays x, 2 arrays y and 2 names don't fit together"),
        ([np.eye(3)], [np.ones(2)], r"task '1': y must be float64 \(3,\), got float64 \(2,\)"),
        ([np.eye(3), [[np.nan]]], [np.ones(3), [1]], r"task '2': x\[0, 0\] is nan"),
        ([[["a"]]], [[1.0]], "task '1': x must be numbers, got <U1"),
        ([[[1.0]]], [[1.0]], "task '1' has 1 sample; a split needs at least 2"),
    ],
)
def test_arrays_that_make_no_tasks_are_refused(x, y, message):
    with pytest.raises(DataError, match=r"^toy: " + message):
        TaskData.from_arrays("toy", x, y, test_fraction=0.5, seed=0)


def test_what_does_not_fit_together_is_refused():
    data = tasks()
    with pytest.raises(DataError, match=r"^toy: task '1' has 3 columns, but there are 1 features"):
        replace(data, features=("a",))
    task = data.tasks[0]
    with pytest.raises(DataError, match=r"^task '1': test_x has 2 columns, but there are 3"):
        replace(task, test_x=np.ones((2, 2)))
    with pytest.raises(DataError, match=r"^task '1': val_x and val_y go together"):
        replace(task, val_y=np.ones(2))
    with pytest.raises(DataError, match=r"^task 'a': train_y\[0\] is inf"):
        Task("a", np.ones((1, 1)), np.array([np.inf]), np.ones((1, 1)), np.ones(1))
