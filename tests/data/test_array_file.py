"""Tables and tasks in .npz and .mat files."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from lelkern.data import DataConfig, DataError, DataSource, TableData, TaskData

X = np.arange(24.0).reshape(8, 3)
CLASSES = np.array([3, 1, 3, 1, 3, 1, 3, 1])
TEXT = np.where(CLASSES == 3, "up", "down")


def write(file: Path, **arrays):
    if file.suffix == ".npz":
        np.savez_compressed(file, **arrays)
    else:
        scipy.io.savemat(file, arrays)


@pytest.fixture(params=[".npz", ".mat"])
def source(request, tmp_path):
    """Writes arrays to a file and returns it as a study's source."""

    def write_and_open(*, target=None, **arrays) -> DataSource:
        file = tmp_path / f"things{request.param}"
        write(file, **arrays)
        return DataSource(DataConfig(name=str(file), target=target))

    return write_and_open


def cells(arrays):
    """A cell array, as MATLAB has it."""
    box = np.empty((1, len(arrays)), dtype=object)
    for i, array in enumerate(arrays):
        box[0, i] = array
    return box


def check_table(data, y):
    """Every row of X is there once, with its own y."""
    parts = [(data.train_x, data.train_y), (data.test_x, data.test_y)]
    found = {int(x[0]) // 3: t for xs, ys in parts for x, t in zip(xs, ys, strict=True)}
    assert [found[i] for i in range(8)] == list(y)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (CLASSES, ("1", "3")),
        (CLASSES.astype(np.uint8)[:, None], ("1", "3")),
        (CLASSES[None].astype(np.int16), ("1", "3")),
        (TEXT, ("down", "up")),
    ],
    ids=["integers", "a column", "a row", "text"],
)
def test_integers_and_text_are_classes(source, y, classes):
    opened = source(X=X, y=y)
    assert opened.kind is TableData
    data = opened.load()
    assert data.name == "things"
    assert data.classes == classes
    assert data.features == ("x1", "x2", "x3")
    check_table(data, CLASSES // 2)


def test_floating_point_numbers_are_targets(source):
    data = source(x=X.astype(np.uint8), Y=np.linspace(0, 1, 8)).load()
    assert data.classes == ()
    check_table(data, np.linspace(0, 1, 8))


def test_another_array_can_be_the_target(source):
    check_table(source(X=X, y=TEXT, other=CLASSES, target="other").load(), CLASSES // 2)


def test_a_given_split_is_kept(source):
    parts = {"train_x": X[:4], "train_y": TEXT[:4], "test_x": X[4:6], "test_y": TEXT[4:6]}
    data = source(**parts).load()
    assert np.array_equal(data.train_x, X[:4])
    assert np.array_equal(data.test_x, X[4:6])
    assert data.train_y.tolist() == [1, 0, 1, 0]
    assert data.test_y.tolist() == [1, 0]
    assert data.val_x is None
    data = source(**parts, val_x=X[6:], val_y=TEXT[6:]).load()
    assert np.array_equal(data.val_x, X[6:])
    assert data.val_y.tolist() == [1, 0]


def test_several_columns_are_tasks_over_shared_samples(source):
    opened = source(X=X, y=np.stack([X[:, 0] + 1, X[:, 0] + 2], axis=1))
    assert opened.kind is TaskData
    data = opened.load()
    assert data.shared_inputs
    assert data.features == ("x1", "x2", "x3")
    for shift, task in enumerate(data.tasks, start=1):
        assert np.array_equal(task.train_y, task.train_x[:, 0] + shift)
        assert np.array_equal(task.test_y, task.test_x[:, 0] + shift)


def test_tasks_with_a_given_split(source):
    y = np.stack([X[:, 0] + 1, X[:, 0] + 2], axis=1)
    data = source(train_x=X[:5], train_y=y[:5], test_x=X[5:], test_y=y[5:]).load()
    assert isinstance(data, TaskData)
    for shift, task in enumerate(data.tasks, start=1):
        assert np.array_equal(task.train_y, X[:5, 0] + shift)
        assert np.array_equal(task.test_y, X[5:, 0] + shift)


def test_cells_of_matrices_are_tasks(tmp_path):
    x = [np.arange(10, dtype=np.uint8).reshape(5, 2), np.ones((3, 2))]
    file = tmp_path / "many.mat"
    write(file, X=cells(x), Y=cells([part[:, :1] for part in x]))
    source = DataSource(DataConfig(name=str(file)))
    assert source.kind is TaskData
    data = source.load()
    assert data.describe() == "2 tasks, 6 training and 2 test samples, 2 features"
    assert np.array_equal(data.tasks[0].train_y, data.tasks[0].train_x[:, 0])


def test_cells_of_text_are_classes(tmp_path):
    file = tmp_path / "words.mat"
    write(file, X=X, y=cells(TEXT.tolist()))
    data = DataSource(DataConfig(name=str(file))).load()
    assert data.classes == ("down", "up")
    check_table(data, CLASSES // 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X}, "no array 'y'; valid: X"),
        ({"Xs": X, "y": CLASSES}, "no array 'X'; did you mean 'Xs'?"),
        ({"X": X, "y": CLASSES, "target": "yy"}, "no array 'yy'; did you mean 'y'?"),
        ({"X": X, "y": CLASSES[:7]}, "y must be (8,) as x is (8, 3), got (7,)"),
        ({"X": np.where(X == 4, np.nan, X), "y": CLASSES}, "x[1, 1] is nan"),
        ({"X": X[None].repeat(2, 0), "y": CLASSES}, "x must be float64 (N, D), got"),
        ({"X": X * 1j, "y": CLASSES}, "X must be numbers, got complex128"),
        ({"X": X, "y": np.ones(8, dtype=int)}, "at least two classes are needed, found only '1'"),
        ({"X": X, "y": np.ones((8, 2, 2))}, "y must be (N,), got (8, 2, 2)"),
        ({"X": X, "y": np.arange(8)}, "8 different whole numbers in 8 samples would make as many"),
        (
            {"train_x": X, "train_y": CLASSES, "test_x": X, "test_y": CLASSES * 0.5},
            "train_y is int64, test_y is float64, where all must be numbers of one kind",
        ),
        (
            {"train_x": X, "train_y": CLASSES, "test_x": X[:, :2], "test_y": CLASSES},
            "test_x has 2 columns, but there are 3 features",
        ),
        (
            {"train_x": X, "train_y": X, "test_x": X, "test_y": X[:, :2]},
            "3 tasks in train_y, but 3 in test_x and 2 in test_y",
        ),
        (
            {"train_x": X, "train_y": X, "test_x": X[:2], "test_y": X},
            "task '1': test_y must be float64 (2,), got float64 (8,)",
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_file(source, tmp_path, arrays, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        source(**arrays).load()
    assert str(caught.value).startswith(str(tmp_path / "things"))
    assert "\n" not in str(caught.value)


def test_a_given_split_has_no_use_for_a_test_fraction(source):
    parts = {"train_x": X, "train_y": CLASSES, "test_x": X, "test_y": CLASSES}
    opened = source(**parts)
    with pytest.raises(ValueError, match=r"test_fraction: means nothing for .*things"):
        DataSource(opened.config.model_copy(update={"test_fraction": 0.5})).load()


def test_python_objects_are_refused(tmp_path):
    class Attack:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    file = tmp_path / "bad.npz"
    np.savez(file, X=X, y=np.array([Attack()] * 8, dtype=object))
    with pytest.raises(DataError, match=r"bad\.npz: cannot be read .*allow_pickle=False"):
        DataSource(DataConfig(name=str(file))).load()
    assert not (tmp_path / "run").exists()


def test_a_single_array_is_no_archive(tmp_path):
    file = tmp_path / "one.npz"
    with file.open("wb") as stream:
        np.save(stream, X)
    with pytest.raises(DataError, match=r"one\.npz: cannot be read .*a single array"):
        DataSource(DataConfig(name=str(file))).load()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([".npz", ".mat"]), st.floats(0, 0.999), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_an_error_of_data_or_harmless(tmp_path_factory, suffix, where, junk):
    file = tmp_path_factory.mktemp("damaged") / f"file{suffix}"
    write(file, X=X, y=CLASSES)
    content = file.read_bytes()
    at = int(where * len(content))
    ways = [content[:at]]
    if suffix == ".npz":  # SciPy itself crashes on .mat files with other bytes inside
        ways.append(content[:at] + junk + content[at + len(junk) :])
    for damaged in ways:
        file.write_bytes(damaged)
        message = ""
        try:
            DataSource(DataConfig(name=str(file))).load()
        except DataError as error:
            message = str(error)
        assert "\n" not in message


def test_the_schools_of_london():
    """139 schools, 15,362 pupils and 28 features; not part of the repository."""
    file = Path(__file__).parents[2] / "../shared/data/school.mat"
    if not file.is_file():
        pytest.skip("the file of schools is not on this machine")
    source = DataSource(DataConfig(name=str(file), val_fraction=0.25))
    assert source.kind is TaskData
    data = source.load()
    assert len(data.tasks) == 139
    assert len(data.features) == 28
    assert not data.shared_inputs
    parts = [(len(task.train_x), len(task.val_x), len(task.test_x)) for task in data.tasks]
    assert sum(map(sum, parts)) == 15_362
    assert all((task.train_x[:, 27] == 1).all() for task in data.tasks)
