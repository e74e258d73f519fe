"""Any folder of class folders, as image data.

Two layouts are understood::

    photos/train/cat/*.jpg   photos/val/cat/*.jpg      the split is given
    photos/cat/*.jpg                                   the split is drawn, class by class

``train`` may be called ``training``, and ``val`` ``valid``, ``validation``, ``test`` or
``testing``, in small or large letters. What looks like a split and is none is an error, so that
splits, or data sets with splits of their own, are not taken for classes.

Class folders are searched to any depth, through links as well. Hidden files and what systems put
into folders are passed over, and so are files that are no images and, beside splits, other folders,
which is remarked on. Classes and files are taken in the order of their names, so that the same
folder gives the same data on every machine.

Every image becomes red, green and blue in 8 bits, upright as its EXIF orientation says:

- 16 bits, and integers of 32 bits that fit into 16: v / 257, so that 65535 becomes 255; to the
  nearest, or, where Pillow reads 16-bit colours (PNG, TIFF), to the next below. Other integers are
  an error: nothing says which of them is white.
- floating-point numbers: 255 v, to the nearest, for v from 0 to 1; others are an error.
- grey: three equal colours; of 1 bit: 0 and 255; CMYK: as Pillow converts it; palettes: the colours
  in them.
- transparency is dropped, and with it what lies behind: pixels have the colour they are stored
  with. So are colour profiles.
- of several frames or pages the first is taken.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import filterfalse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from lelkern.data.draw import draw_split
from lelkern.data.errors import DataError
from lelkern.data.image_data import ImageData
from lelkern.data.registry import DataSet, file_hash
from lelkern.data.resize import target_size
from lelkern.data.shared_images import trained_and_tested_on
from lelkern.data.sizes import count

VERSION = 2
"""Raised whenever the same files would give other images, so that caches notice."""

# torchvision's IMG_EXTENSIONS, spelled out: importing torchvision for nine strings takes seconds.
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

TRAIN_FOLDERS = ("train", "training")
"""What the folder of a given split's training images may be called, in any case."""

TEST_FOLDERS = ("val", "valid", "validation", "test", "testing")
"""What that of its test images may be called, in the order in which they are looked for.

Validation comes first: published test folders often come without labels.
"""

OF_THE_SYSTEM = frozenset(
    {
        "__macosx",
        "@eadir",
        "$recycle.bin",
        "desktop.ini",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)
"""Files and folders, in any case, that systems put where they like, some with copies of images."""

Split = tuple[tuple[Path, ...], ...]
"""For each class, in the order of the names, its files, sorted."""


@dataclass(frozen=True)
class ImageFolder:
    """The files of a folder, by split and class; nothing is decoded yet.

    Attributes:
        path: the folder.
        classes: sorted names.
        train: the files of the training folder; all files where the split is yet to be drawn.
        test: those of the folder that is tested on; None where the split is yet to be drawn.
        passed_over: what is no part of the data and may have been meant to be: names, relative to
            the folder, of files in class folders that are no images, of images outside, and of
            folders beside splits.
    """

    path: Path
    classes: tuple[str, ...]
    train: Split
    test: Split | None
    passed_over: tuple[str, ...] = ()

    def files(self) -> Iterator[Path]:
        """All files, in a fixed order."""
        for split in (self.train, self.test or ()):
            for paths in split:
                yield from paths

    @cached_property
    def hashes(self) -> dict[Path, str]:
        """The SHA-256 of the content of every file; read once."""
        return {file: file_hash(file) for file in self.files()}


def open_folder(path: Path) -> DataSet:
    """Return the data set of a folder, with nothing decoded yet.

    Its identity is the relative path and the content of every image, and what the split is drawn
    with where the folder has none.

    Raises:
        DataError: as for :func:`scan_folder`.
    """
    found = scan_folder(path)

    def load_split(image_size: int | None) -> ImageData:
        return load_folder(found, image_size=image_size, seed=0, test_fraction=0)

    return DataSet(
        name="folder",
        kind=ImageData,
        summary="a folder of images",
        version=VERSION,
        read=partial(load_folder, found) if found.test is None else load_split,
        content=lambda root: [
            (file.relative_to(found.path).as_posix(), content)
            for file, content in found.hashes.items()
        ],
    )


def scan_folder(path: Path) -> ImageFolder:
    """List the images of a folder.

    Args:
        path: a folder in one of the two layouts above; with several folders to test on, the first
            of :data:`TEST_FOLDERS` is taken.

    Raises:
        DataError: no such folder, no or only one class, an empty class, splits whose classes
            differ, or classes that look like splits.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder")
    splits = _find_splits(path)
    if splits is None:
        classes, others = _scan_classes(path)
        _refuse_splits_as_classes(path, tuple(classes))
        names = tuple(file.relative_to(path).as_posix() for file in others)
        return ImageFolder(path, tuple(classes), tuple(classes.values()), None, names)

    train, test = splits
    train_classes, train_others = _scan_classes(train)
    test_classes, test_others = _scan_classes(test)
    for name in sorted(train_classes.keys() ^ test_classes.keys()):
        here, missing = (train, test) if name in train_classes else (test, train)
        raise DataError(f"class '{name}' is in {here} but not in {missing}")
    folders = [f"{folder.name}/" for folder in _subfolders(path) if folder not in splits]
    files = [file.relative_to(path).as_posix() for file in (*train_others, *test_others)]
    return ImageFolder(
        path,
        tuple(train_classes),
        tuple(train_classes.values()),
        tuple(test_classes.values()),
        (*folders, *files),
    )


def load_folder(
    folder: ImageFolder, *, image_size: int | None, seed: int, test_fraction: float
) -> ImageData:
    """Decode the images of a folder.

    Args:
        folder: what :func:`scan_folder` found.
        image_size: the short side is resized to it and the centre cropped; None keeps images as
            they are, which must then all have one size.
        seed: fixes the split where the folder has none.
        test_fraction: share of each class that goes to the test split where the folder has none.

    Raises:
        DataError: an unreadable image, different sizes, or a class too small to split.
    """
    if folder.test is None:
        train, test = _draw_split(folder, seed, test_fraction)
    else:
        train, test = folder.train, folder.test
    files = [path for split in (train, test) for paths in split for path in paths]
    images = _decode_all(files, image_size)
    train_labels, test_labels = _labels(train), _labels(test)
    return ImageData(
        name=folder.path.resolve().name,
        train_images=images[: len(train_labels)],
        train_labels=train_labels,
        test_images=images[len(train_labels) :],
        test_labels=test_labels,
        classes=folder.classes,
        remarks=(
            *_subfolders_only(folder),
            *_what_is_passed_over(folder),
            *trained_and_tested_on(
                images[: len(train_labels)],
                images[len(train_labels) :],
                lambda i: files[i].relative_to(folder.path).as_posix(),
                lambda i: files[len(train_labels) + i].relative_to(folder.path).as_posix(),
            ),
        ),
    )


def _subfolders_only(folder: ImageFolder) -> Iterator[str]:
    """Say so if all classes consist of subfolders, as where a folder holds several data sets."""
    if folder.test is None and all(
        all(path.parent != folder.path / name for path in paths)
        and len(_subfolders(folder.path / name)) > 1
        for name, paths in zip(folder.classes, folder.train, strict=True)
    ):
        first = folder.classes[0]
        inner = [f"{first}/{child.name}" for child in _subfolders(folder.path / first)[:2]]
        yield (
            f"all images of all classes, {', '.join(folder.classes)}, lie in subfolders: if these "
            f"are the classes, such as {' and '.join(inner)}, name the folder above them"
        )


def _what_is_passed_over(folder: ImageFolder) -> Iterator[str]:
    if folder.passed_over:
        number = count(len(folder.passed_over), "file or folder is", "files or folders are")
        yield f"{number} passed over, such as {folder.passed_over[0]}"


def _find_splits(path: Path) -> tuple[Path, Path] | None:
    """Return the folders of the training and of the test images; None where no split is given.

    Raises:
        DataError: one of them is missing, holds no class folders, or is there twice.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for folder in _subfolders(path):
        found[folder.name.lower()].append(folder)
    trains = [folder for name in TRAIN_FOLDERS for folder in found[name]]
    tests = [folder for name in TEST_FOLDERS for folder in found[name]]
    of_classes = [folder for folder in trains if _subfolders(folder)]
    # A folder `train` that holds images and no folders is a class: the vehicle.
    if not tests and not of_classes:
        return None
    if not trains or not tests:
        there, wanted = (trains, "val/ nor test/") if trains else (tests, "train/ nor training/")
        names = " and ".join(f"{folder.name}/" for folder in there)
        raise DataError(f"{path}: has {names} but neither {wanted}")
    test = tests[0]
    for folders in (trains, found[test.name.lower()]):
        if len(folders) > 1:
            names = " and ".join(f"{folder.name}/" for folder in folders)
            raise DataError(f"{path}: has both {names}; one of them must go")
    for folder in (trains[0], test):
        if not _subfolders(folder):
            raise DataError(
                f"{folder}: looks like a split, but has no class folders; "
                "expected one folder of images per class"
            )
    return trains[0], test


_OTHER_SPLITS = ("dev", "eval", "evaluation", "holdout")
"""What splits are called that are none of these."""


def _refuse_splits_as_classes(path: Path, classes: tuple[str, ...]) -> None:
    """Raise DataError if what would be classes are splits, or data sets with splits of their own.

    So are ``train2017`` and ``val2017``, but not ``bullet train`` beside ``test tube`` and ``cup``.
    """
    if all(_words(name) & {*TRAIN_FOLDERS, *TEST_FOLDERS, *_OTHER_SPLITS} for name in classes):
        raise DataError(
            f"{path}: its classes would be {', '.join(classes)}, which look like splits; "
            "call the folders train/ and val/"
        )
    for name in classes:
        inner = {folder.name.lower() for folder in _subfolders(path / name)}
        if inner & set(TRAIN_FOLDERS) and inner & set(TEST_FOLDERS):
            raise DataError(
                f"{path}: '{name}' would be a class, but is split itself into "
                f"{', '.join(sorted(inner))}; name one data set, or put splits above classes"
            )


def _words(name: str) -> set[str]:
    """Return the words of a name: ``train`` is one of ``TrainSet``, ``trainset``, ``train_set``."""
    apart = re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = set(re.split("[^a-z]+", apart))
    return words | {re.sub("(set|data|images?|imgs?|split)s?$", "", word) for word in words}


def _is_ours(name: str) -> bool:
    """Return whether a file or a folder is one that people see and have made."""
    return not name.startswith(".") and name.lower() not in OF_THE_SYSTEM


def _subfolders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and _is_ours(child.name))


def _scan_classes(path: Path) -> tuple[dict[str, tuple[Path, ...]], list[Path]]:
    """The classes of one split with their images, both sorted, and what may have been meant to be.

    That is images beside the class folders, and files in them that are no images.
    """
    classes: dict[str, tuple[Path, ...]] = {}
    others = [file for file in path.iterdir() if _is_ours(file.name) and _is_image(file)]
    for folder in _subfolders(path):
        files = sorted(_walk(folder, frozenset()))
        classes[folder.name] = tuple(filter(_is_image, files))
        others += filterfalse(_is_image, files)
    if not classes:
        raise DataError(f"{path}: no class folders; expected one folder of images per class")
    for name, images in classes.items():
        if not images:
            raise DataError(f"class '{name}' has no images in {path / name}")
    if len(classes) == 1:
        (only,) = classes
        inner = path / only
        hint = f"; did you mean {inner}?" if len(_subfolders(inner)) > 1 else ""
        raise DataError(f"{path}: at least two classes are needed, found only '{only}'{hint}")
    return classes, sorted(others)


def _is_image(file: Path) -> bool:
    return file.name.lower().endswith(IMAGE_EXTENSIONS)


def _walk(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders, but for links to a folder above itself."""
    place = os.path.realpath(folder)
    if place in above:
        return
    with os.scandir(folder) as children:
        for child in children:
            if not _is_ours(child.name):
                continue
            if child.is_dir():
                yield from _walk(folder / child.name, above | {place})
            else:
                yield folder / child.name


def _draw_split(folder: ImageFolder, seed: int, test_fraction: float) -> tuple[Split, Split]:
    """Split each class at random, with at least one image on either side."""
    generator = torch.Generator().manual_seed(seed)
    train: list[tuple[Path, ...]] = []
    test: list[tuple[Path, ...]] = []
    for name, files in zip(folder.classes, folder.train, strict=True):
        if len(files) < 2:
            raise DataError(
                f"class '{name}' has 1 image in {folder.path / name}; a split needs at least 2"
            )
        kept, taken = draw_split(len(files), test_fraction, generator)
        train.append(tuple(files[i] for i in kept.tolist()))
        test.append(tuple(files[i] for i in taken.tolist()))
    return tuple(train), tuple(test)


def _labels(split: Split) -> Tensor:
    counts = torch.tensor([len(files) for files in split])
    return torch.repeat_interleave(torch.arange(len(split)), counts)


def _decode_all(files: list[Path], image_size: int | None) -> Tensor:
    """Decode in order, on a few threads: PIL lets go of the interpreter while it decodes."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        decoded = pool.map(lambda path: _decode(path, image_size), files)
        images: NDArray[np.uint8] | None = None
        for i, (path, image) in enumerate(zip(files, decoded, strict=True)):
            if images is None:
                images = np.empty((len(files), *image.shape), dtype=np.uint8)
            elif image.shape != images.shape[1:]:
                raise DataError(
                    f"{path} is {_size(image.shape)}, but {files[0]} is "
                    f"{_size(images.shape[1:])}; set image_size to bring all to one size"
                )
            images[i] = image
    finally:
        # Without this a bad first file of a million is reported after all have been decoded.
        pool.shutdown(cancel_futures=True)
    return torch.from_numpy(images)


def _size(shape: tuple[int, ...]) -> str:
    """(3, H, W) as people write it: WxH."""
    return f"{shape[2]}x{shape[1]}"


def _decode(path: Path, image_size: int | None) -> NDArray[np.uint8]:
    """One image file -> (3, H, W) uint8, upright as its EXIF orientation says."""
    try:
        # From a stream: of a path Pillow maps TIFF files into memory, where a turn by 90 degrees
        # scrambles them.
        with path.open("rb") as stream, Image.open(stream) as file:
            image = _eight_bits(ImageOps.exif_transpose(file), path, _white_is_zero(file))
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{path}: cannot be read as an image (unknown format)") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error})") from error
    if image_size is not None and image.size != (image_size, image_size):
        height, width = target_size(image.height, image.width, image_size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - image_size) // 2, (height - image_size) // 2
        image = image.crop((left, top, left + image_size, top + image_size))
    return np.asarray(image).transpose(2, 0, 1)


_PHOTOMETRIC = 262
"""The TIFF tag that says which values are white; 0: the smallest."""


def _white_is_zero(file: Image.Image) -> bool:
    return isinstance(file, TiffImageFile) and file.tag_v2.get(_PHOTOMETRIC) == 0


def _eight_bits(image: Image.Image, path: Path, white_is_zero: bool) -> Image.Image:
    """Bring any image to RGB; Pillow would cut off numbers of more than 8 bits at 255."""
    wide = image.mode == "F" or image.mode.startswith("I")
    if not wide:
        # Pillow warns of palettes with shades of transparency that go straight to RGB.
        return (image.convert("RGBA") if image.mode == "P" else image).convert("RGB")
    values = np.asarray(image)
    white, kind = (1, "floating-point") if image.mode == "F" else (65535, "integer")
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # not a number is neither
        raise DataError(
            f"{path}: its {kind} values must be from 0 (black) to {white} (white), "
            f"got {low:g} to {high:g}"
        )
    share = values.astype(np.float64) / white
    if white_is_zero:  # Pillow turns round 8 bits only
        share = 1 - share
    return Image.fromarray((share * 255).round().astype(np.uint8)).convert("RGB")
