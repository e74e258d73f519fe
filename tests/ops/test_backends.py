"""Which implementation serves, and that each one passes the tests of the others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lelkern.ops

HERE = Path(__file__).parent


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


# What the instruction set decides: numbers, and which memory is read and written.
ARITHMETIC = {
    *("test_contrastive_values.py", "test_contrastive_accuracy.py", "test_nt_xent_edges.py"),
    *("test_ema.py", "test_ema_rounding.py"),
}
# Who works when is the same for all instruction sets.
SHARED = "any_number_of_threads"
# Those of numbers under torch.compile test the reference themselves.
OTHERS = {Path(__file__).name, "test_numbers.py"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LELKERN_BACKEND", "reference"),
        ("LELKERN_CPU_ISA", "baseline"),
        ("LELKERN_CPU_ISA", "avx2"),
        ("LELKERN_CPU_ISA", "avx512"),
    ],
)
def test_every_implementation_passes_the_same_tests(variable: str, value: str) -> None:
    if value == "avx2" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        pytest.skip("the best that this machine runs is what all other tests test")
    probe = python(
        "import lelkern, torch; lelkern.nt_xent(*torch.ones(2, 2, 2))", **{variable: value}
    )
    if "and run here" in probe.stderr:
        pytest.skip(f"this machine has no {value}")
    every = {path.name for path in HERE.glob("test_*")}
    names = ARITHMETIC if variable == "LELKERN_CPU_ISA" else every - OTHERS
    tests = [str(HERE / name) for name in sorted(names)]
    options = ("-q", "-m", "not slow", "-k", f"not {SHARED}", "-p", "no:cacheprovider")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout


def test_the_list_says_what_serves_each_op_and_why() -> None:
    rows = [row for row in lelkern.ops.implementations() if not row.op.startswith("test_")]
    ops = ("nt_xent", "info_nce", "sup_con")
    assert {row.op for row in rows} == {*ops, *(f"{op}_backward" for op in ops), "ema_update_"}
    for row in rows:
        path = lelkern.ops.library_path(row.device)
        if path is not None:
            no_gpu = "; no GPU" if row.device == "cuda" and not torch.cuda.is_available() else ""
            assert row[2:] == ("compiled", f"loaded {path.name}{no_gpu}")
        else:
            assert row.implementation == "reference"
            assert row.reason


def test_the_reference_can_be_forced() -> None:
    code = """
import lelkern, lelkern.ops
assert lelkern.ops.library_path("cpu") is None and lelkern.ops.library_path("cuda") is None
print(*{row[2:] for row in lelkern.ops.implementations()})
"""
    run = python(code, LELKERN_BACKEND="reference")
    assert run.stdout.strip() == "('reference', 'LELKERN_BACKEND=reference')", run.stderr


@pytest.mark.parametrize(
    ("cuda", "reason"),
    [
        (None, "this PyTorch is built without CUDA"),
        ("1.0", "compiled with CUDA 13.0, and this PyTorch is with CUDA 1.0"),
    ],
)
def test_cuda_kernels_are_left_alone_by_another_pytorch(tmp_path, cuda, reason: str) -> None:
    package = tmp_path / "lelkern"
    shutil.copytree(
        Path(lelkern.__file__).parent, package, ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    (package / "_cuda.so").touch()
    (package / "_build_info.json").write_text('{"cuda": {"cuda": "13.0"}}')
    code = f"""
import torch
torch.version.cuda = {cuda!r}
import lelkern.ops
print(*{{row.reason for row in lelkern.ops.implementations() if row.device == "cuda"}})
"""
    run = python(code, PYTHONPATH=str(tmp_path))
    assert run.stdout.strip() == reason, run.stderr


def test_an_unknown_backend_is_refused() -> None:
    run = python("import lelkern.ops", LELKERN_BACKEND="fast")
    assert "LELKERN_BACKEND must be auto or reference, got fast" in run.stderr


@pytest.mark.skipif(lelkern.ops.library_path() is None, reason="no compiled kernels here")
def test_an_unknown_instruction_set_is_refused() -> None:
    run = python(
        "import lelkern, torch; lelkern.nt_xent(*torch.ones(2, 2, 2))", LELKERN_CPU_ISA="mmx"
    )
    assert (
        "LELKERN_CPU_ISA must be baseline, avx2, avx512 or avx512_bf16 and run here, got mmx"
        in run.stderr
    )
