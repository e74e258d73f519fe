"""The inspection itself, on kernels of which it is known what has to come out."""

import subprocess
from pathlib import Path

import pytest
from cuda_compile import ARCHITECTURES, Compiled, compile_all, setup_cuda
from cuda_occupancy import LIMITS, blocks_per_multiprocessor
from cuda_table import BEGIN, END, Kernel, as_csv, as_markdown, inspect, short, with_markdown

pytestmark = pytest.mark.slow

TOY = Path(__file__).with_name("toy_kernels.cu")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> list[Compiled]:
    return compile_all([TOY], tmp_path_factory.mktemp("cache"))


@pytest.fixture(params=ARCHITECTURES)
def toys(request, compiled: list[Compiled]) -> dict[str, Kernel]:
    (of_architecture,) = (each for each in compiled if each.architecture == request.param)
    return {k.kernel: k for k in inspect(of_architecture, {"fill<int, 3>": 60_000})}


def test_names_are_short(toys: dict[str, Kernel]) -> None:
    assert set(toys) == {
        *("fill<int, 3>", "spilling", "indexing", "loads", "rounds"),
        *("multiply_mma<half>", "multiply_mma<bfloat16>"),
    }
    assert short("void a::f<(b::C)1, d::E<float> >(a::G<(b::C)1>)") == "f<(C)1, E<float>>"


def test_spills_are_reported(toys: dict[str, Kernel]) -> None:
    spilling = toys["spilling"]
    assert spilling.registers <= 64
    assert min(spilling.stack, spilling.spill_stores, spilling.spill_loads) > 0
    assert {k.kernel for k in toys.values() if k.spill_stores or k.spill_loads} == {"spilling"}


def test_local_memory_is_reported(toys: dict[str, Kernel]) -> None:
    assert {k.kernel for k in toys.values() if k.stack} == {"spilling", "indexing"}
    assert toys["indexing"].stack == 32 * 4


def test_shared_memory_limits_occupancy(toys: dict[str, Kernel]) -> None:
    assert toys["loads"].static_shared == 32 * 16
    fill = toys["fill<int, 3>"]
    assert fill.dynamic_shared == 60_000
    assert fill.threads == 96
    blocks = {"sm_80": 2, "sm_90": 3, "sm_100": 3, "sm_120": 1}[fill.architecture]
    assert fill.blocks_per_multiprocessor == blocks
    assert fill.occupancy == f"{blocks * 3 / LIMITS[fill.architecture].warps:.0%}"


def test_loads_are_counted(toys: dict[str, Kernel]) -> None:
    loads = toys["loads"]
    assert (loads.global_loads, loads.wide_global_loads) == (3, 2)
    assert toys["fill<int, 3>"].global_loads == 0


@pytest.mark.parametrize("number", ["half", "bfloat16"])
def test_tensor_core_instructions_are_counted(toys: dict[str, Kernel], number: str) -> None:
    multiply = toys[f"multiply_mma<{number}>"]
    assert (multiply.tensor_core, multiply.tensor_core_in_loops) == (3, 1)
    assert toys["loads"].tensor_core == 0


@pytest.mark.parametrize(
    "text", ["__global__ void k() { int unused; }", "__global__ void k() { missing(); }"]
)
def test_warnings_and_errors_fail(tmp_path: Path, text: str) -> None:
    source = tmp_path / "wrong.cu"
    source.write_text(text)
    with pytest.raises(AssertionError, match=r"wrong\.cu"):
        compile_all([source], tmp_path)


def test_a_kernel_needs_a_bound(tmp_path: Path) -> None:
    source = tmp_path / "unbounded.cu"
    source.write_text("__global__ void unbounded() {}")
    with pytest.raises(AssertionError, match=r"unbounded.* must have __launch_bounds__"):
        inspect(compile_all([source], tmp_path)[0], {})


def test_a_change_is_compiled_anew(tmp_path: Path) -> None:
    source = tmp_path / "changing.cu"
    source.write_text("__global__ void __launch_bounds__(32) before() {}")
    assert inspect(compile_all([source], tmp_path)[0], {})[0].kernel == "before"
    source.write_text("__global__ void __launch_bounds__(32) after() {}")
    assert inspect(compile_all([source], tmp_path)[0], {})[0].kernel == "after"


def test_occupancy_is_what_cuda_calculates(tmp_path: Path) -> None:
    program, source = tmp_path / "occupancy", Path(__file__).with_name("cuda_occupancy.cpp")
    include = setup_cuda.toolkit_of(setup_cuda.pypi_nvcc()).include
    headers = [f"-I{folder}" for folder in include]
    subprocess.run(["g++", "-std=c++17", *headers, str(source), "-o", str(program)], check=True)
    limits = [f"{name[3:]} {at.warps} {at.blocks} {at.shared}" for name, at in LIMITS.items()]
    run = subprocess.run([program, *" ".join(limits).split()], capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert len(lines) > 1000
    for line in lines:
        architecture, *numbers, blocks = line.split()
        ours = blocks_per_multiprocessor(f"sm_{architecture}", *map(int, numbers))
        assert ours == int(blocks), line


def test_a_table_is_put_in_its_place() -> None:
    row = Kernel("k", "sm_80", 32, 8, 0, 0, 0, 512, 512, 1, "3%", 4, 2, 0, 0)
    other = row._replace(architecture="sm_90", registers=9)
    assert as_csv([row, other]).splitlines()[1] == "k,sm_80,32,8,0,0,0,512,512,1,3%,4,2,0,0"
    table = as_markdown([row, other])
    assert table.splitlines()[2] == "| `k` | 32 | 8 / 9 | 1 | 3% | 2 of 4 | 0 |"
    assert with_markdown(f"a\n{BEGIN}old\n{END}b\n", table) == f"a\n{BEGIN}\n{table}\n{END}b\n"
