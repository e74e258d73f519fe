"""Compiles kernels as the build does, with the compiler that pyproject.toml pins."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BUILD = Path("build", "kernels")  # of setup.py
CACHE = Path("build", "cuda_static")
sys.path.append(str(ROOT))  # last: what is installed is found first
import setup_cuda  # noqa: E402
from setup_ninja import Ninja  # noqa: E402

# As the build does: of the table's architectures fewer, where the environment says so.
ASKED = setup_cuda.asked_for()
NUMBERS = [architecture.removesuffix("+PTX").replace(".", "") for architecture in ASKED]
ARCHITECTURES = [f"sm_{number}" for number in NUMBERS]
SOURCES = sorted(path.relative_to(ROOT) for path in ROOT.glob("csrc/**/cuda/*.cu"))


class Compiled(NamedTuple):
    """What became of a source file.

    Attributes:
        resources: what ptxas says of each kernel, for each architecture.
        assembly: what nvdisasm prints.
    """

    source: Path
    architecture: str
    resources: str
    assembly: str


def compile_all(sources: Sequence[Path], cache: Path = CACHE) -> list[Compiled]:
    """Compile files for all that is asked for, unless that is done and nothing has changed since.

    What the build has compiled by the same compiler with the same options is not compiled again.

    Args:
        sources: relative to the root of the repository.
        cache: where to compile the others.

    Raises:
        AssertionError: one does not compile, or with a warning.
    """
    (toolkit, nvdisasm) = _tools()
    command = setup_cuda.compile_command(toolkit, ASKED)
    ours, built = Ninja(cache, ROOT), Ninja(BUILD, ROOT)
    stamp, of_build = ours.stamp("nvcc.txt", toolkit.version), BUILD / "nvcc.txt"
    known = (ROOT / of_build).exists() and (ROOT / of_build).read_text().startswith(toolkit.version)
    made, listings = {}, {}
    for source in sources:
        made[source] = built.compile_cuda(command, source, [of_build])
        if not (known and built.is_current(made[source])):
            made[source] = ours.compile_cuda(command, source, [stamp])
    _run(ours)
    for source in sources:
        name = source.relative_to(source.anchor)
        for architecture in ARCHITECTURES:
            cubin = _machine_code(ours.kept(made[source]), architecture)
            listings[source, architecture] = ours.output_of(
                f"{name}.{architecture}.txt", [str(nvdisasm), str(cubin)], [made[source]]
            )
    _run(ours)
    return [
        Compiled(
            source,
            architecture,
            (ROOT / ours.kept(made[source]) / "said").read_text(),
            (ROOT / listing).read_text(),
        )
        for (source, architecture), listing in listings.items()
    ]


def _run(ninja: Ninja) -> None:
    run = ninja.run(capture=True)
    assert run.returncode == 0, run.stdout + run.stderr


def _machine_code(kept: Path, architecture: str) -> Path:
    """Return the newest of nvcc's files for an architecture.

    nvcc names them by the translation, the architecture or both: by what tells them apart.
    """
    names = (f".{architecture}", f".{architecture.replace('sm', 'compute')}")
    found = [path for path in (ROOT / kept).glob("*.cubin") if path.stem.endswith(names)]
    return max(found, key=lambda path: path.stat().st_mtime)


def demangle(names: list[str]) -> list[str]:
    """Return C++ names as one writes them."""
    text = "\n".join(names)
    run = subprocess.run(["c++filt"], input=text, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def _tools() -> tuple[setup_cuda.Toolkit, Path]:
    """Return the pinned compiler, or that of the build where it is the same, and nvdisasm."""
    options = [name for name in os.environ if name.startswith("NVCC_")]
    assert not options, f"with {options} another table would come out"
    nvcc = setup_cuda.pypi_nvcc()
    assert nvcc is not None, "install lelkern with its dev extra: it pins an nvcc"
    pinned, found = map(setup_cuda.toolkit_of, (nvcc, setup_cuda.find_nvcc()))
    return found if found.version == pinned.version else pinned, nvcc.with_name("nvdisasm")
