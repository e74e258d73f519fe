"""The CUDA kernels of the proximal operators, run on the CPU: values, gradients, no race."""

import itertools
import math
from typing import Any

import emulated_prox as emulated
import emulation
import pytest
import torch
from covering import covering
from torch import Tensor

from lelkern.reference import prox_group as group_reference
from lelkern.reference import prox_l1 as l1_reference
from lelkern.reference.prox_metric import prox_metric_
from lelkern.reference.prox_sgd import effective_step, prox_group_, prox_sgd_

pytestmark = pytest.mark.slow

DTYPES = emulated.ELEMENTS
INF, NAN = math.inf, math.nan
QS = [2.0, INF, 1.5, 3.0, 1.1, 7.0]
# (A, N, B): groups of one number; short ones, at odd places and in whole vectors; a warp's, a
# block's, and more than a block keeps; columns: of one thread, of many, and more than they keep.
SHAPES = [
    (70, 1, 1),
    (13, 10, 1),
    (9, 64, 1),
    (3, 1000, 1),
    (2, 1032, 1),
    (1, 8200, 1),
    (2, 3, 300),
    (1, 40, 20),
    (1, 1100, 3),
]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ragged(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return groups of some of `count` numbers: an empty one, one of one, and others, shuffled."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator)[: count - count // 8]
    cuts = torch.randint(1, len(order), (count // 15,), generator=generator).sort().values
    return torch.tensor([0, 0, 1, *cuts.tolist(), len(order)]), order


def norms(u: Tensor, q: float, ptr: Tensor | None, indices: Tensor | None) -> Tensor:
    """Return the dual norms of the groups of u, which vanish where a threshold is not less."""
    dual = 1.0 if q == INF else q / (q - 1)
    if ptr is None or indices is None:
        return torch.linalg.vector_norm(u, dual, dim=1).flatten()
    parts = [indices[a:b] for a, b in itertools.pairwise(ptr)]
    return torch.stack([torch.linalg.vector_norm(u[part], dual) for part in parts])


class Case:
    """Arguments of prox_group by which some of the groups vanish.

    Attributes:
        arguments: w, lam1, lam, group_ptr, group_indices, q.
        margin: the least share of its dual norm that is left of a group that does not vanish.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: torch.dtype, q: float, soft: bool, each: bool,
        listed: bool,
    ) -> None:  # fmt: skip
        w = draw(*shape).to(dtype)
        ptr, indices = ragged(w.numel()) if listed else (None, None)
        if listed:
            w = w.flatten()
        computed = emulated.computed_in(w)
        lam1, u = None, w.double()
        if soft:
            lam1 = torch.full((), 0.3, dtype=computed)
            u = l1_reference.soft_threshold(u, lam1.double())
        own = norms(u, q, ptr, indices)
        if each:
            lam = own * (0.4 + draw(len(own), seed=1).abs())
            lam1 = None if lam1 is None else lam1.expand(len(own)).contiguous()
        else:
            lam = 0.9 * own.quantile(0.6)
        lam = lam.to(computed)
        self.arguments = w, lam1, lam, ptr, indices, q
        left = 1 - lam.double() / own.clamp(min=1e-300)
        self.margin = float(left[left > 0].min()) if (left > 0).any() else 1.0
        self.norm = float(own.max())

    def exact(self) -> tuple[Any, ...]:
        """Return the arguments in float64."""
        *tensors, ptr, indices, q = self.arguments
        return *(None if t is None else t.double() for t in tensors), ptr, indices, q


def assert_close(got: Tensor, want: Tensor, error: float) -> None:
    """Compare but for an error and for what rounding to the type of `got` takes away."""
    stored = torch.finfo(got.dtype)
    atol = error + stored.tiny * stored.eps
    torch.testing.assert_close(got.double(), want, atol=atol, rtol=stored.eps, equal_nan=True)


@pytest.mark.parametrize(
    ("shape", "dtype", "q", "soft", "each", "listed", "order"),
    covering(SHAPES, DTYPES, QS, [False, True], [False, True], [False, True], emulation.ORDERS),
    ids=str,
)
def test_groups(shape, dtype, q, soft, each, listed, order) -> None:
    case = Case(shape, dtype, q, soft, each, listed)
    w = case.arguments[0]
    grad = draw(*w.shape, seed=2).to(dtype)
    with emulation.settings(order=order):
        x, root = emulated.prox_group(*case.arguments)
        found = emulated.prox_group_backward(grad, *case.arguments, root)
    want, want_root = group_reference.prox_group(*case.exact())
    eps = torch.finfo(emulated.computed_in(w)).eps
    # Some roundings of numbers no larger than the largest; a power multiplies errors by q - 1, or
    # 1 / (q - 1), but no number is less than half of what is taken to one.
    units = 8.0 if q in (2, INF) else 16.0
    assert_close(x, want, units * eps * float(w.double().abs().max()))
    # The root is what is left of the norm, and knows of it what the norm does.
    assert_close(root, want_root, units * eps * case.norm)
    # Gradients have the relative error of the root, times sums of products with y of norm 1.
    error = units * eps / case.margin
    wanted = group_reference.prox_group_backward(grad.double(), *case.exact())
    length = math.sqrt(max(w.numel(), 1))
    for got, of in zip(found, wanted, strict=True):
        assert (got is None) == (of is None)
        if got is not None and of is not None:
            assert_close(got, of, error * length * max(1.0, float(of.abs().max())))


@pytest.mark.parametrize("q", QS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numbers_at_the_ends_of_the_range(dtype, q) -> None:
    info = torch.finfo(dtype)
    for size in (info.max / 8, info.tiny, info.tiny * info.eps * 8):
        w = (torch.tensor([[1.0, -0.5, 0.25, 0.0, 1.0]]) * size).to(dtype).view(1, 5, 1)
        computed = emulated.computed_in(w)
        lam = (norms(w.double(), q, None, None) / 2).to(computed)
        x, root = emulated.prox_group(w, None, lam, None, None, q)
        want, want_root = group_reference.prox_group(w.double(), None, lam.double(), None, None, q)
        # Subnormal numbers are so far apart, and so are the products that they are made of.
        apart = torch.finfo(computed).tiny * torch.finfo(computed).eps
        assert_close(x, want, 16 * (torch.finfo(computed).eps * size + apart))
        assert_close(root, want_root, 16 * (torch.finfo(computed).eps * 5 * size + apart))


@pytest.mark.parametrize("q", QS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_gradients_at_the_ends_of_the_range(dtype, q) -> None:
    unit = torch.tensor([[1.0, -0.5, 0.25], [0.5, 0.5, 0.5]], dtype=dtype).unsqueeze(2)
    grad = torch.tensor([[1.0, 2.0, -1.0], [1.0, 0.0, 3.0]], dtype=dtype).unsqueeze(2)
    info = torch.finfo(dtype)
    results = []
    # Of the last one a root has 10 digits of 2, though the numbers are exact.
    huge, tiny = 2.0 ** (math.frexp(info.max)[1] - 4), info.tiny
    for size in (1.0, huge, tiny, tiny * info.eps * 2**10):
        given = unit * size, None, torch.tensor(0.5 * size, dtype=dtype), None, None, q
        _, root = emulated.prox_group(*given)
        of_w, _, of_lam = emulated.prox_group_backward(grad, *given, root)
        results.append((of_w, of_lam))
    for got in results[1:]:
        # Nothing but roundings change, were it not for the powers of q.
        torch.testing.assert_close(got, results[0], rtol=2e3 * info.eps, atol=2e2 * info.eps)


@pytest.mark.parametrize("soft", [False, True], ids=["group", "sparse"])
@pytest.mark.parametrize("q", QS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_hostile_groups(dtype, q, soft) -> None:
    rows = [[3.0, -0.0, 4.0], [NAN, 1, 2], [INF, -1, 0], [0, 0, 0], [1, -INF, NAN], [-2, 2, 2]]
    levels = [0.0, 1.0, INF, NAN, -1.0, 1e30]
    computed = torch.promote_types(dtype, torch.float32)
    first = [0.0, 0.5, INF, NAN, -1.0] if soft else [0.0]
    lam, lam1, number = torch.meshgrid(
        torch.tensor(levels), torch.tensor(first), torch.arange(float(len(rows))), indexing="ij"
    )
    t, t1 = (x.flatten().contiguous().to(computed) for x in (lam, lam1))
    w = torch.tensor(rows, dtype=dtype)[number.flatten().long()].unsqueeze(2)
    grad = draw(*w.shape, seed=3).to(dtype)
    arguments = t1 if soft else None, t, None, None, q
    exact = [x.double() if isinstance(x, Tensor) else x for x in arguments]
    x, root = emulated.prox_group(w, *arguments)
    want, want_root = group_reference.prox_group(w.double(), *exact)
    assert_close(x, want, 1e-5)
    same = (t == 0) & (t1 == 0)
    assert torch.equal(x[same].nan_to_num(7), w[same].nan_to_num(7))
    assert torch.equal(x[same].signbit() & (w[same] == 0), w[same].signbit() & (w[same] == 0))
    # What is nan all over, or dead beside an infinite threshold, needs no root.
    known = ~want.isnan().any(1).flatten() & (t != INF)
    assert_close(root[known], want_root[known], 1e-5)
    found = emulated.prox_group_backward(grad, w, *arguments, root)
    wanted = group_reference.prox_group_backward(grad.double(), w.double(), *exact)
    known = (t != 0) | ~w.isnan().any(1).flatten()
    for got, of in zip(found, wanted, strict=True):
        if got is not None and of is not None:
            assert_close(got[known], of[known], 1e-5)


def test_indices_that_are_none_are_not_followed() -> None:
    w, lam = draw(7).float(), torch.tensor(0.1)
    ptr, indices = torch.tensor([0, 2, 4, 5]), torch.tensor([0, 1, 2, 7, -1])
    for q in QS:
        x, root = emulated.prox_group(w, None, lam, ptr, indices, q)
        assert root.isnan().tolist() == [False, True, True]
        assert x.isnan().tolist() == [False, False, True, False, False, False, False]
        assert torch.equal(x[3:], w[3:])
        grads = emulated.prox_group_backward(
            w, w, None, lam.expand(3).clone(), ptr, indices, q, root
        )
        assert grads[2].isnan().tolist() == [False, True, True]
    # Pointers beyond the indices, or that fall: no group.
    for bad in ([0, 9], [3, 1], [-4, 2]):
        x, _ = emulated.prox_group(w, None, lam, torch.tensor(bad), indices, 2.0)
        assert torch.equal(x, w)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_at_any_address(dtype) -> None:
    w = draw(5, 16, 1).to(dtype)
    lam = torch.tensor(1.0, dtype=emulated.computed_in(w))
    want, _ = emulated.prox_group(w, None, lam, None, None, 2.0)
    for by in (1, 3):
        got, _ = emulated.prox_group(w, None, lam, None, None, 2.0, by=by)
        # Sums of other numbers: a factor that is off by a rounding, and another one.
        assert_close(got, want.double(), 2 * float(torch.finfo(lam.dtype).eps * w.abs().max()))


def test_empty_groups() -> None:
    lam = torch.tensor([1.0, 0.0, NAN])
    for q in QS:
        _, root = emulated.prox_group(torch.empty(3, 0, 1), None, lam, None, None, q)
        assert root[:2].tolist() == [0, 0]
        assert root[2].isnan()


def lists(listed: bool, dtypes: list[torch.dtype], seed: int = 0) -> tuple[list[Any], ...]:
    """Return w, lam1, lam, group_ptr, group_indices and sizes of lists of many kinds of groups."""
    w, lam1, lam, ptrs, indices, sizes = [], [], [], [], [], []
    shapes = [(13, 10, 1), (4, 64, 1), (2, 3, 50), (1, 40, 9), (5, 64, 1), (2, 16, 3), (1, 1100, 1)]
    for i, shape in enumerate(shapes):
        x = draw(*shape, seed=seed + i).to(dtypes[i % len(dtypes)])
        computed = emulated.computed_in(x)
        if listed and i % 2 == 1:
            ptr, index = ragged(x.numel(), seed)
            ptrs.append(ptr)
            indices.append(index)
            sizes += [0, 0]
            count = len(ptr) - 1
        else:
            sizes += list(shape[1:])
            count = shape[0] * shape[2]
        # Every other one at an odd address.
        whole = torch.cat([x.flatten()[:1], x.flatten()])
        w.append(whole[1:] if i % 2 else x.flatten().clone())
        lam1.append(torch.full((count,) if i % 2 else (), 0.2, dtype=computed))
        lam.append((draw(count, seed=seed).abs() if i % 3 else torch.tensor(1.5)).to(computed))
    return w, lam1, lam, ptrs, indices, sizes


def copies(tensors: list[Tensor], dtype: torch.dtype | None = None) -> list[Tensor]:
    """Return copies that begin as far from a boundary as the tensors."""
    moved = [x.to(dtype or x.dtype) for x in tensors]
    pairs = zip(tensors, moved, strict=True)
    return [torch.cat([y[:1], y])[1:] if x.storage_offset() else y.clone() for x, y in pairs]


@pytest.mark.parametrize(
    ("dtype", "q", "listed", "order"),
    covering([*DTYPES, None], [2.0, INF, 1.5], [False, True], emulation.ORDERS),
    ids=str,
)
def test_lists_in_place(dtype, q, listed, order) -> None:
    w, lam1, lam, *groups = lists(listed, [dtype] if dtype else DTYPES)
    found, given = copies(w), copies(w)
    for scale in (0.5, torch.tensor(0.5, dtype=torch.float64)):
        with emulation.settings(order=order):
            emulated.prox_group_(found, lam1, lam, *groups, q, scale)
        prox_group_(given, lam1, lam, *groups, q, torch.tensor(0.5, dtype=torch.float64))
        for x, y in zip(found, given, strict=True):
            eps = torch.finfo(emulated.computed_in(x)).eps
            assert_close(x, y.double(), 32 * eps * float(y.double().abs().max()))
            x.copy_(y)


@pytest.mark.parametrize(
    ("dtype", "q", "listed", "step", "order"),
    covering(
        DTYPES,
        [2.0, INF, 1.5],
        [False, True],
        [
            (0.1, 0.0, 0.0, 0.0, False, False),
            (0.1, 0.9, 0.0, 0.01, False, True),
            (0.1, 0.9, 0.1, 0.0, False, False),
            (0.1, 0.5, 0.0, 0.02, True, False),
        ],
        emulation.ORDERS,
    ),
    ids=str,
)
def test_steps_of_sgd(dtype, q, listed, step, order) -> None:
    rate, momentum, dampening, decay, nesterov, first = step
    w, lam1, lam, *groups = lists(listed, [dtype])
    grads = lists(listed, [dtype], seed=10)[0]
    buffers = lists(listed, [dtype], seed=20)[0] if momentum else []
    scale = effective_step(rate, momentum, dampening, nesterov)
    found, moved = copies(w), copies(buffers)
    with emulation.settings(order=order):
        numbers = [float(x) for x in step]
        emulated.prox_sgd_(found, grads, moved, lam1, lam, *groups, q, numbers, scale)
    exact = [copies(x, torch.float64) for x in (w, grads, buffers)]
    double = [[t.double() for t in x] for x in (lam1, lam)]
    prox_sgd_(*exact, *double, *groups, q, rate, momentum, dampening, decay, nesterov, first)
    eps = torch.finfo(emulated.computed_in(w[0])).eps
    for got, want in zip([*found, *moved], [*exact[0], *exact[2]], strict=True):
        assert_close(got, want, 32 * eps * max(1.0, float(want.abs().max())))


def in_metric(
    w: list[Tensor], spread: float, lam: list[Tensor], thresholds: list[Tensor]
) -> tuple[list[Tensor], ...]:
    """Return metrics of tensors, whose magnitudes differ by exp(spread), and both thresholds.

    Those at an odd address have a metric at one.
    """
    metric = []
    for i, x in enumerate(w):
        d = (spread * draw(x.numel(), seed=30 + i)).exp().to(emulated.computed_in(x))
        metric.append(torch.cat([d[:1], d])[1:] if i % 2 else d)
    return metric, lam, thresholds


@pytest.mark.parametrize(
    ("dtype", "spread", "soft", "listed", "order"),
    covering([*DTYPES, None], [0.1, 1.0, 4.0], [False, True], [False, True], emulation.ORDERS),
    ids=str,
)
def test_lists_in_a_metric(dtype, spread, soft, listed, order) -> None:
    w, lam1, lam, *groups = lists(listed, [dtype] if dtype else DTYPES)
    metric, lam1, lam = in_metric(w, spread, lam1 if soft else [], lam)
    found, given = copies(w), copies(w, torch.float64)
    with emulation.settings(order=order):
        emulated.prox_metric_(found, metric, lam1, lam, *groups)
    exact = [[t.double() for t in x] for x in (metric, lam1, lam)]
    prox_metric_(given, *exact, *groups)
    died = 0
    for x, y in zip(found, given, strict=True):
        eps = torch.finfo(emulated.computed_in(x)).eps
        # A ratio whose root is one to a rounding or two of each sum; of what is all but zero, the
        # root has the error of the sum that is compared with 1.
        assert_close(x, y, 32 * eps * float(y.abs().max()))
        died += int((y == 0).sum())
    assert 0 < died < sum(x.numel() for x in w)


@pytest.mark.parametrize("large", [True, False])
def test_a_long_list_in_a_metric_takes_several_launches(large) -> None:
    count = emulated.module().tensors_of_a_launch(large) + 3
    w = [draw(6, seed=i).to(DTYPES[1 + i % 3]) for i in range(count)]
    lam = [torch.tensor(0.1 * (1 + i % 5)) for i in range(count)]
    metric = [(0.5 * draw(6, seed=i)).exp().float() for i in range(count)]
    sizes = [3, 1] * count
    found, given = copies(w), copies(w)
    emulated.prox_metric_(found, metric, [], lam, [], [], sizes, large_parameters=large)
    prox_metric_(given, metric, [], lam, [], [], sizes)
    for x, y in zip(found, given, strict=True):
        assert_close(x, y.double(), 32 * 2.0**-23)


@pytest.mark.parametrize("exponent", [-148, -60, 60, 125])
def test_a_metric_of_numbers_near_the_ends_of_the_range(exponent) -> None:
    w = (draw(40).sign() * draw(40).abs().clamp(0.3, 1.9)).to(torch.float32) * 2.0**exponent
    d, lam = torch.ones(40), torch.tensor([2.0, 0.5, 4.0, 0.0]).mul(2.0**exponent)
    found, given = [w.clone()], [w.double()]
    emulated.prox_metric_(found, [d], [], [lam], [], [], [10, 1])
    prox_metric_(given, [d.double()], [], [lam.double()], [], [], [10, 1])
    assert_close(found[0], given[0], 32 * 2.0**-23 * float(w.abs().max()))


def test_what_is_not_finite_in_a_metric() -> None:
    w = torch.tensor([[3, 4], [3, INF], [3, INF], [3, NAN], [3, 4], [3, 4], [0, 0], [3, 4.0]])
    d = torch.tensor([[0, 1], [1, 2], [1, 2], [1, 2], [1, NAN], [1, -1], [1, 2], [NAN, 1.0]])
    lam = torch.tensor([1, 1, INF, INF, 1, 1, 1, 0.0])
    # A threshold that vanishes in units of the largest number is infinite over 0.
    w, d = torch.cat([w, torch.tensor([[1e38, 1]])]), torch.cat([d, torch.tensor([[1.0, 0]])])
    lam = torch.cat([lam, torch.tensor([1e-10])])
    found, given = [w.flatten()], [w.flatten().double()]
    emulated.prox_metric_(found, [d.flatten()], [], [lam], [], [], [2, 1])
    prox_metric_(given, [d.flatten().double()], [], [lam.double()], [], [], [2, 1])
    assert given[0].isnan().any()
    torch.testing.assert_close(found[0], given[0].float(), rtol=0, atol=0, equal_nan=True)


def test_an_infinite_threshold_is_one_for_a_step_of_zero() -> None:
    w = [torch.tensor([1.0, 2.0, 3.0, -4.0])]
    lam = [torch.tensor([INF, 1.0])]
    emulated.prox_group_(w, [], lam, [], [], [2, 1], 2.0, 0.0)
    assert w[0].tolist() == [0, 0, 3, -4]


@pytest.mark.parametrize("large", [True, False])
def test_a_long_list_takes_several_launches(large) -> None:
    room = emulated.module().tensors_of_a_launch(large)
    count = room + 3
    w = [draw(6, seed=i).to(DTYPES[1 + i % 3]) for i in range(count)]
    lam = [torch.tensor(0.1 * (1 + i % 5)) for i in range(count)]
    sizes = [3, 1] * count
    found, given = copies(w), copies(w)
    emulated.prox_group_(found, [], lam, [], [], sizes, 2.0, 1.0, large_parameters=large)
    prox_group_(given, [], lam, [], [], sizes, 2.0, torch.tensor(1.0, dtype=torch.float64))
    for x, y in zip(found, given, strict=True):
        assert_close(x, y.double(), 32 * 2.0**-23)


def test_parameters_fit_what_a_driver_takes() -> None:
    assert emulated.module().bytes_of_parameters(False) <= 4096
    assert emulated.module().bytes_of_parameters(True) <= 32764


@pytest.mark.parametrize(
    ("dtype", "count", "each", "by"),
    covering(DTYPES, [1, 9, 64, 4096, 4099, 9001], [False, True], [0, 1]),
    ids=str,
)
def test_soft_thresholds(dtype, count, each, by) -> None:
    # Beginning at any place: of views, copies with odd addresses are made.
    w, grad = draw(count).to(dtype), draw(count, seed=1).to(dtype)
    computed = emulated.computed_in(w)
    lam = (draw(count, seed=2).abs() if each else torch.tensor(0.5)).to(computed)
    given = emulation.misaligned(w, by * w.element_size()) if by else w
    to = torch.full_like(w, NAN)
    assert emulated.module().soften(given, lam, to) == 0
    want = l1_reference.prox_l1(w.double(), lam.double())
    eps = torch.finfo(computed).eps
    assert_close(to, want, eps * float(w.double().abs().max()))  # one rounding
    of_w, of_lam = emulated.prox_l1_backward(grad, w, lam)
    want_w, want_lam = l1_reference.prox_l1_backward(grad.double(), w.double(), lam.double())
    assert torch.equal(of_w.double(), want_w)
    assert_close(of_lam, want_lam, eps * math.sqrt(count))


def test_soft_thresholds_of_every_kind_of_number() -> None:
    numbers = torch.tensor([0.0, -0.0, 1, -1, INF, -INF, NAN, 1e-40, 3e38])
    levels = torch.tensor([0.0, 0.5, 1, INF, NAN, -1])
    w, lam = (x.flatten().contiguous() for x in torch.meshgrid(numbers, levels, indexing="ij"))
    grad = torch.full_like(w, 2.0)
    x, want = emulated.prox_l1(w, lam), l1_reference.prox_l1(w, lam)
    assert torch.equal(x.nan_to_num(7), want.nan_to_num(7))
    assert torch.equal(x.isnan(), want.isnan())
    found, wanted = (
        emulated.prox_l1_backward(grad, w, lam),
        l1_reference.prox_l1_backward(grad, w, lam),
    )
    known = ~(w.isnan() & (lam == 0))  # a sign of nan
    for got, of in zip(found, wanted, strict=True):
        torch.testing.assert_close(got[known], of[known], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("count", [1, 4097, 300_001])
def test_sums_of_many_numbers(count) -> None:
    numbers = torch.cat([draw(count), torch.full((emulated.module().sums_room(),), NAN)])
    to = torch.zeros(1, dtype=torch.float64)
    assert emulated.module().add_up(numbers, count, to) == 0
    assert float(to) == pytest.approx(math.fsum(numbers[:count].tolist()), abs=count * 2.0**-52)


@pytest.mark.parametrize("q", [2.0, INF, 1.5], ids=str)
@pytest.mark.parametrize("shape", [(13, 10, 1), (1, 1032, 1), (1, 40, 9)], ids=str)
def test_same_bits_in_every_order(shape, q) -> None:
    case = Case(shape, torch.float32, q, True, False, False)
    grad = draw(*shape, seed=2).float()

    def run() -> list[Tensor]:
        x, root = emulated.prox_group(*case.arguments)
        found = emulated.prox_group_backward(grad, *case.arguments, root)
        return [t.reshape(-1) for t in (x, root, *found) if t is not None]

    emulation.in_every_order(run, seeds=1)


def test_every_barrier_is_needed() -> None:
    # A group of a block, and columns of one thread each, which reduce nothing together.
    shapes = [(1, 1032, 1), (2, 3, 300)]
    cases = [Case(shape, torch.float32, 1.5, False, False, False) for shape in shapes]

    def run() -> None:
        for case in cases:
            emulated.prox_group(*case.arguments)
        # One reduction of a kind right after the other.
        emulated.project_l1inf(draw(1, 20, 4).float(), torch.tensor(1.0))

    barriers = emulation.barriers_of(run)
    assert barriers
    for barrier in barriers:
        assert emulation.noticed_without(run, barrier), barrier
