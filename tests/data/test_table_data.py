from dataclasses import replace

import numpy as np
import pytest
from kinds import regression, table

from lelkern.data import DataConfig, DataError, TableData


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("train_x", np.zeros((14, 3), dtype=np.float32), r"train_x must be float64 .* float32"),
        ("train_x", np.zeros(14), r"train_x must be float64 \(N, D\), got float64 \(14,\)"),
        ("test_x", np.zeros((0, 3)), r"test_x is empty: \(0, 3\)"),
        ("test_x", np.zeros((6, 2)), "test_x has 2 columns, but there are 3 features"),
        ("test_x", np.array([[0, 1, 2], [0, np.nan, 2]]), r"test_x\[1, 1\] is nan"),
        ("features", ("a",), "train_x has 3 columns, but there are 1 features"),
        ("train_y", np.zeros(13, dtype=np.int64), r"train_y must be int64 \(14,\), got .*\(13,\)"),
        ("train_y", np.zeros(14), "train_y must be int64 .* got float64"),
        ("train_y", np.full(14, 2), r"train_y must be in -1\.\.1, got 2\.\.2"),
        ("test_y", np.full(6, -1), r"test_y must be in 0\.\.1, got -1\.\.-1"),
        ("classes", (), "train_y must be float64"),
        ("val_x", np.zeros((2, 3)), "val_x and val_y go together"),
    ],
)
def test_what_does_not_fit_together_is_refused(field, value, message):
    with pytest.raises(DataError, match="^toy: " + message):
        replace(table(), **{field: value})


@pytest.mark.parametrize(
    ("x", "y", "classes", "message"),
    [
        ([["a"]], [0], (), "x must be numbers, got <U1"),
        ([[1j]], [0], (), "x must be numbers, got complex128"),
        (np.eye(3), [0.5, 1, 0], ("a", "b"), "y must be whole numbers, got float64"),
        (np.eye(3), [0, 1], ("a", "b"), r"y must be \(3,\) as x is \(3, 3\), got \(2,\)"),
        (np.eye(3)[0], [0, 1], ("a", "b"), r"x must be float64 \(N, D\), got float64 \(3,\)"),
        ([[1, 2], [3, np.inf]], [0, 1], (), r"x\[1, 1\] is inf"),
        ([[1, 2]], [0], (), "has 1 sample; a split needs at least 2"),
    ],
)
def test_arrays_that_make_no_table_are_refused(x, y, classes, message):
    with pytest.raises(DataError, match="^toy: " + message):
        TableData.from_arrays("toy", x, y, test_fraction=0.5, seed=0, classes=classes)


@pytest.mark.parametrize("make", [table, regression])
def test_every_sample_is_in_one_part_with_its_own_target(make):
    data = make().prepare(DataConfig(val_fraction=0.25))
    original = np.random.default_rng(0).normal(size=(20, 3))
    rows = []
    for part in ("train", "val", "test"):
        for x, y in zip(getattr(data, f"{part}_x"), getattr(data, f"{part}_y"), strict=True):
            row = int(np.flatnonzero((original == x).all(axis=1))[0])
            rows.append(row)
            assert y == (row % 2 if data.classes else original.sum(axis=1)[row])
    assert sorted(rows) == list(range(20))


def test_a_split_takes_its_share_of_every_class():
    y = np.repeat([0, 1, 2], [2, 10, 100])
    data = TableData.from_arrays(
        "toy", np.arange(112.0)[:, None], y, test_fraction=0.3, seed=0, classes=tuple("abc")
    )
    assert np.bincount(data.test_y).tolist() == [1, 3, 30]  # at least one
    data = TableData.from_arrays(
        "toy", np.arange(112.0)[:, None], y, test_fraction=0.99, seed=0, classes=tuple("abc")
    )
    assert np.bincount(data.train_y).tolist() == [1, 1, 1]  # on either side


def test_the_seed_decides_the_split():
    def test_part(seed):
        return TableData.from_arrays(
            "toy", np.arange(50.0)[:, None], np.zeros(50), test_fraction=0.5, seed=seed
        ).test_x[:, 0]

    assert np.array_equal(test_part(0), test_part(0))
    assert not np.array_equal(test_part(0), test_part(1))
    # Test and validation samples of one seed are drawn from streams of their own.
    whole = TableData.from_arrays(
        "toy", np.arange(100.0)[:, None], np.zeros(100), test_fraction=0.5, seed=0
    )
    again = replace(whole, train_x=np.arange(100.0)[:, None], train_y=np.zeros(100))
    validation = again.prepare(DataConfig(val_fraction=0.5)).val_x
    assert not np.array_equal(validation, whole.test_x)
