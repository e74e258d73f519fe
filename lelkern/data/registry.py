"""From a name or a path to image data."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from lelkern.config import nearest
from lelkern.data import color_digits, folder, torchvision_sets
from lelkern.data.errors import DataError
from lelkern.data.folder import load_folder, scan_folder
from lelkern.data.image_data import ImageData
from lelkern.data.resize import resize_and_crop
from lelkern.data.torchvision_sets import TORCHVISION_SETS, load_torchvision, loose_files

DATA_SETS = ("color-digits", *TORCHVISION_SETS)
"""The names that :func:`load` knows."""

DEFAULT_ROOT = Path("data")


def load(
    name: str,
    *,
    root: Path | None = None,
    download: bool = False,
    image_size: int | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
) -> ImageData:
    """Load a data set into memory.

    Args:
        name: One of :data:`DATA_SETS` or the path of a folder of class folders. A name of a data
            set wins over a folder that is called the same; write ``./cifar10`` for the folder.
        root: The folder that holds torchvision's data sets; ``data`` where not given.
        download: Fetch a torchvision data set that is missing from `root`.
        image_size: Height and width of the images: the short side is resized (bilinear), the
            long side cropped at the centre. None leaves them as they are.
        seed: Fixes what is drawn: the colours, places and split of ``color-digits``, the split of
            a folder that has none.
        test_fraction: Share of each class of such a folder that is kept for testing.

    Returns:
        uint8 images (N, 3, H, W) and int64 labels (N,), for training and for testing.

    Raises:
        DataError: The data is unknown, missing or unusable.
        ValueError: `image_size` or `test_fraction` is out of range.
    """
    _check_arguments(image_size, test_fraction)
    if name == "color-digits":
        data = color_digits.color_digits(seed)
    elif name in TORCHVISION_SETS:
        data = load_torchvision(name, root=root or DEFAULT_ROOT, download=download)
    else:
        found = scan_folder(_folder_path(name))
        return load_folder(found, image_size=image_size, seed=seed, test_fraction=test_fraction)
    return data if image_size is None else _resized(data, image_size)


def fingerprint(
    name: str,
    *,
    root: Path | None = None,
    download: bool = False,
    image_size: int | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
) -> str:
    """Name the data that :func:`load` returns for the same arguments, without decoding it.

    Two calls agree exactly where all that decides about the data agrees: for ``color-digits`` the
    seed and the version of the generator; for a torchvision data set its name (torchvision checks
    the content of most of them, and `root` is only where it lies), and the content of IDX files
    that lie loose in `root`, which nobody checks; for a folder the relative path and content of
    every image, and seed and test fraction where the split is drawn.

    Args:
        name: As for :func:`load`.
        root: As for :func:`load`.
        download: No influence; taken so that both functions accept the same arguments.
        image_size: As for :func:`load`.
        seed: As for :func:`load`.
        test_fraction: As for :func:`load`.

    Returns:
        16 hexadecimal digits.

    Raises:
        DataError: `name` is unknown, or the folder is missing or has no proper classes.
        ValueError: `image_size` or `test_fraction` is out of range.
    """
    _check_arguments(image_size, test_fraction)
    identity: list[object] = [image_size]
    if name == "color-digits":
        identity += [name, color_digits.VERSION, seed]
    elif name in TORCHVISION_SETS:
        identity += [name, torchvision_sets.VERSION]
        identity += [_content(path) for path in loose_files(name, root or DEFAULT_ROOT)]
    else:
        found = scan_folder(_folder_path(name))
        identity += ["folder", folder.VERSION]
        identity += [
            (path.relative_to(found.path).as_posix(), _content(path)) for path in found.files()
        ]
        if found.test is None:
            identity += [seed, test_fraction]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_arguments(image_size: int | None, test_fraction: float) -> None:
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size must be at least 1, got {image_size}")
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be between 0 and 1, got {test_fraction}")


def _folder_path(name: str) -> Path:
    """The path that `name` means; an error where it can only be a misspelt data set."""
    path = Path(name).expanduser()
    # A single word that is no folder was meant as a name, anything with a separator as a path.
    if path.exists() or len(path.parts) > 1 or name.startswith("."):
        return path
    hint = nearest(name.lower().replace("_", "-"), DATA_SETS)
    raise DataError(f"'{name}' is neither a data set nor a folder; {hint}")


def _resized(data: ImageData, size: int) -> ImageData:
    unlabeled = data.unlabeled_images
    return replace(
        data,
        train_images=resize_and_crop(data.train_images, size),
        test_images=resize_and_crop(data.test_images, size),
        unlabeled_images=None if unlabeled is None else resize_and_crop(unlabeled, size),
    )
