"""Projections onto the simplex and the l1 ball: optimality, gradients, exact limits, errors."""

import re

import pytest
import torch
from covering import covering
from prox_samples import DTYPES, INF, NAN, leaf, normals, off, rows, same_bits, stored
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from lelkern import project_l1_ball, project_simplex
from lelkern.ops._dtypes import computed_in

PROJECTIONS = {"simplex": project_simplex, "ball": project_l1_ball}


def assert_projected(kind: str, y: Tensor, x: Tensor, radius: Tensor, dtype=torch.float64) -> None:
    """Raise unless rows y are the projections of x; both float64, y rounded to a dtype before.

    They are if they are in the set, and some theta has x - theta = y where y is positive, and
    x <= theta elsewhere: these are the optimality conditions, in which only x, y and r occur.
    """
    size, point = (x.abs(), y.abs()) if kind == "ball" else (x, y)
    if kind == "ball":
        assert (x * y >= 0).all()
    n = x.shape[1]
    # Numbers are compared with the largest, of which the radius and what is near it is made.
    scale = (radius + 1e-300).unsqueeze(1)
    bound = off(dtype, n) * scale + 2 * stored(scale, dtype)
    assert (point >= 0).all()
    total = point.sum(1, keepdim=True)
    inside = (size.sum(1, keepdim=True) <= scale) if kind == "ball" else scale < 0
    assert (y == x)[inside.expand_as(x)].all()
    assert ((total - scale).abs() <= n * bound)[~inside].all()
    largest = size.amax(1, keepdim=True)
    depth = point.amax(1, keepdim=True)  # of theta below the largest
    want = (depth - (largest - size)).clamp(min=0)
    near = bound + off(dtype, 1) * (largest - size).clamp(max=scale)
    assert ((point - want).abs() <= 2 * near)[~inside.expand_as(x)].all()


@pytest.mark.parametrize(
    ("kind", "dtype", "values", "n", "radius"),
    covering(
        list(PROJECTIONS),
        DTYPES,
        ("normal", "heavy", "tied", "sparse", "constant"),
        (1, 2, 3, 7, 8, 9, 17, 33, 1000),
        (1e-3, 1.0, 7.5, 1e4),
    ),
    ids=str,
)
def test_it_is_the_nearest_point(kind, dtype, values, n, radius, device):
    x = rows(values, 9, n, seed=n).clamp(-6e4, 6e4).to(device, dtype)
    r = (radius * torch.linspace(0.5, 2, 9, dtype=torch.float64, device=device)).float()
    y = PROJECTIONS[kind](x, r)
    assert y.dtype == dtype
    assert_projected(kind, y.double(), x.double(), r.double(), dtype)


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_projecting_twice_changes_nothing_and_distances_do_not_grow(kind, device):
    x = normals(50, 12).to(device)
    y = PROJECTIONS[kind](x, 1.5)
    torch.testing.assert_close(PROJECTIONS[kind](y, 1.5), y, rtol=0, atol=1e-14)
    distances = torch.cdist(y, y) - torch.cdist(x, x)
    assert (distances <= 1e-6).all()  # cdist takes differences of squares
    assert y.norm() < x.norm()


@pytest.mark.parametrize("kind", PROJECTIONS)
@pytest.mark.parametrize(
    ("shape", "dim"), [((0, 3), -1), ((7,), 0), ((4, 6), 0), ((3, 5, 7), 1), ((2, 3, 1, 4), -2)]
)
def test_any_dimension(kind, shape, dim, device):
    x = normals(*shape).to(device)
    beside = x.movedim(dim, -1)
    radius = normals(*beside.shape[:-1], seed=1).abs().to(device)
    y = PROJECTIONS[kind](x, radius, dim)
    assert y.shape == shape
    want = PROJECTIONS[kind](beside.contiguous(), radius)
    assert torch.equal(y.movedim(dim, -1), want)
    apart = torch.stack((x, x), -1)[..., 1]
    assert torch.equal(PROJECTIONS[kind](apart, radius, dim), y)
    assert project_l1_ball(x[..., :0], 0.5).shape == (*shape[:-1], 0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_limits(dtype, device):
    def of(function, values, radius):
        return function(torch.tensor(values, dtype=dtype, device=device), radius)

    assert of(project_simplex, [INF, 1.0, INF, -INF], 1.0).tolist() == [0.5, 0, 0.5, 0]
    assert of(project_simplex, [-INF, 2.0, -INF], 0.75).tolist() == [0, 0.75, 0]
    assert of(project_l1_ball, [INF, 1.0, -INF], 1.0).tolist() == [0.5, 0, -0.5]
    for function in (project_simplex, project_l1_ball):
        assert of(function, [1.0, NAN, 2.0], 1.0).isnan().all()
        assert (of(function, [1.0, -3.0, 2.0], 0.0) == 0).all()
        assert of(function, [[1.0, 2.0], [NAN, 2.0]], 1.0)[0].tolist() == [0, 1]
    x = torch.tensor([0.5, -0.0, -0.25], dtype=dtype, device=device)
    for radius in (0.75, 1.0, INF):
        assert same_bits(project_l1_ball(x, radius), x)
    # A radius that is lost beside the numbers is not lost here.
    huge = torch.finfo(dtype).max
    assert of(project_simplex, [huge, -huge, huge / 2], 1.0).tolist() == [1, 0, 0]
    assert of(project_l1_ball, [huge, -huge, huge / 2], 1.0).tolist() == [0.5, -0.5, 0]
    tiny = torch.finfo(dtype).smallest_normal
    assert of(project_simplex, [tiny, 0.0], 1.0).tolist() == [0.5, 0.5]
    op = torch.ops.lelkern.project_simplex
    pair = torch.ones(2, 3, device=device)
    for l1 in (False, True):  # a radius that nobody has looked at
        y = op(pair, torch.tensor([-1.0, 0.5], device=device), l1)[0]
        assert y[0].isnan().all()
        assert y[1].isfinite().all()


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_row_of_nothing_but_minus_infinity_has_no_projection(dtype, n, device):
    """No theta has max(x - theta, 0) sum to the radius."""
    x = torch.full((2, n), -INF, dtype=dtype, device=device)
    x[1] = 0
    op, backward = torch.ops.lelkern.project_simplex, torch.ops.lelkern.project_simplex_backward
    for number in (0.0, 1.0):
        radius = torch.full((2,), number, device=device).to(computed_in(x))
        y, theta = op(x, radius, False)
        of_x, of_radius = backward(torch.ones_like(x), x, radius, False, y, theta)
        for found in (y, theta, of_x, of_radius):
            assert found[0].isnan().all()
            assert found[1].isfinite().all()
        shares = op(x, radius, True)[0][0]  # the l1 ball has a nearest point, on all axes alike
        rounded = 2 * torch.finfo(dtype).eps
        torch.testing.assert_close(
            shares, torch.full_like(shares, -number / n), rtol=rounded, atol=0
        )
    # -inf has a place in every row that has something else as well.
    x[0, 0] = 1.0
    assert op(x, radius, False)[0][0].tolist() == [1.0] + [0.0] * (n - 1)


@pytest.mark.parametrize("kind", PROJECTIONS)
@pytest.mark.parametrize("each", [False, True])
def test_gradcheck(kind, each, device):
    x = normals(3, 5).to(device).requires_grad_()
    radius = leaf([0.5, 1.0, 99.0] if each and kind == "ball" else [0.5, 1.0, 2.0], device)
    if not each:
        radius = leaf(0.8, device)
    project = PROJECTIONS[kind]
    assert gradcheck(project, (x, radius))
    assert gradgradcheck(project, (x, radius), fast_mode=True)

    def function(x, radius):
        return project(x, radius).square().sum()

    want = torch.autograd.grad(function(x, radius), (x, radius))
    plain = (x.detach(), radius.detach())
    torch.testing.assert_close(torch.func.grad(function, (0, 1))(*plain), want)
    torch.testing.assert_close(torch.func.jacfwd(function, (0, 1))(*plain), want)


@pytest.mark.parametrize(
    ("kind", "dtype", "n"), covering(list(PROJECTIONS), DTYPES, (1, 3, 8, 17, 1000)), ids=str
)
def test_gradients(kind, dtype, n, device):
    x = normals(7, n).to(device, dtype).requires_grad_()
    radius = leaf(torch.linspace(0.2, 3, 7), device, torch.float32)
    grad = normals(7, n, seed=1).to(device, dtype)
    y = PROJECTIONS[kind](x, radius)
    of_x, of_radius = torch.autograd.grad(y, (x, radius), grad)
    assert of_x.dtype == dtype
    # The mean over the support is taken off there; nothing passes elsewhere, all does inside.
    g, sign = grad.double(), y.detach().double().sign()
    if kind == "ball":
        inside = x.detach().double().abs().sum(1, keepdim=True) <= radius.detach().double()[:, None]
    else:
        inside = torch.zeros(7, 1, dtype=torch.bool, device=device)
    count = sign.abs().sum(1, keepdim=True)
    mean = ((sign * g).sum(1, keepdim=True) / count).masked_fill(inside, 0)
    want = torch.where(inside, g, (g - sign * mean) * sign.abs())
    bound = off(dtype, n) * (g.abs().amax(1, keepdim=True)) + 2 * stored(want, dtype)
    assert ((of_x.double() - want).abs() <= bound).all()
    assert ((of_radius.double() - mean.squeeze(1)).abs() <= off(torch.float32, n) * 5).all()


def test_conventions_of_the_gradient(device):
    x = leaf([[1.0, 0.0, -1.0], [3.0, 3.0, 1.0]], device)
    radius = leaf([1.0, 4.0], device)
    grad = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]], dtype=torch.float64, device=device)
    # The level is 0 in the first row, 1 in the second: what is there counts as 0.
    y = project_simplex(x, radius)
    of_x, of_radius = torch.autograd.grad(y, (x, radius), grad)
    assert of_x.tolist() == [[0, 0, 0], [-0.5, 0.5, 0]]
    assert of_radius.tolist() == [1, 1.5]
    for function in (project_simplex, project_l1_ball):
        x = leaf([[1.0, NAN], [1.0, 2.0]], device)
        radius = leaf([1.0, 0.0], device)
        of_x, of_radius = torch.autograd.grad(function(x, radius).sum(), (x, radius))
        assert of_x[0].isnan().all()
        assert of_radius[0].isnan()
        assert of_x[1].tolist() == [0, 0]
        assert of_radius[1] == 0


@pytest.mark.once
@pytest.mark.parametrize("l1", [False, True])
def test_opcheck(l1, device):
    x = normals(3, 5).float().to(device).requires_grad_()
    radius = leaf([0.5, 1.0, 2.0], device, torch.float32)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    ops = torch.ops.lelkern
    torch.library.opcheck(ops.project_simplex.default, (x, radius, l1), test_utils=tests)
    found = ops.project_simplex(x.detach(), radius.detach(), l1)
    given = (torch.ones_like(x), x, radius, l1, *found)
    torch.library.opcheck(ops.project_simplex_backward.default, given, test_utils=tests)


@pytest.mark.once
@pytest.mark.parametrize("kind", PROJECTIONS)
def test_vmap(kind, device):
    x, radius = normals(3, 2, 4).to(device), torch.tensor([0.1, 1.0, 3.0], device=device).double()
    got = torch.func.vmap(PROJECTIONS[kind])(x, radius)
    want = torch.stack([PROJECTIONS[kind](x[i], radius[i]) for i in range(3)])
    torch.testing.assert_close(got, want)


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("kind", PROJECTIONS)
def test_compile(kind, device):
    def step(x, radius):
        return (PROJECTIONS[kind](2 * x, radius, 0) * 3).square().sum()

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (4, 7):
        results = []
        for function in (step, compiled):
            x = normals(n, 3).float().to(device).requires_grad_()
            radius = leaf(0.7, device, torch.float32)
            y = function(x, radius)
            results.append([y, *torch.autograd.grad(y, (x, radius))])
        torch.testing.assert_close(*results)


@pytest.mark.once
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f([1.0]), TypeError, "x must be a tensor, got list"),
        (lambda f: f(torch.ones(3).int()), TypeError, "x must be float64"),
        (lambda f: f(torch.tensor(1.0)), ValueError, "x must have a dimension, got shape ()"),
        (lambda f: f(torch.ones(3), dim=1), ValueError, "dim must be from -1 to 0, got 1"),
        (lambda f: f(torch.ones(3), -1), ValueError, "radius must be >= 0, got -1"),
        (
            lambda f: f(torch.ones(2, 3), torch.tensor([1.0, -0.5])),
            ValueError,
            "radius must be >= 0, got -0.5",
        ),
        (
            lambda f: f(torch.ones(2, 3), torch.ones(3)),
            ValueError,
            "radius must have one element, or one for each of (2,), got (3,)",
        ),
        (lambda f: f(torch.ones(3), torch.tensor(1)), TypeError, "radius must be floating point"),
        (lambda f: f(torch.ones(3), "1"), TypeError, "radius must be a number or a tensor"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    for function in (project_simplex, project_l1_ball):
        with pytest.raises(error, match=re.escape(message)):
            call(function)


def test_a_simplex_has_a_finite_radius_and_a_point():
    with pytest.raises(ValueError, match="radius must be finite, got inf"):
        project_simplex(torch.ones(3), INF)
    with pytest.raises(ValueError, match="at least one element along dim"):
        project_simplex(torch.ones(3, 0))
