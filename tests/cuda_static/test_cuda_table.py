"""What the compiler makes of every kernel is what the table says, and is as it has to be."""

import fnmatch

import pytest
from cuda_compile import ARCHITECTURES, SOURCES, setup_cuda
from cuda_mix import CLASSES, all_work
from cuda_table import (
    DOCUMENT,
    as_csv,
    document,
    launched_with,
    measure,
    measure_mixes,
    mixes,
    table,
)

KERNELS = table()
MIXES = mixes()


@pytest.mark.slow
def test_the_table_is_of_these_kernels() -> None:
    told = [kernel for kernel in KERNELS if kernel.architecture in ARCHITECTURES]
    assert as_csv(measure(SOURCES, launched_with())) == as_csv(told), (
        "make cuda-table writes it anew"
    )


@pytest.mark.slow
def test_the_instructions_are_of_these_kernels() -> None:
    told = [row for row in MIXES if row.architecture in ARCHITECTURES]
    assert as_csv(measure_mixes(SOURCES)) == as_csv(told), "make cuda-table writes it anew"


def test_instructions_are_told_of_all_work_for_every_architecture() -> None:
    units = {(row.kernel, row.unit) for row in MIXES}
    architectures = [f"sm_{number.replace('.', '')}" for number in setup_cuda.ARCHITECTURES]
    assert len(MIXES) == len(units) * len(architectures)
    for work in all_work():
        for pattern in work.kernels:
            assert any(fnmatch.fnmatchcase(k, pattern) and unit == work.unit for k, unit in units)


def test_classes_of_instructions_add_up() -> None:
    for row in MIXES:
        classes = row[3 : 3 + len(CLASSES)]
        assert sum(classes) == pytest.approx(row.sum, abs=0.01 * len(CLASSES)), row
        assert row.fma + row.alu < row.sum, row


def test_every_kernel_is_told_for_every_architecture() -> None:
    names = {kernel.kernel for kernel in KERNELS}
    architectures = [f"sm_{number.replace('.', '')}" for number in setup_cuda.ARCHITECTURES]
    assert len(KERNELS) == len(names) * len(architectures)
    assert {kernel.architecture for kernel in KERNELS} == set(architectures)


def test_the_document_shows_the_tables() -> None:
    assert DOCUMENT.read_text() == document(KERNELS, MIXES)


def test_shared_memory_is_given_to_kernels_that_there_are() -> None:
    names = {kernel.kernel for kernel in KERNELS}
    assert [pattern for pattern in launched_with() if not fnmatch.filter(names, pattern)] == []


def test_nothing_is_kept_in_local_memory() -> None:
    assert [k for k in KERNELS if k.spill_stores or k.spill_loads or k.stack] == []


def test_every_kernel_fits_a_multiprocessor() -> None:
    assert [k for k in KERNELS if k.blocks_per_multiprocessor == 0] == []


def test_kernels_for_tensor_cores_use_them_in_their_loops() -> None:
    named = [k for k in KERNELS if "mma" in k.kernel.lower()]
    assert named
    assert [k for k in named if k.tensor_core_in_loops == 0] == []


def test_averages_are_loaded_16_bytes_at_a_time() -> None:
    # For each pair of types four loads (two, where both have 16 bits) of the wider, or of both.
    types = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
    batches = [2 if 2 == a == b else 4 for a in types.values() for b in types.values()]
    operands = [1 + (a == b) for a in types.values() for b in types.values()]
    wanted = sum(batch * n for batch, n in zip(batches, operands, strict=True))
    averages = [k for k in KERNELS if k.kernel.startswith("ema_update<")]
    assert averages
    assert [k for k in averages if k.wide_global_loads != wanted] == []


def test_groups_are_loaded_16_bytes_at_a_time() -> None:
    # For each type that is computed in T four loads, or two of each of three tensors.
    loads = {"NoStep": 4, "SgdStep": 2 * 3}
    groups = [k for k in KERNELS if k.kernel.startswith("shrink_groups_kernel<")]
    assert groups
    for kernel in groups:
        step = next(step for step in loads if step in kernel.kernel)
        types = 1 if "<double" in kernel.kernel else 3
        assert kernel.wide_global_loads == types * loads[step], kernel
    # Two of numbers and two of their metrics, of which those of 16-bit numbers are twice as many.
    in_metric = [k for k in KERNELS if k.kernel.startswith("shrink_groups_in_metric_kernel<")]
    assert in_metric
    for kernel in in_metric:
        assert kernel.wide_global_loads == (4 if "<double" in kernel.kernel else 4 + 6 + 6), kernel
