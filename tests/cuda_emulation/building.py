"""Compiles emulated kernels, and what binds them: with ninja, into build/cuda_emulation."""

import fcntl
import functools
import importlib.metadata
import os
import sys
import sysconfig
from pathlib import Path

import pybind11

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = Path("build", "cuda_emulation")
sys.path.append(str(ROOT))  # last: what is installed is found first
from setup_ninja import Ninja  # noqa: E402

BINDING = "cuda_emulation_binding"  # the name of the module
MODULES = [*HERE.glob("*_kernels.cpp"), *HERE.glob("catalogue/*.cpp")]
COMMON = "-std=c++17 -g1 -march=native -fPIC -fvisibility=hidden -fno-gnu-unique"
# -fvisibility and -fno-gnu-unique: each module has its own copy of a template's shared memory.
VARIANTS = {
    "fast": "-O2",
    # The compiler reports each access to memory, but as few others of its doings as possible.
    "checked": "-O1 -fsanitize=thread --param tsan-instrument-func-entry-exit=0"
    " -fsanitize=alignment,bounds-strict",
}


def cuda_include() -> Path:
    """Where the packages nvidia-cuda-runtime, -crt and -cccl put CUDA's headers."""
    for file in importlib.metadata.files("nvidia-cuda-runtime") or []:
        if file.name == "cuda_fp16.h":
            return Path(str(file.locate())).resolve().parent
    raise FileNotFoundError("cuda_fp16.h: pip install -e '.[dev]'")


def module_path(source: Path, variant: str) -> Path:
    """Where the kernels of a source file become a module, relative to the root."""
    return BUILD / variant / f"{source.stem}.so"


def binding_path() -> Path:
    return BUILD / f"{BINDING}.so"


@functools.cache
def build(source: Path, variant: str) -> Path:
    """Brings a variant of a module, and what binds it, up to date, and returns where it is.

    Raises:
        RuntimeError: something does not compile; the message has what the compiler says.
    """
    made = module_path(source, variant)
    _bring_up_to_date(made)
    return made


def _bring_up_to_date(*modules: Path) -> None:
    ninja = _plan()
    (ROOT / BUILD).mkdir(parents=True, exist_ok=True)
    with open(ROOT / BUILD / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = ninja.run(binding_path(), *modules, capture=True)
    if ran.returncode != 0:
        names = ", ".join(path.stem for path in modules)
        raise RuntimeError(f"{names}: does not compile:\n{ran.stdout}{ran.stderr}")


def _plan() -> Ninja:
    """How to make all modules: one plan, so that they share what they have in common."""
    ninja = Ninja(BUILD, ROOT)
    compiler = os.environ.get("CXX", "g++")
    own = [path.relative_to(ROOT) for path in (HERE / "include", ROOT / "csrc", HERE)]
    system = [cuda_include(), pybind11.get_include(), sysconfig.get_path("include")]
    include = [*(f"-I{path}" for path in own), *(f"-isystem{path}" for path in system)]
    command = [compiler, *COMMON.split(), *include]

    def compiled(source: Path, flags: str, variant: str = "") -> Path:
        return ninja.compile([*command, *flags.split()], source.relative_to(ROOT), variant=variant)

    link = [compiler, "-shared", "-Wl,-z,defs"]
    runtime = [compiled(path, "-O2") for path in sorted(HERE.glob("runtime/*.cpp"))]
    for variant, flags in VARIANTS.items():
        for source in MODULES:
            kernels = compiled(source, f"{flags} -DLELKERN_CUDA_EMULATION -x c++", variant)
            name = module_path(source, variant).relative_to(BUILD)
            ninja.link(str(name), link, [kernels, *runtime], ["-pthread"])
    binding = compiled(HERE / "binding.cpp", "-O2")
    ninja.link(binding_path().name, [compiler, "-shared"], [binding], [])  # Python has the rest
    return ninja


if __name__ == "__main__":  # all that is checked, at the same time rather than each when it is used
    _bring_up_to_date(*(module_path(source, "checked") for source in MODULES))
