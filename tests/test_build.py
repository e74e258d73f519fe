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
ABLATIONS = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ablations").rglob("*.toml")}
STUDIES = {name.replace("ablations", "lelkern/studies", 1) for name in ABLATIONS}
MODULES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lelkern").rglob("*.py")}

# Instead of the kernels, what takes no time to compile: a library for each device, in two families.
TINY = {
    "shared/common/headers.h": "#include <cmath>\n",
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
OTHERS = {
    "lelkern/py.typed",
    "lelkern/ablation/html/page.html.j2",
    "lelkern/ablation/html/page.css",
}


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


@pytest.fixture
def tiny(source: Path) -> Path:
    """The same with kernels that take no time to compile, and a compiler that says its version."""
    shutil.rmtree(source / "csrc")
    for name, text in TINY.items():
        path = source / "csrc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    compiler = source / "compiler"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1 || exec g++ "$@"\n')
    compiler.chmod(0o755)
    return source


def stub_torch(folder: Path, cuda: str | None = torch.version.cuda) -> dict[str, str]:
    """Return the variable with which a build sees of PyTorch what it reads: all takes seconds."""
    folder.mkdir(exist_ok=True)
    (folder / "torch.py").write_text(
        f"from types import SimpleNamespace\n"
        f"__file__ = {torch.__file__!r}\n"
        f"__version__ = {torch.__version__!r}\n"
        f"version = SimpleNamespace(cuda={cuda!r})\n"
    )
    return {"PYTHONPATH": str(folder)}


def build(source: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # --skip-dependency-check: --no-isolation builds with what runs these tests.
    return run(
        *("-m", "build", "--no-isolation", "--skip-dependency-check", *options),
        *("--outdir", str(source.parent / "dist")),
        cwd=source,
        **environment,
    )


def build_in_place(source: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("setup.py", "build_ext", "--inplace", cwd=source, **environment)


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


def architectures() -> str:
    """Return what the kernels in this tree are compiled for, or else what takes least."""
    path = ROOT / "lelkern/_build_info.json"
    record = json.loads(path.read_text()) if path.is_file() else {}
    return record.get("cuda", {}).get("architectures", "8.0+PTX")


@pytest.mark.slow
def test_a_wheel_by_way_of_the_sdist(source: Path) -> None:
    cuda = torch.version.cuda is not None
    packed = build(source, "--sdist")
    assert packed.returncode == 0, packed.stdout + packed.stderr
    (sdist,) = (source.parent / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(source.parent / "unpacked", filter="data")
    (unpacked,) = (source.parent / "unpacked").iterdir()
    inside = {p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*") if p.is_file()}
    sources = {p.relative_to(source).as_posix() for p in (source / "csrc").rglob("*.[ch]*")}
    assert sources | ABLATIONS <= inside
    assert not any(name.endswith((".so", "_build_info.json")) for name in inside)

    # What was compiled of the same files by the same commands is not compiled again: ninja sees to
    # that, also if a header is missing.
    if (compiled := ROOT / "build/kernels").is_dir():
        kept = shutil.ignore_patterns("*.kept")
        shutil.copytree(compiled, unpacked / "build/kernels", ignore=kept)
    options = {"LELKERN_CUDA": str(int(cuda)), "TORCH_CUDA_ARCH_LIST": architectures()}
    built = build(unpacked, "--wheel", LELKERN_EXT="1", **options)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "compiled the cpu kernels" in built.stdout
    assert ("compiled the cuda kernels" in built.stdout) == cuda
    wheel = wheel_of(unpacked)
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    contents = set(zipfile.ZipFile(wheel).namelist())
    assert {*MODULES, *STUDIES, *OTHERS, "lelkern/_cpu.so", "lelkern/_build_info.json"} <= contents
    assert not any(name.startswith(("csrc", "tests", "ablations")) for name in contents)
    assert ("lelkern/_cuda.so" in contents) == cuda
    served = use(wheel)
    assert served["cpu"] == "compiled loaded _cpu.so"
    if cuda:
        assert served["cuda"].startswith("compiled loaded _cuda.so")
    else:
        assert served["cuda"] == "reference built without: LELKERN_CUDA=0"


@pytest.mark.slow
def test_without_kernels_there_is_the_reference(source: Path) -> None:
    built = build(source, "--wheel", LELKERN_EXT="0")
    assert built.returncode == 0, built.stdout + built.stderr
    wheel = wheel_of(source)
    assert wheel.name.endswith("-py3-none-any.whl")
    contents = zipfile.ZipFile(wheel).namelist()
    assert set(contents) >= STUDIES | MODULES | OTHERS
    assert not any(name.endswith(".so") for name in contents)
    for served in use(wheel).values():
        assert served == "reference built without: LELKERN_EXT=0"


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["/no/such/compiler", "false"])
def test_without_a_compiler_nothing_is_compiled(tiny: Path, compiler: str) -> None:
    built = build_in_place(tiny, CXX=compiler, **stub_torch(tiny / "stub"))
    assert built.returncode == 0, built.stdout + built.stderr
    record = json.loads((tiny / "lelkern/_build_info.json").read_text())
    for device in ("cpu", "cuda"):
        assert f"no compiled {device} kernels: no working C++17 compiler" in built.stdout
        assert record[device]["reason"].startswith("no working C++17 compiler")
    assert not list((tiny / "lelkern").glob("*.so"))


@pytest.mark.slow
def test_a_kernel_that_does_not_compile_is_left_out_unless_asked_for(tiny: Path) -> None:
    (tiny / "csrc/second/cpu/three.cpp").write_text("#error this compiler is too old\n")
    stub = stub_torch(tiny / "stub")
    refused = build_in_place(tiny, LELKERN_EXT="1", LELKERN_CUDA="0", **stub)
    assert refused.returncode != 0
    assert "LELKERN_EXT=1, but compiling failed" in refused.stdout + refused.stderr
    built = build(tiny, "--wheel", LELKERN_CUDA="0", **stub)
    assert built.returncode == 0, built.stdout + built.stderr
    assert use(wheel_of(tiny))["cpu"].startswith("reference built without: compiling failed")


@pytest.mark.slow
def test_nothing_stale_is_left_in_place(tiny: Path) -> None:
    stub = stub_torch(tiny / "stub")
    assert build_in_place(tiny, LELKERN_CUDA="0", **stub).returncode == 0
    assert (tiny / "lelkern/_cpu.so").is_file()
    (tiny / "lelkern/_cuda.so").touch()
    assert build_in_place(tiny, LELKERN_EXT="0", **stub).returncode == 0
    assert not (tiny / "lelkern/_cpu.so").exists()
    assert not (tiny / "lelkern/_cuda.so").exists()
    assert "LELKERN_EXT=0" in (tiny / "lelkern/_build_info.json").read_text()


def made(source: Path, **environment: str) -> set[str]:
    """Build in place, and return what was made anew: object files by their sources, libraries."""

    def times() -> dict[str, int]:
        paths = [p for p in (source / "build/kernels").rglob("*") if p.suffix in (".o", ".so")]
        return {
            p.relative_to(source / "build/kernels").as_posix(): p.stat().st_mtime_ns for p in paths
        }

    before = times()
    stub = stub_torch(source / "stub")
    options = {"LELKERN_EXT": "1", "CXX": str(source / "compiler"), **stub, **environment}
    built = build_in_place(source, **options)
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
        "shared/common/headers.h": (for_cpu | for_cuda) - {"second/cuda/three.cu"},
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
    built = build_in_place(tiny, PYTHONPATH=str(tiny), PATH="/no/such")
    assert built.returncode == 0, built.stdout + built.stderr
    assert "no compiled cpu kernels: there is no ninja: PyPI's is not installed" in built.stdout


@pytest.mark.parametrize("variable", ["LELKERN_EXT", "LELKERN_CUDA"])
def test_a_wrong_choice_is_refused(tiny: Path, variable: str) -> None:
    built = build_in_place(tiny, **{variable: "yes"}, **stub_torch(tiny / "stub"))
    assert built.returncode != 0
    assert f"{variable} must be 0, 1 or auto, got yes" in built.stdout + built.stderr


@pytest.mark.parametrize(
    ("cuda_of_torch", "environment", "reason"),
    [
        (None, {}, f"PyTorch {torch.__version__} is built without CUDA"),
        ("1.0", {}, f"PyTorch {torch.__version__} is built with CUDA 1.0, and "),
        ("13.0", {"CUDA_HOME": "/no/such"}, "CUDA_HOME must have bin/nvcc, got /no/such"),
        ("13.0", {"TORCH_CUDA_ARCH_LIST": "7.5"}, "TORCH_CUDA_ARCH_LIST must have archi"),
    ],
)
def test_cuda_kernels_need_a_toolkit_that_goes_with_pytorch(
    tiny: Path, cuda_of_torch: str | None, environment, reason: str
) -> None:
    stub = stub_torch(tiny / "stub", cuda_of_torch)
    # LELKERN_EXT=0 leaves out the CPU kernels.
    built = build_in_place(tiny, LELKERN_EXT="0", LELKERN_CUDA="1", **stub, **environment)
    assert built.returncode != 0
    assert f"LELKERN_CUDA=1, but {reason}" in built.stdout + built.stderr
