"""Modules of a user's own: of neither the standard library nor an installed distribution.

They are the files that Python would import, found without importing any of them, on the path as it
is before a method is imported: what a method adds to it, or has imported, decides nothing, so that
code is the same before a method is imported and after.
"""

import contextlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from sys import stdlib_module_names
from zipfile import ZipFile

BESIDE = "(beside)"
"""The package of relative names in a method's file: its folder. No module is called that."""

Place = tuple[Path | None, tuple[Path, ...]]
"""The file of a module, if it has one, and the folders in which its own modules are looked for."""

_NOWHERE: Place = (None, ())


@cache
def start_path() -> list[str]:
    """Return the path as it was before a method was imported, which a worker has of its parent."""
    return [*sys.path]


start_path()


@contextlib.contextmanager
def path_at_start() -> Iterator[None]:
    """Look for modules and packages where they were looked for before a method was imported."""
    present = sys.path[:]
    sys.path[:] = start_path()
    try:
        yield
    finally:
        sys.path[:] = present


def own_modules(module: str, name: str | None, folder: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield the name and the file of each own module that an import runs, packages first.

    ``from package import name`` runs ``package/__init__.py``, and ``name`` where that is a module.

    Args:
        module: what is imported, or imported from.
        name: what is imported from it; None for ``import module``.
        folder: of a method's file, if it has a folder of its own.
    """
    parts = [*module.split("."), *([name] if name else [])]
    file, folders = _outermost(parts[0], folder)
    for i, part in enumerate(parts):
        if i:
            file, folders = _inside(part, folders)
        if file is not None:
            yield ".".join([*parts[: i + 1], *["__init__"] * bool(folders)]), file


def installed_packages() -> Mapping[str, list[str]]:
    """Return the installed packages by the modules they provide; it takes a while to find them.

    Metadata without a name, which are damaged, say nothing.
    """
    return _packages_on(tuple(dict.fromkeys(start_path())))


@cache
def _packages_on(path: tuple[str, ...]) -> Mapping[str, list[str]]:
    with path_at_start():
        every = packages_distributions()
    found = {module: [*filter(None, names)] for module, names in every.items()}
    return {module: names for module, names in found.items() if names}


def source(path: Path) -> bytes:
    """Return what a module's file holds, which may lie in an archive.

    Raises:
        OSError: it cannot be read.
    """
    archive = next((place for place in path.parents if place.is_file()), None)
    if archive is None:
        return path.read_bytes()
    with ZipFile(archive) as files:
        return files.read(path.relative_to(archive).as_posix())


@cache
def _outermost(name: str, folder: Path | None) -> Place:
    """Return the place of a module that is in no package; nowhere if it is not the user's own."""
    beside = () if folder is None else (folder,)
    if name == BESIDE:
        return None, beside
    spec = _found(name)
    if spec is None:
        # Where a method puts its own folder on the path by itself.
        return _inside(name, beside)
    file, folders = _place(spec)
    if file is None:
        return None, tuple(folder for folder in folders if not _belongs(name, folder))
    return _NOWHERE if _belongs(name, file) else (file, folders)


def _found(name: str) -> ModuleSpec | None:
    """Return what a process that has imported nothing would import by a name without dots."""
    if name in ("", "__main__"):
        return None
    with path_at_start():
        for finder in sys.meta_path:
            with contextlib.suppress(ImportError):  # of a broken one
                if (spec := finder.find_spec(name, None)) is not None:
                    return spec
    return None


def _inside(name: str, folders: tuple[Path, ...]) -> Place:
    """Return the place of a module that is looked for in some folders."""
    spec = PathFinder.find_spec(name, [*map(str, folders)])
    return _NOWHERE if spec is None else _place(spec)


def _place(spec: ModuleSpec) -> Place:
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    return file, tuple(map(Path, spec.submodule_search_locations or ()))


def _belongs(name: str, path: Path) -> bool:
    """Return whether a module is where the standard library or a distribution has put it.

    Only an installer writes a RECORD, into any folder. Other metadata may be of a project on the
    path, which says of itself what it has (``*.egg-info``).
    """
    homes: list[Path] = []
    if names := installed_packages().get(name):
        homes += _sites()
        with path_at_start():
            every = [found for name in names for found in distributions(name=name)]
        for found in every:
            if found.read_text("RECORD") is not None:
                homes.append(Path(str(found.locate_file(""))))
    if name in stdlib_module_names:
        homes.append(Path(os.__file__).parent)
    return any(home in path.parents for home in homes)


@cache
def _sites() -> tuple[Path, ...]:
    """Return the folders into which packages of this Python are installed."""
    own = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return tuple(map(Path, (*own, *site.getsitepackages(), site.getusersitepackages())))
