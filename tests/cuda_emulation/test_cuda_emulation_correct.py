"""Kernels without a fault: right, the same in every order, and nothing said about them.

With one barrier taken away, each is a kernel with a fault.
"""

from pathlib import Path

import emulation
import numpy as np
import pytest
import torch

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def kernels():
    return emulation.load(Path(__file__).parent / "catalogue" / "correct.cpp")


@pytest.fixture(params=[True, False], ids=["checked", "fast"])
def checked(request):
    return request.param


def everywhere(checked, function, *inputs, out, **numbers):
    """The outputs, fresh for each run and so many of them, in every order."""
    outputs = out if isinstance(out, list) else [out]

    def run():
        fresh = [array.clone() if torch.is_tensor(array) else array.copy() for array in outputs]
        assert function(*inputs, *fresh, *numbers.values()) == 0
        return fresh

    result = emulation.in_every_order(run, checked=checked)
    if checked:
        # None of these kernels has a barrier too many, so each that goes missing must be noticed.
        for barrier in emulation.barriers_of(run):
            assert emulation.noticed_without(run, barrier), barrier
    return result if isinstance(out, list) else result[0]


def nan(*shape):
    return np.full(shape, np.nan, np.float32)


def test_transpose(kernels, checked):
    x = RANDOM.random((70, 45), dtype=np.float32)
    out = everywhere(checked, kernels.transpose, x, out=nan(45, 70), rows=70, columns=45)
    np.testing.assert_array_equal(out, x.T)


def test_block_sum(kernels, checked):
    x = RANDOM.random(3001, dtype=np.float32)
    out = everywhere(checked, kernels.block_sum, x, out=nan(3), n=3001, blocks=3)
    # A thread adds 4 numbers, then come 10 halvings: 14 roundings at most.
    np.testing.assert_allclose(out.sum(dtype=float), x.sum(dtype=float), rtol=14 * 2.0**-24)


def test_scan(kernels, checked):
    x = RANDOM.integers(0, 9, 200).astype(np.float32)
    out = everywhere(checked, kernels.scan, x, out=nan(200), n=200)
    np.testing.assert_array_equal(out, np.cumsum(x))


def test_warp_sum_in_shared(kernels, checked):
    x = RANDOM.integers(0, 9, 128).astype(np.float32)
    out = everywhere(checked, kernels.warp_sum_in_shared, x, out=nan(128))
    np.testing.assert_array_equal(out, x.reshape(4, 32).sum(1).repeat(32))


def test_half_warps(kernels, checked):
    x = RANDOM.integers(0, 9, 64).astype(np.int32)
    out = everywhere(checked, kernels.half_warps, x, out=np.zeros(64, np.int32))
    i = np.arange(64)
    low = sum(x[i ^ step] for step in (8, 4, 2, 1))
    expected = np.where(i % 32 < 16, low, x.reshape(4, 16).sum(1).repeat(16))
    first = i % 16 == 0
    expected[first] += x[i[first] ^ 16] + x[(i[first] ^ 16) + 5]
    np.testing.assert_array_equal(out, expected)


def test_compact(kernels, checked):
    x = RANDOM.random(32, dtype=np.float32)
    out, count = everywhere(
        checked, kernels.compact, x, out=[nan(32), np.zeros(1, np.int32)], threshold=0.6
    )
    np.testing.assert_array_equal(out[: count[0]], x[x > np.float32(0.6)])
    assert np.isnan(out[count[0] :]).all()


def test_histogram(kernels, checked):
    x = RANDOM.integers(0, 256, 4000).astype(np.uint8)
    out = everywhere(checked, kernels.histogram, x, out=np.zeros(256, np.int32), n=4000)
    np.testing.assert_array_equal(out, np.bincount(x, minlength=256))


@pytest.mark.parametrize("n", [2, 33, 100, 128])
def test_early_return(kernels, checked, n):
    x = RANDOM.random(n, dtype=np.float32)
    out = everywhere(checked, kernels.early_return, x, out=nan(n), n=n)
    np.testing.assert_array_equal(out, x[::-1])


def test_narrow(kernels, checked):
    x = torch.arange(64, dtype=torch.bfloat16)
    out, marks = everywhere(
        checked,
        kernels.narrow,
        x,
        out=[torch.zeros(64, dtype=torch.bfloat16), np.zeros(64, np.uint8)],
    )
    np.testing.assert_array_equal(out.float(), x.float().view(32, 2).sum(1).repeat_interleave(2))
    np.testing.assert_array_equal(marks, np.arange(64)[::-1])


def test_block_numbers(kernels, checked):
    out = everywhere(
        checked, kernels.block_numbers, out=torch.zeros(13, dtype=torch.bfloat16), blocks=13
    )
    np.testing.assert_array_equal(out.float(), np.arange(13))


def test_through_global(kernels, checked):
    x = RANDOM.random(192, dtype=np.float32)
    _, out = everywhere(checked, kernels.through_global, x, out=[nan(192), nan(192)])
    np.testing.assert_array_equal(out.reshape(3, 64), 2 * x.reshape(3, 64)[:, ::-1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_multiply(kernels, checked, dtype):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(64, 80, generator=generator).to(dtype) for _ in range(2))
    name = str(dtype).removeprefix("torch.")
    out = everywhere(
        checked, getattr(kernels, f"multiply_{name}"), a, b, out=nan(64, 64), m=64, n=64, k=80
    )
    # 80 products that are exact, each added with one rounding of float32.
    bound = 80 * 2.0**-24 * (a.double().abs() @ b.double().abs().T)
    assert ((torch.from_numpy(out).double() - a.double() @ b.double().T).abs() <= bound).all()


def test_transpose_matrices(kernels, checked):
    x = RANDOM.random((4, 8, 8)).astype(np.float16)
    out = everywhere(checked, kernels.transpose_matrices, x, out=np.zeros((4, 8, 8), np.float16))
    np.testing.assert_array_equal(out, x.transpose(0, 2, 1))


def test_similarities(kernels, checked):
    z = RANDOM.standard_normal((128, 32), dtype=np.float32)
    out = everywhere(checked, kernels.similarities, z, out=nan(128, 128), n=128, d=32)
    bound = 32 * 2.0**-24 * (np.abs(z).astype(float) @ np.abs(z).astype(float).T)
    assert (np.abs(out - z.astype(float) @ z.astype(float).T) <= bound).all()


@pytest.mark.parametrize("threads", [37, 1024])
def test_rotate(kernels, checked, threads):
    out = everywhere(
        checked,
        kernels.rotate,
        out=np.zeros(2 * threads, np.int32),
        blocks=2,
        threads=threads,
        count=20,
    )
    np.testing.assert_array_equal(out, np.tile((np.arange(threads) + 20) % threads, 2))
