"""The list of faults that tests have to notice, and where in a tree each of them goes."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = (".py", ".h", ".cpp", ".cuh", ".cu")


class FaultError(Exception):
    """A fault does not fit the tree: the list has to follow the code."""


@dataclass(frozen=True)
class Fault:
    """One change that makes something wrong.

    Attributes:
        area: the list that it is in, by the name of its file.
        name: unique.
        what: what goes wrong with it.
        file: where its text is; if it moved, it is found in a file of that name, or by the text.
        find: the text, of which only the words count and not the white space between them.
        replace: what is put in its place.
        tests: files of tests, or other arguments of pytest, that are to notice.
        environment: variables that these run with.
        needs: a flag of the processor without which the text is not compiled; or empty.
    """

    area: str
    name: str
    what: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    needs: str = ""

    def digest(self) -> str:
        """Return a hash that changes with the fault and with the tests that are to notice it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def load(folder: Path = HERE) -> list[Fault]:
    """Read all lists of a folder."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["fault"]:
            found.append(Fault(path.stem, **{**entry, "tests": tuple(entry["tests"])}))
    return found


def planted(fault: Fault, tree: Path) -> tuple[Path, str]:
    """Return the file that a fault changes, and its text with the fault.

    Raises:
        FaultError: the text is not there, or not only once.
    """
    pattern = re.compile(r"\s+".join(map(re.escape, fault.find.split())))
    for candidates in _places(fault, tree):
        places = [
            (path, text, match)
            for path in candidates
            for text in [path.read_text(encoding="utf-8")]
            for match in pattern.finditer(text)
        ]
        if len(places) > 1:
            where = ", ".join(str(path.relative_to(tree)) for path, _, _ in places)
            raise FaultError(f"{fault.name}: its text is in more than one place: {where}")
        if places:
            ((path, text, match),) = places
            return path, text[: match.start()] + fault.replace + text[match.end() :]
    raise FaultError(f"{fault.name}: its text is neither in {fault.file} nor elsewhere")


def _places(fault: Fault, tree: Path) -> Iterator[list[Path]]:
    """Yield the files in which the text may be, the likeliest first."""
    file = Path(fault.file)
    if (tree / file).is_file():
        yield [tree / file]
    everywhere = sorted(
        path for path in (tree / file.parts[0]).rglob("*") if path.suffix in SOURCES
    )
    yield [path for path in everywhere if path.name == file.name]
    yield everywhere


def arguments_of(fault: Fault, tree: Path) -> list[str]:
    """Return the arguments for pytest, of which files that moved are found by their names.

    Raises:
        FaultError: there is no such file, or more than one.
    """
    found = []
    for argument in fault.tests:
        file, separator, rest = argument.partition("::")
        if file.endswith(".py") and not (tree / file).is_file():
            others = sorted((tree / "tests").rglob(Path(file).name))
            if len(others) != 1:
                raise FaultError(f"{fault.name}: {len(others)} files are called {Path(file).name}")
            file = others[0].relative_to(tree).as_posix()
        found.append(file + separator + rest)
    return found
