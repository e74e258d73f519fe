"""Any folder of class folders, as image data.

Two layouts are understood::

    photos/train/cat/*.jpg   photos/val/cat/*.jpg      the split is given (val/ or test/)
    photos/cat/*.jpg                                   the split is drawn, class by class

Class folders are searched to any depth; hidden files and files that are no images are passed
over. Classes and files are taken in the order of their names, so that the same folder gives the
same data on every machine.

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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
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

VERSION = 2
"""Raised whenever the same files would give other images, so that caches notice."""

# torchvision's IMG_EXTENSIONS, spelled out: importing torchvision for nine strings takes seconds.
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

Split = tuple[tuple[Path, ...], ...]
"""For each class, in the order of the names, its files, sorted."""


@dataclass(frozen=True)
class ImageFolder:
    """The files of a folder, by split and class; nothing is decoded yet.

    Attributes:
        path: the folder.
        classes: sorted names.
        train: the files of ``train/``; all files where the split is yet to be drawn.
        test: the files of ``val/`` or ``test/``; None where the split is yet to be drawn.
    """

    path: Path
    classes: tuple[str, ...]
    train: Split
    test: Split | None

    def files(self) -> Iterator[Path]:
        """All files, in a fixed order."""
        for split in (self.train, self.test or ()):
            for paths in split:
                yield from paths


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
            (file.relative_to(found.path).as_posix(), file_hash(file)) for file in found.files()
        ],
    )


def scan_folder(path: Path) -> ImageFolder:
    """List the images of a folder.

    Args:
        path: a folder in one of the two layouts above. With both ``val/`` and ``test/``,
            ``val/`` is taken: published test folders often come without labels.

    Raises:
        DataError: no such folder, no or only one class, an empty class, or splits whose classes
            differ.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder")
    train = path / "train"
    # A folder `train` that holds images and no folders is a class: the vehicle.
    if not (train.is_dir() and _subfolders(train)):
        classes = _scan_classes(path)
        return ImageFolder(path, tuple(classes), tuple(classes.values()), None)

    test = next((path / name for name in ("val", "test") if (path / name).is_dir()), None)
    if test is None:
        raise DataError(f"{path}: has train/ but neither val/ nor test/")
    train_classes, test_classes = _scan_classes(train), _scan_classes(test)
    for name in sorted(train_classes.keys() ^ test_classes.keys()):
        here, missing = (train, test) if name in train_classes else (test, train)
        raise DataError(f"class '{name}' is in {here} but not in {missing}")
    return ImageFolder(
        path, tuple(train_classes), tuple(train_classes.values()), tuple(test_classes.values())
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
    )


def _subfolders(path: Path) -> list[Path]:
    return sorted(
        child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")
    )


def _scan_classes(path: Path) -> dict[str, tuple[Path, ...]]:
    """The classes of one split with their files, both sorted."""
    classes = {folder.name: _images_below(folder) for folder in _subfolders(path)}
    if not classes:
        raise DataError(f"{path}: no class folders; expected one folder of images per class")
    for name, files in classes.items():
        if not files:
            raise DataError(f"class '{name}' has no images in {path / name}")
    if len(classes) == 1:
        raise DataError(
            f"{path}: at least two classes are needed, found only '{next(iter(classes))}'"
        )
    return classes


def _images_below(folder: Path) -> tuple[Path, ...]:
    found = []
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in names
            if name.lower().endswith(IMAGE_EXTENSIONS) and not name.startswith(".")
        ]
    return tuple(sorted(found))


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
