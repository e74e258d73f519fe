"""The data sets that torchvision reads from disk, and downloads where asked to."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lelkern.data.errors import DataError
from lelkern.data.idx import find_idx, read_idx
from lelkern.data.image_data import ImageData
from lelkern.data.registry import file_hash, register
from lelkern.data.shared_images import trained_and_tested_on

VERSION = 1
"""Raised whenever the same files would give other images, so that caches notice."""


@dataclass(frozen=True)
class _Set:
    """How one data set is found and read.

    Attributes:
        summary: one line for lists.
        on_disk: what lies in the root folder, for the message that it is missing.
        read: takes the name, the root and whether to download.
    """

    summary: str
    on_disk: str
    read: Callable[[str, Path, bool], ImageData]


def load_torchvision(name: str, *, root: Path, download: bool) -> ImageData:
    """Read one of :data:`TORCHVISION_SETS`.

    Args:
        name: its name.
        root: the folder that holds it, as torchvision lays it out. For ``mnist`` and
            ``fashion-mnist`` also a folder with the four IDX files directly in it, plain or
            compressed, which is what Debian's package dataset-fashion-mnist installs.
        download: fetch what is missing into `root`.

    Raises:
        DataError: the files are missing or damaged, or the download failed.
    """
    entry = TORCHVISION_SETS[name]
    # torchvision says "not found or corrupted" as a RuntimeError. The others: no network, no
    # permission, or a file that is cut short.
    try:
        data = entry.read(name, root, download)
    except DataError:
        raise
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        if download:
            reason = " ".join(str(error).split())
            raise DataError(f"{name}: could not be downloaded to {root}: {reason}") from error
        raise DataError(
            f"{name}: {root / entry.on_disk} is missing or damaged; "
            "name the folder that holds it with --data-root, or fetch it with --download"
        ) from error
    return replace(data, remarks=tuple(_trained_and_tested_on(data)))


def _trained_and_tested_on(data: ImageData) -> Iterator[str]:
    yield from trained_and_tested_on(
        data.train_images,
        data.test_images,
        "training image {}".format,
        "test image {}".format,
    )
    if data.unlabeled_images is not None:
        yield from trained_and_tested_on(
            data.unlabeled_images,
            data.test_images,
            "image {} of those without a label".format,
            "test image {}".format,
        )


# torchvision is imported inside the readers: it takes seconds, and most runs need none of them.


def _read_cifar(name: str, root: Path, download: bool) -> ImageData:
    from torchvision import datasets

    cls = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    train = cls(str(root), train=True, download=download)
    test = cls(str(root), train=False, download=download)
    return ImageData(
        name=name,
        train_images=_channels_first(train.data),
        train_labels=_labels(train.targets),
        test_images=_channels_first(test.data),
        test_labels=_labels(test.targets),
        classes=tuple(train.classes),
    )


def _read_mnist(name: str, root: Path, download: bool) -> ImageData:
    from torchvision import datasets

    cls = datasets.MNIST if name == "mnist" else datasets.FashionMNIST
    if find_idx(root, "train-images-idx3-ubyte") is not None:
        train_images, train_labels = _read_idx_pair(name, root, "train")
        test_images, test_labels = _read_idx_pair(name, root, "t10k")
    else:
        train = cls(str(root), train=True, download=download)
        test = cls(str(root), train=False, download=download)
        train_images, train_labels = train.data, train.targets
        test_images, test_labels = test.data, test.targets
    return ImageData(
        name=name,
        train_images=_grey_to_rgb(train_images),
        train_labels=_labels(train_labels),
        test_images=_grey_to_rgb(test_images),
        test_labels=_labels(test_labels),
        classes=tuple(cls.classes),
    )


def _loose_files(name: str, root: Path) -> Iterable[str]:
    """Return hashes of the IDX files that would be read in `root` itself, which nobody checks."""
    if name not in ("mnist", "fashion-mnist"):
        return []
    kinds = ("images-idx3", "labels-idx1")
    found = [find_idx(root, f"{s}-{k}-ubyte") for s in ("train", "t10k") for k in kinds]
    return [file_hash(path) for path in found if path is not None]


def _read_idx_pair(name: str, root: Path, split: str) -> tuple[Tensor, Tensor]:
    """Images (N, 28, 28) and labels (N,), uint8, of files that lie directly in a folder."""
    found = []
    for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
        path = find_idx(root, f"{split}-{kind}-ubyte")
        if path is None:
            raise DataError(f"{name}: {root} has no {split}-{kind}-ubyte, neither plain nor .gz")
        found.append(read_idx(path, dimensions=dimensions))
    images, labels = found
    return images, labels


def _read_stl10(name: str, root: Path, download: bool) -> ImageData:
    from torchvision import datasets

    # torchvision reads the names where the file is there, and has no attribute where it is not.
    names_file = root / "stl10_binary" / "class_names.txt"
    train = datasets.STL10(str(root), split="train", download=download)
    test = datasets.STL10(str(root), split="test", download=download)
    unlabeled = datasets.STL10(str(root), split="unlabeled", download=download)
    if not names_file.is_file():
        raise DataError(f"{name}: {names_file} is missing")
    return ImageData(
        name=name,
        train_images=torch.from_numpy(train.data),
        train_labels=_labels(train.labels),
        test_images=torch.from_numpy(test.data),
        test_labels=_labels(test.labels),
        classes=tuple(train.classes),
        unlabeled_images=torch.from_numpy(unlabeled.data),
    )


def _read_svhn(name: str, root: Path, download: bool) -> ImageData:
    from torchvision import datasets

    train = datasets.SVHN(str(root), split="train", download=download)
    test = datasets.SVHN(str(root), split="test", download=download)
    return ImageData(
        name=name,
        train_images=torch.from_numpy(np.ascontiguousarray(train.data)),
        train_labels=_labels(train.labels),
        test_images=torch.from_numpy(np.ascontiguousarray(test.data)),
        test_labels=_labels(test.labels),
        classes=tuple(str(digit) for digit in range(10)),
    )


def _labels(labels: Any) -> Tensor:
    return torch.as_tensor(labels, dtype=torch.int64)


def _channels_first(images: Any) -> Tensor:
    """NumPy (N, H, W, 3) -> (N, 3, H, W), contiguous."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def _grey_to_rgb(images: Tensor) -> Tensor:
    """(N, H, W) -> (N, 3, H, W), the same value in each channel."""
    return images[:, None].repeat(1, 3, 1, 1)


TORCHVISION_SETS = {
    "cifar10": _Set("60,000 photographs, 10 classes, 32x32", "cifar-10-batches-py", _read_cifar),
    "cifar100": _Set("60,000 photographs, 100 classes, 32x32", "cifar-100-python", _read_cifar),
    "stl10": _Set(
        "13,000 photographs, 10 classes, 96x96, and 100,000 without labels",
        "stl10_binary",
        _read_stl10,
    ),
    "svhn": _Set("99,289 house numbers, 10 digits, 32x32", "train_32x32.mat", _read_svhn),
    "mnist": _Set("70,000 handwritten digits, 28x28", "MNIST/raw", _read_mnist),
    "fashion-mnist": _Set(
        "70,000 pictures of clothes, 10 classes, 28x28", "FashionMNIST/raw", _read_mnist
    ),
}

for _name, _set in TORCHVISION_SETS.items():
    register(
        _name,
        ImageData,
        summary=_set.summary,
        version=VERSION,
        content=partial(_loose_files, _name),
    )(partial(load_torchvision, _name))
