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
        root: where commands run, to which all paths are relative.
    """

    def __init__(self, folder: Path, root: Path = Path()) -> None:
        self.folder = folder
        self.root = root
        self._edges: dict[Path, str] = {}

    def compile(
        self,
        command: Sequence[str],
        source: Path,
        needs: Iterable[Path] = (),
        variant: str = "",
        headers: Path | None = None,
    ) -> Path:
        """Compile a file, unless that is planned already, and return the object file.

        Args:
            command: the compiler with all options but those that say what to read and write.
            source: the file.
            needs: what else the object file depends on, besides the headers.
            variant: tells object files of one source apart.
            headers: what :meth:`precompile` returned for the same command.
        """
        made = self.folder / variant / f"{source.relative_to(source.anchor)}.o"
        if headers is not None:
            command = [*command, "-include", str(headers)]
            needs = [*needs, _precompiled(headers)]
        run = [*command, "-MD", "-MF", f"{made}.d", "-c", str(source), "-o", str(made)]
        return self._add("compile", made, shlex.join(run), [source], needs)

    def precompile(
        self, command: Sequence[str], header: str, needs: Iterable[Path], variant: str
    ) -> Path:
        """Compile a header once for all files that begin with it, and return one that includes it.

        It is found where the command has the compiler look. GCC takes what is compiled in the place
        of the header beside it, and where it does not fit the header itself.
        """
        beside = self.stamp(f"{variant}.h", f'#include "{header}"\n')
        made = _precompiled(beside)
        run = [*command, "-MD", "-MF", f"{made}.d", "-x", "c++-header", str(beside)]
        run += ["-o", str(made)]
        self._add("compile", made, shlex.join(run), [beside], needs)
        return beside

    def compile_cuda(
        self, command: Sequence[str], source: Path, needs: Iterable[Path] = ()
    ) -> Path:
        """Compile a file with kernels likewise, and keep in a folder of its own what nvcc made.

        That is machine code, and in the file ``said`` what resources kernels use.
        """
        made = self.folder / f"{source.relative_to(source.anchor)}.o"
        kept = self.kept(made)
        run = [*command, "-MD", "-MF", f"{made}.d", "-c", str(source), "-o", str(made)]
        run += ["--keep", f"--keep-dir={kept}", "--resource-usage"]
        folder, said = shlex.quote(str(kept)), shlex.quote(str(kept / "said"))
        shell = f"mkdir -p {folder} && {shlex.join(run)} >{said} 2>&1 || {{ cat {said}; exit 1; }}"
        return self._add("compile", made, shell, [source], needs)

    @staticmethod
    def kept(made: Path) -> Path:
        """Return the folder with what nvcc made on the way to an object file."""
        return made.with_suffix(".kept")

    def link(
        self, name: str, command: Sequence[str], inputs: Sequence[Path], libraries: Sequence[str]
    ) -> Path:
        """Link object files and libraries, given as options, and return the file."""
        made = self.folder / name
        run = [*command, *map(str, inputs), *libraries, "-o", str(made)]
        return self._add("run", made, shlex.join(run), inputs, ())

    def output_of(self, name: str, command: Sequence[str], inputs: Sequence[Path]) -> Path:
        """Write down what a command says of files, and return the file."""
        made = self.folder / name
        return self._add(
            "run", made, f"{shlex.join(command)} >{shlex.quote(str(made))}", inputs, ()
        )

    def stamp(self, name: str, text: str) -> Path:
        """Write a file that changes only with the text: what no command line shows."""
        path = self.folder / name
        there = self.root / path
        if not there.exists() or there.read_text() != text:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_text(text)
        return path

    def run(self, *targets: Path, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Bring files up to date; go on after an error with what does not need its result.

        Raises:
            FileNotFoundError: there is no ninja.
        """
        there = self.root / self.folder
        there.mkdir(parents=True, exist_ok=True)
        edges = "".join(self._edges.values())
        plan = f"builddir = {_escape(self.folder)}\n{RULES}{edges}"
        (there / "build.ninja").write_text(plan)
        sys.stdout.flush()
        return self._ninja("-k", "0", *map(str, targets), capture=capture)

    def is_current(self, *targets: Path) -> bool:
        """Return whether an earlier run made files by the same commands, of what is there now."""
        plan = self.root / self.folder / "build.ninja"
        if not plan.exists() or any(self._edges[t] not in plan.read_text() for t in targets):
            return False
        return "no work to do" in self._ninja("-n", *map(str, targets), capture=True).stdout

    def _ninja(self, *options: str, capture: bool) -> subprocess.CompletedProcess[str]:
        command = [str(find_ninja()), "-f", str(self.folder / "build.ninja"), *options]
        return subprocess.run(command, cwd=self.root, capture_output=capture, text=True)

    def _add(
        self,
        rule: str,
        made: Path,
        run: str,
        inputs: Iterable[Path],
        needs: Iterable[Path],
    ) -> Path:
        implicit = "".join(f" {_escape(path)}" for path in needs)
        self._edges[made] = (
            f"build {_escape(made)}: {rule} {' '.join(map(_escape, inputs))} |{implicit}\n"
            f"  run = {run.replace('$', '$$')}\n"
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


def _precompiled(header: Path) -> Path:
    return header.with_suffix(".h.gch")


def _escape(path: Path) -> str:
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")
