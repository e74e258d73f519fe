"""Data as a study names it."""

import numpy as np
import pytest
import torch
from strange_settings import strange_settings

from lelkern.config import ConfigError
from lelkern.data import (
    DATA_SETS,
    DataConfig,
    DataError,
    DataSource,
    FunctionFamily,
    ImageData,
    ImageTaskData,
    TableData,
    TaskData,
    fingerprint,
    load,
)

# What needs no file: name, kind, description, and which options decide it. A fifth of a table is
# for testing: of each class, rounded.
BUILT_IN = {
    "color-digits": (
        ImageData,
        "10 classes, 1,297 training and 500 test images, 24x24",
        {"seed", "image_size", "val_fraction"},
    ),
    "color-digit-tasks": (
        ImageTaskData,
        "10 classes, 1,297 training and 500 test images, 24x24; "
        "2 further tasks: colour (6), place (9)",
        {"seed", "image_size", "val_fraction"},
    ),
    "iris": (
        TableData,
        "3 classes, 120 training and 30 test samples, 4 features",
        {"seed", "test_fraction", "val_fraction"},
    ),
    "wine": (
        TableData,
        "3 classes, 142 training and 36 test samples, 13 features",
        {"seed", "test_fraction", "val_fraction"},
    ),
    "breast-cancer": (
        TableData,
        "2 classes, 456 training and 113 test samples, 30 features",
        {"seed", "test_fraction", "val_fraction"},
    ),
    "digits": (
        TableData,
        "10 classes, 1,438 training and 359 test samples, 64 features",
        {"seed", "test_fraction", "val_fraction"},
    ),
    "diabetes": (
        TableData,
        "regression, 354 training and 88 test samples, 10 features",
        {"seed", "test_fraction", "val_fraction"},
    ),
    "linnerud": (
        TaskData,
        "3 tasks, 48 training and 12 test samples, 3 features",
        {"seed", "test_fraction", "val_fraction", "samples_per_task"},
    ),
    "planted-rows": (
        TaskData,
        "2 tasks, 480 training and 400 test samples, 128 features",
        {"seed", "val_fraction", "samples_per_task", "noise", "overlap"},
    ),
    "planted-rank": (
        TaskData,
        "20 tasks, 4,800 training and 4,000 test samples, 40 features",
        {"seed", "val_fraction", "samples_per_task", "noise"},
    ),
    "planted-clusters": (
        TaskData,
        "24 tasks, 5,760 training and 4,800 test samples, 20 features",
        {"seed", "val_fraction", "samples_per_task", "noise"},
    ),
    "sine-waves": (
        FunctionFamily,
        "y = A sin(x - phase), A in [0.1, 5], phase in [0, pi], x in [-5, 5]",
        set(),
    ),
}
OTHER = {
    "image_size": 32,
    "seed": 1,
    "test_fraction": 0.3,
    "val_fraction": 0.1,
    "target": "y",
    "task": "t",
    "samples_per_task": 5,
    "noise": 0.3,
    "overlap": 0.5,
}


def same(a, b, tmp_path):
    """Whether two data sets are the same, by what they save."""
    contents = []
    for data in (a, b):
        data.save(tmp_path / "file")
        contents.append((tmp_path / "file").read_bytes())
    return contents[0] == contents[1]


def test_all_that_is_built_in_is_here():
    files = {"cifar10", "cifar100", "stl10", "svhn", "mnist", "fashion-mnist", "school"}
    assert set(BUILT_IN) == set(DATA_SETS) - files
    assert all(found.summary for found in DATA_SETS.values())


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_built_in_loads(name):
    kind, description, _ = BUILT_IN[name]
    source = DataSource(DataConfig(name=name))
    assert source.kind is kind
    data = source.load()
    assert type(data) is kind
    assert data.name == name
    assert data.describe() == description


@pytest.mark.parametrize("name", BUILT_IN)
def test_settings_of_pytorch_do_not_decide_what_is_read(name, tmp_path):
    options = {"val_fraction": 0.2} if "val_fraction" in BUILT_IN[name][2] else {}
    source = DataSource(DataConfig(name=name, **options))
    expected = source.load()
    with strange_settings():
        assert same(source.load(), expected, tmp_path)


@pytest.mark.parametrize("key", OTHER)
@pytest.mark.parametrize("name", BUILT_IN)
def test_the_fingerprint_changes_exactly_with_the_data(name, key, tmp_path):
    _, _, deciding = BUILT_IN[name]
    source = DataSource(DataConfig(name=name))
    other = DataSource(DataConfig(name=name, **{key: OTHER[key]}))
    if key in deciding:
        assert other.fingerprint != source.fingerprint
        assert not same(other.load(), source.load(), tmp_path)
    elif key == "seed":
        assert other.fingerprint == source.fingerprint
        assert same(other.load(), source.load(), tmp_path)
    else:
        for use in (lambda: other.kind, lambda: other.fingerprint, other.load):
            with pytest.raises(ConfigError, match=rf"data\.{key}: means nothing for '{name}'"):
                use()
    again = DataSource(DataConfig(name=name))
    assert again.fingerprint == source.fingerprint


def test_fingerprints_of_all_names_differ():
    prints = {DataSource(DataConfig(name=name)).fingerprint for name in DATA_SETS}
    assert len(prints) == len(DATA_SETS)
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in prints)


def test_the_short_way_to_images_is_the_same_data(tmp_path):
    source = DataSource(DataConfig(seed=2, image_size=16))
    assert source.fingerprint == fingerprint("color-digits", seed=2, image_size=16)
    assert same(source.load(), load("color-digits", seed=2, image_size=16), tmp_path)


def test_validation_samples_are_drawn_with_the_seed():
    """Also where the seed decides nothing else."""
    name = "cifar10"
    sources = [DataSource(DataConfig(name=name, val_fraction=0.1, seed=seed)) for seed in (0, 1)]
    assert sources[0].fingerprint != sources[1].fingerprint
    sources = [DataSource(DataConfig(name=name, seed=seed)) for seed in (0, 1)]
    assert sources[0].fingerprint == sources[1].fingerprint


def test_validation_images_are_training_images():
    whole = DataSource(DataConfig()).load()
    split = DataSource(DataConfig(val_fraction=0.2)).load()
    assert torch.equal(split.test_images, whole.test_images)
    counts = torch.bincount(whole.train_labels)
    expected = (counts * 0.2).round().long()
    assert torch.equal(torch.bincount(split.val_labels), expected)
    assert torch.equal(torch.bincount(split.train_labels), counts - expected)


@pytest.mark.parametrize("budget", [{"labels": 20}, {"labels": 0.5}, {"labels_per_class": 2}])
def test_a_label_budget_changes_neither_data_nor_fingerprint(budget, tmp_path):
    source, fewer = (
        DataSource(DataConfig(name="iris")),
        DataSource(DataConfig(name="iris", **budget)),
    )
    assert fewer.fingerprint == source.fingerprint
    assert same(fewer.load(), source.load(), tmp_path)


def test_tables_are_those_of_scikit_learn():
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    data = DataSource(DataConfig(name="breast-cancer")).load()
    assert data.classes == tuple(bunch.target_names)
    assert data.features == tuple(bunch.feature_names)
    ours = np.concatenate(
        [
            np.column_stack([data.train_x, data.train_y]),
            np.column_stack([data.test_x, data.test_y]),
        ]
    )
    theirs = np.column_stack([bunch.data, bunch.target])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_linnerud_is_three_tasks_over_the_same_men():
    from sklearn.datasets import load_linnerud

    bunch = load_linnerud()
    data = DataSource(DataConfig(name="linnerud")).load()
    assert data.shared_inputs
    assert [task.name for task in data.tasks] == bunch.target_names
    row = int(np.flatnonzero((bunch.data == data.tasks[0].test_x[0]).all(axis=1))[0])
    assert [task.test_y[0] for task in data.tasks] == bunch.target[row].tolist()


def test_a_folder_with_a_split_has_no_use_for_a_test_fraction(tmp_path, write_image):
    for name in ("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"):
        write_image(tmp_path / name)
    config = DataConfig(name=str(tmp_path), test_fraction=0.5)
    with pytest.raises(ConfigError, match=r"data\.test_fraction: means nothing for"):
        DataSource(config).load()
    data = DataSource(DataConfig(name=str(tmp_path), image_size=8)).load()
    assert data.train_images.shape == (2, 3, 8, 8)


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".mat", ".CSV"])
def test_a_file_that_is_missing_is_refused(tmp_path, suffix):
    source = DataSource(DataConfig(name=str(tmp_path / f"none{suffix}")))
    for use in (lambda: source.kind, lambda: source.fingerprint, source.load):
        with pytest.raises(DataError, match=rf"none\{suffix}: no such file"):
            use()


def test_the_fingerprint_of_a_file_is_that_of_its_content(tmp_path):
    text = "a,b,y\n1,2,x\n3,4,z\n5,6,x\n7,8,z\n"
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    for file in (first, second):
        file.write_text(text)
    config = DataConfig(name=str(first))
    value = DataSource(config).fingerprint
    assert DataSource(DataConfig(name=str(second))).fingerprint == value
    for key, other in {"seed": 1, "test_fraction": 0.5, "target": "a", "val_fraction": 0.5}.items():
        assert DataSource(config.model_copy(update={key: other})).fingerprint != value
    second.write_text(text.replace("8", "9"))
    assert DataSource(DataConfig(name=str(second))).fingerprint != value
