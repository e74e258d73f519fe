"""Writing files so that a reader, or a power cut, never sees half of one, nor a damaged one."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

_SEAL = b"lelkern sha-256 "
"""What a sealed file's last bytes begin with, before the digest of all bytes before them."""


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in place in one step.

    A process killed at any moment leaves either the old file or the new one. The folder is made
    if it is missing.

    Args:
        path: the file to create or replace.
        write: writes the whole content to the path it is given, which has ``path``'s suffix.

    Raises:
        OSError: the file cannot be written, as on a full disk; it names ``path`` or its folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_beside(path, write)
    except OSError as error:  # NumPy's has nothing but text
        code, reason = error.errno or errno.EIO, error.strerror or str(error)
        raise OSError(code, reason, str(path)) from error


def _write_beside(path: Path, write: Callable[[Path], None]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def seal(path: Path) -> None:
    """Append to a file the digest of its content, by which :func:`state_of_seal` knows it again.

    Readers of NumPy's and of zip files, PyTorch's among them, pass over what follows the end.
    """
    with path.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, os.SEEK_END)
        file.write(_SEAL + digest)


def state_of_seal(path: Path) -> Literal["whole", "damaged", "none"]:
    """Return whether a file is what :func:`seal` left, is not, or has no seal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - len(_SEAL) - digest.digest_size
        if left < 0:
            return "none"
        file.seek(left)
        found = file.read()
        if not found.startswith(_SEAL):
            return "none"
        file.seek(0)
        while left and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
    return "whole" if found == _SEAL + digest.digest() else "damaged"


def write_text_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; see :func:`write_atomically`.

    Bytes of a file's name that are no UTF-8, which Python has as surrogates, are spelled out.
    """
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
