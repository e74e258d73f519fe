"""School: the examination scores of 15,362 pupils of 139 schools, one regression task a school.

The data of the Inner London Education Authority that the papers on multi-task learning use, in the
form of MALSAR: a file ``school.mat`` with cells ``X`` (N_t, 28) and ``Y`` (N_t, 1).
"""

from collections.abc import Iterable
from pathlib import Path

from lelkern.data.errors import DataError
from lelkern.data.mat_file import open_mat
from lelkern.data.registry import file_hash, register
from lelkern.data.task_data import TaskData

VERSION = 1
"""Raised whenever the same file and options would give other tasks, so that caches notice."""

FILE = "school.mat"


def _file(root: Path) -> Iterable[str]:
    """Return the hash of the file, if it is there."""
    path = root / FILE
    return [file_hash(path)] if path.is_file() else []


@register(
    "school",
    TaskData,
    summary="examination scores of 15,362 pupils of 139 schools, 28 features (ILEA 1987)",
    version=VERSION,
    content=_file,
)
def school(root: Path, seed: int, test_fraction: float) -> TaskData:
    """Return the 139 tasks; the test pupils of each school are drawn.

    Args:
        root: the folder with ``school.mat``.
        seed: decides the draw.
        test_fraction: share of the pupils of each school that are tested on.

    Raises:
        DataError: the file is not there, or holds something else.
    """
    path = root / FILE
    if not path.is_file():
        raise DataError(
            f"school: {root} has no {FILE} (MALSAR's, with cells X and Y); --data-root says where"
        )
    found = open_mat(path, "Y")
    data = found.read(seed=seed, test_fraction=test_fraction, target="Y")
    if not isinstance(data, TaskData) or len(data.tasks) != 139:
        raise DataError(f"{path}: must hold the 139 tasks of School, got {data.describe()}")
    return data
