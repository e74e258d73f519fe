"""Finds the CUDA compiler, and says how the kernels are compiled with it.

nvcc is looked for where ``CUDA_HOME`` points, on PATH, and among PyPI's packages. What to compile
for is taken from ``TORCH_CUDA_ARCH_LIST``, as PyTorch's own extensions do.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

# The oldest architecture that has what the kernels use, and the first of each later generation:
# code for one runs on the others of its generation.
ARCHITECTURES = ("8.0", "9.0", "10.0", "12.0")
FLAGS = [
    "-std=c++17",
    "-O3",
    "-Icsrc",
    "-Xcompiler=-fPIC,-fvisibility=hidden,-Wall,-Wextra",
    "-Werror=all-warnings",
]


class CannotBuildError(Exception):
    """Why there will be no library, in words for the person who installs."""


class Toolkit(NamedTuple):
    """A CUDA compiler, what it is, and where its headers and libraries are.

    Attributes:
        release: the CUDA that it is of.
        version: all that it says of itself, with the options that the environment gives it.
    """

    nvcc: Path
    release: str
    version: str
    include: list[Path]
    lib: list[Path]


def find_nvcc() -> Path:
    """Return the compiler to use."""
    if home := os.environ.get("CUDA_HOME"):
        nvcc = Path(home, "bin", "nvcc")
        if nvcc.is_file():
            return nvcc
        raise CannotBuildError(f"CUDA_HOME must have bin/nvcc, got {home}")
    if on_path := shutil.which("nvcc"):
        return Path(on_path)
    if from_pypi := pypi_nvcc():
        return from_pypi
    raise CannotBuildError(
        "there is no nvcc: CUDA_HOME is not set, none is on PATH, "
        "and PyPI's nvidia-cuda-nvcc is not installed"
    )


def pypi_nvcc() -> Path | None:
    """Return the newest compiler that was installed as a Python package, if any was."""
    packages = importlib.util.find_spec("nvidia")
    folders = packages.submodule_search_locations if packages else None
    found = [nvcc for folder in folders or [] for nvcc in Path(folder).glob("cu*/bin/nvcc")]
    return max(found, default=None)


def toolkit_of(nvcc: Path) -> Toolkit:
    """Ask a compiler what it is, and where it looks: it may be a wrapper that lies elsewhere."""
    version = _said_by(nvcc, "--version")
    release = re.search(r"release (\d+\.\d+)", version)
    plan = _said_by(nvcc, "--dryrun", "-x", "cu", "-c", os.devnull, "-o", os.devnull)
    variables = dict(re.findall(r"^#\$ (\w+)=(.*)$", plan, re.MULTILINE))
    if release is None or not {"TOP", "INCLUDES", "LIBRARIES"} <= variables.keys():
        raise CannotBuildError(f"{nvcc} does not say of which CUDA it is, and where that is")
    include = [Path(word[2:]) for word in shlex.split(variables["INCLUDES"])]
    lib = [Path(word[2:]) for word in shlex.split(variables["LIBRARIES"])]
    lib.append(Path(variables["TOP"], "lib"))  # where PyPI's packages have it
    options = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith("NVCC_")]
    return Toolkit(nvcc, release[1], "\n".join([version, *options]), include, lib)


def asked_for(known: Collection[str] = ARCHITECTURES) -> list[str]:
    """Return what ``TORCH_CUDA_ARCH_LIST`` names; without it what is known of ``ARCHITECTURES``."""
    asked = os.environ.get("TORCH_CUDA_ARCH_LIST", "").strip(" ;")
    if asked:
        return re.split(r"[;\s]+", asked)
    *older, newest = [architecture for architecture in ARCHITECTURES if architecture in known]
    return [*older, f"{newest}+PTX"]


def architectures(toolkit: Toolkit) -> list[str]:
    """Return what to compile for, as ``["8.0", "9.0+PTX"]``."""
    known = [
        f"{name[:-1]}.{name[-1]}"
        for name in re.findall(r"compute_(\d+)", _said_by(toolkit.nvcc, "--list-gpu-arch"))
    ]
    chosen = asked_for(known)
    for architecture in chosen:
        parts = re.fullmatch(r"(\d+\.\d)[af]?(\+PTX)?", architecture)
        if parts is None:
            raise CannotBuildError(
                f'TORCH_CUDA_ARCH_LIST must be like "8.0;9.0+PTX", got {architecture}'
            )
        if float(parts[1]) < float(ARCHITECTURES[0]) or parts[1] not in known:
            raise CannotBuildError(
                f"TORCH_CUDA_ARCH_LIST must have architectures from {ARCHITECTURES[0]} on that "
                f"CUDA {toolkit.release} knows, got {architecture}"
            )
    return chosen


def translated_alike(numbers: list[str]) -> list[list[str]]:
    """Return architectures like ``["80", "90", "100"]`` in groups that one translation serves.

    It is that for the first of a group. nvcc translates alike for those before 10.0, but for how
    bfloat16 becomes float32, and for those from there on; kernels have no code of their own for
    any. Only such as ``90a`` and ``100f`` need translations of their own.
    """
    plain = sorted((number for number in numbers if number.isdigit()), key=int)
    groups = [[n for n in plain if int(n) < 100], [n for n in plain if int(n) >= 100]]
    return [g for g in groups if g] + [[number] for number in numbers if not number.isdigit()]


def code_for(architectures: list[str]) -> list[str]:
    """Return nvcc's options for ``["8.0", "9.0+PTX"]``: machine code, and portable if asked for."""
    portable = {
        name.removesuffix("+PTX").replace(".", ""): "+PTX" in name for name in architectures
    }
    options = []
    for first, *others in translated_alike(list(portable)):
        code = [f"sm_{number}" for number in (first, *others)]
        if any(portable[number] for number in (first, *others)):
            code.append(f"compute_{first}")
        options.append(f"-gencode=arch=compute_{first},code=[{','.join(code)}]")
    return options


def compile_command(toolkit: Toolkit, architectures: list[str]) -> list[str]:
    """Return the command that compiles for architectures, but for what it reads and writes."""
    threads = f"--threads={os.cpu_count()}"
    return [str(toolkit.nvcc), *FLAGS, threads, *code_for(architectures)]


def _said_by(nvcc: Path, *arguments: str) -> str:
    try:
        run = subprocess.run([nvcc, *arguments], capture_output=True, text=True)
    except OSError as error:
        raise CannotBuildError(f"{nvcc} does not run: {error}") from error
    if run.returncode:
        raise CannotBuildError(f"{nvcc} {' '.join(arguments)} failed: {run.stderr.strip()}")
    return run.stdout + run.stderr
