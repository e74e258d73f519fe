import re
from pathlib import Path

import numpy as np
import pytest
from multi_settings import SCORES, X, multi_class, multi_label, multi_task, multi_view


def shared(data):
    """Which of samples, features and targets the first two tasks share in this data."""
    one, other = data.tasks[:2]
    found = {"features"} if data.features is not None else set()
    # The same samples: the same numbers, or columns of the same rows.
    rows = [tuple(row) for row in X]
    places = [
        [i for part in task.train_x for i, row in enumerate(rows) if set(part) <= set(row)]
        for task in (one, other)
    ]
    if places[0] == places[1] and len(places[0]) == len(one.train_x):
        found.add("samples")
    if np.array_equal(one.train_y, other.train_y):
        found.add("targets")
    return found


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (multi_task, {"features"}),
        (multi_label, {"samples", "features"}),
        (multi_class, {"samples", "features"}),
        (multi_view, {"samples", "targets"}),
    ],
)
def test_what_is_shared(make, expected):
    data = make()
    assert shared(data) == expected
    assert data.shared_inputs == (expected >= {"samples", "features"})
    # The table of docs/multi-task.md says the same.
    text = (Path(__file__).parents[2] / "docs" / "multi-task.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {data.name} \|(.*)\|$", text, re.MULTILINE)[1]
    marks = [cell.strip() for cell in row.split("|")[:3]]
    names = ("samples", "features", "targets")
    assert {n for n, mark in zip(names, marks, strict=True) if mark == "shared"} == expected


def whole(data):
    """The targets of all samples, training and test samples, (N, T)."""
    return np.array([np.concatenate([t.train_y, t.test_y]) for t in data.tasks]).T


def test_labels_combine_and_classes_exclude_each_other():
    assert set(whole(multi_label()).ravel()) == {0.0, 1.0}
    assert len(set(whole(multi_label()).sum(axis=1))) > 1
    assert (whole(multi_class()).sum(axis=1) == 1).all()


def test_views_together_are_the_samples():
    first, second = multi_view().tasks
    assert np.array_equal(np.hstack([first.train_x, second.train_x]), X[:6])
    assert np.array_equal(first.test_y, SCORES[6:, 0])
