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


def _cubins() -> dict[str, str]:
    """Return what nvcc calls their machine code: by the translation, and its own name if needed."""
    names = {}
    portable = {number for number, asked in zip(NUMBERS, ASKED, strict=True) if "+" in asked}
    for group in setup_cuda.translated_alike(NUMBERS):
        for number in group:
            own = f".sm_{number}" if len(group) > 1 or portable & set(group) else ""
            names[f"sm_{number}"] = f"compute_{group[0]}{own}.cubin"
    return names


CUBINS = _cubins()
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
        name = source.relative_to(source.anchor)
        for architecture in ARCHITECTURES:
            cubin = ours.kept(made[source]) / f"{source.stem}.{CUBINS[architecture]}"
            listings[source, architecture] = ours.output_of(
                f"{name}.{architecture}.txt", [str(nvdisasm), str(cubin)], [made[source]]
            )
    run = ours.run(capture=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return [
        Compiled(
            source,
            architecture,
            (ROOT / ours.kept(made[source]) / "said").read_text(),
            (ROOT / listing).read_text(),
        )
        for (source, architecture), listing in listings.items()
    ]


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
