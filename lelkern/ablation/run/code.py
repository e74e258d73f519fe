"""What code a trial's result depends on: its method's imports, and the kernels of its device.

Only what can change the result counts. Comments, docstrings and formatting do not, nor does what
the method never imports: other methods, commands, studies, plots. Of these only the drawing of the
labels that a trial sees counts. Of a method that another package installs, the modules of that
package count as lelkern's do; and so do modules of the user's own, beside a method's file or on
PYTHONPATH. Those of other installed packages count by version.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from pkgutil import iter_modules
from sys import stdlib_module_names

import lelkern
from lelkern.ablation.run.own_modules import (
    BESIDE,
    installed_packages,
    own_modules,
    path_at_start,
    source,
)
from lelkern.config import ConfigError
from lelkern.methods import MethodFile, find

_PACKAGE = Path(lelkern.__file__).parent
_OPS = _PACKAGE / "ops"
_BUDGET = _PACKAGE / "data" / "budget.py"


Packages = tuple[tuple[str, Path], ...]
"""Packages whose modules are followed: their names, and their folders, or files without suffix."""


@cache
def code_fingerprint(method: str, device: str) -> str:
    """Return a hash of the modules that decide a trial and of the kernels that it may call.

    Args:
        method: name, or path of a file.
        device: ``cpu`` or ``cuda``, whose compiled library counts, if there is one in use and
            the method imports ops.

    Raises:
        ConfigError: there is no such method, or a module that it imports is not Python.
    """
    file = find(method)
    packages = _packages(file)
    files = {**_reached(_BUDGET, packages), **_reached(file.path, packages)}
    # By names and not by paths, so that it does not matter where a method's folder lies.
    parts = sorted((name.encode(), _meaning(path)) for path, name in files.items())
    if any(_OPS in path.parents for path in files):
        from lelkern.ops import library_path

        library = library_path("cuda" if device == "cuda" else "cpu")
        parts.append((b"(kernels)", library.read_bytes() if library else b"reference"))
    digest = hashlib.sha256()
    for part in chain.from_iterable(parts):
        # By its length, no byte of one part can be taken for one of the next.
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()[:16]


@cache
def package_versions(method: str) -> Mapping[str, str]:
    """Return the versions of the packages that a method's modules import, or that installed it."""
    file = find(method)
    packages = _packages(file)
    names = {
        imported.split(".")[0]
        for path, module in _reached(file.path, packages).items()
        for imported, _ in _imports(path, _package_of(module))
    }
    installed = installed_packages()
    found = {
        installed[name][0]
        for name in names - stdlib_module_names - dict(packages).keys()
        if name in installed
    }
    with path_at_start():
        versions = {name: version(name) for name in sorted(found)}
    return versions | ({file.distribution: file.version} if file.distribution else {})


def is_current(method: str, device: str, code: str, packages: Mapping[str, str]) -> bool:
    """Return whether the present code and packages would give a stored result again.

    Args:
        method: name, or path of a file.
        device: ``cpu`` or ``cuda``.
        code: the :func:`code_fingerprint` that is stored.
        packages: the :func:`package_versions` that are stored.
    """
    return code == code_fingerprint(method, device) and packages == dict(package_versions(method))


def _packages(method: MethodFile) -> Packages:
    """Return lelkern, and the package that a method is of: a distribution's, or its folder."""
    if not method.is_named:
        return (("lelkern", _PACKAGE), (BESIDE, method.path.parent))
    if not method.distribution:
        return (("lelkern", _PACKAGE),)
    first, *inner = method.module.split(".")
    path = method.path
    place = path.parent if path.name == "__init__.py" else path.with_suffix("")
    return (("lelkern", _PACKAGE), (first, [place, *place.parents][len(inner)]))


@cache
def imported_files(path: Path, packages: Packages | None = None) -> frozenset[Path]:
    """Return a file and all files that its imports reach, wherever they stand.

    ``from lelkern.evaluate import knn`` reaches the module in which ``knn`` is defined, not all
    that the package shows. Of the user's own packages all counts that Python runs.

    Args:
        path: of the file.
        packages: which are followed beside the user's own; lelkern if not given.
    """
    return frozenset(_reached(path, packages or (("lelkern", _PACKAGE),)))


@cache
def _reached(path: Path, packages: Packages) -> Mapping[Path, str]:
    """Return the names of the modules that a file's imports reach, by their files."""
    found: dict[Path, str] = {}
    waiting = [(_module_name(path, packages), path)]
    while waiting:
        module, file = waiting.pop()
        if file in found:
            continue
        found[file] = module
        for imported, name in _imports(file, _package_of(module)):
            waiting.extend(_followed(imported, name, packages))
    return found


def _followed(module: str, name: str | None, packages: Packages) -> Iterator[tuple[str, Path]]:
    """Yield name and file of the modules that an import reaches and whose code counts."""
    if name == "*":
        for shown in (None, *_starred(module, packages)):
            yield from _followed(module, shown, packages)
        return
    places = dict(packages)
    first = module.partition(".")[0]
    if first in places and first != BESIDE:
        for file in _resolve(module, name, packages):
            yield _module_name(file, packages), file
    else:
        yield from own_modules(module, name, places.get(BESIDE))


def _starred(module: str, packages: Packages) -> Sequence[str]:
    """Return the names that ``from module import *`` may import as modules of a package.

    They are those of its ``__all__``, or all modules that it has where that is computed.
    """
    files = dict(_followed(module, None, packages))
    init = files.get(f"{module}.__init__")
    if init is None or init.suffix != ".py":
        return ()
    uses = [node for node in ast.walk(_tree(init)) if _is_all(node)]
    if not uses:
        return ()
    for node in _tree(init).body if len(uses) == 1 else ():
        match node:
            case ast.Assign(
                targets=[ast.Name("__all__")], value=ast.List(names) | ast.Tuple(names)
            ) if all(isinstance(getattr(name, "value", None), str) for name in names):
                return [*filter(str.isidentifier, map(ast.literal_eval, names))]
    return [found.name for found in iter_modules([str(init.parent)])]


def _is_all(node: ast.AST) -> bool:
    """Return whether ``__all__`` is read, changed or imported."""
    return "__all__" in (getattr(node, field, None) for field in ("id", "name", "asname"))


def _resolve(module: str, name: str | None, packages: Packages) -> list[Path]:
    """Return the files that ``import module`` or ``from module import name`` reaches."""
    first, *inner = module.split(".")
    if first not in dict(packages):
        return []
    base = dict(packages)[first].joinpath(*inner)
    if (file := base.with_suffix(".py")).is_file():
        return [file]
    init = base / "__init__.py"
    if not init.is_file():  # a folder without one, or a compiled module
        if name is None:
            return []
        return _resolve(f"{module}.{name}", None, packages)
    if name is None:
        return [init]
    shown = _bindings(init, module).get(name)
    if shown not in (None, (module, name)):  # the latter is a module of the package itself
        return _resolve(*shown, packages)
    if (base / f"{name}.py").is_file() or (base / name / "__init__.py").is_file():
        return _resolve(f"{module}.{name}", None, packages)
    return [init]


@cache
def _tree(path: Path) -> ast.Module:
    return _parsed(path)


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(source(path), str(path))
    except (SyntaxError, ValueError, OSError) as error:
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from None


@cache
def _imports(path: Path, package: str) -> tuple[tuple[str, str | None], ...]:
    """Return ``(module, None)`` for ``import module``, ``(module, name)`` for ``from``.

    Args:
        path: of the file; one that is compiled says nothing of what it imports.
        package: that it is a module of, by which relative names are resolved.
    """
    if path.suffix != ".py":
        return ()
    found: list[tuple[str, str | None]] = []
    lazily_shown = path == _PACKAGE / "__init__.py"
    for node in _running(_tree(path), type_checking=lazily_shown):
        if isinstance(node, ast.Import):
            found += ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            found += ((module, alias.name) for alias in node.names)
    return tuple(found)


@cache
def _bindings(init: Path, package: str) -> Mapping[str, tuple[str, str]]:
    """Return the module and the name there of everything that a package shows of its modules."""
    return {
        alias.asname or alias.name: (_absolute(node, package), alias.name)
        for node in _running(_tree(init), type_checking=True)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the module of ``from module import ...``, in full also where it is relative."""
    if not node.level:
        return node.module or ""
    above = package.split(".")
    parts = [*above[: len(above) - node.level + 1], node.module or ""]
    return ".".join(filter(None, parts))


def _running(node: ast.AST, *, type_checking: bool) -> Iterator[ast.AST]:
    """Yield the nodes below one, but for those that only type checkers see, unless asked for."""
    unseen = () if type_checking else _for_type_checkers(node)
    for child in ast.iter_child_nodes(node):
        if child not in unseen:
            yield child
            yield from _running(child, type_checking=type_checking)


def _for_type_checkers(node: ast.AST) -> Sequence[ast.stmt]:
    """Return the branch of an ``if`` that only type checkers see; of other tests both may run."""
    match node:
        case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=test), orelse=branch):
            pass
        case ast.If(test=test, body=branch):
            pass
        case _:
            return ()
    plain = isinstance(test, ast.Name | ast.Attribute)
    return branch if plain and ast.unparse(test).split(".")[-1] == "TYPE_CHECKING" else ()


@cache
def _meaning(path: Path) -> bytes:
    """Return a file's syntax tree without docstrings, positions and comments; a binary's bytes."""
    if path.suffix != ".py":
        return source(path)
    tree = _parsed(path)  # one of its own, which is changed
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return ast.dump(tree).encode()


def _is_text(node: ast.AST) -> bool:
    """Return whether a statement is but a string: a docstring, or what stands below a constant."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _module_name(path: Path, packages: Packages) -> str:
    """Return the name by which a file is imported, or for a file of no package its own."""
    for name, place in packages:
        if path == place.with_suffix(".py"):
            return name
        if place in path.parents:
            # No name has a slash, and the dots of a file's name divide none.
            parts = path.relative_to(place).with_suffix("").parts
            return ".".join([name, *(part.replace(".", "/") for part in parts)])
    return path.stem


def _package_of(module: str) -> str:
    """Return the package that a module is of, or is itself; empty if none."""
    return module.rpartition(".")[0]
