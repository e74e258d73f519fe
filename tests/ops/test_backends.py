"""Which implementation serves, and that each one passes the tests of the others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lelkern.ops
from lelkern.errors import UserError
from lelkern.ops import _backend
from lelkern.ops._define import defined_ops

HERE = Path(__file__).parent


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


USE_AN_OP = "import lelkern, torch; lelkern.nt_xent(*torch.ones(2, 2, 2))"

# What the instruction set decides: numbers, and which memory is read and written.
ARITHMETIC = {
    *("test_contrastive_values.py", "test_contrastive_accuracy.py", "test_nt_xent_edges.py"),
    "test_contrastive_temperature.py",
    "test_siglip.py",
    *("test_ema.py", "test_ema_rounding.py", "test_sharpen.py", "test_guess_labels.py"),
    *("test_mixup.py", "test_mix_labels.py", "test_cutmix.py"),
    *("test_prox_group.py", "test_prox_gradients.py", "test_prox_l1.py", "test_prox_lists.py"),
    *("test_project_simplex.py", "test_project_l1inf.py"),
}
# Numbers under torch.compile hardly reach an implementation: one of their tests is enough, with a
# loss and with an update in place.
NUMBERS = "test_numbers.py"
FEW_NUMBERS = {f"{NUMBERS}::test_floats[{name}]" for name in ("scaled_info_nce", "updated")}
# Those that would do the same a second time.
NOT_OF_A_BACKEND = {
    # These compute with the reference by themselves, and with nothing else.
    *("test_devices_without_float64.py", "test_philox.py", "test_power_ema.py"),
    # These are about what is around the ops: PyTorch's machinery, and modules that call ops whose
    # own tests stay.
    *("test_differentiable_op.py", "test_contrastive_torch.py", "test_ema_torch.py"),
    *("test_key_queue.py", "test_model_ema.py", "test_model_ema_options.py", "test_nn.py"),
    # There is no kernel for this one.
    "test_prox_nuclear.py",
    # Without kernels these are skipped, or compare the reference with itself.
    "test_prox_direct_calls.py",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LELKERN_BACKEND", "reference"),
        pytest.param("LELKERN_CPU_ISA", "baseline", marks=pytest.mark.thorough),
        ("LELKERN_CPU_ISA", "avx2"),
        ("LELKERN_CPU_ISA", "avx512"),
    ],
)
def test_every_implementation_passes_the_same_tests(variable: str, value: str) -> None:
    best = torch.backends.cpu.get_cpu_capability()
    if value == "avx2" and best == "AVX2":
        pytest.skip("the best that this machine runs is what all other tests test")
    if value == "avx512" and best == "AVX2":  # known without a process that tries
        pytest.skip("this machine has no avx512")
    if value.startswith("avx"):
        probe = python(USE_AN_OP, LELKERN_CPU_ISA=value)
        if "and run here" in probe.stderr:
            pytest.skip(f"this machine has no {value}")
    names = ARITHMETIC
    if variable == "LELKERN_BACKEND":
        every = {path.name for path in HERE.glob("test_*")} - {
            Path(__file__).name,
            NUMBERS,
            *NOT_OF_A_BACKEND,
        }
        names = every | FEW_NUMBERS
    tests = [str(HERE / name) for name in sorted(names)]
    options = ("-q", "--few", "-m", "not slow and not once", "-p", "no:cacheprovider")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout


def test_the_list_says_what_serves_each_op_and_why() -> None:
    rows = [row for row in lelkern.ops.implementations() if not row.op.startswith("test_")]
    ops = ("nt_xent", "info_nce", "sup_con", "siglip", "sharpen", "guess_labels")
    ops += ("mix_rows", "cut_rows")
    ops += ("prox_l1", "prox_group", "project_simplex", "project_l1inf")
    pairs = {*ops, *(f"{op}_backward" for op in ops)}
    alone = {"ema_update_", "mix_labels", "mixup_lambda", "mixing_values"}
    alone |= {"prox_group_", "prox_sgd_", "prox_metric_"}
    assert {row.op for row in rows} == pairs | alone
    assert [row.device for row in rows if row.op == "mixing_values"] == ["cpu"]
    for row in rows:
        path = lelkern.ops.library_path(row.device)
        if path is not None:
            no_gpu = "; no GPU" if row.device == "cuda" and not torch.cuda.is_available() else ""
            has_code = no_gpu or row.device == "cpu" or torch.ops.lelkern.has_code_for(0)
            if has_code:
                assert row.implementation == "compiled"
                assert row.reason.startswith(f"loaded {path.name}{no_gpu}")
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
def test_cuda_kernels_are_left_alone_by_another_pytorch(tmp_path, monkeypatch, cuda, reason):
    (tmp_path / "_cuda.so").touch()
    (tmp_path / "_build_info.json").write_text('{"cuda": {"cuda": "13.0"}}')
    monkeypatch.setattr(_backend, "_PACKAGE", tmp_path)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.delenv("LELKERN_BACKEND", raising=False)
    library = _backend._Library("cuda")
    assert library.path is None
    assert library.reason == reason


GPUS = {"A100": (8, 0), "Tesla T4": (7, 5), "Tesla V100": (7, 0)}
T4 = "Tesla T4 has compute capability 7.5, and the kernels are compiled for 8.0 9.0+PTX"
V100 = "Tesla V100 has compute capability 7.0, and the kernels are compiled for 8.0 9.0+PTX"


@pytest.mark.once
@pytest.mark.parametrize(
    ("names", "served"),
    [
        (["A100"], ("compiled", "loaded _cuda.so")),
        (["Tesla T4"], ("reference", T4)),
        (["Tesla T4", "Tesla T4"], ("reference", T4)),
        (["Tesla T4", "Tesla V100"], ("reference", f"{T4}; {V100}")),
        (
            ["A100", "Tesla T4"],
            ("compiled", f"loaded _cuda.so; cuda:1 has the reference: {T4}"),
        ),
        (
            ["Tesla V100", "A100"],
            ("compiled", f"loaded _cuda.so; cuda:0 has the reference: {V100}"),
        ),
    ],
)
def test_the_list_says_which_gpus_have_no_code(monkeypatch, names, served):
    """The GPUs of a machine are made up here, and what the library says of them."""
    cuda = torch.cuda
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(cuda, "get_device_name", lambda gpu: names[gpu])
    monkeypatch.setattr(cuda, "get_device_capability", lambda gpu: GPUS[names[gpu]])
    code = {gpu: name == "A100" for gpu, name in enumerate(names)}
    monkeypatch.setattr(torch.ops.lelkern, "has_code_for", code.__getitem__, raising=False)
    record = {"cuda": {"architectures": "8.0 9.0+PTX"}}
    monkeypatch.setattr(_backend, "build_info", lambda: record)
    monkeypatch.setattr(torch._C, "_dispatch_has_kernel_for_dispatch_key", lambda *_: True)
    library = _backend._libraries["cuda"]
    monkeypatch.setattr(library, "reason", "loaded _cuda.so")
    monkeypatch.setattr(library, "path", Path("_cuda.so"))
    rows = [row for row in lelkern.ops.implementations() if row.device == "cuda"]
    assert {row[2:] for row in rows} == {served}


@pytest.mark.once
def test_the_list_says_which_gpu_does_not_answer(monkeypatch) -> None:
    def has_code_for(gpu: int) -> bool:
        if gpu == 1:
            raise RuntimeError("CUDA error: out of memory\nsearch for it")
        return True

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.ops.lelkern, "has_code_for", has_code_for, raising=False)
    row = _backend._on_gpus("nt_xent", "loaded _cuda.so")
    assert row.implementation == "compiled"
    assert row.reason == "loaded _cuda.so; cuda:1 does not answer: CUDA error: out of memory"


@pytest.mark.once
def test_ops_and_their_references_are_called_as_kernels_for_gpus_expect() -> None:
    ops, references = torch.ops.lelkern, torch.ops.lelkern_reference
    for op, devices in defined_ops().items():
        schema = getattr(ops, op).default._schema
        of_reference = str(getattr(references, op).default._schema)
        assert of_reference == str(schema).replace("lelkern::", "lelkern_reference::")
        if "cuda" in devices:  # what they ask for the device: csrc/shared/cuda/register.cpp
            first = "Tensor" if schema.returns else "List[Tensor]"
            assert str(schema.arguments[0].type) == first, op


def test_an_unknown_backend_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("LELKERN_BACKEND", "fast")
    with pytest.raises(UserError, match="LELKERN_BACKEND must be auto or reference, got fast"):
        _backend._Library("cpu")


@pytest.mark.skipif(lelkern.ops.library_path() is None, reason="no compiled kernels here")
def test_an_unknown_instruction_set_is_refused() -> None:
    run = python(USE_AN_OP, LELKERN_CPU_ISA="mmx")
    assert (
        "LELKERN_CPU_ISA must be baseline, avx2, avx512 or avx512_bf16 and run here, got mmx"
        in run.stderr
    )
