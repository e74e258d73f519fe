"""Proximal operators and projections of the largest and the smallest numbers of a dtype.

All are positively homogeneous: of numbers and thresholds (or radii) 2^e times as large they are 2^e
times as large. So they are held against float64 where nothing is large or small; the numbers there
are few digits long, tied and often 0, so that they are the same in every dtype and at every scale.
"""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from covering import covering
from prox_samples import DTYPES, INF, NAN, NORMS, as_csr, leaf, norms, off, same_bits, stored
from torch import Tensor

from lelkern import (
    project_l1_ball,
    project_l1inf_ball,
    project_simplex,
    prox_group_lasso,
    prox_l1,
    prox_nuclear,
    prox_sparse_group_lasso,
)
from lelkern.ops._dtypes import computed_in
from lelkern.ops.prox_metric import prox_group_lasso_metric, prox_l1_metric

PLACES = ("huge", "tiny", "subnormal")


def exponent(place: str, dtype: torch.dtype) -> int:
    """The exponent e for which 2^e times numbers of `eighths` are there.

    Subnormal ones begin at 2^8 quanta, the distance of the smallest numbers, so that what is off by
    a few of them is little; of 16 bits, which have less room, so that 14/8 are subnormal still.
    """
    numbers = torch.finfo(dtype)
    if place == "huge":
        return math.frexp(numbers.max)[1] - 1
    least = math.frexp(numbers.smallest_normal)[1] - 1
    digits = -math.frexp(numbers.eps)[1] + 1
    return least + 3 - (0 if place == "tiny" else max(digits - 8, 4))


def eighths(*shape: int, seed: int = 0) -> Tensor:
    """Multiples of 1/8 up to 1.75, half of them 0 or the largest."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-28, 29, shape, generator=generator).clamp(-14, 14).double() / 8
    return x.where(torch.rand(shape, generator=generator) > 0.2, 0)


def times_power(x: Tensor, e: int) -> Tensor:
    """x times 2^e, which itself may be no float64."""
    return x.double() * 2.0 ** (e // 2) * 2.0 ** (e - e // 2)


def quantum(dtype: torch.dtype, e: int) -> float:
    """The distance of the smallest numbers of a dtype, times 2^-e."""
    numbers = torch.finfo(dtype)
    return math.ldexp(numbers.smallest_normal * numbers.eps, -e)


def quanta(dtype: torch.dtype, e: int) -> float:
    """What rounding to the smallest numbers may take, times 2^-e.

    A result is rounded to the dtype, by half a quantum. So is each step of the computation in its
    own dtype, unless it is exact; at most eight of them are not: a threshold, what is left over it,
    and the norms and roots between these.
    """
    computed = computed_in(torch.empty(0, dtype=dtype))
    return quantum(dtype, e) / 2 + 4 * quantum(computed, e)


def assert_near(got: Tensor, want: Tensor, bound: Tensor) -> None:
    """Raise unless got is what is wanted, up to a bound that zeros, say, do not keep."""
    assert bound.max() < want.abs().max() / 4
    assert ((got - want).abs() <= bound).all(), (got - want).abs().max()


def assert_scales(
    call: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    t: Tensor,
    dtype: torch.dtype,
    place: str,
    error: Tensor | float,
) -> Tensor:
    """Raise unless call(x, t) of a dtype is 2^e times what it is near 1 in float64.

    Up to the error, relative to what numbers are near 1; what rounding to the dtype takes; and
    `quanta`. Returns the result, times 2^-e.
    """
    e = exponent(place, dtype)
    at = times_power(x, e).to(dtype)
    assert torch.equal(times_power(at, -e), x)  # nothing is rounded, nor infinite
    got = call(at, times_power(t, e).to(computed_in(at)))
    assert got.dtype == dtype
    want = call(x, t)
    got = times_power(got, -e)
    assert_near(got, want, error + stored(want, dtype) + quanta(dtype, e))
    return got


# ----- numbers past the range -----


@pytest.mark.parametrize("number", [1e39, 10**39, 10**400, math.nextafter(2.0**128, 0)], ids=str)
@pytest.mark.parametrize(
    "function",
    [
        prox_l1,
        prox_nuclear,
        project_l1_ball,
        project_l1inf_ball,
        partial(prox_group_lasso, dim=1),
        partial(prox_group_lasso, dim=1, weights="sqrt_size"),
        lambda w, lam: prox_sparse_group_lasso(w, lam, 0.5, dim=1),
        lambda w, lam: prox_sparse_group_lasso(w, 0.5, lam, dim=1),
        lambda w, lam: prox_l1_metric(w, torch.ones_like(w), lam),
        lambda w, lam: prox_group_lasso_metric(w, torch.ones_like(w), lam, dim=1),
    ],
)
def test_a_number_above_the_largest_is_infinite(function, number, device):
    """As is a tensor of another dtype that is cast."""
    for dtype in DTYPES[1:]:
        w = eighths(3, 5).to(device, dtype)
        assert torch.equal(function(w, number), function(w, INF))


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
@pytest.mark.parametrize("radius", [1e39, 10**39, torch.tensor(1e39, dtype=torch.float64)])
def test_a_simplex_has_no_radius_above_the_largest(radius, dtype):
    message = r"radius must be finite in torch\.float32, which is computed in, got 1"
    with pytest.raises(ValueError, match=message):
        project_simplex(torch.ones(3, dtype=dtype), radius)
    x = project_simplex(torch.ones(4, dtype=torch.float64), radius)
    assert torch.equal(x, torch.full_like(x, 1e39 / 4))


# ----- projections -----


@pytest.mark.parametrize("function", [project_simplex, project_l1_ball])
@pytest.mark.parametrize(
    ("dtype", "place", "n", "radius"),
    covering(DTYPES, PLACES, (1, 2, 9, 33, 1000), (0.25, 1.0, 1.75), strength=3),
    ids=str,
)
def test_rows_at_the_ends_of_the_range(function, dtype, place, n, radius, device):
    x = eighths(7, n, seed=n).to(device)
    x[0], x[1], x[2], x[3, :-1] = 1.75, -1.75, 0, -1.75
    x[3, -1], x[4], x[4, 0] = 1.75, 0, 1.75  # a number that has all of a simplex, or a ball
    t = torch.full((7,), radius, dtype=torch.float64, device=device)
    y = assert_scales(function, x, t, dtype, place, 2 * off(dtype, n) * radius)
    if place == "huge":  # elsewhere what is off by the smallest number may be all of it
        sums = y.abs().sum(1)
        want = t if function is project_simplex else torch.minimum(t, x.abs().sum(1))
        rounded = n * (2 * off(dtype, n) + torch.finfo(dtype).eps) * radius
        torch.testing.assert_close(sums, want, rtol=0, atol=rounded)


@pytest.mark.parametrize("function", [project_simplex, project_l1_ball])
@pytest.mark.parametrize(
    ("dtype", "place", "n"), covering(DTYPES, ("tiny", "subnormal"), (33, 1000)), ids=str
)
def test_a_radius_of_few_quanta_is_not_given_to_each(function, dtype, place, n, device):
    """Each of n tied numbers has a share that rounds to 0, or a quantum at most."""
    x = times_power(torch.full((2, n), 1.5), exponent(place, dtype)).to(device, dtype)
    numbers = torch.finfo(computed_in(x))
    least = numbers.smallest_normal * numbers.eps
    for radius in (2, 8, 14):
        r = torch.tensor(radius * least, dtype=computed_in(x), device=device)
        assert float(r) == radius * least
        y = function(x, r)
        assert (y >= 0).all()
        assert (y.double() <= least).all(), y.max()


@pytest.mark.parametrize("function", [project_simplex, project_l1_ball])
@pytest.mark.parametrize(
    ("dtype", "numbers", "radius"),
    covering(DTYPES[1:], PLACES, PLACES),
    ids=str,
)
def test_a_radius_far_from_the_numbers(function, dtype, numbers, radius, device):
    """float64 has room for both, beside each other; a radius is one of the computation's dtype."""
    x = times_power(eighths(5, 33), exponent(numbers, dtype)).to(device, dtype)
    # Of the smaller ones, which in float16 are larger than in float32, the results are numbers.
    e = max(exponent(radius, dtype), exponent(radius, computed_in(x)))
    r = torch.tensor(1.25 * 2.0**e, device=device)
    y, want = function(x, r.to(computed_in(x))), function(x.double(), r.double())
    bound = off(dtype, 33) * want.abs().sum(1, keepdim=True) + stored(want, dtype)
    least = torch.finfo(computed_in(x)).smallest_normal * torch.finfo(computed_in(x)).eps
    # In float16 the largest radii are infinite numbers.
    finite = want.abs() <= torch.finfo(dtype).max
    if finite.any():
        assert_near(y.double()[finite], want[finite], (bound + 4 * least)[finite])
    assert torch.equal(y.isinf() & ~finite, ~finite)


@pytest.mark.parametrize(
    ("dtype", "place", "G", "n", "radius"),
    covering(DTYPES, PLACES, (1, 2, 17), (1, 3, 33, 300), (0.25, 1.0, 1.75), strength=3),
    ids=str,
)
def test_balls_of_rows_at_the_ends_of_the_range(dtype, place, G, n, radius, device):
    x = eighths(3, G, n, seed=n).to(device)
    x[0], x[1, -1] = 1.75, 0
    t = torch.full((3,), radius, dtype=torch.float64, device=device)
    tops = x.abs().amax(2).sum(1).reshape(-1, 1, 1)
    assert_scales(project_l1inf_ball, x, t, dtype, place, off(dtype, G * n) * tops)


@pytest.mark.parametrize("function", [project_simplex, project_l1_ball, project_l1inf_ball])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_of_projections_of_the_largest_numbers(function, dtype, device):
    """They do not depend on the scale: no sum of them overflows either."""
    x = torch.tensor([[1.75, -1.5, 0.25, 1.0], [1.5, 0.25, -0.5, 0.0]], dtype=torch.float64)
    found = []
    for e, as_dtype in ((exponent("huge", dtype), dtype), (0, torch.float64)):
        w = times_power(x, e).to(device, as_dtype).requires_grad_()
        radius = leaf(times_power(torch.tensor(1.5), e), device, computed_in(w))
        grad = torch.linspace(1, 2, 8, device=device).reshape(2, 4).to(as_dtype)
        found.append(torch.autograd.grad(function(w, radius), (w, radius), grad))
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got.double(), want, rtol=0, atol=8 * torch.finfo(dtype).eps)


# ----- singular values -----


@pytest.mark.parametrize(
    ("dtype", "place", "shape", "t"),
    covering(
        DTYPES,
        PLACES,
        ((4, 4), (9, 3), (3, 9), (1, 5), (2, 3, 2), (40, 7)),
        (0.0, 0.5, 1.75),
        strength=3,
    ),
    ids=str,
)
def test_matrices_at_the_ends_of_the_range(dtype, place, shape, t, device):
    w = eighths(*shape, seed=2).to(device)
    lam = torch.tensor(t, dtype=torch.float64, device=device)
    # A number is one of a product with matrices of norm 1.
    error = 64 * torch.finfo(computed_in(w.to(dtype))).eps * torch.linalg.matrix_norm(w).max()
    x = assert_scales(prox_nuclear, w, lam, dtype, place, error if t else 0.0)
    if t == 0:
        assert torch.equal(x, w)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_singular_values_that_overflow(dtype, device):
    """Of n times n equal numbers the only one is n times that number."""
    huge = torch.finfo(dtype).max
    w = torch.full((8, 8), huge, dtype=dtype, device=device)
    eps = torch.finfo(computed_in(w)).eps
    x = prox_nuclear(w, huge / 2)
    want = torch.full_like(w, (1 - 1 / 16) * huge)
    torch.testing.assert_close(x, want, rtol=64 * eps + torch.finfo(dtype).eps, atol=0)
    diagonal = torch.diag(torch.tensor([huge, huge, huge / 4], dtype=dtype, device=device))
    x = prox_nuclear(diagonal, huge / 2)  # singular values that are tied, and one that vanishes
    want = torch.diag(torch.tensor([huge / 2, huge / 2, 0.0], dtype=dtype, device=device))
    torch.testing.assert_close(x, want, rtol=64 * eps, atol=64 * eps * huge)


@pytest.mark.parametrize(
    ("dtype", "values", "t"),
    [
        (torch.float32, (1e10, 1e-36), 1e-37),
        (torch.float32, (1e10, 1e-30), 1e-33),
        (torch.float32, (1e38, 1e-3), 1e-6),
        (torch.float64, (1e100, 1e-300), 1e-301),
        (torch.float64, (1e300, 1e-100), 1e-103),
        (torch.float32, (1e-45, 3e-45), 1e-45),
    ],
    ids=str,
)
def test_singular_values_of_a_wide_range(dtype, values, t, device):
    """Those of a diagonal matrix are its numbers, which nothing mixes: each keeps its digits."""
    values = torch.tensor(values, dtype=dtype)
    # Beside one that needs no scale, and one that needs another.
    one = torch.eye(2, dtype=dtype)
    w = torch.stack([torch.diag(values), one, 3 * values.max() * one])
    x = prox_nuclear(w.to(device), t).double()
    want = values.double() - torch.tensor(t, dtype=dtype).double()
    torch.testing.assert_close(
        x[0].diagonal(), want.to(device), rtol=4 * torch.finfo(dtype).eps, atol=0
    )
    assert x[0].count_nonzero() == want.count_nonzero()


@pytest.mark.parametrize(
    ("dtype", "values", "t"),
    [
        (torch.float32, (1e38, 1.0, 0.0), 1e-20),
        (torch.float32, (1e25, 1.0, 0.0), 1e-25),
        (torch.float64, (1e300, 1.0, 0.0), 1e-200),
    ],
    ids=str,
)
def test_a_threshold_far_below_the_singular_values_is_not_0(dtype, values, t, device):
    """A singular value of 0 vanishes, with its gradient, and where t is 0 it does not."""
    w = leaf(torch.diag(torch.tensor(values, dtype=dtype)), device, dtype)
    for threshold, last in ((t, 0.0), (0.0, 1.0)):
        x = prox_nuclear(w, threshold)
        (grad,) = torch.autograd.grad(x.diagonal().sum(), w, create_graph=True)
        want = torch.tensor([1.0, 1.0, last], dtype=dtype, device=device)
        torch.testing.assert_close(grad.diagonal(), want)
        (second,) = torch.autograd.grad(grad.sum(), w)
        assert second.isfinite().all()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_second_derivatives_at_the_ends_of_the_range(dtype, place, device):
    """They are 2^-e times as large: of subnormal numbers infinite, but 0 where they are 0."""
    w = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0]], dtype=torch.float64, device=device)
    lam = torch.tensor(0.75, dtype=torch.float64, device=device)
    want = torch.func.hessian(prox_nuclear, (0, 1))(w, lam)
    e = exponent(place, dtype)
    at = [times_power(x, e).to(dtype) for x in (w, lam)]
    got = torch.func.hessian(prox_nuclear, (0, 1))(*at)
    for got_of, want_of in zip(got, want, strict=True):
        for g, wanted in zip(got_of, want_of, strict=True):
            scaled = times_power(wanted, -e).to(dtype)
            torch.testing.assert_close(
                g, scaled, rtol=64 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).tiny
            )


@pytest.mark.parametrize("place", ["huge", "tiny", "subnormal"])
def test_gradients_of_singular_values_at_the_ends_of_the_range(place, device):
    """First ones do not depend on the scale.

    A decomposition is that of a matrix that is off by 64 eps of its norm, as above; and how much
    that changes the gradient is a product with second divided differences, which are at most one
    over the distance of singular values on different sides of the threshold.
    """
    values = torch.linalg.svdvals(eighths(5, 3, seed=2))
    gap = values[values > 1.5].min() - values[values <= 1.5].max()
    grad = torch.linspace(1, 2, 15, dtype=torch.float64).reshape(5, 3)
    off_by = 64 * torch.finfo(torch.float64).eps * values.norm() * grad.norm() / gap
    found = []
    for e in (exponent(place, torch.float64), 0):
        w = leaf(times_power(eighths(5, 3, seed=2), e), device)
        lam = leaf(times_power(torch.tensor(1.5), e), device)
        found.append(torch.autograd.grad(prox_nuclear(w, lam), (w, lam), grad.to(device)))
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=float(off_by))


# ----- groups, and elements in them -----


def along(call: Callable[..., Tensor], arrangement: str) -> Callable[[Tensor], Tensor]:
    """From rows that are groups to the result, with the groups as columns or listed as well."""

    def of(rows: Tensor) -> Tensor:
        if arrangement == "columns":
            return call(rows.t().contiguous(), dim=0).t()
        return call(rows, **({"groups": as_csr(rows)} if arrangement == "csr" else {"dim": 1}))

    return of


@pytest.mark.parametrize(
    ("q", "dtype", "place", "n", "arrangement"),
    covering(NORMS, DTYPES, PLACES, (1, 3, 33), ("rows", "columns", "csr")),
    ids=str,
)
@pytest.mark.parametrize("lam1", [0.125, 1.5])
def test_sparse_groups_at_the_ends_of_the_range(lam1, q, dtype, place, n, arrangement, device):
    w = eighths(6, n, seed=n).to(device)
    w[0], w[1], w[2], w[2, 0] = 1.75, 0, 0, -1.75
    t = torch.full((6,), 0.125, dtype=torch.float64, device=device)

    def call(w: Tensor, t: Tensor) -> Tensor:
        def sparse(w: Tensor, **how) -> Tensor:
            return prox_sparse_group_lasso(w, 8 * lam1 * t, t, q=q, **how)

        return along(sparse, arrangement)(w)

    size = (norms(w, 2.0) + t).unsqueeze(1)
    x = assert_scales(call, w, t, dtype, place, off(dtype, n) * size)
    assert (x[1] == 0).all()


@pytest.mark.parametrize("arrangement", ["rows", "columns", "csr"])
@pytest.mark.parametrize(("q", "dtype"), covering(NORMS, DTYPES), ids=str)
def test_sparse_groups_of_what_is_not_finite(q, dtype, arrangement, device):
    v = eighths(8, 21, seed=3).to(device, dtype)
    v[1, 20], v[2, 3], v[3, 0], v[3, 1], v[4], v[5, 7] = NAN, INF, NAN, -INF, 0, -INF

    def sparse(lam1: float, lam2: float) -> Tensor:
        return along(
            lambda w, **how: prox_sparse_group_lasso(w, lam1, lam2, q=q, **how), arrangement
        )(v)

    x = sparse(0.5, 0.25)
    assert x[[1, 3]].isnan().all()
    # Elements have their thresholds, and the norm of a group that is infinite takes nothing off.
    for g, i in ((2, 3), (5, 7)):
        want = v[g].sign() * (v[g].abs() - 0.5).clamp(min=0)
        assert (x[g] == want).all()
        assert x[g, i].isinf()
    assert (x[4] == 0).all()
    assert x[[0, 6, 7]].isfinite().all()
    for lam1, lam2 in ((INF, 0.25), (0.5, INF), (INF, INF), (INF, 0.0)):
        x = sparse(lam1, lam2)
        kept = [g for g in range(8) if g not in (1, 3)]
        assert (x[kept] == 0).all()
        # With no threshold of groups each element is alone with its own.
        assert x[1].isnan().all() if lam2 else x[1, 20].isnan()
    assert sparse(NAN, 0.25).isnan().all()
    assert sparse(0.5, NAN).isnan().all()
    assert same_bits(sparse(0.0, 0.0), v)


# ----- in a metric -----


@pytest.mark.parametrize(
    ("dtype", "place", "n", "metric"),
    covering(DTYPES[:2], PLACES, (1, 3, 33), (-100, -20, 0, 20, 100)),
    ids=str,
)
def test_groups_in_a_metric_at_the_ends_of_the_range(dtype, place, n, metric, device):
    """x(2^e w, 2^m d, 2^(e + m) lam) = 2^e x(w, d, lam), where the threshold is a number."""
    e, m = exponent(place, dtype), metric
    w = eighths(6, n, seed=n).to(device)
    w[0], w[1] = 1.75, 0
    d = (eighths(6, n, seed=9).abs() + 0.25).to(device)
    lam = torch.full((6,), 1.0, dtype=torch.float64, device=device)
    numbers = torch.finfo(dtype)
    scaled = times_power(lam, e + m)
    if not (scaled <= numbers.max).all() or (scaled < numbers.smallest_normal).any():
        m = 0
    at = [times_power(x, k).to(dtype) for x, k in ((w, e), (d, m), (lam, e + m))]
    for function, how, thresholds in (
        (prox_group_lasso_metric, {"dim": 1}, lambda t: t),
        (prox_l1_metric, {}, lambda t: t.unsqueeze(1).expand(6, n)),
    ):
        got = times_power(function(at[0], at[1], thresholds(at[2]), **how), -e)
        want = function(w, d, thresholds(lam), **how)
        assert_near(got, want, 16 * numbers.eps * want.abs() + quanta(dtype, e) + 1e-300)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_thresholds_over_a_metric_that_overflow(dtype, device):
    """lam / d is no number, but is not above the norm of the largest ones."""
    largest = torch.finfo(computed_in(torch.empty(0, dtype=dtype))).max
    w = torch.full((1, 100), torch.finfo(dtype).max, dtype=dtype, device=device)
    lam = torch.tensor(0.3 * float(w[0, 0]), device=device, dtype=torch.float64)
    lam = lam.to(computed_in(w))
    metric = torch.full_like(w, 0.125)
    x = prox_group_lasso_metric(w, metric, lam, dim=1)
    # lam / d = 2.4 times w, of a norm of 10 times w.
    assert float(lam) * 8 > largest or dtype == torch.float16
    want = w.double() * (1 - 0.24)
    torch.testing.assert_close(x.double(), want, rtol=2 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_metric_of_what_is_not_finite(dtype, device):
    w = torch.tensor(
        [[3.0, 4.0], [NAN, 4.0], [INF, 4.0], [0.0, -0.0], [3.0, 4.0], [3.0, 4.0]],
        dtype=dtype,
        device=device,
    )
    metric = torch.ones_like(w)
    metric[4, 0], metric[5, 0] = NAN, INF
    x = prox_group_lasso_metric(w, metric, 2.5, dim=1)
    torch.testing.assert_close(x[0].double(), w[0].double() / 2, rtol=1e-2, atol=0)
    assert x[1].isnan().all()
    assert same_bits(x[2], w[2])
    assert (x[3] == 0).all()
    assert x[4].isnan().all()
    assert x[5, 0] == 3  # which nothing moves
    assert 0 < x[5, 1] < 4
    assert same_bits(prox_group_lasso_metric(w, metric, 0.0, dim=1), w)
    x = prox_l1_metric(w, metric, 2.5)
    want = [[0.5, 1.5], [NAN, 1.5], [INF, 1.5], [0, 0], [NAN, 1.5], [3, 1.5]]
    assert torch.equal(
        x.double().nan_to_num(7), torch.tensor(want).double().nan_to_num(7).to(device)
    )
    assert same_bits(prox_l1_metric(w, metric, 0.0), w)


def test_of_no_threshold_of_elements_it_is_the_group_lasso(device):
    """At the ends of the range too, where it is another kernel."""
    for place in PLACES:
        w = times_power(eighths(6, 33), exponent(place, torch.float32)).to(device, torch.float32)
        t = times_power(torch.tensor(0.25), exponent(place, torch.float32)).float()
        for q in NORMS:
            want = prox_group_lasso(w, t, dim=1, q=q)
            assert same_bits(prox_sparse_group_lasso(w, 0.0, t, dim=1, q=q), want)
