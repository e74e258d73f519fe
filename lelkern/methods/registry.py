"""Finding methods by name or file, and importing one when it is used."""

import ast
import hashlib
import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from lelkern.config import ConfigError, nearest
from lelkern.methods.method import Method

CHAPTERS = (
    "contrastive",
    "semi_supervised",
    "weak",
    "few_shot",
    "active",
    "transfer",
    "multi_task",
    "pretext",
    "generative",
)
"""The folders of the methods, in the order in which they are listed."""

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class MethodFile:
    """A file that holds a method, which has not been imported yet.

    Attributes:
        name: by which a study calls the method.
        chapter: one of :data:`CHAPTERS`, or empty for a file elsewhere.
        path: of the file.
        module: the name under which Python knows the file once it is imported.
    """

    name: str
    chapter: str
    path: Path
    module: str

    @cached_property
    def summary(self) -> str:
        """The first line of the file's docstring, or nothing; read without running the file.

        Raises:
            ConfigError: the file is not Python.
        """
        try:
            tree = ast.parse(self.path.read_bytes(), str(self.path))
        except (SyntaxError, ValueError) as error:
            raise ConfigError(f"{self.path}: {_problem(error, self.path)}") from None
        return (ast.get_docstring(tree) or "").partition("\n")[0]

    def load(self) -> Method:
        """Import the file, once per process, and return its method.

        Raises:
            ConfigError: a file outside lelkern cannot be imported, or the file has no ``METHOD``.
        """
        if self.chapter:
            module = importlib.import_module(self.module)
        else:
            module = sys.modules.get(self.module) or self._import()
        method = getattr(module, "METHOD", None)
        if not isinstance(method, Method):
            raise ConfigError(f"{self.path}: must end in METHOD = Method(...), got {method!r}")
        return method

    def _import(self) -> ModuleType:
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
            raise ConfigError(f"{self.path}: {_problem(error, self.path)}") from error
        return module


def available() -> dict[str, MethodFile]:
    """Return the methods that come with lelkern, by name, chapter by chapter."""
    files = {}
    for chapter in CHAPTERS:
        for path in sorted((_FOLDER / chapter).glob("[!_]*.py")):
            name = path.stem.replace("_", "-")
            module = f"{__package__}.{chapter}.{path.stem}"
            files[name] = MethodFile(name, chapter, path, module)
    return files


def find(name: str) -> MethodFile:
    """Return the file of a method without importing it.

    Args:
        name: of one of lelkern's own, or the absolute path of a ``.py`` file.

    Raises:
        ConfigError: there is no such method or file, or the path is not absolute.
    """
    if not name.endswith(".py"):
        files = available()
        if name not in files:
            raise ConfigError(f"unknown method {name!r}; {nearest(name, files)}")
        return files[name]
    path = Path(name)
    if not path.is_absolute():
        raise ConfigError(f"the path of a method's file must be absolute, got {name!r}")
    if not path.is_file():
        raise ConfigError(f"{name}: no such file")
    path = path.resolve()
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return MethodFile(name, "", path, f"lelkern_method_{digest}")


def get(name: str) -> Method:
    """Import a method and return it.

    Args:
        name: of one of lelkern's own, or the absolute path of a ``.py`` file.

    Raises:
        ConfigError: there is no such method or file, or the file holds no method.
    """
    return find(name).load()


def _problem(error: BaseException, path: Path) -> str:
    """Describe an error in a file in one line, with the line of the file where it arose."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        where, text = error.lineno, error.msg
    else:
        frames = traceback.extract_tb(error.__traceback__)
        where = next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)
        text = str(error)
    line = f"line {where}: " if where else ""
    return f"{line}{type(error).__name__}: {text.partition(chr(10))[0]}".rstrip(": ")
