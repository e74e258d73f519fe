"""Read IDX, the file format of MNIST and its successors (LeCun & Cortes).

Big-endian: two zero bytes, a type code (8 for uint8), the number of dimensions, each dimension
as a uint32, and the values in C order.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from lelkern.data.errors import DataError

_UINT8 = 8


def find_idx(folder: Path, name: str) -> Path | None:
    """The file `name` in a folder, plain or compressed (.gz); None where neither is there."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    return None


def read_idx(path: Path, *, dimensions: int) -> Tensor:
    """Read an IDX file of bytes, plain or compressed (.gz).

    Args:
        path: the file.
        dimensions: how many the array must have.

    Returns:
        uint8, in the shape that the file states.

    Raises:
        DataError: the file is not IDX, is cut short, or holds another type or shape.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, _UINT8, dimensions]):
        raise DataError(f"{path}: not an IDX file of bytes with {dimensions} dimension(s)")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"{path}: {len(content) - header} values where its header says {math.prod(shape)}"
        )
    # bytearray: torch shares memory with the buffer and wants it writable.
    return torch.frombuffer(bytearray(content[header:]), dtype=torch.uint8).reshape(shape)
