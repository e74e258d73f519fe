"""What a data set is called, of what kind it is, and how it is read: one registry for all."""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from lelkern.data.kind import Data
from lelkern.torch_settings import usual_settings

OPTIONS = frozenset({"image_size", "seed", "test_fraction", "target", "task", "noise", "overlap"})
"""The keys of a data configuration that a reader may take."""

PLACES = frozenset({"root", "download"})
"""What a reader may take besides: where the data lies, which does not change what it is."""


def no_files(root: Path) -> Iterable[object]:
    """Return nothing: the identity of data that no file decides."""
    return ()


@dataclass(frozen=True)
class DataSet:
    """How to read one data set.

    Attributes:
        name: under which it is registered, or the name of its file format.
        kind: what ``read`` returns.
        summary: one line for lists.
        version: of the reader: raised whenever the same options would give other data.
        read: returns the data. Its parameters say what it needs, by name, of :data:`OPTIONS` and
            :data:`PLACES`, and nothing else decides the data.
        content: given the folder of the named data sets, returns what else is part of the data's
            identity, such as hashes of files; plain data.
    """

    name: str
    kind: type[Data]
    summary: str
    version: int
    read: Callable[..., Data]
    content: Callable[[Path], Iterable[object]] = no_files

    def __post_init__(self) -> None:
        unknown = sorted(self._parameters - OPTIONS - PLACES)
        if unknown:
            raise TypeError(
                f"data set '{self.name}': its reader takes {', '.join(unknown)}, "
                f"but a reader can take only {', '.join(sorted(OPTIONS | PLACES))}"
            )

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.read).parameters)

    @property
    def options(self) -> frozenset[str]:
        """The keys of a data configuration that mean something for this data set."""
        return (self._parameters - PLACES) | self.kind.options

    @usual_settings()
    def load(self, options: Mapping[str, Any], root: Path, download: bool) -> Data:
        """Read the data.

        Args:
            options: what :meth:`DataConfig.reading_options` returns.
            root: the folder of named data sets that are files.
            download: whether such a data set may be fetched where it is missing.

        Raises:
            DataError: the data is missing or unusable.
        """
        known = {**options, "root": root, "download": download}
        return self.read(**{name: known[name] for name in self._parameters})

    def identity(self, options: Mapping[str, Any], root: Path) -> str:
        """Return 16 hexadecimal digits that name what :meth:`load` returns.

        Args:
            options: as for :meth:`load`.
            root: as for :meth:`load`.
        """
        drawn = options["val_fraction"] or options["samples_per_task"]
        deciding = self.options | ({"seed"} if drawn else set())
        decisive = {name: value for name, value in options.items() if name in deciding}
        whole = [self.name, self.version, decisive, list(self.content(root))]
        text = json.dumps(whole, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


DATA_SETS: dict[str, DataSet] = {}
"""Every named data set, by name, in the order of registration."""

R = TypeVar("R", bound=Callable[..., Data])


def register(
    name: str,
    kind: type[Data],
    *,
    summary: str,
    version: int,
    content: Callable[[Path], Iterable[object]] = no_files,
) -> Callable[[R], R]:
    """Return a decorator that puts a reader into :data:`DATA_SETS`.

    Args:
        name: what a study calls the data set: lower-case letters, digits and hyphens.
        kind: what the reader returns.
        summary: one line for lists.
        version: raised whenever the reader would give other data, so that no result of the old is
            taken for one of the new.
        content: see :class:`DataSet`.

    Raises:
        ValueError: the name is taken, or no name.
        TypeError: the reader takes a parameter that is no option of a data configuration.
    """

    def decorate(read: R) -> R:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            raise ValueError(f"a data set can't be called '{name}': use letters, digits, hyphens")
        if name in DATA_SETS:
            raise ValueError(f"a data set is called '{name}' already")
        DATA_SETS[name] = DataSet(name, kind, summary, version, read, content)
        return read

    return decorate


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
