"""Group lasso and sparse group lasso: the definition, every arrangement of groups, exact limits."""

import math
import re

import hypothesis.strategies as st
import pytest
import torch
from covering import covering
from hypothesis import given, settings
from prox_samples import (
    DTYPES,
    INF,
    NAN,
    NORMS,
    as_csr,
    assert_minimises,
    conjugate,
    normals,
    norms,
    off,
    rows,
    same_bits,
    stored,
)
from torch import Tensor

import lelkern
from lelkern import CSRGroups, prox_group_lasso, prox_l1, prox_sparse_group_lasso

KINDS = ("normal", "heavy", "tied", "sparse", "constant")
# Around the vectors, of 2 to 16 numbers, and far beyond.
SIZES = (1, 2, 3, 7, 8, 9, 17, 33, 1000)
# Of the threshold at which a group vanishes.
SHARES = (0.0, 1e-9, 0.1, 0.6, 0.95, 1 - 1e-9, 1 + 1e-9, 5.0)


def along(x: Tensor, arrangement: str) -> tuple[Tensor, dict]:
    """Rows (G, N) as a tensor whose groups they are, and the arguments that say so."""
    if arrangement == "columns":
        return x.t().contiguous(), {"dim": 0}
    if arrangement == "transposed":
        return x.t().contiguous().t(), {"dim": 1}
    if arrangement == "csr":
        return x, {"groups": as_csr(x)}
    return x, {"dim": 1}


def back(x: Tensor, arrangement: str) -> Tensor:
    return x.t() if arrangement == "columns" else x


# ----- the definition -----


@pytest.mark.parametrize(
    ("q", "kind", "N", "share", "arrangement"),
    covering(NORMS, KINDS, SIZES, SHARES, ("rows", "columns", "csr")),
)
def test_it_is_the_minimiser(q, kind, N, share, arrangement, device):
    v = rows(kind, 11, N, seed=N).to(device)
    t = share * norms(v, conjugate(q))
    w, how = along(v, arrangement)
    x = back(prox_group_lasso(w, t, q=q, **how), arrangement)
    assert_minimises(x, v, t, q)
    if share > 1:
        assert (x == 0).all()
    elif share <= 0.95:
        assert ((x != 0).any(1) == (v != 0).any(1)).all()


@pytest.mark.parametrize(
    ("dtype", "q", "N", "arrangement"),
    covering(DTYPES[1:], NORMS, SIZES, ("rows", "columns", "csr")),
    ids=str,
)
def test_other_dtypes_are_as_near_as_they_can_be(dtype, q, N, arrangement, device):
    v = rows("normal", 13, N, seed=N).to(device, dtype)
    t = (0.5 * norms(v.double(), conjugate(q))).float()
    w, how = along(v, arrangement)
    x = back(prox_group_lasso(w, t, q=q, **how), arrangement)
    assert x.dtype == dtype
    want = prox_group_lasso(v.double(), t.double(), dim=1, q=q)
    size = norms(v.double(), 2.0).unsqueeze(1) + t.double().unsqueeze(1)
    assert ((x.double() - want).abs() <= off(dtype, N) * size + stored(want, dtype)).all()


# ----- properties -----

numbers = st.floats(-10, 10, width=32)
vectors = st.integers(1, 6).flatmap(lambda n: st.lists(numbers, min_size=2 * n, max_size=2 * n))


@settings(max_examples=60, deadline=None)
@given(values=vectors, t=st.floats(0, 12), q=st.sampled_from(NORMS))
def test_properties(values, t, q):
    """Optimality; the distance of two points does not grow; Moreau's identity."""
    v = torch.tensor(values, dtype=torch.float64).reshape(2, -1)
    x = prox_group_lasso(v, t, dim=1, q=q)
    assert_minimises(x, v, torch.full((2,), t, dtype=torch.float64), q)
    eps = off(torch.float64, v.shape[1]) * (v.norm() + t)
    assert (x[0] - x[1]).norm() <= (v[0] - v[1]).norm() + eps
    # What is left is the projection onto the dual ball.
    if q == INF:
        rest = lelkern.project_l1_ball(v, t)
        torch.testing.assert_close(v - x, rest, atol=float(eps), rtol=0)
    assert (x.abs() <= v.abs() * (1 + eps)).all()
    assert (x * v >= 0).all()


@settings(max_examples=30, deadline=None)
@given(values=vectors, lam1=st.floats(0, 5), lam2=st.floats(0, 5), q=st.sampled_from(NORMS))
def test_sparse_groups_are_groups_of_thresholded_elements(values, lam1, lam2, q):
    v = torch.tensor(values, dtype=torch.float64).reshape(2, -1)
    x = prox_sparse_group_lasso(v, lam1, lam2, dim=1, q=q)
    want = prox_group_lasso(prox_l1(v, lam1), lam2, dim=1, q=q)
    torch.testing.assert_close(x, want, rtol=1e-14, atol=1e-14)
    # Optimality: what is left is lam1 times a sign, or less, and lam2 times a slope.
    rest = v - x
    left = rest - rest.clamp(-lam1, lam1)
    slope = (rest - lam1 * x.sign()).where(x != 0, 0)
    for row in range(2):
        if (x[row] != 0).any():
            dual = norms(slope[row : row + 1], conjugate(q))
            torch.testing.assert_close(dual, dual.new_tensor([lam2]), rtol=0, atol=1e-12)
        else:
            assert norms(left[row : row + 1], conjugate(q)) <= lam2 + 1e-12


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_norms_near_2_and_infinity_have_their_limits(dtype, device):
    v = normals(5, 9).to(device, dtype)
    for near, limit in ((2 + 1e-9, 2.0), (2 - 1e-9, 2.0), (1e9, INF)):
        got, want = (prox_group_lasso(v, 0.7, dim=1, q=q) for q in (near, limit))
        # The result depends on q as smoothly as powers do: by 1e-9 times logarithms.
        torch.testing.assert_close(got, want, rtol=0, atol=1e-7 + 20 * torch.finfo(dtype).eps)
    # And with q near 1 it is the soft threshold's, were there one of all but zeros.
    got = prox_group_lasso(v, 0.1, dim=1, q=1 + 1e-7)
    torch.testing.assert_close(got, prox_l1(v, 0.1), rtol=0, atol=1e-5)


# ----- arrangements -----


@pytest.mark.parametrize("q", [2.0, INF, 3.0])
@pytest.mark.parametrize(
    "dim", [0, 1, 2, 3, (0, 1), (1, 2, 3), (0, 3), (3, 1), (-2,), (0, 1, 2, 3)]
)
def test_any_dimensions(dim, q, device):
    w = normals(3, 4, 2, 5).to(device)
    dims = {d % 4 for d in ((dim,) if isinstance(dim, int) else dim)}
    outside = [d for d in range(4) if d not in dims]
    order = [*outside, *sorted(dims)]
    beside = w.permute(order).reshape(math.prod(w.shape[d] for d in outside), -1)
    lam = torch.linspace(0.1, 1.5, len(beside), dtype=torch.float64, device=device)
    want = prox_group_lasso(beside, lam, dim=1, q=q)
    want = want.reshape([w.shape[d] for d in order]).permute([order.index(d) for d in range(4)])
    layouts = [w, w.contiguous(memory_format=torch.channels_last), w.flip(0).flip(0)]
    layouts += [
        torch.stack((w, w), -1)[..., 1],
        w.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
    ]
    for x in layouts:
        got = prox_group_lasso(x, lam, dim=dim, q=q)
        torch.testing.assert_close(got, want, rtol=1e-14, atol=1e-15)


def test_the_memory_format_is_kept(device):
    w = normals(6, 4, 3, 3).to(device).contiguous(memory_format=torch.channels_last)
    assert prox_group_lasso(w, 0.5, dim=(1, 2, 3)).stride() == w.stride()
    assert prox_l1(w, 0.5).stride() == w.stride()
    turned = normals(6, 4).to(device).t()
    assert prox_group_lasso(turned, 0.5, dim=0).stride() == turned.stride()
    assert prox_group_lasso(turned, 0.5, dim=1).stride() == turned.stride()


@pytest.mark.parametrize("block", [(2, -1), (2, 3), (-1, 2), (6, 6), (1, 1), (1, -1), (3, 6)])
def test_blocks(block, device):
    w = normals(6, 6).to(device)
    sizes = [6 if b == -1 else b for b in block]
    count = (6 // sizes[0]) * (6 // sizes[1])
    lam = torch.linspace(0.2, 1.4, count, dtype=torch.float64, device=device)
    got = prox_group_lasso(w, lam, groups=block)
    parts = [part for strip in w.split(sizes[0], 0) for part in strip.split(sizes[1], 1)]
    for i, (part, place) in enumerate(
        zip(parts, [p for s in got.split(sizes[0], 0) for p in s.split(sizes[1], 1)], strict=True)
    ):
        want = prox_group_lasso(part.reshape(1, -1), lam[i], dim=1).reshape(part.shape)
        torch.testing.assert_close(place, want, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("q", [2.0, INF, 3.0, 1.5])
def test_groups_of_any_size_in_any_order(q, device):
    w = normals(7, 6).to(device)
    members = [[3], [], [40, 0, 17, 5], list(range(20, 35)), [], [41, 1]]
    ptr = torch.tensor([0, *torch.tensor([len(m) for m in members]).cumsum(0)])
    groups = CSRGroups(ptr, torch.tensor([i for m in members for i in m])).to(device)
    lam = torch.linspace(0.1, 0.9, 6, dtype=torch.float64, device=device)
    got = prox_group_lasso(w, lam, groups=groups, q=q).flatten()
    sparse = prox_sparse_group_lasso(w, 0.2, lam, groups=groups, q=q).flatten()
    want, want_sparse = w.flatten().clone(), w.flatten().clone()
    for g, indices in enumerate(members):
        if indices:
            row = w.flatten()[indices].unsqueeze(0)
            want[indices] = prox_group_lasso(row, lam[g], dim=1, q=q)[0]
            want_sparse[indices] = prox_sparse_group_lasso(row, 0.2, lam[g], dim=1, q=q)[0]
    torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(sparse, want_sparse, rtol=1e-13, atol=1e-14)


def test_one_large_group(device):
    w = normals(10**6).float().to(device)
    t = 0.5 * w.double().norm()
    want = w.double() / 2
    everything = CSRGroups(torch.tensor([0, 10**6]), torch.arange(10**6)).to(device)
    for how in ({"dim": 0}, {"groups": everything}):
        got = prox_group_lasso(w, t, **how).double()
        # A sum of a million numbers, in parts of at most some thousands.
        torch.testing.assert_close(got, want, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("shape", "dim"), [((0, 3), 1), ((3, 0), 1), ((0,), 0), ((2, 0, 3), 1), ((0, 0), 0)]
)
@pytest.mark.parametrize("q", [2.0, INF, 3.0])
def test_nothing_is_no_exception(shape, dim, q, device):
    for dtype in (torch.float64, torch.float16):
        w = torch.zeros(shape, dtype=dtype, device=device, requires_grad=True)
        lam = torch.tensor(0.5, dtype=torch.float64, device=device, requires_grad=True)
        x = prox_group_lasso(w, lam, dim=dim, q=q, weights="sqrt_size")
        assert x.shape == shape
        of_w, of_lam = torch.autograd.grad(x.sum(), (w, lam))
        assert of_w.shape == shape
        assert of_lam == 0
        lelkern.prox_group_lasso_(w, lam, dim=dim, q=q)


@pytest.mark.parametrize("q", [2.0, INF, 1.5])
def test_weights(q, device):
    w = normals(4, 9).to(device)
    csr = CSRGroups(torch.tensor([0, 9, 9, 11, 20]), torch.arange(20)).to(device)
    for how, sizes in (({"dim": 1}, [9] * 4), ({"groups": csr}, [9, 0, 2, 9])):
        roots = torch.tensor(sizes, dtype=torch.float64, device=device).sqrt()
        want = prox_group_lasso(w, 0.3 * roots, q=q, **how)
        for weights in ("sqrt_size", roots):
            got = prox_group_lasso(w, 0.3, q=q, weights=weights, **how)
            torch.testing.assert_close(got, want, rtol=1e-14, atol=1e-15)
    weights = torch.tensor([0.0, INF, 1.0, 2.0], dtype=torch.float64, device=device)
    for lam in (0.0, 0.5, INF):
        x = prox_group_lasso(w, lam, dim=1, q=q, weights=weights)
        assert same_bits(x[0], w[0])  # not penalised
        assert (x[1] == 0).all()  # whatever lam is
    assert same_bits(prox_group_lasso(w, 0.0, dim=1, weights=weights)[2:], w[2:])


def test_a_number_and_a_tensor_are_the_same(device):
    w = normals(4, 5).float().to(device)
    want = prox_group_lasso(w, 0.3, dim=1)
    for lam in (torch.tensor(0.3), torch.tensor([0.3]), torch.full((4,), 0.3), [0.3] * 4):
        lam = torch.tensor(lam) if isinstance(lam, list) else lam
        assert torch.equal(prox_group_lasso(w, lam.to(device), dim=1), want)


# ----- limits -----


@pytest.mark.parametrize("q", NORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_threshold_of_zero_is_the_identity_bit_for_bit(dtype, q, device):
    w = rows("heavy", 5, 19).to(device, dtype)
    w[1], w[2, ::2], w[3, 3], w[4, 4] = -0.0, 0.0, INF, NAN
    for how in ({"dim": 1}, {"dim": 0}, {"groups": as_csr(w)}):
        assert same_bits(prox_group_lasso(w, 0.0, q=q, **how), w)
        assert same_bits(prox_sparse_group_lasso(w, 0.0, 0.0, q=q, **how), w)


@pytest.mark.parametrize("arrangement", ["rows", "columns", "csr"])
@pytest.mark.parametrize("q", NORMS)
def test_what_is_not_finite(q, arrangement, device):
    for dtype in (torch.float64, torch.float16):
        v = rows("normal", 8, 21).to(device, dtype)
        v[1, 20], v[2, 3], v[3, 0], v[3, 1], v[5, 7] = NAN, INF, NAN, INF, -INF
        lam = torch.full((8,), 0.5, dtype=torch.float64, device=device)
        lam[4], lam[6], lam[7] = NAN, INF, 0.25
        lam[5] = INF  # which an infinite number does not escape
        w, how = along(v, arrangement)
        for x in (
            back(prox_group_lasso(w, lam, q=q, **how), arrangement),
            back(prox_sparse_group_lasso(w, torch.zeros_like(lam), lam, q=q, **how), arrangement),
        ):
            for g in (1, 3, 4):
                assert x[g].isnan().all()
            assert same_bits(x[2], v[2])  # the limit
            assert (x[5] == 0).all()
            assert (x[6] == 0).all()
            assert x[[0, 7]].isfinite().all()
        nans = torch.full_like(lam, INF)
        x = back(prox_group_lasso(w, nans, q=q, **how), arrangement)
        assert x[[1, 3]].isnan().all()  # also if the threshold is infinite
        assert (x[[0, 2, 4, 5, 6, 7]] == 0).all()
        x = back(prox_sparse_group_lasso(w, nans, lam, q=q, **how), arrangement)
        assert x[[1, 3, 4]].isnan().all()
        assert (x[[0, 2, 5, 6, 7]] == 0).all()


@pytest.mark.parametrize("q", NORMS)
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float64, 1e300),
        (torch.float64, 1e-300),
        (torch.float64, 5e-324),
        (torch.float32, 1e38),
        (torch.float32, 1e-38),
        (torch.float32, 1e-44),
        (torch.float32, 3e38),
        (torch.bfloat16, 1e38),
        (torch.float16, 6e4),
        (torch.float16, 1e-7),
    ],
    ids=str,
)
def test_huge_and_tiny_numbers(dtype, scale, q, device):
    small = torch.tensor([[1.0, -0.5, 0.25], [0.5, 0.5, 0.5], [1.0, 0.0, 0.0]])
    v = (small.double() * scale).to(device, dtype)
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    t = (0.5 * torch.tensor(scale, dtype=torch.float64)).to(device, computed)
    got = prox_group_lasso(v, t, dim=1, q=q)
    # Exactly, by a power of 2, to where nothing is lost.
    power = 2.0 ** -math.floor(math.log2(scale)) if scale > 1 else 2.0**900
    unit, unit_t = v.double() * power, t.double() * power
    want = prox_group_lasso(unit, unit_t, dim=1, q=q)
    bound = off(dtype, 3) * (norms(unit, 2.0) + unit_t).unsqueeze(1)
    numbers = torch.finfo(dtype)
    bound = bound + stored(want, dtype) + 4 * numbers.smallest_normal * numbers.eps * power
    assert ((got.double() * power - want).abs() <= bound).all()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-13, 1e-17, 1e-22, 1e-37, 1e18, 1e36], ids=str)
@pytest.mark.parametrize("arrangement", ["rows", "columns"])
def test_norms_of_float32_are_off_by_their_last_place_at_most(arrangement, scale, sparse, device):
    """As far as the shrinkage shows, also where squares leave float32's range, and of zeros."""
    G, N = 37, 2049
    v = (normals(G, N) * scale).float()
    v[3] = 0
    v[4] = 0.7 * scale  # whose squares are rounded the same way each
    v[5] = 2**-12.6 * scale  # whose squares are lost beside the first of 64 vectors
    v[5, ::1024], v[5, 1::1024] = scale, scale
    lam1 = float(torch.tensor(0.25 * scale).float()) if sparse else 0.0
    u = v.double().sign() * (v.double().abs() - lam1).clamp(min=0)
    exact = u.norm(dim=1)
    t = exact.where(exact > 0, scale).div(2).float().double()
    w, dim = (v, 1) if arrangement == "rows" else (v.T.contiguous(), 0)
    x = prox_sparse_group_lasso(w.to(device), lam1, t.to(device), dim=dim)
    x = (x if arrangement == "rows" else x.T).double().cpu()
    want = u * (1 - t / exact).unsqueeze(1).nan_to_num(0)
    eps = torch.finfo(torch.float32).eps
    # Of the norm 2.5 / 4 eps, half of which is taken off the share of 1/2; and two roundings. What
    # soft thresholds leave is rounded as well, and its squares are of that.
    off = 2.5 / 4 + 1 + (1 if sparse else 0)
    assert ((x - want).abs() <= off * eps * want.abs() + 2e-45).all()
    assert (prox_sparse_group_lasso(w.to(device), lam1, (2.01 * t).to(device), dim=dim) == 0).all()


@pytest.mark.parametrize("q", NORMS)
def test_at_the_threshold_a_group_vanishes(q, device):
    # Of norms that are exact: one element, or a Pythagorean triple.
    v = torch.tensor([[3.0, 0.0], [0.0, -3.0]], device=device)
    below, above = (torch.nextafter(torch.tensor(3.0), torch.tensor(to)) for to in (0.0, 9.0))
    assert (prox_group_lasso(v, 3.0, dim=1, q=q) == 0).all()
    assert (prox_group_lasso(v, above.item(), dim=1, q=q) == 0).all()
    assert (prox_group_lasso(v, below.item(), dim=1, q=q) != 0).any(1).all()
    triple = torch.tensor([[3.0, 4.0]], device=device)
    assert (prox_group_lasso(triple, 5.0, dim=1) == 0).all()
    assert (prox_group_lasso(triple, 4.9999, dim=1) != 0).all()


def test_a_group_of_zeros_stays_one_for_every_threshold(device):
    zeros = torch.zeros(3, 9, device=device)
    for q in NORMS:
        for lam in (0.0, 1e-45, 1.0, INF):
            x = prox_group_lasso(zeros, lam, dim=1, q=q)
            assert (x == 0).all()


def test_a_negative_threshold_that_nobody_looks_at_gives_nan(device):
    w = normals(2, 3).to(device)
    lam = torch.tensor([-1.0, 0.5], dtype=torch.float64, device=device)
    for q in (2.0, INF, 3.0):
        x = torch.ops.lelkern.prox_group(w.reshape(2, 3, 1), None, lam, None, None, q)[0]
        assert x[0].isnan().all()
        assert x[1].isfinite().all()
        x = torch.ops.lelkern.prox_group(w.reshape(2, 3, 1), lam, lam.abs(), None, None, q)[0]
        assert x[0].isnan().all()
        assert x[1].isfinite().all()


@pytest.mark.once
def test_same_bits_for_any_number_of_threads():
    w = rows("heavy", 300, 33).float().requires_grad_()
    lam = torch.rand(300, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before = torch.get_num_threads()
    for q in (2.0, INF, 3.0):
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            try:
                x = prox_group_lasso(w, lam, dim=1, q=q)
                results.append([x, *torch.autograd.grad(x.square().sum(), (w, lam))])
            finally:
                torch.set_num_threads(before)
        for one, *others in zip(*results, strict=True):
            assert all(torch.equal(one, other) for other in others)


# ----- errors -----

W = normals(4, 6)


@pytest.mark.once
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: prox_group_lasso([1.0], 1, dim=0), TypeError, "w must be a tensor, got list"),
        (lambda: prox_group_lasso(W.long(), 1, dim=0), TypeError, "w must be float64"),
        (lambda: prox_group_lasso(W, -1, dim=0), ValueError, "lam must be >= 0, got -1"),
        (lambda: prox_group_lasso(W, "1", dim=0), TypeError, "lam must be a number"),
        (
            lambda: prox_sparse_group_lasso(W, 1, -2.0, dim=0),
            ValueError,
            "lam2 must be >= 0, got -2.0",
        ),
        (
            lambda: prox_sparse_group_lasso(W, -torch.ones(4), 0, dim=1),
            ValueError,
            "lam1 must be >= 0, got -1.0",
        ),
        (
            lambda: prox_group_lasso(W, torch.ones(6), dim=1),
            ValueError,
            "lam must have one element, or one a group, (4,), got (6,)",
        ),
        (
            lambda: prox_group_lasso(W, torch.tensor(1), dim=1),
            TypeError,
            "lam must be floating point, got torch.int64",
        ),
        (lambda: prox_group_lasso(W, 1), ValueError, "exactly one of dim and groups"),
        (
            lambda: prox_group_lasso(W, 1, dim=0, groups=(2, 2)),
            ValueError,
            "exactly one of dim and groups must be given, got dim = 0, groups = (2, 2)",
        ),
        (lambda: prox_group_lasso(W, 1, dim=2), ValueError, "dim must be from -2 to 1 for w"),
        (lambda: prox_group_lasso(W, 1, dim=(0, -2)), ValueError, "each once, got (0, -2)"),
        (lambda: prox_group_lasso(W, 1, dim=()), ValueError, "dim must name dimensions"),
        (lambda: prox_group_lasso(W, 1, dim="0"), TypeError, "dim must be an int or a tuple"),
        (
            lambda: prox_group_lasso(torch.tensor(1.0), 1, dim=0),
            ValueError,
            "w must have a dimension for dim = 0, got shape ()",
        ),
        (
            lambda: prox_group_lasso(W, 1, groups=(3, 2)),
            ValueError,
            "groups must be a block that divides w, (4, 6), got (3, 2)",
        ),
        (lambda: prox_group_lasso(W, 1, groups=(2,)), ValueError, "groups must be a block"),
        (lambda: prox_group_lasso(W, 1, groups=(0, 2)), ValueError, "groups must be a block"),
        (lambda: prox_group_lasso(W, 1, groups=[2, 2]), TypeError, "groups must be CSRGroups or"),
        (lambda: prox_group_lasso(W, 1, dim=0, q=1), ValueError, "of the l1 norm the operator is"),
        (lambda: prox_group_lasso(W, 1, dim=0, q=0.5), ValueError, "q must be > 1, got 0.5"),
        (lambda: prox_group_lasso(W, 1, dim=0, q=NAN), ValueError, "q must be > 1, got nan"),
        (lambda: prox_group_lasso(W, 1, dim=0, q="2"), TypeError, "q must be a number, got str"),
        (
            lambda: prox_group_lasso(W, 1, dim=0, weights="sqrt"),
            ValueError,
            'weights must be "sqrt_size" or a tensor, got "sqrt"',
        ),
        (
            lambda: prox_group_lasso(W, 1, dim=0, weights=2.0),
            TypeError,
            'weights must be "sqrt_size" or a tensor, got float',
        ),
        (
            lambda: prox_group_lasso(W, 1, dim=0, weights=torch.ones(4)),
            ValueError,
            "weights must be (6,), one a group, got (4,)",
        ),
        (
            lambda: prox_group_lasso(W, 1, dim=0, weights=-torch.ones(6)),
            ValueError,
            "weights must be >= 0, got -1.0",
        ),
        (
            lambda: prox_group_lasso(
                W, 1, groups=CSRGroups(torch.tensor([0, 1]), torch.tensor([24]))
            ),
            ValueError,
            "group_indices must be below 24, the number of elements of w, got 24",
        ),
        (
            lambda: CSRGroups(torch.tensor([0, 2]), torch.tensor([3, 3])),
            ValueError,
            "groups must not overlap, got index 3 in group_indices twice",
        ),
        (
            lambda: CSRGroups(torch.tensor([0, 1, 3, 4]), torch.tensor([5, 1, 0, 5])),
            ValueError,
            "groups must not overlap, got index 5",
        ),
        (
            lambda: CSRGroups(torch.tensor([0, 2]), torch.tensor([3, -1])),
            ValueError,
            "group_indices must be at least 0, got -1",
        ),
        (
            lambda: CSRGroups(torch.tensor([0, 2, 1]), torch.tensor([3])),
            ValueError,
            "group_ptr must rise from 0 to 1, the length of group_indices, got [0, 2, 1]",
        ),
        (
            lambda: CSRGroups(torch.tensor([1, 2]), torch.tensor([3, 4])),
            ValueError,
            "group_ptr must rise from 0 to 2",
        ),
        (
            lambda: CSRGroups(torch.tensor([0, 1]), torch.tensor([3, 4])),
            ValueError,
            "group_ptr must rise from 0 to 2",
        ),
        (
            lambda: CSRGroups(torch.tensor([], dtype=torch.int64), torch.tensor([3])),
            ValueError,
            "group_ptr must rise from 0 to 1",
        ),
        (
            lambda: CSRGroups(torch.tensor([0.0, 1.0]), torch.tensor([3])),
            TypeError,
            "group_ptr must be an int64 tensor, got torch.float32",
        ),
        (
            lambda: CSRGroups(torch.tensor([0, 1]), [3]),
            TypeError,
            "group_indices must be an int64 tensor, got list",
        ),
        (
            lambda: CSRGroups(torch.tensor([[0, 1]]), torch.tensor([3])),
            ValueError,
            "group_ptr must have one dimension, got (1, 2)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
