"""FISTA: the same minimum whatever is given, and what it says of it."""

import math
from itertools import pairwise

import pytest
import torch
from multi_task_lasso import LAM, kkt_residual, problem

from lelkern import prox_group_lasso
from lelkern.optim import fista

PROBLEM = problem()
START = torch.zeros(12, 3, dtype=torch.float64)


def prox(v, step):
    return prox_group_lasso(v, step * LAM, dim=1)


def value_and_gradient(w):
    return PROBLEM.loss(w), PROBLEM.gradient(w)


@pytest.mark.parametrize("smooth", [PROBLEM.loss, value_and_gradient], ids=["autograd", "given"])
@pytest.mark.parametrize("lipschitz", [None, PROBLEM.lipschitz], ids=["backtracking", "constant"])
@pytest.mark.parametrize("restart", [True, False])
def test_it_stops_at_the_duality_gap(smooth, lipschitz, restart):
    found = fista(
        smooth, prox, START, lipschitz=lipschitz, gap=PROBLEM.gap, tol=1e-9, restart=restart
    )
    assert found.converged
    assert 0 <= found.gap <= 1e-9
    assert found.gap == PROBLEM.gap(found.x)
    assert found.n_iter % 10 == 0
    # f is mu-strongly convex: the distance to the minimum is at most sqrt(2 gap / mu), and the
    # residual at most (L + L) of that, after one more proximal gradient step.
    mu = float(torch.linalg.eigvalsh(PROBLEM.x.T @ PROBLEM.x)[0])
    x = prox(found.x - PROBLEM.gradient(found.x) / PROBLEM.lipschitz, 1 / PROBLEM.lipschitz)
    limit = 2 * PROBLEM.lipschitz * math.sqrt(2 * 1e-9 / mu)
    assert kkt_residual(x, PROBLEM.gradient(x)) <= limit


def test_without_a_gap_it_stops_at_the_fixed_point_residual():
    found = fista(PROBLEM.loss, prox, START, lipschitz=PROBLEM.lipschitz, tol=1e-10)
    assert found.converged
    assert found.gap <= 1e-10
    x, step = found.x, 1 / PROBLEM.lipschitz
    moved = prox(x - step * PROBLEM.gradient(x), step) - x
    size = max(float(x.norm()), step * float(PROBLEM.gradient(x).norm()))
    assert moved.norm() <= 1.01 * found.gap * size  # the gradient at y is that at x up to 1e-10


def test_restarts_and_momentum_save_iterations():
    iterations = {
        restart: fista(PROBLEM.loss, prox, START, tol=1e-10, restart=restart).n_iter
        for restart in (True, False)
    }
    assert iterations[True] < iterations[False]
    x, steps, length = START, 0, 1 / PROBLEM.lipschitz
    while PROBLEM.gap(x) > 1e-9:
        x = prox(x - length * PROBLEM.gradient(x), length)
        steps += 1
    found = fista(
        PROBLEM.loss,
        prox,
        START,
        lipschitz=PROBLEM.lipschitz,
        gap=PROBLEM.gap,
        tol=1e-9,
        check_every=1,
    )
    assert found.n_iter < steps


def test_backtracking_ends_below_twice_the_lipschitz_constant():
    steps = []

    def remembered(v, step):
        steps.append(step)
        return prox(v, step)

    assert fista(PROBLEM.loss, remembered, START, tol=1e-10).converged
    assert all(a >= b for a, b in pairwise(steps))
    assert 1 / steps[-1] < 2 * PROBLEM.lipschitz
    assert 1 / steps[0] <= 1.0001 * PROBLEM.lipschitz  # a curvature, by differences


def test_it_says_that_it_has_not_converged():
    found = fista(PROBLEM.loss, prox, START, gap=PROBLEM.gap, tol=1e-9, max_iter=15)
    assert not found.converged
    assert found.n_iter == 15
    assert found.gap == PROBLEM.gap(found.x) > 1e-9


def test_from_the_minimum_it_does_not_move():
    flat = fista(lambda x: 0 * x.sum(), lambda v, step: v, START)
    assert torch.equal(flat.x, START)
    assert flat[1:] == (1, 0, True)
    least = fista(PROBLEM.loss, prox, START, tol=1e-14).x
    found = fista(PROBLEM.loss, prox, least, gap=PROBLEM.gap, tol=1e-9, check_every=1)
    assert found.n_iter == 1


def test_float32_converges_to_what_it_can_tell():
    x = PROBLEM.x.float()
    y = PROBLEM.y.float()
    found = fista(lambda w: 0.5 * (x @ w - y).square().sum(), prox, START.float(), tol=1e-5)
    assert found.converged
    assert found.x.dtype == torch.float32
    exact = fista(PROBLEM.loss, prox, START, tol=1e-14).x
    torch.testing.assert_close(found.x.double(), exact, rtol=0, atol=1e-3)


def test_it_records_no_gradients_and_leaves_the_start_alone():
    start = START.clone().requires_grad_()
    found = fista(PROBLEM.loss, prox, start, max_iter=3)
    assert not found.x.requires_grad
    assert start.grad is None
    assert torch.equal(start.detach(), START)


def test_a_step_that_is_too_long_is_told_from_a_solution():
    with pytest.raises(ValueError, match=r"smooth must be finite.*lipschitz = 1\.0 too small"):
        fista(PROBLEM.loss, lambda v, step: v, START, lipschitz=1.0)


def test_what_is_finite_nowhere_near_is_an_error():
    def only_at_the_start(x):
        return x.sum() * (1.0 if (x == 1).all() else math.nan)

    with pytest.raises(ValueError, match="smooth must be smooth and finite"):
        fista(only_at_the_start, prox, START + 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x0": torch.zeros(3, dtype=torch.int64)}, TypeError, "x0 must be .* got torch.int64"),
        ({"x0": 1.0}, TypeError, "x0 must be a floating-point tensor, got float"),
        ({"lipschitz": 0.0}, ValueError, r"lipschitz must be > 0, got 0\.0"),
        ({"tol": math.nan}, ValueError, "tol must be >= 0, got nan"),
        ({"max_iter": 0}, ValueError, "max_iter must be >= 1, got 0"),
        ({"check_every": 0}, ValueError, "check_every must be >= 1, got 0"),
        ({"smooth": lambda x: x}, ValueError, r"smooth must return a number, got shape \(12, 3\)"),
        ({"smooth": lambda x: (x.sum(), x[0])}, ValueError, r"gradient of the shape of x.*\(3,\)"),
    ],
)
def test_errors_name_the_argument_and_its_value(arguments, error, message):
    with pytest.raises(error, match=message):
        fista(**{"smooth": PROBLEM.loss, "prox": prox, "x0": START, **arguments})
