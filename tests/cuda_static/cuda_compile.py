"""Compiles kernels for one architecture, with the compiler that pyproject.toml pins."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "cuda_static"
sys.path.append(str(ROOT))  # last: what is installed is found first
import setup_cuda  # noqa: E402

ARCHITECTURES = [f"sm_{number.replace('.', '')}" for number in setup_cuda.ARCHITECTURES]
SOURCES = sorted((ROOT / "csrc").glob("*/cuda/*.cu"))


class Compiled(NamedTuple):
    """What became of a source file.

    Attributes:
        resources: what ptxas says of each kernel.
        assembly: what nvdisasm prints.
    """

    source: Path
    architecture: str
    resources: str
    assembly: str


def compile_for(source: Path, architecture: str, cache: Path = CACHE) -> Compiled:
    """Compile a file, unless that was done before and nothing has changed since.

    Raises:
        AssertionError: it does not compile, or with a warning.
    """
    folder = cache / f"{source.stem}.{architecture}"
    folder.mkdir(parents=True, exist_ok=True)
    cubin, key = folder / "cubin", folder / "key"
    files = [folder / "resources.txt", folder / "assembly.txt"]
    nvcc = _nvcc()
    command = [
        *(str(nvcc), *setup_cuda.FLAGS, "--resource-usage"),
        *("-cubin", f"-arch={architecture}", "-o", str(cubin), str(source)),
    ]
    wanted = _key(command, source)
    if not key.exists() or key.read_text() != wanted:
        key.unlink(missing_ok=True)
        files[0].write_text(_run(command))
        files[1].write_text(_run([str(nvcc.with_name("nvdisasm")), str(cubin)]))
        key.write_text(wanted)
    return Compiled(source, architecture, *(file.read_text() for file in files))


def demangle(names: list[str]) -> list[str]:
    """Return C++ names as one writes them."""
    return _run(["c++filt"], "\n".join(names)).splitlines()


def _nvcc() -> Path:
    nvcc = setup_cuda.pypi_nvcc()
    assert nvcc is not None, "install lelkern with its dev extra: it pins an nvcc"
    return nvcc


def _key(command: list[str], source: Path) -> str:
    sources = [source, *sorted((ROOT / "csrc").glob("*/*/*.*"))]
    content = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return "\n".join([*command, _run([command[0], "--version"]), content])


def _run(command: list[str], text: str | None = None) -> str:
    # What is there for other builds would make another table.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NVCC_")}
    run = subprocess.run(command, cwd=ROOT, env=clean, input=text, capture_output=True, text=True)
    assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}{run.stderr}"
    return run.stdout + run.stderr
