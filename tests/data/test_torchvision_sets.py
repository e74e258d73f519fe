"""torchvision's data sets from tiny files in their real formats on disk.

torchvision compares checksums of the published files. The fixtures replace the expected checksums
by those of the files they write, so that its check runs as it does on the published ones.
"""

import gzip
import hashlib
import pickle
import struct
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from torchvision import datasets

from lelkern.data import DataError, load


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def random_bytes(*shape):
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    images = random_bytes(12, 3072)
    batches = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for i, name in enumerate(batches):
        batch = {"data": images[2 * i : 2 * i + 2], "labels": [i, 9 - i]}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    sums = [[name, md5(folder / name)] for name in batches]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", sums[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", sums[5:])
    meta = {**datasets.CIFAR10.meta, "md5": md5(folder / "batches.meta")}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return torch.from_numpy(images).view(12, 3, 32, 32)


def test_cifar10(cifar10, tmp_path):
    data = load("cifar10", root=tmp_path)
    assert data.name == "cifar10"
    assert torch.equal(data.train_images, cifar10[:10])
    assert torch.equal(data.test_images, cifar10[10:])
    assert data.train_images.is_contiguous()
    assert data.train_labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert data.test_labels.tolist() == [5, 4]
    assert data.classes == tuple("abcdefghij")


def test_a_damaged_file_is_noticed(cifar10, tmp_path):
    (tmp_path / "cifar-10-batches-py/test_batch").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"cifar10: .*cifar-10-batches-py is missing or damaged"):
        load("cifar10", root=tmp_path)


def test_cifar100(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    images = random_bytes(5, 3072)
    for name, part, labels in (("train", images[:3], [7, 99, 0]), ("test", images[3:], [1, 50])):
        batch = {"data": part, "fine_labels": labels}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = [f"class {i}" for i in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [["train", md5(folder / "train")]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [["test", md5(folder / "test")]])
    meta = {**datasets.CIFAR100.meta, "md5": md5(folder / "meta")}
    monkeypatch.setattr(datasets.CIFAR100, "meta", meta)
    data = load("cifar100", root=tmp_path)
    assert torch.equal(data.train_images, torch.from_numpy(images[:3]).view(3, 3, 32, 32))
    assert data.train_labels.tolist() == [7, 99, 0]
    assert data.test_labels.tolist() == [1, 50]
    assert data.classes == tuple(names)


@pytest.fixture
def stl10(tmp_path, monkeypatch):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    images = random_bytes(6, 3, 96, 96)  # on disk column by column
    images[:2].tofile(folder / "train_X.bin")
    images[2:3].tofile(folder / "test_X.bin")
    images[3:].tofile(folder / "unlabeled_X.bin")
    np.array([1, 10], dtype=np.uint8).tofile(folder / "train_y.bin")
    np.array([5], dtype=np.uint8).tofile(folder / "test_y.bin")
    (folder / "class_names.txt").write_text("\n".join("abcdefghij") + "\n")
    for field, names in (
        ("train_list", ["train_X.bin", "train_y.bin", "unlabeled_X.bin"]),
        ("test_list", ["test_X.bin", "test_y.bin"]),
    ):
        sums = [[name, md5(folder / name)] for name in names]
        monkeypatch.setattr(datasets.STL10, field, sums)
    return torch.from_numpy(images).transpose(2, 3)


def test_stl10(stl10, tmp_path):
    data = load("stl10", root=tmp_path)
    assert torch.equal(data.train_images, stl10[:2])
    assert torch.equal(data.test_images, stl10[2:3])
    assert torch.equal(data.unlabeled_images, stl10[3:])
    assert data.train_labels.tolist() == [0, 9]
    assert data.test_labels.tolist() == [4]
    assert data.classes == tuple("abcdefghij")
    small = load("stl10", root=tmp_path, image_size=32)
    assert small.unlabeled_images.shape == (3, 3, 32, 32)
    assert small.train_images.shape == (2, 3, 32, 32)


def test_stl10_without_its_class_names(stl10, tmp_path):
    (tmp_path / "stl10_binary/class_names.txt").unlink()
    with pytest.raises(DataError, match=r"stl10: .*class_names\.txt is missing"):
        load("stl10", root=tmp_path)


def test_svhn(tmp_path, monkeypatch):
    images = random_bytes(32, 32, 3, 5)  # Matlab's order: H, W, C, N
    splits = {}
    for name, part, labels in (
        ("train", images[..., :3], [1, 10, 9]),
        ("test", images[..., 3:], [2, 10]),
    ):
        file = tmp_path / f"{name}_32x32.mat"
        scipy.io.savemat(file, {"X": part, "y": np.array(labels, dtype=np.uint8)[:, None]})
        splits[name] = ["", file.name, md5(file)]
    monkeypatch.setattr(datasets.SVHN, "split_list", splits)
    data = load("svhn", root=tmp_path)
    assert torch.equal(data.train_images, torch.from_numpy(images[..., :3]).permute(3, 2, 0, 1))
    assert data.train_images.is_contiguous()
    assert data.train_labels.tolist() == [1, 0, 9]  # SVHN writes 10 for the digit 0
    assert data.test_labels.tolist() == [2, 0]
    assert data.classes == tuple("0123456789")


def write_idx(folder, compress):
    """Three train and two test images as four IDX files."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = random_bytes(5, 28, 28), np.array([3, 0, 9, 1, 2], dtype=np.uint8)
    for split, part in (("train", slice(0, 3)), ("t10k", slice(3, 5))):
        for kind, array in (("images-idx3", images[part]), ("labels-idx1", labels[part])):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            content = header + array.tobytes()
            path = folder / f"{split}-{kind}-ubyte"
            if compress:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
            else:
                path.write_bytes(content)
    return torch.from_numpy(images)


@pytest.mark.parametrize(
    ("name", "folder", "compress"),
    [
        ("mnist", "MNIST/raw", False),
        ("fashion-mnist", "FashionMNIST/raw", False),
        ("mnist", ".", True),
        ("mnist", ".", False),
        ("fashion-mnist", ".", True),
    ],
)
def test_mnist_and_fashion_mnist(tmp_path, name, folder, compress):
    images = write_idx(tmp_path / folder, compress)
    data = load(name, root=tmp_path)
    assert data.name == name
    for channel in range(3):
        assert torch.equal(data.train_images[:, channel], images[:3])
        assert torch.equal(data.test_images[:, channel], images[3:])
    assert data.train_labels.tolist() == [3, 0, 9]
    assert data.test_labels.tolist() == [1, 2]
    assert data.classes[9] == {"mnist": "9 - nine", "fashion-mnist": "Ankle boot"}[name]
    assert load(name, root=tmp_path, image_size=32).train_images.shape == (3, 3, 32, 32)


def test_images_that_are_trained_and_tested_on_are_counted(tmp_path):
    write_idx(tmp_path, compress=False)
    train, test = (tmp_path / f"{split}-images-idx3-ubyte" for split in ("train", "t10k"))
    content = bytearray(test.read_bytes())
    content[-784:] = train.read_bytes()[-784:]
    test.write_bytes(content)
    remark = "1 test image is a training image as well, such as test image 1"
    with pytest.warns(UserWarning, match=f"mnist: {remark}, which is training image 2"):
        data = load("mnist", root=tmp_path)
    assert remark in data.describe()


def test_so_are_those_without_a_label(stl10, tmp_path, monkeypatch):
    folder = tmp_path / "stl10_binary"
    (folder / "test_X.bin").write_bytes((folder / "unlabeled_X.bin").read_bytes()[-3 * 96 * 96 :])
    sums = [[name, md5(folder / name)] for name in ("test_X.bin", "test_y.bin")]
    monkeypatch.setattr(datasets.STL10, "test_list", sums)
    with pytest.warns(UserWarning, match="test image 0, which is image 2 of those without a label"):
        load("stl10", root=tmp_path)


def test_an_incomplete_folder_of_idx_files(tmp_path):
    write_idx(tmp_path, compress=True)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"fashion-mnist: .* has no t10k-labels-idx1-ubyte"):
        load("fashion-mnist", root=tmp_path)


def test_the_package_of_debian():
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    data = load("fashion-mnist", root=folder)
    assert data.train_images.shape == (60000, 3, 28, 28)
    assert data.test_labels.bincount().tolist() == [1000] * 10


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("cifar10", "cifar-10-batches-py"),
        ("cifar100", "cifar-100-python"),
        ("stl10", "stl10_binary"),
        ("svhn", "train_32x32.mat"),
        ("mnist", "MNIST/raw"),
        ("fashion-mnist", "FashionMNIST/raw"),
    ],
)
def test_missing_data_says_what_to_do(tmp_path, name, missing):
    with pytest.raises(
        DataError, match=rf"^{name}: .*{missing} is missing or damaged; .*--data-root.*--download"
    ):
        load(name, root=tmp_path / "nowhere")


def test_without_a_root_the_folder_data_is_searched(cifar10, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/data").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path / "run")
    assert load("cifar10").train_images.shape == (10, 3, 32, 32)


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_failed_download_says_why(tmp_path, monkeypatch, name):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network\nat all")

    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", refuse)
    with pytest.raises(DataError, match=f"^{name}: could not be downloaded to .*") as caught:
        load(name, root=tmp_path, download=True)
    assert "\n" not in str(caught.value)
