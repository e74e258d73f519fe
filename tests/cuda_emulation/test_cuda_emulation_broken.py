"""Kernels with one fault each: found in every order, and named with kernel, thread and line."""

import re
from pathlib import Path

import emulation
import numpy as np
import pytest
from covering import covering

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parent / "catalogue" / "broken.cpp"

FAULTS = {
    "missing_barrier": "race",
    "missing_second_barrier": "race",
    "global_read_past_end": "out of bounds",
    "hinted_read_past_end": "out of bounds",
    "global_read_before_begin": "out of bounds",
    "global_write_past_end": "out of bounds",
    "write_to_constant": "out of bounds",
    "dynamic_shared_past_end": "out of bounds",
    "shared_index_past_row": "out of bounds",
    "uninitialized_shared": "uninitialized",
    "missing_syncwarp": "race",
    "syncwarp_for_block": "race",
    "syncwarp_of_halves": "race",
    "plain_accumulation": "race",
    "plain_beside_atomic": "race",
    "blocks_write_same": "race",
    "block_reads_neighbour": "race",
    "divergent_barrier": "divergent barrier",
    "barrier_against_shuffle": "deadlock",
    "mask_leaves_out_itself": "mask",
    "mask_names_absent_lanes": "deadlock",
    "masks_differ": "mask",
    "shuffle_from_outside": "mask",
    "shuffles_at_two_lines": "mask",
    "copy_not_waited_for": "pending copy",
    "copy_waits_for_too_little": "pending copy",
    "copy_without_barrier": "race",
    "copy_misaligned": "misaligned",
    "vector_load_misaligned": "misaligned",
    "mma_in_half_a_warp": "deadlock",
    "ldmatrix_without_syncwarp": "race",
    "write_too_wide": "race",
}


@pytest.fixture(scope="module")
def kernels():
    return emulation.load(SOURCE)


def lines_at_fault(name):
    lines = SOURCE.read_text().splitlines()
    return {i + 1 for i, line in enumerate(lines) if line.endswith(f"// FAULT {name}")}


@pytest.mark.parametrize(
    ("name", "order", "workers"), covering(list(FAULTS), emulation.ORDERS, [1, 2])
)
def test_names_the_fault(kernels, name, order, workers):
    x, out = np.zeros(64, np.float32), np.zeros(64, np.float32)
    blocks = 2 if name.startswith("block") else 1
    with (
        emulation.settings(order=order, workers=workers, checked=True),
        pytest.raises(emulation.KernelError) as error,
    ):
        getattr(kernels, name)(x, out, blocks)
    pattern = (
        rf"^{FAULTS[name]}: kernel {name} at tests/cuda_emulation/catalogue/broken.cpp:(\d+): "
        r"thread \(\d+,0,0\) of block \(\d,0,0\) "
    )
    found = [match for report in error.value.reports if (match := re.match(pattern, report))]
    assert found, error.value
    lines = lines_at_fault(name)
    assert lines
    assert {int(match[1]) for match in found} & lines, error.value


def test_no_kernel_is_left_out():
    assert set(FAULTS) == set(re.findall(r"// FAULT (\w+)", SOURCE.read_text()))
