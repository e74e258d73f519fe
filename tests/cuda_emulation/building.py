"""Compiles kernels for the emulation: with ninja, into build/cuda_emulation."""

import fcntl
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "cuda_emulation"

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


def _ninja() -> str:
    beside = Path(sys.executable).with_name("ninja")
    found = str(beside) if beside.exists() else shutil.which("ninja")
    if found is None:
        raise FileNotFoundError("ninja: pip install -e '.[dev]'")
    return found


def _escape(path: Path) -> str:
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


def _rules(name: str, sources: Sequence[Path], defines: Sequence[str]) -> str:
    include = " ".join(
        [
            f"-I{HERE / 'include'}",
            f"-I{ROOT / 'csrc'}",
            f"-I{HERE}",
            f"-isystem {cuda_include()}",
        ]
    )
    compiler = os.environ.get("CXX", "g++")
    lines = [
        f"builddir = {_escape(BUILD)}",
        "rule compile",
        f"  command = {compiler} {COMMON} {include} $flags -MD -MF $out.d -c $in -o $out",
        "  depfile = $out.d",
        "  deps = gcc",
        "rule link",
        f"  command = {compiler} -shared -Wl,-z,defs $in -o $out -pthread",
    ]
    runtime = []
    for source in sorted((HERE / "runtime").glob("*.cpp")):
        object_file = BUILD / "runtime" / f"{source.stem}.o"
        runtime.append(object_file)
        lines += [f"build {_escape(object_file)}: compile {_escape(source)}", "  flags = -O2"]
    for variant, flags in VARIANTS.items():
        objects = []
        for source in sources:
            object_file = BUILD / name / variant / f"{source.stem}.o"
            objects.append(object_file)
            macros = " ".join(f"-D{define}" for define in ("LELKERN_CUDA_EMULATION", *defines))
            lines += [
                f"build {_escape(object_file)}: compile {_escape(source)}",
                f"  flags = {flags} {macros} -x c++",
            ]
        inputs = " ".join(map(_escape, objects + runtime))
        lines.append(f"build {_escape(module_path(name, variant))}: link {inputs}")
    return "\n".join(lines) + "\n"


def module_path(name: str, variant: str) -> Path:
    return BUILD / name / variant / f"{name}.so"


def build(name: str, sources: Sequence[Path], defines: Sequence[str] = ()) -> None:
    """Brings both variants of a module up to date; errors show what the compiler says."""
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(BUILD / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rules = folder / "build.ninja"
        rules.write_text(_rules(name, sources, defines))
        ran = subprocess.run(
            [_ninja(), "-f", str(rules)], capture_output=True, text=True, check=False
        )
    if ran.returncode != 0:
        raise RuntimeError(f"{name} does not compile:\n{ran.stdout}{ran.stderr}")
