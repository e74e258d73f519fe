"""Builds the compiled kernels where that is possible; the rest of the package is in pyproject.toml.

``LELKERN_EXT`` decides: ``auto`` (the default) compiles if a C++17 compiler works and otherwise
installs the pure-PyTorch reference alone, ``1`` fails where nothing can be compiled, ``0`` does not
try. ``LELKERN_CUDA`` decides likewise for the CUDA kernels, which need nvcc and a PyTorch with CUDA
as well. What was done and why is printed, and recorded for ``lelkern info``.

A library uses LibTorch's stable ABI and no Python symbol: one file serves every PyTorch from 2.11
on and every Python, so a wheel is tagged ``py3-none-<platform>``.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

sys.path.insert(0, str(Path(__file__).parent))  # which a build front end does not do
import setup_cuda
from setup_cuda import CannotBuildError

OLDEST_TORCH = (2, 11)
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",  # vectors never cross a function call that is not inlined
]


class StableLibraries(build_ext):
    """Compiles shared libraries for ``torch.ops.load_library`` rather than Python modules."""

    def run(self) -> None:
        """Build every library, or say and record why not."""
        self.force = True  # a library also depends on PyTorch and the compiler, in seconds
        self.records: dict[str, dict[str, str]] = {}
        wanted = self.extensions
        super().run()
        for extension in wanted:
            if extension not in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
        self.distribution.ext_modules = self.extensions
        if not self.extensions:
            print("lelkern: every op is there all the same, in plain PyTorch")
        package = Path(self.get_ext_fullpath("lelkern._build_info")).parent
        (package / "_build_info.json").write_text(json.dumps(self.records, indent=2) + "\n")

    def build_extensions(self) -> None:
        """Build what was chosen and can be built, and keep only that."""
        self.extensions = [extension for extension in self.extensions if self.built(extension)]

    def built(self, extension: Extension) -> bool:
        """Build one library; say and record how, or why not."""
        name = short_name(extension)
        (variable, choice) = choice_for(name)
        try:
            if choice == "0":
                raise CannotBuildError(f"{variable}=0")
            self.records[name] = self.build_library(extension)
        except CannotBuildError as reason:
            if choice == "1":
                raise SystemExit(f"lelkern: {variable}=1, but {reason}") from None
            self.records[name] = {"reason": str(reason)}
            print(f"lelkern: no compiled {name} kernels: {reason}")
            return False
        print(f"lelkern: compiled the {name} kernels: {self.records[name]}")
        return True

    def build_library(self, extension: Extension) -> dict[str, str]:
        """Build one library and return what with."""
        self.check_compiler()
        (torch_version, torch_root) = find_torch()
        record = {
            "compiler": self.compiler_version(),
            "flags": " ".join(FLAGS),
            "torch": torch_version,
        }
        # As system headers: their warnings are not ours.
        extension.extra_compile_args += [*FLAGS, "-isystem", str(torch_root / "include")]
        extension.library_dirs.append(str(torch_root / "lib"))
        if kernels := [str(s) for s in extension.sources if Path(s).suffix == ".cu"]:
            record |= self.compile_cuda(extension, kernels)
        try:
            self.build_extension(extension)
        except (CompileError, LinkError) as error:
            raise CannotBuildError(f"compiling failed, see the messages above: {error}") from error
        return record

    def compile_cuda(self, extension: Extension, kernels: list[str]) -> dict[str, str]:
        """Compile a library's kernels, leave the rest to the C++ compiler, and return how."""
        toolkit = find_toolkit()
        architectures = setup_cuda.architectures(toolkit)
        folder = Path(self.build_temp, "nvcc")
        folder.mkdir(parents=True, exist_ok=True)
        command = setup_cuda.compile_command(toolkit, architectures, kernels, folder)
        print(*command, flush=True)
        if subprocess.run(command).returncode:
            raise CannotBuildError("compiling failed, see the messages of nvcc above")
        extension.sources = [s for s in extension.sources if str(s) not in kernels]
        extension.extra_objects = [str(folder / Path(kernel).stem) + ".o" for kernel in kernels]
        for include in toolkit.include:
            extension.extra_compile_args += ["-isystem", str(include)]
        extension.library_dirs += map(str, toolkit.lib)
        return {"cuda": toolkit.release, "architectures": " ".join(architectures)}

    def check_compiler(self) -> None:
        """Try the compiler on an empty program, so that the reason is clear."""
        if self.compiler.compiler_type != "unix":
            raise CannotBuildError("the kernels need GCC or Clang")
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.cpp")
            probe.write_text("#include <vector>\nint main() { return 0; }\n")
            try:
                self.compiler.compile(
                    [str(probe)], output_dir=folder, extra_postargs=["-std=c++17"]
                )
            except CompileError as error:
                raise CannotBuildError(f"no working C++17 compiler: {error}") from error

    def compiler_version(self) -> str:
        """Return the first line that the compiler says of itself."""
        command = [self.compiler.compiler_so_cxx[0], "--version"]
        return subprocess.run(command, capture_output=True, text=True).stdout.partition("\n")[0]

    def get_ext_filename(self, fullname: str) -> str:
        """Name the file without the Python version, on which it does not depend."""
        return str(Path(*fullname.split(".")).with_suffix(".so"))


class StableWheel(bdist_wheel):
    """Tags a wheel by what was compiled into it."""

    def run(self) -> None:
        """Build first: only then is it known whether there is a library."""
        self.run_command("build")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        """Return a tag for every Python."""
        platform = super().get_tag()[2]
        return "py3", "none", "any" if self.root_is_pure else platform


def choice_for(name: str) -> tuple[str, str]:
    """Return the variable that decides on a library, and what it says."""
    choices = {v: os.environ.get(v, "auto") for v in ("LELKERN_EXT", "LELKERN_CUDA")}
    for variable, choice in choices.items():
        if choice not in ("0", "1", "auto"):
            raise SystemExit(f"{variable} must be 0, 1 or auto, got {choice}")
    none_at_all = choices["LELKERN_EXT"] == "0" and choices["LELKERN_CUDA"] == "auto"
    variable = "LELKERN_EXT" if name == "cpu" or none_at_all else "LELKERN_CUDA"
    return variable, choices[variable]


def find_torch() -> tuple[str, Path]:
    """Return the version and folder of the PyTorch to build with."""
    try:
        import torch
    except ImportError as error:
        raise CannotBuildError(
            f"PyTorch cannot be imported where the build runs: {error}"
        ) from error
    version = str(torch.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TORCH:
        raise CannotBuildError(f"the kernels need PyTorch 2.11 or later, and this is {version}")
    return version, Path(torch.__file__).parent


def find_toolkit() -> setup_cuda.Toolkit:
    """Return a CUDA toolkit that goes with the PyTorch to build with."""
    import torch

    if torch.version.cuda is None:
        raise CannotBuildError(f"PyTorch {torch.__version__} is built without CUDA")
    toolkit = setup_cuda.toolkit_of(setup_cuda.find_nvcc())
    if toolkit.release.split(".")[0] != torch.version.cuda.split(".")[0]:
        raise CannotBuildError(
            f"PyTorch {torch.__version__} is built with CUDA {torch.version.cuda}, "
            f"and {toolkit.nvcc} is of CUDA {toolkit.release}"
        )
    return toolkit


def short_name(extension: Any) -> str:
    """Return ``cpu`` for ``lelkern._cpu``."""
    return str(extension.name).removeprefix("lelkern._")


def stable_library(name: str, folders: list[str], **options: Any) -> Extension:
    """Describe a library of what families have in folders: C++, and CUDA if there is some."""
    paths = [path for folder in folders for path in Path("csrc").glob(f"*/{folder}/*.c*")]
    return Extension(
        f"lelkern._{name}",
        sources=sorted(str(path) for path in paths if path.suffix in (".cpp", ".cu")),
        include_dirs=["csrc"],
        define_macros=[("TORCH_TARGET_VERSION", "0x020b000000000000")],
        language="c++",
        **options,
    )


def libraries() -> list[Extension]:
    """Describe all libraries."""
    cpu = stable_library("cpu", ["common", "cpu"], libraries=["torch_cpu"])
    cuda = stable_library(
        "cuda",
        ["common", "cuda"],
        extra_compile_args=["-DUSE_CUDA"],  # shows PyTorch's functions for CUDA
        # The runtime is linked in, so that the library loads beside any other, and is not shown to
        # what is loaded later.
        libraries=["torch_cpu", "torch_cuda", "cudart_static", "rt", "pthread", "dl"],
        extra_link_args=["-Wl,--exclude-libs,ALL"],
    )
    return [cpu, cuda]


setup(
    packages=[*find_packages(include=["lelkern*"]), "lelkern.studies"],
    package_dir={"lelkern.studies": "ablations"},
    package_data={"lelkern.studies": ["*.toml", "*/*.toml"]},
    ext_modules=libraries(),
    cmdclass={"build_ext": StableLibraries, "bdist_wheel": StableWheel},
)
