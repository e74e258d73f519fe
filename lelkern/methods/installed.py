"""Methods that other packages install, found without importing any of them.

A package declares them in the entry point group ``lelkern.methods``: the name of a method, and the
module that ends in ``METHOD = Method(...)``.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from lelkern.methods.method_file import MethodFile

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

GROUP = "lelkern.methods"


@dataclass(frozen=True)
class Installed:
    """What packages other than lelkern declare.

    Attributes:
        files: the files by the name of the method, several where packages claim the same name.
        problems: names of methods, or of packages, and why they cannot be used: a line that names
            the package.
    """

    files: Mapping[str, tuple[MethodFile, ...]]
    problems: tuple[tuple[str, str], ...]


def installed() -> Installed:
    """Return the methods of the packages on ``sys.path``."""
    return _installed(tuple(map(str, sys.path)))


@cache
def _installed(path: tuple[str, ...]) -> Installed:
    from importlib.metadata import distributions  # which takes longer than all else here

    files: dict[str, tuple[MethodFile, ...]] = {}
    problems: list[tuple[str, str]] = []
    seen: set[str] = set()
    for distribution in distributions():
        package = "?"
        try:
            if GROUP not in (distribution.read_text("entry_points.txt") or ""):
                continue
            package = distribution.metadata["Name"]
            # The first on the path is the one that is imported.
            if (key := re.sub("[-_.]+", "-", package).lower()) in seen:
                continue
            seen.add(key)
            points = list(_points(distribution))
        except Exception as error:  # metadata can be damaged in any way
            problems.append((package, f"methods of package {package}: {_in_words(error)}"))
            continue
        for point in points:
            try:
                file = _file(point, package, distribution.version)
            except Exception as error:
                line = f"method {point.name!r} of {package}: {_in_words(error)}"
                problems.append((point.name, line))
            else:
                files[file.name] = (*files.get(file.name, ()), file)
    return Installed(files, tuple(problems))


def _points(distribution: "Distribution") -> "Iterator[EntryPoint]":
    yield from distribution.entry_points.select(group=GROUP)


def _file(point: "EntryPoint", package: str, version: str) -> MethodFile:
    """Return the file of an entry point, which has not been imported.

    Raises:
        ValueError: the entry point names no module with a source file.
    """
    if not re.fullmatch(r"\w[\w-]*", point.name):
        raise ValueError(f"a method's name must be words joined by '-', got {point.name!r}")
    module, _, attribute = point.value.partition(":")
    if attribute not in ("", "METHOD"):
        raise ValueError(f"its entry point must be a module, got {point.value!r}")
    path = _source(module)
    if path is None:
        raise ValueError(f"there is no module {module!r}")
    return MethodFile(point.name, "", path, module, package, version)


def _source(module: str) -> Path | None:
    """Return the file of a module; ``importlib.util.find_spec`` would import its packages."""
    first, *inner = module.split(".")
    spec, name = importlib.util.find_spec(first), first
    for part in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _in_words(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}"
