"""The singular value threshold: values, gradients where singular values are equal, limits."""

import re

import pytest
import torch
from prox_samples import DTYPES, INF, NAN, leaf, normals
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from lelkern import prox_nuclear


def with_values(values: list[float], m: int, n: int, seed: int = 0) -> Tensor:
    """A matrix with these singular values."""
    left, _ = torch.linalg.qr(normals(m, m, seed=seed))
    right, _ = torch.linalg.qr(normals(n, n, seed=seed + 1))
    k = len(values)
    return left[:, :k] * torch.tensor(values, dtype=torch.float64) @ right[:, :k].T


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (1, 5), (5, 1), (2, 3, 5, 5), (40, 7)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_it_is_the_minimiser(dtype, shape, device):
    w = normals(*shape).to(device, dtype)
    t = (0.6 * torch.linalg.matrix_norm(w.double(), 2)).float().double()
    x = prox_nuclear(w, t)
    assert x.dtype == dtype
    # w - x is t times a subgradient: of spectral norm t at most, with <w - x, x> = t ||x||_*.
    x, rest = x.double(), w.double() - x.double()
    eps = 64 * torch.finfo(dtype).eps * torch.linalg.matrix_norm(w.double())
    assert (torch.linalg.matrix_norm(rest, 2) <= t + eps).all()
    work = (rest * x).sum((-2, -1)) - t * torch.linalg.matrix_norm(x, "nuc")
    assert (work.abs() <= eps * torch.linalg.matrix_norm(w.double())).all()


@pytest.mark.parametrize("share", [0.5, 1e-2, 1e-4, 1e-6, 0.0])
@pytest.mark.parametrize("shape", [(64, 5), (5, 64), (16, 16), (3, 20, 7)])
@pytest.mark.parametrize("needs_grad", [False, True])
def test_float32_is_close_to_float64_whatever_the_threshold(shape, share, needs_grad, device):
    """Singular values from 1 to 1e-6; with a gradient by another way than without."""
    m, n = shape[-2:]
    values = torch.logspace(0, -6, min(m, n), dtype=torch.float64).tolist()
    w = torch.stack([with_values(values, m, n, seed=i) for i in range(3)]).to(device).float()
    w = w if len(shape) == 3 else w[0]
    want = prox_nuclear(w.double(), share)
    got = prox_nuclear(w.requires_grad_(needs_grad), share)
    assert got.requires_grad == needs_grad
    # Numbers of at most 1, of which the Gram matrix errs by a sixteenth of an eps, are multiplied
    # by a matrix rounded to float32 and summed over min(m, n) terms, of which a row has norm 1;
    # a decomposition in float32 errs by some eps for each column (LAPACK's bound).
    eps, terms = torch.finfo(torch.float32).eps, min(m, n)
    bound = 4 * terms * eps if needs_grad or device != "cpu" else (1 + terms**0.5 / 2) * eps
    assert (got.double() - want).abs().max() <= bound


@pytest.mark.parametrize("shapes", [None, ShapeEnv()], ids=["fake", "symbolic"])
def test_values_that_nobody_knows_are_not_asked_for(shapes):
    with FakeTensorMode(shape_env=shapes):
        assert prox_nuclear(torch.empty(6, 4), 0.5).shape == (6, 4)


def test_many_matrices_with_thresholds_of_their_own(device):
    w, lam = normals(2, 3, 5, 4).to(device), normals(2, 3, seed=1).abs().to(device)
    x = prox_nuclear(w, lam)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(x[i, j], prox_nuclear(w[i, j], lam[i, j]))


def test_distances_do_not_grow_and_ranks_fall(device):
    w = normals(20, 5, 4).to(device)
    x = prox_nuclear(w, 1.0)
    distances = torch.cdist(x.flatten(1), x.flatten(1)) - torch.cdist(w.flatten(1), w.flatten(1))
    assert (distances <= 1e-6).all()  # cdist takes differences of squares
    values = torch.linalg.svdvals(w)
    torch.testing.assert_close(
        torch.linalg.svdvals(x), (values - 1).clamp(min=0), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_limits(dtype, device):
    w = normals(3, 4, 3).to(device, dtype)
    assert torch.equal(prox_nuclear(w, 0.0), w)
    assert (prox_nuclear(w, INF) == 0).all()
    assert (prox_nuclear(torch.zeros_like(w), 0.5) == 0).all()
    w[0, 1, 1], w[2, 0, 0] = NAN, INF
    x = prox_nuclear(w, 0.5)
    assert x[[0, 2]].isnan().all()
    assert x[1].isfinite().all()
    assert torch.equal(prox_nuclear(w[2], 0.0), w[2])
    assert prox_nuclear(w[1], NAN).isnan().all()
    for shape in ((0, 3), (3, 0), (0, 2, 3)):
        assert prox_nuclear(torch.zeros(shape, dtype=dtype, device=device), 0.5).shape == shape


CASES = {
    "tall": normals(4, 3),
    "wide": normals(2, 4),
    "square": normals(3, 3, seed=2),
    "equal values": with_values([2.0, 2.0, 0.5, 0.5], 5, 4),
    "zeros": with_values([2.0, 0.0, 0.0], 4, 3),
    "all equal": torch.eye(3, dtype=torch.float64) * 2,
    "all vanish": torch.eye(3, dtype=torch.float64) / 2,
    "nothing": torch.zeros(2, 3, dtype=torch.float64),
}


@pytest.mark.parametrize("case", CASES)
def test_gradcheck(case, device):
    w, lam = CASES[case].clone().to(device).requires_grad_(), leaf(1.0, device)
    assert gradcheck(prox_nuclear, (w, lam))
    assert gradgradcheck(prox_nuclear, (w, lam), fast_mode=True)


def test_gradients_of_many_matrices(device):
    w, lam = normals(2, 3, 3).to(device).requires_grad_(), leaf([0.5, 1.0], device)
    assert gradcheck(prox_nuclear, (w, lam))
    assert gradgradcheck(prox_nuclear, (w, lam), fast_mode=True)


def test_conventions_of_the_gradient(device):
    w, lam = leaf(torch.diag(torch.tensor([2.0, 1.0])), device), leaf(1.0, device)
    grad = torch.eye(2, dtype=torch.float64, device=device)
    of_w, of_lam = torch.autograd.grad(prox_nuclear(w, lam), (w, lam), grad)
    # The second singular value is the threshold: it counts as one that vanishes.
    torch.testing.assert_close(of_w, leaf([[1.0, 0.0], [0.0, 0.0]], device))
    torch.testing.assert_close(of_lam, leaf(-1.0, device))
    zero = leaf(0.0, device)
    of_w = torch.autograd.grad(prox_nuclear(w * 0, zero).sum(), w, allow_unused=True)[0]
    assert (of_w == 0).all()  # through the product; of the operator it is the identity
    w = leaf(torch.zeros(2, 3), device)
    assert (torch.autograd.grad(prox_nuclear(w, zero).sum(), w)[0] == 1).all()


@pytest.mark.parametrize("case", ["tall", "equal values"])
def test_functional_transforms(case, device):
    w, lam = CASES[case].to(device), torch.tensor(1.0, dtype=torch.float64, device=device)
    grad = normals(*w.shape, seed=7).to(device)

    def function(w, lam):
        return (prox_nuclear(w, lam) * grad).sum()

    leaves = (w.clone().requires_grad_(), lam.clone().requires_grad_())
    want = torch.autograd.grad(function(*leaves), leaves)
    torch.testing.assert_close(torch.func.grad(function, (0, 1))(w, lam), want)
    torch.testing.assert_close(torch.func.jacfwd(function, (0, 1))(w, lam), want)
    want = torch.autograd.functional.hessian(function, (w, lam))
    torch.testing.assert_close(torch.func.hessian(function, (0, 1))(w, lam), want)


def test_vmap(device):
    w, lam = normals(3, 4, 2).to(device), torch.tensor([0.1, 1.0, 9.0], device=device).double()
    got = torch.func.vmap(prox_nuclear)(w, lam)
    torch.testing.assert_close(got, torch.stack([prox_nuclear(w[i], lam[i]) for i in range(3)]))


@pytest.mark.slow
def test_compile(device):
    compiled = torch.compile(prox_nuclear, fullgraph=True, backend="aot_eager")
    for lam in (0.1, 0.5, 1.0):
        results = []
        for function in (prox_nuclear, compiled):
            w = normals(4, 3).to(device).requires_grad_()
            x = function(w, lam)
            results.append((x, torch.autograd.grad(x.square().sum(), w)[0]))
        torch.testing.assert_close(*results)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: prox_nuclear([1.0], 1), TypeError, "w must be a tensor, got list"),
        (lambda: prox_nuclear(torch.ones(3), 1), ValueError, "w must be (..., m, n), got (3,)"),
        (lambda: prox_nuclear(torch.ones(2, 3), -1), ValueError, "lam must be >= 0, got -1"),
        (
            lambda: prox_nuclear(torch.ones(5, 2, 3), torch.ones(2)),
            ValueError,
            "lam must have one element, or one a matrix, (5,), got (2,)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
