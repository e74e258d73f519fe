"""From a name or a path to data."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lelkern.config import nearest

# Imported for what they register.
from lelkern.data import (  # noqa: F401
    color_digit_tasks,
    color_digits,
    planted_tasks,
    school,
    sine_waves,
    sklearn_sets,
    torchvision_sets,
)
from lelkern.data.config import DataConfig
from lelkern.data.csv_file import open_csv
from lelkern.data.errors import DataError
from lelkern.data.folder import open_folder
from lelkern.data.image_data import ImageData
from lelkern.data.mat_file import open_mat
from lelkern.data.npz_file import open_npz
from lelkern.data.registry import DATA_SETS, DataSet
from lelkern.torch_settings import usual_settings

__all__ = ["DATA_SETS", "DEFAULT_ROOT", "FILES", "find", "fingerprint", "load"]

FILES: Mapping[str, Callable[[Path, str | None, str | None], DataSet]] = {
    ".csv": open_csv,
    ".mat": lambda path, target, task: open_mat(path, target),
    ".npz": lambda path, target, task: open_npz(path, target),
}
"""What opens a file, by suffix: takes its path and the options ``target`` and ``task``."""

DEFAULT_ROOT = Path("data")


def find(name: str, target: str | None = None, task: str | None = None) -> DataSet:
    """Return the data set of a name or a path; nothing is decoded yet.

    Args:
        name: one of :data:`DATA_SETS`, or the path of a folder of class folders or of a file. A
            name wins over a folder that is called the same; write ``./cifar10`` for the folder.
        target: what of a file is to be predicted.
        task: what of a file names tasks.

    Raises:
        DataError: neither a name nor a path, or what is there can't be data.
    """
    if name in DATA_SETS:
        return DATA_SETS[name]
    path = Path(name).expanduser()
    open_file = FILES.get(path.suffix.lower())
    if path.is_dir():
        return open_folder(path)
    if open_file is not None:
        if not path.exists():
            raise DataError(f"{path}: no such file")
        return open_file(path, target, task)
    if path.exists():
        raise DataError(f"{path}: neither a folder nor a file that ends in {', '.join(FILES)}")
    # A single word that is no path was meant as a name, anything with a separator as a path.
    if len(path.parts) > 1 or name.startswith("."):
        raise DataError(f"{path}: no such folder")
    hint = nearest(name.lower().replace("_", "-"), DATA_SETS)
    raise DataError(f"'{name}' is neither a data set nor a folder or file; {hint}")


@usual_settings()
def load(
    name: str,
    *,
    root: Path | None = None,
    download: bool = False,
    image_size: int | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
) -> ImageData:
    """Load an image data set into memory; :class:`lelkern.data.DataSource` loads any data.

    Args:
        name: one of :data:`DATA_SETS` or the path of a folder of class folders. A name of a data
            set wins over a folder that is called the same; write ``./cifar10`` for the folder.
        root: the folder that holds torchvision's data sets; ``data`` where not given.
        download: fetch a torchvision data set that is missing from ``root``.
        image_size: height and width of the images: the short side is resized (bilinear), the
            long side cropped at the centre. None leaves them as they are.
        seed: fixes what is drawn: the colours, places and split of ``color-digits``, the split of
            a folder that has none.
        test_fraction: share of each class of such a folder that is kept for testing.

    Returns:
        uint8 images (N, 3, H, W) and int64 labels (N,), for training and for testing.

    Warns:
        UserWarning: images of a folder are trained on and tested on, or all lie in subfolders of
            what would be the classes.

    Raises:
        DataError: the data is unknown, missing or unusable, or no images.
        ValueError: ``image_size`` or ``test_fraction`` is out of range.
    """
    options = _image_options(image_size, seed, test_fraction)
    data = _find_images(name).load(options, root or DEFAULT_ROOT, download)
    assert isinstance(data, ImageData)
    for remark in data.remarks:
        warnings.warn(f"{name}: {remark}", stacklevel=3)  # the decorator is a frame of its own
    return data if image_size is None else data.resized(image_size)


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
    the content of most of them, and ``root`` is only where it lies), and the content of IDX files
    that lie loose in ``root``, which nobody checks; for a folder the relative path and content of
    every image, and seed and test fraction where the split is drawn.

    Args:
        name: as for :func:`load`.
        root: as for :func:`load`.
        download: without influence; taken so that both functions accept the same arguments.
        image_size: as for :func:`load`.
        seed: as for :func:`load`.
        test_fraction: as for :func:`load`.

    Returns:
        16 hexadecimal digits.

    Raises:
        DataError: ``name`` is unknown or no images, or the folder is missing or has no proper
            classes.
        ValueError: ``image_size`` or ``test_fraction`` is out of range.
    """
    options = _image_options(image_size, seed, test_fraction)
    return _find_images(name).identity(options, root or DEFAULT_ROOT)


def _find_images(name: str) -> DataSet:
    found = find(name)
    if found.kind is not ImageData:
        raise DataError(
            f"'{name}' is not images ({found.kind.kind}); "
            f"lelkern.data.DataSource(DataConfig(name={name!r})).load() reads it"
        )
    return found


def _image_options(image_size: int | None, seed: int, test_fraction: float) -> dict[str, Any]:
    """Return the options of a data configuration, at their default where not asked for."""
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size must be at least 1, got {image_size}")
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be between 0 and 1, got {test_fraction}")
    asked = {"image_size": image_size, "seed": seed, "test_fraction": test_fraction}
    return DataConfig().reading_options() | asked
