"""The package as others get it: sdist, wheel, with and without compiled kernels."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
STUDIES = {f"lelkern/studies/{path.name}" for path in (ROOT / "ablations").glob("*.toml")}
MODULES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lelkern").rglob("*.py")}
HEAVY = ("click", "kornia", "matplotlib", "pydantic", "rich", "scipy", "sklearn", "torchvision")

# Instead of the kernels, what takes no time to compile: a library for each device, in two families.
TINY = {
    "shared/common/one.h": "int one();\n",
    "shared/common/one.cpp": '#include "shared/common/one.h"\nint one() { return 1; }\n',
    "first/cpu/two.h": '#include "shared/common/one.h"\n',
    "first/cpu/two.cpp": '#include "first/cpu/two.h"\nint two() { return one() + one(); }\n',
    "second/cpu/three.cpp": "int three() { return 3; }\n",
    "second/cuda/three.cpp": '#include "shared/common/one.h"\nint three() { return one() + 2; }\n',
    "second/cuda/three.cuh": "__global__ void three(int* to) { *to = 3; }\n",
    "second/cuda/three.cu": '#include "second/cuda/three.cuh"\n',
}

USE = """
import lelkern, lelkern.ops, torch
print(lelkern.__file__)
print(lelkern.nt_xent(*torch.eye(4).view(2, 2, 4), 0.5).item())
for row in lelkern.ops.implementations():
    print(row.device, row.implementation, row.reason)
"""


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LELKERN_")}
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the repository without anything that a build left in it."""
    copy = tmp_path / "source"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(
            ".*", "build", "dist", "runs", "*.egg-info", "*.so", "_build_info.json", "__pycache__"
        ),
    )
    return copy


def build(source: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # --skip-dependency-check: --no-isolation builds with what runs these tests.
    return run(
        *("-m", "build", "--no-isolation", "--skip-dependency-check", *options),
        *("--outdir", str(source.parent / "dist")),
        cwd=source,
        **environment,
    )


def keep_only(source: Path, name: str) -> Path:
    """Leave one of the kernels' sources, so that compiling takes no time, and return it."""
    kernels = [path for path in (source / "csrc").rglob("*") if path.suffix in (".cpp", ".cu")]
    for path in kernels:
        if path.name != name:
            path.unlink()
    (kept,) = (path for path in kernels if path.name == name)
    return kept


def wheel_of(source: Path) -> Path:
    (wheel,) = (source.parent / "dist").glob("*.whl")
    return wheel


def use(wheel: Path, **environment: str) -> dict[str, str]:
    """Install the wheel into a folder of its own, and return what serves there on each device."""
    site = wheel.parent / "site"
    elsewhere = wheel.parent / "elsewhere"
    elsewhere.mkdir()
    installed = run(
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
        cwd=elsewhere,
    )
    assert installed.returncode == 0, installed.stderr
    used = run("-c", USE, cwd=elsewhere, PYTHONPATH=str(site), **environment)
    assert used.returncode == 0, used.stderr
    file, loss, *served = used.stdout.splitlines()
    assert file.startswith(str(site))
    # Four orthogonal rows: three candidates that are all alike.
    assert float(loss) == pytest.approx(1.0986123)
    serving = {device: [] for device in ("cpu", "cuda")}
    for line in served:
        device, _, implementation = line.partition(" ")
        serving[device].append(implementation)
    assert all(len(set(implementations)) == 1 for implementations in serving.values())
    return {device: implementations[0] for device, implementations in serving.items()}


@pytest.mark.slow
def test_a_wheel_by_way_of_the_sdist(source: Path) -> None:
    cuda = torch.version.cuda is not None
    # One architecture, and every GPU from there on; all of them take a minute.
    options = {"LELKERN_CUDA": str(int(cuda)), "TORCH_CUDA_ARCH_LIST": "8.0+PTX"}
    built = build(source, LELKERN_EXT="1", **options)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "compiled the cpu kernels" in built.stdout
    assert ("compiled the cuda kernels" in built.stdout) == cuda
    (sdist,) = (source.parent / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    sources = {str(p.relative_to(source)) for p in (source / "csrc").rglob("*.[ch]*")}
    assert sources <= inside
    assert {f"ablations/{Path(study).name}" for study in STUDIES} <= inside
    assert not any(name.endswith((".so", "_build_info.json")) for name in inside)

    wheel = wheel_of(source)
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    contents = set(zipfile.ZipFile(wheel).namelist())
    assert {*MODULES, *STUDIES, "lelkern/_cpu.so", "lelkern/_build_info.json"} <= contents
    assert not any(name.startswith(("csrc", "tests", "ablations")) for name in contents)
    assert ("lelkern/_cuda.so" in contents) == cuda
    served = use(wheel)
    assert served["cpu"] == "compiled loaded _cpu.so"
    if cuda:
        assert served["cuda"].startswith("compiled loaded _cuda.so")
    else:
        assert served["cuda"] == "reference built without: LELKERN_CUDA=0"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"LELKERN_EXT": "0"}, "LELKERN_EXT=0"),
        ({"CXX": "/no/such/compiler"}, "no working C++17 compiler"),
        ({"CXX": "false"}, "no working C++17 compiler"),
    ],
)
def test_without_a_compiler_there_is_the_reference(source: Path, environment, reason: str) -> None:
    built = build(source, "--wheel", **environment)
    assert built.returncode == 0, built.stdout + built.stderr
    for device in ("cpu", "cuda"):
        assert f"no compiled {device} kernels: {reason}" in built.stdout
    wheel = wheel_of(source)
    assert wheel.name.endswith("-py3-none-any.whl")
    contents = zipfile.ZipFile(wheel).namelist()
    assert set(contents) >= STUDIES | MODULES
    assert not any(name.endswith(".so") for name in contents)
    for served in use(wheel).values():
        assert served.startswith(f"reference built without: {reason}")


@pytest.mark.slow
def test_a_kernel_that_does_not_compile_is_left_out_unless_asked_for(source: Path) -> None:
    with keep_only(source, "aligned.cpp").open("a") as file:
        file.write("#error this compiler is too old\n")
    refused = build(source, "--wheel", LELKERN_EXT="1", LELKERN_CUDA="0")
    assert refused.returncode != 0
    assert "LELKERN_EXT=1, but compiling failed" in refused.stdout + refused.stderr
    built = build(source, "--wheel", LELKERN_CUDA="0")
    assert built.returncode == 0, built.stdout + built.stderr
    assert use(wheel_of(source))["cpu"].startswith("reference built without: compiling failed")


@pytest.mark.slow
def test_nothing_stale_is_left_in_place(source: Path) -> None:
    keep_only(source, "aligned.cpp")
    command = ("setup.py", "build_ext", "--inplace")
    assert run(*command, cwd=source, LELKERN_CUDA="0").returncode == 0
    assert (source / "lelkern/_cpu.so").is_file()
    (source / "lelkern/_cuda.so").touch()
    assert run(*command, cwd=source, LELKERN_EXT="0").returncode == 0
    assert not (source / "lelkern/_cpu.so").exists()
    assert not (source / "lelkern/_cuda.so").exists()
    assert "LELKERN_EXT=0" in (source / "lelkern/_build_info.json").read_text()


@pytest.fixture
def tiny(source: Path) -> Path:
    shutil.rmtree(source / "csrc")
    for name, text in TINY.items():
        path = source / "csrc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    compiler = source / "compiler"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1 || exec g++ "$@"\n')
    compiler.chmod(0o755)
    return source


def made(source: Path, **environment: str) -> set[str]:
    """Build in place, and return what was made anew: object files by their sources, libraries."""

    def times() -> dict[str, int]:
        paths = [p for p in (source / "build/kernels").rglob("*") if p.suffix in (".o", ".so")]
        return {
            p.relative_to(source / "build/kernels").as_posix(): p.stat().st_mtime_ns for p in paths
        }

    before = times()
    built = run(
        *("setup.py", "build_ext", "--inplace"),
        cwd=source,
        **{"LELKERN_EXT": "1", "CXX": str(source / "compiler"), **environment},
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for library in (source / "lelkern").glob("*.so"):
        assert (
            library.read_bytes() == (source / "build/kernels/lelkern" / library.name).read_bytes()
        )
    return {
        name.removeprefix("csrc/").removeprefix("lelkern/").removesuffix(".o")
        for name, time in times().items()
        if time != before.get(name)
    }


@pytest.mark.slow
def test_only_what_depends_on_a_change_is_built_again(tiny: Path) -> None:
    cuda = torch.version.cuda is not None
    options = {"LELKERN_CUDA": str(int(cuda)), "TORCH_CUDA_ARCH_LIST": "8.0"}
    for_cpu = {"shared/common/one.cpp", "first/cpu/two.cpp", "second/cpu/three.cpp", "_cpu.so"}
    for_cuda = {
        "shared/common/one.cpp",
        "second/cuda/three.cpp",
        "second/cuda/three.cu",
        "_cuda.so",
    }

    def here(names: set[str]) -> set[str]:
        return names & (for_cpu | for_cuda if cuda else for_cpu)

    assert made(tiny, **options) == here(for_cpu | for_cuda)
    assert made(tiny, **options) == set()
    changes = {
        "second/cpu/three.cpp": {"second/cpu/three.cpp", "_cpu.so"},
        "first/cpu/two.h": {"first/cpu/two.cpp", "_cpu.so"},
        "second/cuda/three.cuh": {"second/cuda/three.cu", "_cuda.so"},
        "shared/common/one.h": (for_cpu | for_cuda)
        - {"second/cpu/three.cpp", "second/cuda/three.cu"},
    }
    for name, depends in changes.items():
        (tiny / "csrc" / name).touch()
        assert made(tiny, **options) == here(depends), name
    # Another option; another compiler of the same name, which compiles what nvcc leaves as well.
    options["CXXFLAGS"] = "-DOTHER"
    assert made(tiny, **options) == here((for_cpu | for_cuda) - {"second/cuda/three.cu"})
    compiler = tiny / "compiler"
    compiler.write_text(compiler.read_text().replace("echo 1", "echo 2"))
    assert made(tiny, **options) == here(for_cpu | for_cuda)
    assert json.loads((tiny / "lelkern/_build_info.json").read_text())["cpu"]["compiler"] == "2"


@pytest.mark.slow
def test_a_file_that_does_not_compile_costs_its_own_library_only(tiny: Path) -> None:
    (tiny / "csrc/second/cuda/three.cpp").write_text("#error no\n")
    (tiny / "csrc/second/cuda/three.cu").unlink()  # then no nvcc is looked for
    assert "_cpu.so" in made(tiny)
    record = json.loads((tiny / "lelkern/_build_info.json").read_text())
    assert record["cuda"] == {"reason": "compiling failed, see the messages above"}
    assert "compiler" in record["cpu"]


@pytest.mark.slow
def test_without_ninja_there_is_the_reference(tiny: Path) -> None:
    (tiny / "sitecustomize.py").write_text("import sys\nsys.modules['ninja'] = None\n")
    built = run(
        *("setup.py", "build_ext", "--inplace"), cwd=tiny, PYTHONPATH=str(tiny), PATH="/no/such"
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "no compiled cpu kernels: there is no ninja: PyPI's is not installed" in built.stdout


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["LELKERN_EXT", "LELKERN_CUDA"])
def test_a_wrong_choice_is_refused(source: Path, variable: str) -> None:
    built = build(source, "--wheel", **{variable: "yes"})
    assert built.returncode != 0
    assert f"{variable} must be 0, 1 or auto, got yes" in built.stdout + built.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cuda_of_torch", "environment", "reason"),
    [
        ("None", {}, f"PyTorch {torch.__version__} is built without CUDA"),
        ("'1.0'", {}, f"PyTorch {torch.__version__} is built with CUDA 1.0, and "),
        ("'13.0'", {"CUDA_HOME": "/no/such"}, "CUDA_HOME must have bin/nvcc, got /no/such"),
        ("'13.0'", {"TORCH_CUDA_ARCH_LIST": "7.5"}, "TORCH_CUDA_ARCH_LIST must have archi"),
    ],
)
def test_cuda_kernels_need_a_toolkit_that_goes_with_pytorch(
    source: Path, cuda_of_torch: str, environment, reason: str
) -> None:
    customized = source.parent / "customized"
    customized.mkdir()
    (customized / "sitecustomize.py").write_text(
        f"import torch\ntorch.version.cuda = {cuda_of_torch}\n"
    )
    # LELKERN_EXT=0 leaves out the CPU kernels, which take long.
    built = run(
        *("setup.py", "build_ext", "--inplace"),
        cwd=source,
        LELKERN_EXT="0",
        LELKERN_CUDA="1",
        PYTHONPATH=str(customized),
        **environment,
    )
    assert built.returncode != 0
    assert f"LELKERN_CUDA=1, but {reason}" in built.stdout + built.stderr


def test_importing_the_ops_needs_nothing_but_torch(tmp_path: Path) -> None:
    code = f"import sys, lelkern, lelkern.nn; print(sorted(set({HEAVY}) & set(sys.modules)))"
    imported = run("-c", code, cwd=tmp_path)
    assert imported.stdout.strip() == "[]", imported.stderr
