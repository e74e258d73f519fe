"""Gradients of group lasso and sparse group lasso, and both among PyTorch's machinery."""

import math

import pytest
import torch
from covering import covering
from prox_samples import DTYPES, INF, NAN, NORMS, as_csr, conjugate, leaf, normals, norms, off, rows
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import gradcheck, gradgradcheck

import lelkern
from lelkern import CSRGroups, prox_group_lasso, prox_sparse_group_lasso

ARRANGEMENTS = ("rows", "columns", "csr")


def arranged(v: Tensor, arrangement: str) -> tuple[Tensor, dict]:
    if arrangement == "columns":
        return v.t().contiguous(), {"dim": 0}
    return v, {"groups": as_csr(v)} if arrangement == "csr" else {"dim": 1}


def back(x: Tensor, arrangement: str) -> Tensor:
    return x.t() if arrangement == "columns" else x


# ----- gradients -----


@pytest.mark.parametrize(
    ("q", "arrangement", "thresholds"),
    covering((2.0, INF, 1.5, 3.0), ARRANGEMENTS, ("one", "each", "sparse", "weights")),
)
def test_gradcheck(q, arrangement, thresholds, device):
    # Some groups vanish, and some elements; none is at a kink.
    v = normals(3, 3, seed=4).to(device)
    v[0, 1] = 0.05  # which a soft threshold takes, of a group that stays
    w, how = arranged(v, arrangement)
    w.requires_grad_()
    lam = leaf([0.3, 0.5, 9.0], device)
    if thresholds == "one":
        lam = leaf(0.4, device)
    leaves = (w, lam)
    if thresholds == "sparse":
        leaves = (w, lam, leaf([0.2, 0.1, 0.3], device))
    if thresholds == "weights":
        leaves = (w, leaf(0.4, device), leaf([1.5, 0.5, 1.0], device))

    def function(w, lam, other=None):
        if thresholds == "sparse":
            return prox_sparse_group_lasso(w, other, lam, q=q, **how)
        return prox_group_lasso(w, lam, q=q, weights=other, **how)

    first = back(function(*leaves), arrangement)[0]
    assert (first == 0).tolist() == [False, thresholds == "sparse", False]
    assert gradcheck(function, leaves)
    assert gradgradcheck(function, leaves, fast_mode=True)


@pytest.mark.parametrize("q", [1.2, 2.5, 7.0])
def test_gradcheck_of_other_norms(q, device):
    leaves = (normals(2, 3, seed=4).to(device).requires_grad_(), leaf(0.5, device))
    assert gradcheck(lambda w, lam: prox_group_lasso(w, lam, dim=1, q=q), leaves)
    assert gradgradcheck(
        lambda w, lam: prox_group_lasso(w, lam, dim=1, q=q), leaves, fast_mode=True
    )


@pytest.mark.parametrize("q", NORMS)
def test_the_jacobian_is_symmetric_and_between_0_and_1(q, device):
    w = rows("normal", 1, 6, seed=2).to(device)
    t = 0.4 * norms(w, conjugate(q))[0]
    J = torch.autograd.functional.jacobian(lambda w: prox_group_lasso(w, t, dim=1, q=q), w)
    J = J.reshape(6, 6)
    eps = 1e-11  # of the sums of products of numbers up to 1, and powers up to q
    torch.testing.assert_close(J, J.T, rtol=0, atol=eps)
    eigenvalues = torch.linalg.eigvalsh((J + J.T) / 2)
    assert eigenvalues.min() >= -eps
    assert eigenvalues.max().item() == pytest.approx(1, abs=eps)  # x itself: norms are homogeneous
    x = prox_group_lasso(w, t, dim=1, q=q).flatten()
    torch.testing.assert_close(J @ x, x, rtol=0, atol=eps)


@pytest.mark.parametrize(
    ("dtype", "q", "N", "arrangement", "sparse"),
    covering(DTYPES[1:], NORMS, (1, 3, 8, 17, 1000), ARRANGEMENTS, (False, True)),
    ids=str,
)
def test_other_dtypes_are_as_near_as_they_can_be(dtype, q, N, arrangement, sparse, device):
    G = 13
    v = rows("normal", G, N, seed=N).to(device, dtype)
    share = torch.linspace(0.05, 1.2, G, dtype=torch.float64, device=device)
    t = (share * norms(v.double(), conjugate(q))).float()
    grad = normals(G, N, seed=1).to(device, dtype)

    def gradients(dtype: torch.dtype) -> list[Tensor]:
        w, how = arranged(v.to(dtype), arrangement)
        computed = torch.float64 if dtype == torch.float64 else torch.float32
        leaves = [w.requires_grad_(), leaf(t, device, computed)]
        if sparse:
            leaves.append(leaf(torch.full((G,), 0.01), device, computed))
            x = prox_sparse_group_lasso(w, leaves[2], leaves[1], q=q, **how)
        else:
            x = prox_group_lasso(w, leaves[1], q=q, **how)
        of_w, *others = torch.autograd.grad(back(x, arrangement), leaves, grad.to(x.dtype))
        return [back(of_w, arrangement), *others]

    got, want = gradients(dtype), gradients(torch.float64)
    assert got[0].dtype == dtype
    # Gradients are made of products whose factors are off as the norm is; powers of q - 1, or its
    # inverse, multiply that, and q = inf has sums over those that are cut.
    size = grad.double().norm(dim=1)
    curvature = 1 if q in (2, INF) else max(q - 1, 1 / (q - 1))
    # Elements near a kink may be on either side of it: of q = inf those cut at the level.
    if q == INF:
        x = prox_group_lasso(v.double(), t.double(), dim=1, q=q)
        gap = (v.double().abs() - x.abs().amax(1, keepdim=True)).abs()
        sure = (gap > 1e-5).all(1)
    else:
        sure = (share - 1).abs() > 1e-3
    eps = 4 * curvature * off(dtype, N) + torch.finfo(dtype).eps
    bound = eps * size.unsqueeze(1) * (1 + N**0.5)
    assert ((got[0].double() - want[0]).abs() <= bound + 1e-7)[sure].all()
    for one, other in zip(got[1:], want[1:], strict=True):
        assert ((one.double() - other).abs() <= eps * size * (1 + N**0.5) + 1e-7)[sure].all()


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("q", [2.0, INF, 1.5, 3.0])
def test_conventions_at_kinks(q, arrangement, device):
    v = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [2.0, 2.0, 1.0]])
    lam = leaf([3.0, 0.0, 0.0, 0.5], device, torch.float32)
    w, how = arranged(v.to(device), arrangement)
    w.requires_grad_()
    x = back(prox_group_lasso(w, lam, q=q, **how), arrangement)
    of_w, of_lam = torch.autograd.grad(x, (w, lam), torch.ones_like(x))
    of_w = back(of_w, arrangement)
    # The norm is the threshold: the side where the group is 0.
    assert of_w[0].tolist() == [0, 0, 0]
    # A threshold of 0 is the identity, also where the norm is 0.
    assert of_w[1].tolist() == [1, 1, 1]
    assert of_w[2].tolist() == [1, 1, 1]
    assert of_lam[:2].tolist() == [0, 0]
    assert of_lam[2] == -1  # as the threshold begins to rise, the only number falls
    if q == INF:  # the two largest share what the threshold takes
        assert of_w[3].tolist() == [1, 1, 1]
        assert of_lam[3] == -1
    # A soft threshold of 0 is the identity as well.
    x = back(
        prox_sparse_group_lasso(w, torch.zeros(4, device=device), lam, q=q, **how), arrangement
    )
    assert torch.equal(back(torch.autograd.grad(x.sum(), w)[0], arrangement), of_w)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("q", NORMS)
def test_gradients_of_what_is_not_finite(q, arrangement, device):
    v = rows("normal", 6, 9).to(device)
    v[1, 4], v[2, 3], v[5, 0] = NAN, INF, INF
    lam = leaf([0.5, 0.5, 0.5, NAN, INF, INF], device)
    lam1 = leaf([0.1] * 6, device)
    w, how = arranged(v, arrangement)
    w.requires_grad_()
    for sparse in (False, True):
        if sparse:
            x = prox_sparse_group_lasso(w, lam1, lam, q=q, **how)
        else:
            x = prox_group_lasso(w, lam, q=q, **how)
        of_w, of_lam, of_lam1 = torch.autograd.grad(
            x.sum(), (w, lam, lam1), allow_unused=True, materialize_grads=True
        )
        of_w = back(of_w, arrangement)
        assert of_w[[1, 3]].isnan().all()
        assert of_lam1[[1, 3]].isnan().all() == sparse
        assert of_lam[[1, 3]].isnan().all()
        if not sparse:
            assert (of_w[2] == 1).all()
        assert (of_w[[4, 5]] == 0).all()
        assert (of_lam[[2, 4, 5]] == 0).all()
        assert of_w[[0, 2]].isfinite().all()


@pytest.mark.parametrize("q", NORMS)
def test_gradients_over_the_whole_range_of_numbers(q, device):
    unit = torch.tensor([[1.0, -0.5, 0.25], [0.5, 0.5, 0.5]], dtype=torch.float64)
    results = []
    for power in (0, 120, -120, -140):
        w = (unit * 2.0**power).to(device, torch.float32).requires_grad_()
        lam = leaf(0.5 * 2.0**power, device, torch.float32)
        x = prox_group_lasso(w, lam, dim=1, q=q)
        grad = torch.tensor([[1.0, 2.0, -1.0], [1.0, 0.0, 3.0]], device=device)
        results.append(torch.autograd.grad(x, (w, lam), grad))
    for got in results[1:]:
        # Powers of 2 are exact: nothing but roundings may change, were it not for q's logarithms.
        torch.testing.assert_close(got, results[0], rtol=1e-4, atol=1e-5)


def test_elements_in_no_group_pass_their_gradient(device):
    groups = CSRGroups(torch.tensor([0, 2]), torch.tensor([4, 1])).to(device)
    w = normals(6).to(device).requires_grad_()
    for x in (
        prox_group_lasso(w, 9.0, groups=groups),
        prox_sparse_group_lasso(w, 0.1, 9.0, groups=groups),
    ):
        assert torch.autograd.grad(x.sum(), w)[0].tolist() == [1, 0, 1, 1, 0, 1]


# ----- among PyTorch's machinery -----

QUICK = ("test_schema", "test_autograd_registration", "test_faketensor")
SLOW = ("test_aot_dispatch_dynamic",)


@pytest.mark.once
@pytest.mark.parametrize(
    ("dtype", "q", "csr", "sparse", "tests"),
    [
        (torch.float64, 2.0, False, False, QUICK),
        (torch.float16, INF, True, True, QUICK),
        (torch.bfloat16, 3.0, False, True, QUICK),
        pytest.param(torch.float64, 2.0, True, True, SLOW, marks=pytest.mark.slow),
        pytest.param(torch.float16, INF, False, False, SLOW, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_opcheck(dtype, q, csr, sparse, tests, device):
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    w = normals(2, 6, 3).to(device, dtype)
    groups = as_csr(normals(6, 6).to(device))
    lam = leaf(torch.full((6,), 0.4), device, computed)
    lam1 = leaf(0.1, device, computed) if sparse else None
    index = (groups.group_ptr, groups.group_indices) if csr else (None, None)
    x = (w.flatten() if csr else w).requires_grad_()
    ops = torch.ops.lelkern
    torch.library.opcheck(ops.prox_group.default, (x, lam1, lam, *index, q), test_utils=tests)
    with torch.no_grad():
        root = ops.prox_group(x, lam1, lam, *index, q)[1]
    assert root.shape == (6,)
    assert root.dtype == computed
    grad = torch.ones_like(x, requires_grad=True)
    given = (grad, x, lam1, lam, *index, q, root)
    torch.library.opcheck(ops.prox_group_backward.default, given, test_utils=tests)


def step(w, lam):
    return (
        (prox_sparse_group_lasso(2 * w, 0.05, lam, dim=1, weights="sqrt_size") * 3).square().sum()
    )


@pytest.mark.once
@pytest.mark.slow
def test_compile(device):
    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (4, 7):
        results = []
        for function in (step, compiled):
            w = normals(n, n + 1).float().to(device).requires_grad_()
            lam = leaf(0.2, device, torch.float32)
            y = function(w, lam)
            results.append([y, *torch.autograd.grad(y, (w, lam))])
        torch.testing.assert_close(*results)


@pytest.mark.once
@pytest.mark.parametrize(
    "how", ["dim", *(pytest.param(how, marks=pytest.mark.slow) for how in ("block", "csr"))]
)
def test_another_threshold_is_not_compiled_again(how, device):
    w = normals(4, 6).float().to(device)
    groups = {"dim": {"dim": 0}, "block": {"groups": (2, -1)}, "csr": {"groups": as_csr(w)}}[how]

    def function(lam):
        x = prox_group_lasso(w, lam, **groups)
        return lelkern.prox_l1(x, lam)

    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(function, backend=counter, fullgraph=True)
    for i in range(6):
        torch.testing.assert_close(compiled(0.1 * i), function(0.1 * i))
    assert counter.frame_count <= 2


@pytest.mark.once
@pytest.mark.slow
def test_a_wrong_threshold_inside_compile_gives_nan(device):
    compiled = torch.compile(prox_group_lasso, fullgraph=True, backend="aot_eager")
    w = normals(3, 5).to(device)
    for wrong in (-1.0, NAN):
        assert compiled(w, torch.tensor(wrong, device=device), dim=1).isnan().all()


@pytest.mark.once
def test_vmap(device):
    w = normals(5, 3, 4).to(device)
    lam = torch.tensor([0.0, 0.1, 0.5, 1.0, 9.0], dtype=torch.float64, device=device)
    for q in (2.0, 3.0):
        for how in ({"dim": 1}, {"dim": 0}, {"groups": as_csr(w[0])}):
            got = torch.func.vmap(lambda w, lam: prox_group_lasso(w, lam, q=q, **how))(w, lam)  # noqa: B023
            want = torch.stack([prox_group_lasso(w[i], lam[i], q=q, **how) for i in range(5)])
            torch.testing.assert_close(got, want)
    assert torch.func.vmap(lambda w: prox_group_lasso(w, 0.5, dim=1))(w[:0]).shape == (0, 3, 4)


@pytest.mark.once
@pytest.mark.parametrize("q", [2.0, INF, 1.5, 3.0])
def test_functional_transforms(q, device):
    w, lam, lam1 = normals(3, 4).to(device), leaf([0.3, 0.5, 9.0], device), leaf(0.1, device)
    grad = normals(3, 4, seed=1).to(device)

    def function(w, lam1, lam):
        return (prox_sparse_group_lasso(w, lam1, lam, dim=1, q=q) * grad).sum()

    leaves = (w.requires_grad_(), lam1, lam)
    want = torch.autograd.grad(function(*leaves), leaves)
    plain = tuple(x.detach() for x in leaves)
    torch.testing.assert_close(torch.func.grad(function, (0, 1, 2))(*plain), want)
    torch.testing.assert_close(torch.func.jacfwd(function, (0, 1, 2))(*plain), want)


def test_gradients_of_each_sample(device):
    w = normals(2, 3, 4).to(device)

    def function(w):
        return prox_group_lasso(w, 0.4, dim=1, q=3.0).square().sum()

    got = torch.func.vmap(torch.func.grad(function))(w)
    want = torch.stack([torch.func.grad(function)(w[i]) for i in range(2)])
    torch.testing.assert_close(got, want)


@pytest.mark.once
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_changes_nothing(dtype, device):
    for own in (torch.float32, dtype):
        w = normals(3, 40).to(device, own)
        with torch.autocast(device, dtype):
            x = prox_group_lasso(w, 0.5, dim=1)
        assert x.dtype == own
        assert torch.equal(x, prox_group_lasso(w, 0.5, dim=1))


@pytest.mark.skipif(lelkern.ops.library_path() is None, reason="no compiled kernels here")
def test_what_forward_found_is_what_the_reference_finds(device):
    from lelkern.reference import prox_group as reference

    w = rows("normal", 9, 7).to(device)
    lam = 0.5 * norms(w, 2.0)
    lam[3:5] = torch.tensor([0.0, 99.0])
    for q in NORMS:
        got = torch.ops.lelkern.prox_group(w.unsqueeze(2), None, lam, None, None, q)[1]
        want = reference.prox_group(w.unsqueeze(2), None, lam, None, None, q)[1]
        torch.testing.assert_close(got, want, rtol=0, atol=off(torch.float64, 7) * 10)
    assert math.isclose(got[4], 0) or q == 2
