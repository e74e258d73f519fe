"""Writes down what ninja is to make of what, and runs it.

ninja compiles in parallel, and again only what depends on a file or a command that has changed. It
is found by its Python package or on PATH.
"""

import importlib.util
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

# A command of its own for every file. Compilers say themselves which headers a file depends on.
RULES = """\
rule run
  command = $run
  description = $out
rule compile
  command = $run
  description = $out
  depfile = $out.d
  deps = gcc
"""


class Ninja:
    """What to make, in a folder of its own: files by commands, each from other files.

    Args:
        folder: where what is made, ninja's plan and its records lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._edges: dict[Path, str] = {}

    def compile(self, command: Sequence[str], source: Path, needs: Iterable[Path] = ()) -> Path:
        """Compile a file, unless that is planned already, and return the object file.

        Args:
            command: the compiler with all options but those that say what to read and write.
            source: the file, relative to where ninja runs.
            needs: what else the object file depends on, besides the headers.
        """
        made = self.folder / f"{source}.o"
        run = [*command, "-MD", "-MF", f"{made}.d", "-c", str(source), "-o", str(made)]
        return self._add("compile", made, run, [source], needs)

    def link(
        self, name: str, command: Sequence[str], inputs: Sequence[Path], libraries: Sequence[str]
    ) -> Path:
        """Link object files and libraries, given as options, and return the file."""
        made = self.folder / name
        run = [*command, *map(str, inputs), *libraries, "-o", str(made)]
        return self._add("run", made, run, inputs, ())

    def stamp(self, name: str, text: str) -> Path:
        """Write a file that changes only with the text: what no command line shows."""
        path = self.folder / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return path

    def run(self, *targets: Path, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Bring files up to date; go on after an error with what does not need its result.

        Raises:
            FileNotFoundError: there is no ninja.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        plan = self.folder / "build.ninja"
        edges = "".join(self._edges.values())
        plan.write_text(f"builddir = {_escape(self.folder)}\n{RULES}{edges}")
        command = [str(find_ninja()), "-k", "0", "-f", str(plan), *map(str, targets)]
        sys.stdout.flush()
        return subprocess.run(command, capture_output=capture, text=True)

    def _add(
        self,
        rule: str,
        made: Path,
        command: Sequence[str],
        inputs: Iterable[Path],
        needs: Iterable[Path],
    ) -> Path:
        run = shlex.join(command).replace("$", "$$")
        implicit = "".join(f" {_escape(path)}" for path in needs)
        self._edges[made] = (
            f"build {_escape(made)}: {rule} {' '.join(map(_escape, inputs))} |{implicit}\n"
            f"  run = {run}\n"
        )
        return made


def find_ninja() -> Path:
    """Return ninja's program.

    Raises:
        FileNotFoundError: there is none.
    """
    if importlib.util.find_spec("ninja") is not None:
        import ninja

        return Path(ninja.BIN_DIR, "ninja")
    if on_path := shutil.which("ninja"):
        return Path(on_path)
    raise FileNotFoundError("there is no ninja: PyPI's is not installed, and none is on PATH")


def _escape(path: Path) -> str:
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")
