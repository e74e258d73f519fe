"""Builds the compiled kernels where that is possible; the rest of the package is in pyproject.toml.

``LELKERN_EXT`` decides: ``auto`` (the default) compiles if a C++17 compiler works and otherwise
installs the pure-PyTorch reference alone, ``1`` fails where nothing can be compiled, ``0`` does not
try. ``LELKERN_CUDA`` decides likewise for the CUDA kernels, which need nvcc and a PyTorch with CUDA
as well. ninja does the compiling, in the folder ``build/kernels``, and compiles again only what has
changed. What was done and why is printed, and recorded for ``lelkern info``.

A library uses LibTorch's stable ABI and no Python symbol: one file serves every PyTorch from 2.11
on and every Python, so a wheel is tagged ``py3-none-<platform>``.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

sys.path.insert(0, str(Path(__file__).parent))  # which a build front end does not do
import setup_cuda
from setup_cuda import CannotBuildError
from setup_ninja import Ninja, find_ninja

OLDEST_TORCH = (2, 11)
TARGET_TORCH = "-DTORCH_TARGET_VERSION=0x020b000000000000"  # of the stable ABI
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",  # vectors never cross a function call that is not inlined
]
HEADERS = "shared/common/headers.h"


class StableLibraries(build_ext):
    """Compiles shared libraries for ``torch.ops.load_library`` rather than Python modules."""

    def run(self) -> None:
        """Build every library, or say and record why not."""
        self.force = True  # libraries are put in their places, whatever lies there
        self.records: dict[str, dict[str, str]] = {}
        self.planned: dict[str, Path] = {}
        wanted = self.extensions
        super().run()
        for extension in wanted:
            if extension not in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
        self.distribution.ext_modules = self.extensions
        if not self.extensions:
            print("lelkern: every op is there all the same, in plain PyTorch")
        package = Path(self.get_ext_fullpath("lelkern._build_info")).parent
        (package / "_build_info.json").write_text(
            json.dumps(dict(sorted(self.records.items())), indent=2) + "\n"
        )

    def build_extensions(self) -> None:
        """Build what was chosen and can be built, all at the same time, and keep only that."""
        # Under the folder of the build, which stays, also where what is installed from it does not.
        build: Any = self.get_finalized_command("build")
        self.ninja = Ninja(Path(build.build_base, "kernels"))
        # ninja begins with what it is told first, and what is compiled for every instruction set
        # of a CPU takes longest.
        planned = [e for e in self.extensions if self.succeeds(self.plan, e)]
        self.complete = not planned or self.ninja.run(*self.planned.values()).returncode == 0
        self.extensions = [
            e for e in self.extensions if e in planned and self.succeeds(self.finish, e)
        ]

    def succeeds(self, step: Callable[[Extension], None], extension: Extension) -> bool:
        """Do a step of building one library; where it fails, say and record why."""
        name = short_name(extension)
        (variable, choice) = choice_for(name)
        try:
            if choice == "0":
                raise CannotBuildError(f"{variable}=0")
            step(extension)
        except CannotBuildError as reason:
            if choice == "1":
                raise SystemExit(f"lelkern: {variable}=1, but {reason}") from None
            self.records[name] = {"reason": str(reason)}
            print(f"lelkern: no compiled {name} kernels: {reason}")
            return False
        return True

    def plan(self, extension: Extension) -> None:
        """Tell ninja how to build one library, and record what with."""
        try:
            find_ninja()
        except FileNotFoundError as error:
            raise CannotBuildError(str(error)) from error
        self.check_compiler()
        (torch_version, torch_root) = find_torch()
        compiler = self.compiler_version()
        record = {
            "compiler": compiler,
            "flags": " ".join(FLAGS),
            "torch": torch_version,
        }
        changes = self.ninja.stamp("compiler.txt", f"{compiler}\n{torch_version}\n")
        # As system headers: their warnings are not ours.
        headers = ["-Icsrc", TARGET_TORCH, "-isystem", str(torch_root / "include")]
        # What the environment asks for comes last, where it wins.
        asked_for = shlex.split(os.environ.get("CXXFLAGS", ""))
        common = [*self.compile_command(), *FLAGS, *asked_for, *headers]
        own = [*common, *extension.extra_compile_args]
        link = [f"-L{torch_root / 'lib'}"]
        objects = []
        sources = [Path(source) for source in extension.sources]
        if kernels := [source for source in sources if source.suffix == ".cu"]:
            toolkit = find_toolkit()
            architectures = setup_cuda.architectures(toolkit)
            record |= {"cuda": toolkit.release, "architectures": " ".join(architectures)}
            command = setup_cuda.compile_command(toolkit, architectures)
            stamp = self.ninja.stamp("nvcc.txt", f"{toolkit.version}\n{compiler}\n")
            objects += [self.ninja.compile_cuda(command, source, [stamp]) for source in kernels]
            own += [word for folder in toolkit.include for word in ("-isystem", str(folder))]
            link += [f"-L{folder}" for folder in toolkit.lib]
        # clang refuses a precompiled header that does not fit, and ccache caches nothing with one.
        of_all = of_own = None
        if "clang" not in compiler and "ccache" not in compiler:
            of_all = of_own = self.ninja.precompile(common, HEADERS, [changes], "common")
            if own != common:
                of_own = self.ninja.precompile(own, HEADERS, [changes], short_name(extension))
        for source in sources:
            if source not in kernels:
                # What devices have in common is compiled once for all libraries.
                shared = source.parent.name == "common"
                (command, compiled) = (common, of_all) if shared else (own, of_own)
                objects.append(self.ninja.compile(command, source, [changes], headers=compiled))
        link += [f"-l{library}" for library in extension.libraries]
        name = self.get_ext_filename(extension.name)
        self.planned[extension.name] = self.ninja.link(
            name, [*self.compiler.linker_so_cxx, *extension.extra_link_args], objects, link
        )
        self.records[short_name(extension)] = record

    def finish(self, extension: Extension) -> None:
        """Put a library in its place, and say what it was built with."""
        library = self.planned[extension.name]
        # Where something failed, ask for one library after the other.
        if not self.complete and self.ninja.run(library).returncode:
            raise CannotBuildError("compiling failed, see the messages above")
        place = self.get_ext_fullpath(extension.name)
        self.mkpath(str(Path(place).parent))
        self.copy_file(str(library), place)
        name = short_name(extension)
        print(f"lelkern: compiled the {name} kernels: {self.records[name]}")

    def compile_command(self) -> list[str]:
        """Return the compiler with the options that Python and the environment give it.

        Those of Python make debugging information, which takes a third of the time. Those of the
        environment stand in their place.
        """
        command = list(self.compiler.compiler_so_cxx)
        if not {"CFLAGS", "CXXFLAGS"} & os.environ.keys() and "-g" in command:
            command.remove("-g")
        return command

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


def stable_library(name: str, **options: Any) -> Extension:
    """Describe a library of what all folders of its name and named ``common`` in csrc have."""
    paths = [path for path in Path("csrc").rglob("*") if path.parent.name in ("common", name)]
    sources = sorted(
        (str(path) for path in paths if path.suffix in (".cpp", ".cu")),
        # First what is compiled for every instruction set, which takes long.
        key=lambda source: ("foreach_isa.h" not in Path(source).read_text(), source),
    )
    return Extension(f"lelkern._{name}", sources, language="c++", **options)


def libraries() -> list[Extension]:
    """Describe all libraries."""
    cpu = stable_library("cpu", libraries=["torch_cpu"])
    cuda = stable_library(
        "cuda",
        extra_compile_args=["-DUSE_CUDA"],  # shows PyTorch's functions for CUDA
        # The runtime is linked in, so that the library loads beside any other, and is not shown to
        # what is loaded later.
        libraries=["torch_cpu", "torch_cuda", "cudart_static", "rt", "pthread", "dl"],
        extra_link_args=["-Wl,--exclude-libs,ALL"],
    )
    return [cpu, cuda]


def studies() -> dict[str, str]:
    """Return the packages that hold the studies, one a chapter, with their folders."""
    chapters = sorted(path.name for path in Path("ablations").iterdir() if path.is_dir())
    return {
        "lelkern.studies": "ablations",
        **{f"lelkern.studies.{chapter}": f"ablations/{chapter}" for chapter in chapters},
    }


setup(
    packages=[*find_packages(include=["lelkern*"]), *studies()],
    package_dir=studies(),
    package_data={
        **{package: ["*.toml"] for package in studies()},
        "lelkern.ablation.html": ["page.*"],
    },
    ext_modules=libraries(),
    cmdclass={"build_ext": StableLibraries, "bdist_wheel": StableWheel},
)
