"""A file that holds a method: what can be said without importing it, and importing it.

The folder of a file that is called by its path is a package of its own, so that relative names find
what stands beside the file. It is never on ``sys.path``: there its ``random.py`` would stand for
the standard library's, and its helpers for those of another folder.
"""

import ast
import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from lelkern.config import ConfigError
from lelkern.methods.method import Method


@dataclass(frozen=True)
class MethodFile:
    """A file that holds a method, which has not been imported yet.

    Attributes:
        name: by which a study calls the method.
        chapter: the chapter of one of lelkern's own, else empty.
        path: of the file.
        module: the name under which Python knows the file once it is imported, with a package's.
        distribution: the package that installed it, if one of another did, with its name only.
        version: of that package.
    """

    name: str
    chapter: str
    path: Path
    module: str
    distribution: str = ""
    version: str = ""

    @property
    def is_named(self) -> bool:
        """Whether it has a name of its own; a file anywhere else is called by its path."""
        return bool(self.chapter or self.distribution)

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if self.distribution:
            return f"{self.distribution} {self.version} ({self.module})"
        return f"lelkern ({self.module})" if self.chapter else str(self.path)

    @cached_property
    def summary(self) -> str:
        """The first line of the file's docstring, or nothing; read without running the file.

        Raises:
            ConfigError: the file is not Python, or cannot be read.
        """
        try:
            tree = ast.parse(self.path.read_bytes(), str(self.path))
        except (SyntaxError, ValueError, OSError) as error:
            raise ConfigError(f"{self.path}: {_problem(error, self.path)}") from None
        return (ast.get_docstring(tree) or "").partition("\n")[0]

    def load(self) -> Method:
        """Import the file, once per process, and return its method.

        Raises:
            ConfigError: a file outside lelkern cannot be imported, or the file has no ``METHOD``.
        """
        if self.chapter:
            module = importlib.import_module(self.module)
        elif self.distribution:
            module = self._import_installed()
        else:
            module = sys.modules.get(self.module) or self._import()
        method = getattr(module, "METHOD", None)
        if not isinstance(method, Method):
            raise ConfigError(f"{self.path}: must end in METHOD = Method(...), got {method!r}")
        return method

    def _import_installed(self) -> ModuleType:
        try:
            return importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            problem = _problem(error, self.path)
            raise ConfigError(f"method {self.name!r} of {self.origin}: {problem}") from error

    def _import(self) -> ModuleType:
        name = self.module.rpartition(".")[0]
        if name not in sys.modules:
            sys.modules[name] = package = ModuleType(name)
            package.__path__ = [str(self.path.parent)]
        spec = importlib.util.spec_from_file_location(self.module, self.path)
        assert spec is not None  # the name ends in .py
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # As Python's own import does: dataclasses and pickle look a class's module up by its name.
        sys.modules[self.module] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[self.module]
            problem = _problem(error, self.path).replace(f"{name}.", ".").replace(name, ".")
            raise ConfigError(f"{self.path}: {problem}") from error
        return module


def _problem(error: BaseException, path: Path) -> str:
    """Describe an error in a file in one line, with the line of the file where it arose."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        where, text = error.lineno, error.msg
    else:
        frames = traceback.extract_tb(error.__traceback__)
        where = next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)
        text = str(error)
    line = f"line {where}: " if where else ""
    words = f"{line}{type(error).__name__}: {text.partition(chr(10))[0]}".rstrip(": ")
    return words + _hint(error, path)


def _hint(error: BaseException, path: Path) -> str:
    """Say how to import what stands beside a file, if that is what was looked for elsewhere."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and name:
        for beside in (path.with_name(f"{name}.py"), path.with_name(name)):
            if beside.exists():
                return f"; {beside.name} beside it is imported as in 'from .{name} import ...'"
    return ""
