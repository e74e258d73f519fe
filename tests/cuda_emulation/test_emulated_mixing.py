"""The CUDA kernels of MixUp, CutMix and lambda, run on the CPU: the same bits as the references."""

import emulated_mixing as emulated
import emulation
import pytest
import torch
from covering import covering
from torch import Tensor

from lelkern.reference import cutmix, mix_labels, mixup, mixup_lambda

pytestmark = pytest.mark.slow

FLOATING = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
TYPES = [(dtype, dtype) for dtype in FLOATING] + [(torch.uint8, dtype) for dtype in FLOATING]
# Vectors and none, less than a block, and more than the chunk of one where types are widest.
FEATURES = [1, 24, 1023, 4096, 4128]
SCALES = ["none", "scale", "offset", "both"]


def images(dtype: torch.dtype, rows: int, features: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.uint8:
        return torch.randint(256, (rows, features), generator=generator).byte()
    return torch.randn(rows, features, generator=generator, dtype=torch.float64).to(dtype)


def permuted(n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def arithmetic(*dtypes: torch.dtype) -> torch.dtype:
    return torch.float64 if torch.float64 in dtypes else torch.float32


def channels(how: str, count: int, dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None]:
    scale, offset = torch.linspace(-1, 2, count, dtype=dtype), torch.tensor([0.3], dtype=dtype)
    return scale if how in ("scale", "both") else None, offset if how in (
        "offset",
        "both",
    ) else None


def same_numbers(x: Tensor, y: Tensor) -> bool:
    """Whether the numbers have the same bits, or are both nan."""
    bits = {8: torch.int64, 4: torch.int32, 2: torch.int16}[x.element_size()]
    same = x.contiguous().view(bits) == y.contiguous().view(bits)
    return x.dtype == y.dtype and bool((same | (x.isnan() & y.isnan())).all())


@pytest.mark.parametrize(
    ("types", "features", "how", "rows", "ordered"),
    covering(TYPES, FEATURES, SCALES, [(3, None), (2, 3), (0, 2)], [False, True]),
    ids=str,
)
def test_mixing_of_rows(types, features, how, rows, ordered):
    first = images(types[0], rows[0], features)
    second = None if rows[1] is None else images(types[0], rows[1], features, seed=1)
    total, number = rows[0] + (rows[1] or 0), arithmetic(*types)
    lam = torch.linspace(0, 1, total, dtype=number)
    order = permuted(total, 4) if ordered else None
    rest = (lam, permuted(total, 3), order, *channels(how, 3, number), 5, types[1])
    assert same_numbers(
        emulated.mix_rows(first, second, *rest), mixup.mix_rows(first, second, *rest)
    )
    grad = images(types[1], total, features, seed=2)
    got = emulated.mix_rows_backward(grad, first, second, *rest)
    want = mixup.mix_rows_backward(grad, first, second, *rest)
    for x, y in zip(got[:2], want[:2], strict=True):
        assert (x is None) == (y is None)
        assert x is None or same_numbers(x, y)
    # Sums in another order: at most half a unit in the last place of the sum of magnitudes a term.
    x = first if second is None else torch.cat((first, second))
    x = mixup.rescaled(x, *channels(how, 3, number), 5, number)
    size = (grad.to(number).abs() * 2 * x.abs().amax()).sum(1)
    bound = features * torch.finfo(number).eps * size
    assert ((got[2] - want[2]).abs() <= bound).all()


@pytest.mark.parametrize(("types", "how"), covering(TYPES, SCALES), ids=str)
def test_rows_with_gaps_and_off_vectors(types, how):
    number = arithmetic(*types)
    wide = images(types[0], 4, 40)
    rest = (torch.linspace(0, 1, 4, dtype=number), permuted(4, 3), None)
    rest = (*rest, *channels(how, 2, number), 16, types[1])
    for first in (wide[:, :32], wide[:, 1:33], wide[:1, :32].expand(4, 32)):
        want = mixup.mix_rows(first, None, *rest)
        assert same_numbers(emulated.mix_rows(first, None, *rest), want)
    step = types[1].itemsize
    got = emulated.mix_rows(wide[:, :32], None, *rest, misaligned=step)
    assert same_numbers(got, mixup.mix_rows(wide[:, :32], None, *rest))


def labels_of(dtype: torch.dtype, rows: int, num_classes: int) -> Tensor:
    if dtype != torch.int64:
        return images(dtype, rows, num_classes)
    return torch.randint(num_classes, (rows,), generator=torch.Generator().manual_seed(4))


# N, B and the classes: less than a warp and more, more rows than a block's, and no rows of a kind.
LABELS = [(5, 3, 10), (0, 4, 32), (6, 0, 1), (20, 2, 70)]


@pytest.mark.parametrize(
    ("source", "guessed", "dtype", "copies", "sizes", "ordered"),
    covering(
        *([torch.int64, *FLOATING], [None, *FLOATING], FLOATING, [0, 1, 3], LABELS, [False, True])
    ),
    ids=str,
)
def test_mixing_of_labels(source, guessed, dtype, copies, sizes, ordered):
    N, B, C = sizes
    labels = labels_of(source, N, C)
    guesses = None if guessed is None else images(guessed, B, C, seed=1)
    total = N if guesses is None else N + copies * B
    lam = torch.linspace(0, 1, total, dtype=arithmetic(dtype))
    lam[2::5], lam[3::7] = torch.inf, torch.nan
    order = permuted(total, 4) if ordered else None
    given = (labels, guesses, lam, permuted(total, 3), order, copies, C, dtype)
    if total > 0:  # or nothing is launched
        assert same_numbers(emulated.mix_labels(*given), mix_labels.mix_labels(*given))


def test_labels_that_are_no_classes_and_what_is_no_index_give_nan():
    def rows_of_nan(labels=(0, 2, 1), perm=(1, 2, 0), order=None):
        given = [None if z is None else torch.tensor(z) for z in (labels, perm, order)]
        lam = torch.full((3,), 0.5)
        mixed = emulated.mix_labels(given[0], None, lam, *given[1:], 1, 3, torch.float32)
        assert (mixed.isnan().any(1) == mixed.isnan().all(1)).all()
        return mixed.isnan().any(1).tolist()

    assert rows_of_nan() == [False, False, False]
    assert rows_of_nan(labels=(0, 3, 1)) == [True, True, False]
    assert rows_of_nan(labels=(0, 2, -1)) == [False, True, True]
    assert rows_of_nan(labels=(0, 2, -(2**63))) == [False, True, True]
    assert rows_of_nan(perm=(1, 3, -1)) == [False, True, True]
    assert rows_of_nan(order=(1, 3, 0)) == [False, True, False]
    assert rows_of_nan(order=(1, 0, -1)) == [False, False, True]


def test_what_is_no_index_gives_nan():
    x, lam = images(torch.float32, 3, 24), torch.full((3,), 0.5)
    perm = torch.tensor([1, 3, -1])
    got = emulated.mix_rows(x, None, lam, perm, None, None, None, 1, torch.float32)
    assert got.isnan().all(1).tolist() == [False, True, True]
    boxes = torch.tensor([[0, 0, 2, 2]] * 3)
    got = emulated.cut_rows(x, boxes, perm, None, None, 4, 6, 1, torch.float32)
    inside = torch.zeros(4, 6, dtype=torch.bool)
    inside[:2, :2] = True
    assert not got[0].isnan().any()
    assert torch.equal(got[1].isnan(), inside.flatten())
    assert torch.equal(got[2].isnan(), inside.flatten())
    assert emulated.inverse(torch.tensor([1, 3, 0])).tolist() == [2, 0, -1]
    grad = emulated.mix_rows_backward(x, x, None, lam, perm, None, None, None, 1, torch.float32)
    assert grad[0].isnan().all(1).tolist() == [True, False, True]


BOXES = torch.tensor(
    [
        (0, 0, 0, 0),
        (0, 0, 6, 8),
        (2, 3, 4, 5),
        (0, 0, 3, 4),
        (5, 7, 1, 1),
        (6, 8, 0, 0),
        (0, 2, 6, 1),
    ]
)


@pytest.mark.parametrize(
    ("types", "how", "inner", "misaligned"),
    covering(TYPES, SCALES, [1, 3], [False, True]),
    ids=str,
)
def test_pasting_of_boxes(types, how, inner, misaligned):
    number, n = arithmetic(*types), len(BOXES)
    x, perm = images(types[0], n, 3 * 6 * 8), permuted(n, 1)
    rest = (BOXES, perm, *channels(how, 3, number), 6, 8, inner, types[1])
    off = types[1].itemsize if misaligned else 0
    got = emulated.cut_rows(x, *rest, misaligned=off)
    assert same_numbers(got, cutmix.cut_rows(x, *rest))
    if types[0] != torch.uint8:
        grad = images(types[1], n, x.shape[1], seed=2)
        got = emulated.cut_rows_backward(grad, x, *rest)
        assert same_numbers(got, cutmix.cut_rows_backward(grad, x, *rest))


@pytest.mark.parametrize(("alpha", "dtype", "fold"),
                         covering([1e-3, 0.3, 0.75, 1.0, 20.0, torch.inf], FLOATING, [True, False]),
                         ids=str)  # fmt: skip
def test_draws_of_lambda(alpha, dtype, fold):
    seed, number = torch.tensor(-(2**61) - 77), torch.tensor(alpha, dtype=torch.float64)
    got = emulated.mixup_lambda(seed, number, 150, fold, dtype)
    want = mixup_lambda.mixup_lambda(seed, number, 150, fold, dtype)
    # The logarithms' last bits, of up to 23 over alpha; narrower dtypes are rounded alike.
    bound = {"rtol": 1e-12 / min(alpha, 1), "atol": 1e-14} if dtype == torch.float64 else {}
    torch.testing.assert_close(got, want, **(bound or {"rtol": 0, "atol": 0}))


def test_every_order_of_threads_gives_the_same_bits():
    first, second = images(torch.float32, 2, 600), images(torch.float32, 1, 600, seed=1)
    lam, perm, order = torch.tensor([0.2, 0.7, 0.9]), permuted(3, 1), permuted(3, 2)
    grad = images(torch.float32, 3, 600, seed=2)

    def run():
        rest = (lam, perm, order, None, None, 1, torch.float32)
        mixed = emulated.mix_rows(first, second, *rest)
        return [mixed, *emulated.mix_rows_backward(grad, first, second, *rest)]

    emulation.in_every_order(run)


def test_without_a_barrier_the_sums_go_wrong():
    first, lam = images(torch.float32, 1, 600), torch.tensor([0.2])
    grad = images(torch.float32, 1, 600, seed=2)

    def run():
        rest = (lam, torch.tensor([0]), None, None, None, 1, torch.float32)
        return emulated.mix_rows_backward(grad, first, None, *rest)

    barriers = emulation.barriers_of(run)
    assert barriers
    assert all(emulation.noticed_without(run, barrier) for barrier in barriers)
