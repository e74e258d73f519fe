"""Builds the compiled kernels where that is possible; the rest of the package is in pyproject.toml.

``LELKERN_EXT`` decides: ``auto`` (the default) compiles if a C++17 compiler works and otherwise
installs the pure-PyTorch reference alone, ``1`` fails where nothing can be compiled, ``0`` does not
try. What was done and why is printed, and recorded for ``lelkern info``.

A library uses LibTorch's stable ABI and no Python symbol: one file serves every PyTorch from 2.11
on and every Python, so a wheel is tagged ``py3-none-<platform>``.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

OLDEST_TORCH = (2, 11)
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",  # vectors never cross a function call that is not inlined
]


class CannotBuildError(Exception):
    """Why there will be no library, in words for the person who installs."""


class StableLibraries(build_ext):
    """Compiles shared libraries for ``torch.ops.load_library`` rather than Python modules."""

    def run(self) -> None:
        """Build every library, or say and record why not."""
        choice = os.environ.get("LELKERN_EXT", "auto")
        if choice not in ("0", "1", "auto"):
            raise SystemExit(f"LELKERN_EXT must be 0, 1 or auto, got {choice}")
        self.force = True  # a library also depends on PyTorch and the compiler, in seconds
        records = {}
        try:
            if choice == "0":
                raise CannotBuildError("LELKERN_EXT=0")
            (torch_version, torch_root) = find_torch()
            for extension in self.extensions:
                # As a system header: its warnings are not ours.
                extension.extra_compile_args = [*FLAGS, "-isystem", str(torch_root / "include")]
                extension.library_dirs.append(str(torch_root / "lib"))
            super().run()
        except CannotBuildError as reason:
            if choice == "1":
                raise SystemExit(f"lelkern: LELKERN_EXT=1, but {reason}") from None
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
                records[short_name(extension)] = {"reason": str(reason)}
                print(f"lelkern: no compiled {short_name(extension)} kernels: {reason}")
            print("lelkern: every op is there all the same, in plain PyTorch")
            self.distribution.ext_modules = self.extensions = []
        else:
            for extension in self.extensions:
                records[short_name(extension)] = {
                    "compiler": self.compiler_version(),
                    "flags": " ".join(FLAGS),
                    "torch": torch_version,
                }
                print(f"lelkern: compiled the {short_name(extension)} kernels: {records}")
        package = Path(self.get_ext_fullpath("lelkern._build_info")).parent
        (package / "_build_info.json").write_text(json.dumps(records, indent=2) + "\n")

    def build_extensions(self) -> None:
        """Try the compiler on an empty program first, so that the reason is clear."""
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
        try:
            super().build_extensions()
        except (CompileError, LinkError) as error:
            raise CannotBuildError(f"compiling failed, see the messages above: {error}") from error

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


def short_name(extension: Any) -> str:
    """Return ``cpu`` for ``lelkern._cpu``."""
    return str(extension.name).removeprefix("lelkern._")


def sources(*folders: str) -> list[str]:
    """List the C++ files of folders in csrc."""
    return sorted(str(path) for folder in folders for path in Path("csrc", folder).glob("*.cpp"))


def stable_library(name: str, sources: list[str]) -> Extension:
    """Describe one library of kernels."""
    return Extension(
        f"lelkern._{name}",
        sources=sources,
        include_dirs=["csrc"],
        define_macros=[("TORCH_TARGET_VERSION", "0x020b000000000000")],
        libraries=["torch_cpu"],
        language="c++",
    )


setup(
    packages=[*find_packages(include=["lelkern*"]), "lelkern.studies"],
    package_dir={"lelkern.studies": "ablations"},
    package_data={"lelkern.studies": ["*.toml"]},
    ext_modules=[stable_library("cpu", sources("common", "cpu"))],
    cmdclass={"build_ext": StableLibraries, "bdist_wheel": StableWheel},
)
