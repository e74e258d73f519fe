"""Projection onto the l1,inf ball: optimality, gradients, exact limits, errors."""

import re

import pytest
import torch
from covering import covering
from prox_samples import DTYPES, INF, NAN, leaf, normals, off, rows, same_bits, stored
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from lelkern import project_l1inf_ball, prox_group_lasso
from lelkern.reference import project_l1inf as reference


def assert_projected(y: Tensor, x: Tensor, radius: Tensor) -> None:
    """Raise unless matrices y (P, G, n) are the projections of x; float64.

    By the optimality conditions, in which only x, y and r occur: rows are cut at their largest
    number, the largest numbers sum to r, and all rows that do not vanish lose the same, no row that
    does has more to lose.
    """
    G, n = x.shape[1:]
    level = y.abs().amax(2, keepdim=True)
    tops = x.abs().amax(2, keepdim=True)
    eps = off(torch.float64, G * n)
    scale = tops.sum(1, keepdim=True) * eps + 1e-300
    inside = tops.sum(1, keepdim=True) <= radius.reshape(-1, 1, 1)
    assert (y == x)[inside.expand_as(x)].all()
    cut = torch.minimum(x.abs(), level)
    assert (y == x.sign() * cut)[~inside.expand_as(x)].all()
    lack = level.sum(1, keepdim=True) - radius.reshape(-1, 1, 1)
    assert (lack.abs() <= G * scale)[~inside].all()
    loss = (x - y).abs().sum(2, keepdim=True)
    alive = (level > 0) & ~inside
    most = loss.where(alive, -INF).amax(1, keepdim=True)
    least = loss.where(alive, INF).amin(1, keepdim=True)
    assert ((most - least) <= n * scale)[alive.any(1, keepdim=True)].all()
    assert (loss <= most + n * scale)[(~inside & alive.any(1, keepdim=True)).expand_as(loss)].all()


@pytest.mark.parametrize(
    ("values", "G", "n", "share"),
    covering(
        ("normal", "heavy", "tied", "sparse", "constant"),
        (1, 2, 7, 16),
        (1, 2, 3, 8, 9, 33, 300),
        (1e-6, 0.1, 0.5, 0.9, 1 - 1e-9, 1 + 1e-9, 2.0),
    ),
)
def test_it_is_the_nearest_point(values, G, n, share, device):
    x = rows(values, 3 * G, n, seed=n).reshape(3, G, n).to(device)
    radius = share * x.abs().amax(2).sum(1)
    assert_projected(project_l1inf_ball(x, radius), x, radius)


@pytest.mark.parametrize(
    ("dtype", "G", "n"), covering(DTYPES[1:], (1, 5, 16), (1, 8, 9, 300)), ids=str
)
def test_other_dtypes_are_as_near_as_they_can_be(dtype, G, n, device):
    x = normals(3, G, n).to(device, dtype)
    radius = (0.4 * x.double().abs().amax(2).sum(1)).float()
    y = project_l1inf_ball(x, radius)
    assert y.dtype == dtype
    want = project_l1inf_ball(x.double(), radius.double())
    size = x.double().abs().amax(2).sum(1).reshape(-1, 1, 1)
    assert ((y.double() - want).abs() <= off(dtype, n * G) * size + stored(want, dtype)).all()


def test_rows_are_those_that_the_operator_of_their_norm_leaves(device):
    x = normals(6, 9).to(device)
    y = project_l1inf_ball(x, 2.0)
    theta = (x - y).abs().sum(1).amax()  # the multiplier
    torch.testing.assert_close(prox_group_lasso(x, theta, dim=1, q=INF), y)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_limits(dtype, device):
    x = torch.tensor([[0.5, -0.25], [-0.0, 0.125]], dtype=dtype, device=device)
    for radius in (0.625, 1.0, INF):
        assert same_bits(project_l1inf_ball(x, radius), x)
    assert (project_l1inf_ball(x, 0.0) == 0).all()
    for bad in (NAN, INF, -INF):
        three = torch.stack([x, x, x])
        three[1, 0, 1] = bad
        y = project_l1inf_ball(three, 0.25)
        assert y[1].isnan().all()
        assert y[[0, 2]].isfinite().all()
    # Sums that no number of the dtype is: the rows lose the same, 3 / 8 of the largest number.
    huge = torch.finfo(dtype).max
    x = torch.tensor([[huge, -huge / 2], [huge, huge / 2]], dtype=dtype, device=device)
    y = project_l1inf_ball(x.flip(0), huge).double() / huge
    torch.testing.assert_close(y.abs(), torch.full_like(y, 0.5), rtol=1e-5, atol=0)
    op = torch.ops.lelkern.project_l1inf
    pair = torch.ones(2, 2, 3, device=device)
    y = op(pair, torch.tensor([-1.0, 0.5], device=device))[0]  # which nobody has looked at
    assert y[0].isnan().all()
    assert y[1].isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_radius_of_0_leaves_nothing_and_an_infinite_one_everything(dtype, device):
    """Beside each other in a batch, and beside a matrix that has no projection."""
    x, grad = normals(5, 3, 4).to(device, dtype), normals(5, 3, 4, seed=1).to(device, dtype)
    x[2] = x[4, 0] = 0
    x[3, 1, 2] = NAN
    x.requires_grad_()
    radius = leaf([0.0, INF, 0.0, 0.0, INF], device, torch.float32)
    y = project_l1inf_ball(x, radius)
    of_x, of_radius = torch.autograd.grad(y, (x, radius), grad)
    assert (y[0] == 0).all()
    assert (of_x[0] == 0).all()
    for i in (1, 2, 4):  # which are in their balls
        assert same_bits(y[i], x[i].detach())
        assert same_bits(of_x[i], grad[i])
    assert y[3].isnan().all()
    assert of_x[3].isnan().all()
    assert of_radius[3].isnan()
    assert of_radius[[0, 1, 2, 4]].tolist() == [0, 0, 0, 0]
    # All of them share the radius.
    some = x.detach()[[0, 1, 2, 4]].requires_grad_()
    for number in (0.0, INF):
        radius = leaf(number, device, torch.float32)
        y = project_l1inf_ball(some, radius)
        of_x, of_radius = torch.autograd.grad(y, (some, radius), grad[[0, 1, 2, 4]])
        assert (y == (some if number else 0)).all()
        assert of_radius == 0


def test_infinities_in_a_ball_of_infinite_radius_are_not_cut(device):
    x = torch.tensor([[INF, 1.0, -INF], [2.0, -3.0, 0.0]], dtype=torch.float64, device=device)[None]
    radius = torch.tensor(INF, dtype=torch.float64, device=device)
    grad = normals(1, 2, 3).to(device)
    y, level = reference.project_l1inf(x, radius)
    assert same_bits(y, x)
    assert level.tolist() == [[INF, INF]]
    ops = torch.ops.lelkern
    for of_x, of_radius in (
        reference.project_l1inf_backward(grad, x, radius),
        ops.project_l1inf_backward(grad, x, radius, *ops.project_l1inf(x, radius)[1:]),
    ):
        assert same_bits(of_x, grad)
        assert of_radius == 0


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 4), (0, 2, 3), (2, 3, 0)])
def test_nothing_is_no_exception(shape, device):
    x = torch.zeros(shape, device=device, requires_grad=True)
    radius = leaf(0.5, device, torch.float32)
    y = project_l1inf_ball(x, radius)
    assert y.shape == shape
    of_x, of_radius = torch.autograd.grad(y.sum(), (x, radius))
    assert of_x.shape == shape
    assert of_radius == 0


def test_any_shape_and_strides(device):
    x = normals(2, 3, 4, 5).to(device)
    radius = normals(2, 3, seed=1).abs().to(device)
    y = project_l1inf_ball(x, radius)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(y[i, j], project_l1inf_ball(x[i, j], radius[i, j]))
    assert torch.equal(project_l1inf_ball(x.mT.contiguous().mT, radius), y)


@pytest.mark.parametrize("each", [False, True])
def test_gradcheck(each, device):
    x = normals(2, 3, 4).to(device).requires_grad_()
    radius = leaf([0.5, 2.0] if each else 1.1, device)
    assert gradcheck(project_l1inf_ball, (x, radius))
    assert gradgradcheck(project_l1inf_ball, (x, radius), fast_mode=True)

    def function(x, radius):
        return project_l1inf_ball(x, radius).square().sum()

    want = torch.autograd.grad(function(x, radius), (x, radius))
    plain = (x.detach(), radius.detach())
    torch.testing.assert_close(torch.func.grad(function, (0, 1))(*plain), want)
    torch.testing.assert_close(torch.func.jacfwd(function, (0, 1))(*plain), want)


@pytest.mark.parametrize(("dtype", "n"), covering(DTYPES[1:], (1, 8, 300)), ids=str)
def test_gradients_of_other_dtypes(dtype, n, device):
    x, grad = normals(3, 5, n).to(device, dtype), normals(3, 5, n, seed=1).to(device, dtype)
    radius = (0.4 * x.double().abs().amax(2).sum(1)).float()
    results = []
    for as_dtype, computed in ((dtype, torch.float32), (torch.float64, torch.float64)):
        w, r = x.to(as_dtype).requires_grad_(), leaf(radius, device, computed)
        results.append(torch.autograd.grad(project_l1inf_ball(w, r), (w, r), grad.to(as_dtype)))
    (of_x, of_r), (want_x, want_r) = results
    level = project_l1inf_ball(x.double(), radius.double()).abs().amax(2, keepdim=True)
    # Which numbers are cut must be sure: those near a level may be on either side of it.
    apart = ((x.double().abs() - level).abs() > 1e-5).flatten(1)
    sure = apart.sum(1) >= apart.shape[1] - 5  # all but those cut: one at least in each row
    size = grad.double().norm(dim=(1, 2))
    bound = off(dtype, 5 * n) * size + 2 * torch.finfo(dtype).eps * size
    assert ((of_x.double() - want_x).flatten(1).abs() <= bound[:, None])[sure].all()
    assert ((of_r.double() - want_r).abs() <= bound)[sure].all()


def test_gradients_inside_and_of_what_vanishes(device):
    x = leaf([[[3.0, -2.0], [0.5, 0.25]], [[1.0, -2.0], [0.5, 0.25]]], device)
    radius = leaf([2.0, 2.5], device)
    y = project_l1inf_ball(x, radius)
    assert (y[0, 1] == 0).all()
    grad = torch.tensor([[1.0, 2.0], [4.0, 8.0]], dtype=torch.float64, device=device)
    of_x, of_radius = torch.autograd.grad(y, (x, radius), torch.stack([grad, grad]))
    assert of_x[0, 1].tolist() == [0, 0]
    assert torch.equal(of_x[1], grad)
    assert of_radius.tolist() == [-1, 0]  # both of the row follow the radius, with their signs


@pytest.mark.once
def test_opcheck(device):
    x = normals(2, 3, 5).float().to(device).requires_grad_()
    radius = leaf([0.5, 2.0], device, torch.float32)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    ops = torch.ops.lelkern
    torch.library.opcheck(ops.project_l1inf.default, (x, radius), test_utils=tests)
    level = ops.project_l1inf(x.detach(), radius.detach())[1]
    given = (torch.ones_like(x), x, radius, level)
    torch.library.opcheck(ops.project_l1inf_backward.default, given, test_utils=tests)


@pytest.mark.once
def test_vmap(device):
    x, radius = normals(3, 2, 4).to(device), torch.tensor([0.1, 1.0, 3.0], device=device).double()
    got = torch.func.vmap(project_l1inf_ball)(x, radius)
    want = torch.stack([project_l1inf_ball(x[i], radius[i]) for i in range(3)])
    torch.testing.assert_close(got, want)


@pytest.mark.once
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: project_l1inf_ball([1.0]), TypeError, "x must be a tensor, got list"),
        (lambda: project_l1inf_ball(torch.ones(3)), ValueError, "x must be (..., G, n), got (3,)"),
        (lambda: project_l1inf_ball(torch.ones(2, 3), -1), ValueError, "radius must be >= 0"),
        (
            lambda: project_l1inf_ball(torch.ones(5, 2, 3), torch.ones(2)),
            ValueError,
            "radius must have one element, or one for each of (5,), got (2,)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
