"""What data of every kind can do."""

import errno
import io
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import KINDS
from strange_settings import strange_settings

from lelkern.data import DataConfig, DataError, FunctionFamily, TableData, saving, visible_labels
from lelkern.files import seal


def same(a, b):
    """Whether two objects are equal down to the bits of their arrays, types included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if is_dataclass(a):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.fixture(params=KINDS)
def data(request):
    return KINDS[request.param]()


@pytest.fixture(params=["table", "images", "image tasks"])
def labelled(request):
    return KINDS[request.param]()


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".csv", ""])
def test_saved_data_comes_back_whole(data, tmp_path, suffix):
    file = tmp_path / "new" / "folder" / f"file{suffix}"
    data.save(file)
    data.save(str(file))
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert same(type(data).load(file), data)
    assert same(type(data).load(str(file)), data)


def test_validation_samples_are_saved_as_well(data, tmp_path):
    if "val_fraction" not in data.options:
        pytest.skip("this kind has nothing to set aside")
    split = data.prepare(DataConfig(val_fraction=0.3))
    assert not same(split, data)
    split.save(tmp_path / "file")
    assert same(type(data).load(tmp_path / "file"), split)


def test_nothing_to_prepare_changes_nothing(data):
    assert same(data.prepare(DataConfig()), data)


def test_settings_of_pytorch_decide_nothing(data, tmp_path):
    wanted = {"image_size": 8, "val_fraction": 0.4, "samples_per_task": 3}
    config = DataConfig(**{key: value for key, value in wanted.items() if key in data.options})

    def everything():
        prepared = data.prepare(config)
        prepared.save(tmp_path / "file")
        read = type(data).load(tmp_path / "file")
        parts = [prepared, read, read.labels()]
        if (labels := read.labels()) is not None:
            parts.append(visible_labels(labels, DataConfig(labels=2), seed=0))
        if isinstance(data, FunctionFamily):
            parts.extend(data.sample(3, 2, torch.Generator().manual_seed(0)))
        return tuple(parts)

    expected = everything()
    with strange_settings():
        assert same(everything(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_refused(data, kind, tmp_path):
    other = KINDS[kind]()
    other.save(tmp_path / "file")
    if type(other) is type(data):
        assert same(type(data).load(tmp_path / "file"), other)
        return
    written_by = rf"file: not a data set written by {type(data).__name__}\.save"
    with pytest.raises(DataError, match=written_by):
        type(data).load(tmp_path / "file")


def test_what_is_no_such_file_is_refused(data, tmp_path):
    kind = type(data)
    with pytest.raises(DataError, match="missing: no such file"):
        kind.load(tmp_path / "missing")
    with pytest.raises(DataError, match=str(tmp_path)):
        kind.load(tmp_path)
    torch.save({"kind": data.kind, "name": 3}, tmp_path / "partial")
    torch.save({"kind": data.kind, "weights": torch.zeros(3)}, tmp_path / "weights")
    torch.save([1, 2], tmp_path / "list")
    for name in ("partial", "weights", "list"):
        seal(tmp_path / name)
    data.save(tmp_path / "unsealed")
    os.truncate(tmp_path / "unsealed", (tmp_path / "unsealed").stat().st_size - 1)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"not torch")
    for name in ("weights", "list", "empty", "text", "unsealed"):
        with pytest.raises(DataError, match=rf"{name}: not a data set written by"):
            kind.load(tmp_path / name)
    with pytest.raises(DataError):
        kind.load(tmp_path / "partial")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.floats(0, 0.999), st.binary(min_size=1, max_size=20))
def test_a_damaged_file_is_an_error_of_data(tmp_path_factory, kind, where, junk):
    """No byte may be missing or another one, wherever it stands."""
    data = KINDS[kind]()
    file = tmp_path_factory.mktemp("damaged") / "file"
    data.save(file)
    content = file.read_bytes()
    at = int(where * len(content))
    file.write_bytes(content[:at])
    with pytest.raises(DataError):
        type(data).load(file)
    damaged = content[:at] + junk + content[at + len(junk) :]
    file.write_bytes(damaged)
    if damaged == content:
        assert same(type(data).load(file), data)
        return
    with pytest.raises(DataError, match=r"file: (damaged: it is not what|not a data set)") as error:
        type(data).load(file)
    assert "\n" not in str(error.value)


def test_a_file_that_lost_its_content_and_not_its_length_is_refused(data, tmp_path):
    file = tmp_path / "file"
    data.save(file)
    assert same(type(data).load(file), data)  # it was fine a moment ago
    size = file.stat().st_size
    os.truncate(file, size // 2)
    os.truncate(file, size)
    with pytest.raises(DataError, match="file: not a data set"):
        type(data).load(file)


def test_a_full_disk_is_an_error_that_names_the_file(data, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stream = saving._Stream
    monkeypatch.setattr(saving, "_Stream", lambda file: stream(Full()))
    with pytest.raises(OSError, match=r"No space left on device: '.*new.file'"):
        data.save(tmp_path / "new.file")
    assert list(tmp_path.iterdir()) == []


def test_code_in_a_file_is_not_run(data, tmp_path):
    class Attack:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    torch.save({"kind": data.kind, "name": Attack()}, tmp_path / "file")
    seal(tmp_path / "file")
    with pytest.raises(DataError):
        type(data).load(tmp_path / "file")
    assert not (tmp_path / "run").exists()


def test_an_interrupted_save_keeps_the_old_file(data, tmp_path, monkeypatch):
    file = tmp_path / "toy.pt"
    data.save(file)

    def write_half(content, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(KeyboardInterrupt):
        data.save(file)
    assert [path.name for path in tmp_path.iterdir()] == ["toy.pt"]
    assert same(type(data).load(file), data)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("images", "3 classes, 6 training and 2 test images, 6x4, 7 unlabelled"),
        (
            "image tasks",
            "3 classes, 6 training and 2 test images, 6x4, 7 unlabelled; "
            "2 further tasks: size (2), ink (4)",
        ),
        ("table", "2 classes, 14 training and 6 test samples, 3 features"),
        ("regression", "regression, 14 training and 6 test samples, 3 features"),
        ("tasks", "3 tasks, 11 training and 5 test samples, 3 features"),
        ("functions", "y = A sin(x - phase), A in [0.1, 5], phase in [0, pi], x in [-5, 5]"),
    ],
)
def test_data_describes_itself(kind, text):
    assert KINDS[kind]().describe() == text


def test_hidden_labels_are_gone_from_the_file(labelled, tmp_path):
    visible = visible_labels(labelled.labels(), DataConfig(labels_per_class=1), seed=0)
    labelled.with_labels(visible).save(tmp_path / "file")
    back = type(labelled).load(tmp_path / "file")
    assert torch.equal(back.labels(), visible)
    assert (back.labels() == -1).sum() == len(visible) - len(labelled.classes)
    hidden = back.with_labels(torch.full_like(visible, -1))
    assert (hidden.labels() == -1).all()
    assert same(hidden.with_labels(labelled.labels()), labelled)


@pytest.mark.parametrize(
    "labels",
    [torch.zeros(3, dtype=torch.int64), torch.full((6,), -2), torch.full((14,), 7)],
)
def test_labels_that_do_not_fit_are_refused(labelled, labels):
    with pytest.raises(DataError, match=r"^toy: train_"):
        labelled.with_labels(labels)


@pytest.mark.parametrize("kind", ["regression", "tasks", "functions"])
def test_data_without_classes_has_no_labels(kind):
    data = KINDS[kind]()
    assert data.labels() is None
    with pytest.raises(DataError, match=f"^{data.name}: .*rather than classes"):
        data.with_labels(torch.zeros(14, dtype=torch.int64))


def test_validation_samples_come_from_the_training_samples_class_by_class():
    data = KINDS["table"]()
    split = data.prepare(DataConfig(val_fraction=0.25, seed=5))
    assert isinstance(split, TableData)
    assert np.bincount(split.val_y).tolist() == [2, 2]  # 0.25 of 7, rounded
    together = np.concatenate([split.train_x, split.val_x])
    assert same(np.sort(together, axis=0), np.sort(data.train_x, axis=0))
    assert same(split.test_x, data.test_x)
    again = data.prepare(DataConfig(val_fraction=0.25, seed=5))
    assert same(again, split)
    assert not same(data.prepare(DataConfig(val_fraction=0.25, seed=6)), split)


def test_samples_without_labels_are_not_set_aside():
    data = KINDS["table"]()
    labels = data.labels()
    labels[:7] = -1
    split = data.with_labels(labels).prepare(DataConfig(val_fraction=0.5))
    assert (split.val_y >= 0).all()
    assert (split.train_y == -1).sum() == 7


def test_images_are_set_aside_with_their_labels():
    data = KINDS["images"]()
    split = data.prepare(DataConfig(val_fraction=0.5))
    assert sorted(split.val_labels.tolist()) == [0, 1, 2]
    known = {
        bytes(i.numpy()): int(label)
        for i, label in zip(data.train_images, data.labels(), strict=True)
    }
    for part in ("train", "val"):
        images, labels = getattr(split, f"{part}_images"), getattr(split, f"{part}_labels")
        for image, label in zip(images, labels, strict=True):
            assert known.pop(bytes(image.numpy())) == label
    assert not known
    assert split.describe().startswith("3 classes, 3 training, 3 validation and 2 test images")


def test_what_has_validation_samples_is_not_split_again(data):
    if "val_fraction" not in data.options:
        pytest.skip("this kind has nothing to set aside")
    split = data.prepare(DataConfig(val_fraction=0.3))
    assert same(split.prepare(DataConfig()), split)
    with pytest.raises(DataError, match=r"^toy: has validation (images|samples) already"):
        split.prepare(DataConfig(val_fraction=0.3))


def test_a_class_of_one_sample_cannot_be_split():
    with pytest.raises(DataError, match=r"^toy: class 'b' has 1 sample; a split needs at least 2"):
        TableData.from_arrays(
            "toy", np.eye(3), [0, 0, 1], test_fraction=0.5, seed=0, classes=("a", "b")
        )


def test_a_configuration_needs_no_torch():
    """A command that only lists studies must start at once."""
    code = (
        "import sys; sys.modules['torch'] = None; "
        "from lelkern.data import DataConfig, DataError, register; DataConfig(labels=3)"
    )
    lazy = "import sys, types; package = types.ModuleType('lelkern'); "
    lazy += f"package.__path__ = [{str(Path(__file__).parents[2] / 'lelkern')!r}]; "
    lazy += "sys.modules['lelkern'] = package; "
    subprocess.run([sys.executable, "-c", lazy + code], check=True)
