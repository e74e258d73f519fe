"""Whether a study is running into a folder: so that nobody removes what it is about to need.

The lock of a file that the operating system drops when the process ends, however it ends. Several
studies may share a folder. Where there are no such locks, as on Windows, nothing is known.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lelkern.ablation.run.store import MARKER

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """Mark a folder of results, which is open, as in use inside a ``with`` block."""
    if fcntl is None:
        yield
        return
    file = os.open(folder / MARKER, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_SH)
        yield
    finally:
        os.close(file)


@contextmanager
def unless_in_use(folder: Path) -> Iterator[bool]:
    """Yield whether nobody uses a folder, and let nobody begin to inside a ``with`` block."""
    file = None
    if fcntl is not None:
        with suppress(OSError):  # it is no folder of results, or not to be written to
            file = os.open(folder / MARKER, os.O_RDWR)  # NFS locks what can be written to
    if file is None:
        yield True
        return
    try:
        free = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            free = False
        except OSError:  # a file system without locks
            pass
        yield free
    finally:
        os.close(file)
