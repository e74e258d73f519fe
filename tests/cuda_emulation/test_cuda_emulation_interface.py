"""What goes in and out of emulated kernels, and how they are launched."""

from contextlib import nullcontext
from pathlib import Path

import emulation
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.slow

SUCCESS, INVALID_VALUE, INVALID_CONFIGURATION = 0, 1, 9  # of cudaError_t


@pytest.fixture(scope="module")
def kernels():
    return emulation.load(Path(__file__).parent / "catalogue" / "interface.cpp")


@pytest.fixture(params=[True, False], ids=["checked", "fast"], autouse=True)
def checked(request):
    with emulation.settings(checked=request.param):
        yield request.param


def test_numbers_of_every_type(kernels):
    out = np.zeros(1)
    assert kernels.add(out, 0.1, 0.5, 2**40, 200, True) == SUCCESS
    assert out[0] == 0.1 + 0.5 + 2**40 + 200 + 1


def test_numbers_that_do_not_fit(kernels):
    with pytest.raises(OverflowError):
        kernels.add(np.zeros(1), 0.0, 0.0, 0, 256, False)


def test_arrays_of_another_type_are_refused(kernels):
    with pytest.raises(TypeError, match="an array of float32 for a parameter float64"):
        kernels.add(np.zeros(1, np.float32), 0.0, 0.0, 0, 0, False)
    with pytest.raises(TypeError, match="not contiguous"):
        kernels.sizes(np.zeros(12, np.int32)[::2], 1, 1, 1, 1, 0)
    with pytest.raises(TypeError, match="no array where one is due"):
        kernels.sizes([0] * 6, 1, 1, 1, 1, 0)
    with pytest.raises(TypeError, match="an array for a number"):
        kernels.sizes(np.zeros(6, np.int32), np.ones(2), 1, 1, 1, 0)
    for count in (0, 6):
        with pytest.raises(TypeError, match="sizes takes 6 arguments"):
            kernels.sizes(np.zeros(6, np.int32), *[1] * count)
    with pytest.raises(AttributeError, match="exports no nothing"):
        kernels.nothing()


@pytest.mark.parametrize("transposed", [False, True])
def test_arrays_may_have_gaps(kernels, transposed):
    whole = np.arange(60, dtype=np.float32).reshape(6, 10)
    x, out = (whole.T if transposed else whole)[1:5:2, 2:], np.zeros(2, np.float32)
    assert kernels.row_sums(x, out) == SUCCESS
    np.testing.assert_array_equal(out, x.sum(1))
    assert kernels.row_sums(torch.from_numpy(whole)[:2, :0], out) == SUCCESS
    assert (out == 0).all()


def test_arrays_of_another_shape_are_refused(kernels):
    x = np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match="out has another shape"):
        kernels.row_sums(x, np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="out has dtype float64 instead of float32"):
        kernels.row_sums(x, np.zeros(3))
    with pytest.raises(TypeError, match="an array whose strides are not numbers forwards"):
        kernels.row_sums(x[::-1], np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="not writeable"):
        kernels.row_sums(x, np.broadcast_to(np.float32(0), 3))


def test_sizes(kernels):
    out = np.zeros(6, np.int32)
    assert kernels.sizes(out, 3, 5, 1, 4, 0) == SUCCESS
    np.testing.assert_array_equal(out, [3, 5, 1, 4, 0, 0])


@pytest.mark.parametrize(
    ("x", "y", "grid_x", "grid_y", "shared_bytes", "expected"),
    [
        (32, 32, 1, 1, 227 << 10, SUCCESS),
        (33, 32, 1, 1, 0, INVALID_CONFIGURATION),
        (0, 1, 1, 1, 0, INVALID_CONFIGURATION),
        (1, 1, 0, 1, 0, INVALID_CONFIGURATION),
        (1, 1, 1, 65536, 0, INVALID_CONFIGURATION),
        (1, 1, 1, 1, (227 << 10) + 1, INVALID_VALUE),
    ],
)
def test_launches_that_a_gpu_refuses(kernels, x, y, grid_x, grid_y, shared_bytes, expected):
    out = np.zeros(6, np.int32)
    assert kernels.sizes(out, x, y, grid_x, grid_y, shared_bytes) == expected


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_shared_memory_begins_as_nan(kernels, checked, dtype):
    for _ in range(2):
        out = torch.zeros(1, dtype=getattr(torch, dtype))
        dynamic = torch.zeros(1)
        finds = pytest.raises(emulation.KernelError) if checked else nullcontext()
        with finds as error:
            getattr(kernels, f"poison_{dtype}")(out, dynamic)
        if checked:
            reports = error.value.reports
            assert [report.split(":")[0] for report in reports] == ["uninitialized"] * 2
            assert "of fixed, which" in reports[0]
        assert out.isnan().all()
        assert dynamic.isnan().all()


def test_a_launch_sees_what_the_one_before_it_wrote(kernels):
    x = np.arange(20, dtype=np.float32)

    def run():
        scratch, out = np.zeros_like(x), np.zeros_like(x)
        assert kernels.twice(x, scratch, out, 20) == SUCCESS
        return out

    np.testing.assert_array_equal(emulation.in_every_order(run), x)


def test_alignment(kernels, checked):
    x, out = np.arange(4, dtype=np.float32), np.zeros(1, np.float32)
    assert kernels.load_four(emulation.misaligned(x, 16), out) == SUCCESS
    assert out[0] == 6
    if checked:
        with pytest.raises(emulation.KernelError, match="misaligned: kernel load_four"):
            kernels.load_four(emulation.misaligned(x, 8), out)


@pytest.mark.parametrize("i", [-1, 4, 1000])
def test_writes_beside_an_array(kernels, checked, i):
    x = np.zeros(4, np.float32)
    kernels.write_at(x, 3)
    # Without checks the margin around each array shows the damage.
    expected = "out of bounds: kernel write_at" if checked else "wrote next to one of its arrays"
    with pytest.raises(emulation.KernelError, match=expected):
        kernels.write_at(x, i)
    np.testing.assert_array_equal(x, [0, 0, 0, 1])


def test_a_fault_is_forgotten_by_the_next_call(kernels):
    x = np.zeros(4, np.float32)
    with pytest.raises(emulation.KernelError):
        kernels.write_at(x, 4)
    assert kernels.write_at(x, 0) == SUCCESS


def test_orders(kernels):
    def arrivals(**changes):
        with emulation.settings(workers=1, **changes):
            out = np.zeros(128, np.int32)
            assert kernels.arrivals(np.zeros(1, np.int32), out) == SUCCESS
        assert sorted(out) == list(range(128))
        return list(out)

    assert arrivals(order="forward") == list(range(128))
    assert arrivals(order="reverse") == list(range(128))[::-1]
    assert arrivals(order="random", seed=1) == arrivals(order="random", seed=1)
    assert arrivals(order="random", seed=1) != arrivals(order="random", seed=2)
    with pytest.raises(ValueError, match="order is 'sideways'"):
        arrivals(order="sideways")


def test_preemption_loses_updates_that_are_not_atomic(kernels):
    count = np.zeros(1, np.int32)
    with (
        emulation.settings(order="preempt", checked=True),  # stops at an access, so needs checks
        pytest.raises(emulation.KernelError, match="race: kernel lose_updates"),
    ):
        kernels.lose_updates(count)
    assert 0 < count[0] < 200


def test_results_that_differ_between_orders(kernels):
    def run():
        out = np.zeros(128, np.int32)
        kernels.arrivals(np.zeros(1, np.int32), out)
        return out

    with pytest.raises(AssertionError, match="order reverse"):
        emulation.in_every_order(run, workers=1)
