import numpy as np
import pytest
from scipy.io import savemat

from lelkern.data import DataConfig, DataError, DataSource


def cells(arrays):
    found = np.empty((1, len(arrays)), dtype=object)
    found[0] = [*arrays]
    return found


def write(path, tasks):
    """A file of that form, with as many tasks, each a pupil more than the one before."""
    generator = np.random.default_rng(0)
    x = [generator.integers(2, size=(n + 5, 28), dtype=np.uint8) for n in range(tasks)]
    y = [generator.integers(70, size=(len(part), 1)).astype(np.uint8) for part in x]
    savemat(path, {"X": cells(x), "Y": cells(y)})


def source(root, **options):
    return DataSource(DataConfig(name="school", **options), root)


def test_every_school_is_a_task(tmp_path):
    write(tmp_path / "school.mat", 139)
    data = source(tmp_path, test_fraction=0.5).load()
    assert data.name == "school"
    assert len(data.tasks) == 139
    sizes = [len(task.train_x) + len(task.test_x) for task in data.tasks]
    assert sizes == list(range(5, 144))
    assert data.tasks[0].train_x.shape[1] == len(data.features) == 28


def test_the_content_of_the_file_decides(tmp_path):
    missing = source(tmp_path).fingerprint
    write(tmp_path / "school.mat", 139)
    first = source(tmp_path).fingerprint
    write(tmp_path / "school.mat", 138)
    assert len({missing, first, source(tmp_path).fingerprint}) == 3


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no school\.mat .*--data-root"):
        source(tmp_path).load()
    write(tmp_path / "school.mat", 138)
    with pytest.raises(DataError, match=r"school\.mat: must hold the 139 tasks .* got 138 tasks"):
        source(tmp_path).load()
