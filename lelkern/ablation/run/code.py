"""What code a trial's result depends on: its method's imports, and the kernels of its device.

Only what can change the result counts. Comments, docstrings and formatting do not, nor does what
the method never imports: other methods, commands, studies, plots. Of these only the drawing of the
labels that a trial sees counts.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from sys import stdlib_module_names

import lelkern
from lelkern.methods import find

_PACKAGE = Path(lelkern.__file__).parent
_OPS = _PACKAGE / "ops"
_BUDGET = _PACKAGE / "data" / "budget.py"


@cache
def code_fingerprint(method: str, device: str) -> str:
    """Return a hash of the modules that decide a trial and of the kernels that it may call.

    Args:
        method: name, or path of a file.
        device: ``cpu`` or ``cuda``, whose compiled library counts, if there is one in use and
            the method imports ops.
    """
    files = imported_files(find(method).path) | imported_files(_BUDGET)
    digest = hashlib.sha256()
    for path in sorted(files, key=_module_name):
        digest.update(_module_name(path).encode())
        digest.update(_meaning(path).encode())
    if any(_OPS in path.parents for path in files):
        from lelkern.ops import library_path

        library = library_path("cuda" if device == "cuda" else "cpu")
        digest.update(library.read_bytes() if library else b"reference")
    return digest.hexdigest()[:16]


@cache
def package_versions(method: str) -> Mapping[str, str]:
    """Return the versions of the installed packages that a method's modules import."""
    names = {
        imported.split(".")[0]
        for path in imported_files(find(method).path)
        for imported, _ in _imports(path)
    }
    installed = installed_packages()
    found = {
        installed[name][0]
        for name in names - stdlib_module_names - {"lelkern"}
        if name in installed
    }
    return {name: version(name) for name in sorted(found)}


def is_current(method: str, device: str, code: str, packages: Mapping[str, str]) -> bool:
    """Say whether the present code and packages would give a stored result again.

    Args:
        method: name, or path of a file.
        device: ``cpu`` or ``cuda``.
        code: the :func:`code_fingerprint` that is stored.
        packages: the :func:`package_versions` that are stored.
    """
    return code == code_fingerprint(method, device) and packages == dict(package_versions(method))


@cache
def installed_packages() -> Mapping[str, list[str]]:
    """Return the installed packages by the modules they provide; it takes a while to find them."""
    return packages_distributions()


@cache
def imported_files(path: Path) -> frozenset[Path]:
    """Return a file and all of lelkern's that its imports reach, wherever in it they stand.

    ``from lelkern.evaluate import knn`` reaches the module in which ``knn`` is defined, not all
    that the package shows.
    """
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for module, name in _imports(file):
            waiting.extend(_resolve(module, name))
    return frozenset(found)


def _resolve(module: str, name: str | None) -> list[Path]:
    """Return the files that ``import module`` or ``from module import name`` reaches."""
    if module.split(".")[0] != "lelkern":
        return []
    base = _PACKAGE.joinpath(*module.split(".")[1:])
    if (file := base.with_suffix(".py")).is_file():
        return [file]
    init = base / "__init__.py"
    if name is None:
        return [init]
    shown = _bindings(init).get(name)
    if shown not in (None, (module, name)):  # the latter is a module of the package itself
        return _resolve(*shown)
    if (base / f"{name}.py").is_file() or (base / name / "__init__.py").is_file():
        return _resolve(f"{module}.{name}", None)
    return [init]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> tuple[tuple[str, str | None], ...]:
    """Return ``(module, None)`` for ``import module``, ``(module, name)`` for ``from``."""
    found: list[tuple[str, str | None]] = []
    lazily_shown = path == _PACKAGE / "__init__.py"
    for node in _running(_tree(path), type_checking=lazily_shown):
        if isinstance(node, ast.Import):
            found += ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += ((node.module, alias.name) for alias in node.names)
    return tuple(found)


@cache
def _bindings(init: Path) -> Mapping[str, tuple[str, str]]:
    """Return the module and the name there of everything that a package shows of its modules."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in _running(_tree(init), type_checking=True)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _running(node: ast.AST, *, type_checking: bool) -> Iterator[ast.AST]:
    """Yield the nodes below one, but for those that only type checkers see, unless asked for."""
    for child in ast.iter_child_nodes(node):
        only_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if only_types and not type_checking:
            continue
        yield child
        yield from _running(child, type_checking=type_checking)


@cache
def _meaning(path: Path) -> str:
    """Return a file's syntax tree without docstrings, positions and comments."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    """Say whether a statement is a string alone: a docstring, or what stands below a constant."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _module_name(path: Path) -> str:
    if _PACKAGE in path.parents:
        return ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts)
    return path.stem
