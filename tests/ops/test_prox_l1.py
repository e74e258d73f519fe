"""The soft threshold: values, gradients, exact limits, PyTorch's machinery, errors."""

import re

import pytest
import torch
from covering import covering
from prox_samples import DTYPES, INF, NAN, leaf, normals, rows, same_bits, stored
from torch.autograd import gradcheck, gradgradcheck

from lelkern import prox_l1


@pytest.mark.parametrize(
    ("dtype", "n", "lam", "each"),
    covering(DTYPES, (0, 1, 7, 8, 9, 33, 1000, 5000), (0.0, 1e-6, 0.3, 1.0, 9.0), (False, True)),
    ids=str,
)
def test_values(dtype, n, lam, each, device):
    w = rows("heavy", 1, n)[0].clamp(-6e4, 6e4).to(device, dtype)
    t = torch.full((n,), lam, device=device, dtype=torch.float64)
    if each:
        t = (t * torch.linspace(0, 2, n, device=device)).float().double()
    x = prox_l1(w, t if each else lam)
    assert x.dtype == dtype
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    v, t = w.double(), t.to(computed).double()
    want = torch.where(v.abs() > t, v - v.sign() * t, 0)
    # One rounding of a difference, and one of the result.
    bound = stored(want, computed) + 1.01 * stored(want, dtype)
    assert ((x.double() - want).abs() <= bound).all()
    assert ((v.abs() > t) | (x == 0)).all()
    # Moreau: what is taken off is the projection onto the ball of the largest number.
    assert ((v - x.double() - v.clamp(-t, t)).abs() <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_limits(dtype, device):
    w = torch.tensor([1.0, -1.0, 0.0, -0.0, INF, -INF, NAN, 0.5], dtype=dtype, device=device)
    assert same_bits(prox_l1(w, 0.0), w)
    x = prox_l1(w, 0.5)
    assert x.nan_to_num(7, INF, -INF).tolist() == [0.5, -0.5, 0, 0, INF, -INF, 7, 0]
    x = prox_l1(w, INF)
    assert (x[[0, 1, 2, 3, 4, 5, 7]] == 0).all()
    assert x[6].isnan()
    assert prox_l1(w, NAN).isnan().all()
    lam = torch.tensor([-1.0] + [0.5] * 7, device=device)
    direct = torch.ops.lelkern.prox_l1(w.float(), lam)
    assert direct[0].isnan()  # nobody has looked at it
    tiny = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps  # the smallest number
    w = torch.tensor([3 * tiny, -tiny, torch.finfo(dtype).max], dtype=dtype, device=device)
    assert prox_l1(w, tiny).tolist() == [2 * tiny, 0, torch.finfo(dtype).max]


def test_any_shape_and_strides(device):
    w = normals(3, 4, 2, 5).to(device)
    lam = normals(3, 4, 2, 5, seed=1).abs().to(device)
    want = prox_l1(w, lam)
    for turn in ((0, 1, 2, 3), (3, 1, 0, 2), (0, 2, 3, 1)):
        back = [turn.index(i) for i in range(4)]
        x = w.permute(turn).contiguous().permute(back)
        got = prox_l1(x, lam)
        assert torch.equal(got, want)
        assert got.stride() == x.stride()
    assert torch.equal(prox_l1(torch.stack((w, w), -1)[..., 1], lam), want)
    assert torch.equal(
        prox_l1(w[:1].expand(3, 4, 2, 5), 0.5), prox_l1(w[:1], 0.5).expand(3, 4, 2, 5)
    )
    assert prox_l1(torch.tensor(-3.0, device=device), 1.0) == -2
    assert prox_l1(torch.tensor([2.0], device=device), torch.tensor([1.0])).tolist() == [1]


@pytest.mark.parametrize("each", [False, True])
def test_gradients(each, device):
    w = normals(4, 5).to(device).requires_grad_()
    lam = leaf(torch.full((4, 5), 0.4) if each else 0.4, device)
    assert gradcheck(prox_l1, (w, lam))
    assert gradgradcheck(prox_l1, (w, lam), fast_mode=True)
    plain = (w.detach(), lam.detach())

    def function(w, lam):
        return prox_l1(w, lam).square().sum()

    want = torch.autograd.grad(function(w, lam), (w, lam))
    torch.testing.assert_close(torch.func.grad(function, (0, 1))(*plain), want)
    torch.testing.assert_close(torch.func.jacfwd(function, (0, 1))(*plain), want)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_conventions_of_the_gradient(dtype, device):
    w = torch.tensor([2.0, -2.0, 0.5, 1.0, -1.0, NAN, 0.0, 0.0, INF], dtype=dtype, device=device)
    lam = torch.tensor([1.0, 1, 1, 1, 1, 1, 1, 0, 1], device=device).requires_grad_()
    w.requires_grad_()
    of_w, of_lam = torch.autograd.grad(prox_l1(w, lam).sum(), (w, lam))
    assert of_w.dtype == dtype
    assert of_w.nan_to_num(7).tolist() == [1, 1, 0, 0, 0, 7, 0, 1, 1]
    assert of_lam.nan_to_num(7).tolist() == [-1, 1, 0, 0, 0, 7, 0, 0, -1]


@pytest.mark.once
@pytest.mark.parametrize("each", [False, True])
def test_opcheck(each, device):
    w = normals(20).float().to(device).requires_grad_()
    lam = leaf(torch.full((20,), 0.4) if each else 0.4, device, torch.float32)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    ops = torch.ops.lelkern
    torch.library.opcheck(ops.prox_l1.default, (w, lam), test_utils=tests)
    given = (torch.ones_like(w), w, lam)
    torch.library.opcheck(ops.prox_l1_backward.default, given, test_utils=tests)


@pytest.mark.once
def test_vmap(device):
    w, lam = normals(3, 4).to(device), torch.tensor([0.1, 0.5, 2.0], device=device).double()
    got = torch.func.vmap(prox_l1)(w, lam)
    torch.testing.assert_close(got, torch.stack([prox_l1(w[i], lam[i]) for i in range(3)]))


@pytest.mark.once
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: prox_l1(3.0, 1), TypeError, "w must be a tensor, got float"),
        (lambda: prox_l1(torch.ones(3), -1e-9), ValueError, "lam must be >= 0, got -1e-09"),
        (
            lambda: prox_l1(torch.ones(3), torch.ones(2)),
            ValueError,
            "lam must have one element, or one an element, (3,), got (2,)",
        ),
        (
            lambda: prox_l1(torch.ones(3), torch.tensor([1.0, -2.0, 0.0])),
            ValueError,
            "lam must be >= 0, got -2.0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
