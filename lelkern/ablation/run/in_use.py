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


def is_in_use(folder: Path) -> bool:
    """Return whether somebody uses a folder at this moment."""
    if fcntl is None:
        return False
    try:
        file = os.open(folder / MARKER, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(file)
