"""The one format that data of every kind is saved in: PyTorch's, weights only, so no code.

A file is sealed, so that one of which a single byte is not what was written is known to be damaged:
nobody trains on the zeros that a full disk or a crash left in it.
"""

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from lelkern.data.errors import DataError
from lelkern.data.kind import Data
from lelkern.files import seal, state_of_seal, write_atomically
from lelkern.torch_settings import usual_settings

K = TypeVar("K")


@usual_settings()
def save_content(data: Data, path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write data to one file, whole or not at all.

    The file appears under its name only when complete, so that another process never reads half of
    it and an interrupted run leaves no broken cache. Its last bytes are a digest of all others.

    Args:
        data: what is saved.
        path: the file; its folder is created where missing, and its suffix is of no account.
        content: tensors, or NumPy arrays, but not both; strings, numbers, None; tuples of these;
            and lists and mappings of all.

    Raises:
        OSError: the file cannot be written; it names it.
    """
    whole = {"kind": data.kind, **_convert(content, np.ndarray, torch.tensor)}

    def write(partial: Path) -> None:
        # As a stream: PyTorch refuses to create files of some names, those without suffix included.
        with partial.open("wb") as file:
            stream = _Stream(file)
            try:
                torch.save(whole, cast(BinaryIO, stream))  # all that it calls is there
            except RuntimeError as error:
                raise stream.error or error from error
        seal(partial)

    write_atomically(Path(path), write)


@usual_settings()
def load_content(
    cls: type[Data],
    path: str | os.PathLike[str],
    build: Callable[[dict[str, Any]], K],
    *,
    numpy: bool,
) -> K:
    """Read a file written by :func:`save_content`.

    The tensors are memory-mapped: worker processes that load the same file share its pages. All of
    it is read once by every process, to see that it is what was written.

    Args:
        cls: the kind of data that the file must hold.
        path: the file.
        build: makes the data of the content.
        numpy: whether to give arrays rather than tensors.

    Raises:
        DataError: the file does not exist, is damaged, or holds something else.
    """
    alien = f"{path}: not a data set written by {cls.__name__}.save"
    try:
        state = _state(os.fspath(path), os.stat(path))
        if state != "whole":
            damaged = f"{path}: damaged: it is not what {cls.__name__}.save wrote"
            raise DataError(damaged if state == "damaged" else alien)
        content = _read(os.fspath(path))
    except DataError:
        raise
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise DataError(f"{path}: {reason}") from error
    # What a damaged byte makes of the archive or the pickle in it can be an error of any type.
    except Exception as error:
        raise DataError(alien) from error
    if not isinstance(content, dict) or content.pop("kind", None) != cls.kind:
        raise DataError(alien)
    try:
        return build(_convert(content, Tensor, Tensor.numpy) if numpy else content)
    except (TypeError, KeyError, AttributeError) as error:
        raise DataError(alien) from error


def _read(path: str) -> Any:
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8, by which PyTorch maps no file
        with open(path, "rb") as file:
            return torch.load(file, weights_only=True)
    return torch.load(path, mmap=True, weights_only=True)


class _Stream:
    """A file to which PyTorch writes; PyTorch keeps silent about why it could not.

    Attributes:
        error: what went wrong, if anything has.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.error: OSError | None = None
        self._file = file

    def write(self, content: bytes) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _state(path: str, status: os.stat_result) -> str:
    """Return the state of a file's seal, which is looked at again only where the file is new."""
    return _state_of_version(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _state_of_version(path: str, inode: int, size: int, time: int) -> str:
    return state_of_seal(Path(path))


def _convert(content: Any, kind: type, convert: Callable[[Any], Any]) -> Any:
    """Convert whatever is of one type in nested mappings and lists."""
    if isinstance(content, Mapping):
        return {key: _convert(value, kind, convert) for key, value in content.items()}
    if isinstance(content, list):
        return [_convert(value, kind, convert) for value in content]
    return convert(content) if isinstance(content, kind) else content
