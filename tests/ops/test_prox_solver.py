"""Proximal operators and projections against their definitions, solved by an independent solver."""

import math
import warnings

import cvxpy
import pytest
import torch
from prox_samples import INF, normals

import lelkern
from lelkern.ops.prox_metric import prox_group_lasso_metric, prox_l1_metric


def solved(objective, x, constraints=(), tolerance=1e-10):
    """Return the minimiser that CLARABEL finds.

    Errors in the objective are squares of those in x: only below a tolerance of 1e-12 is x sure to
    be right to 1e-6. Where the solver gets no further than 1e-10 it stops near it, and says so.
    """
    problem = cvxpy.Problem(cvxpy.Minimize(objective), list(constraints))
    tolerances = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance)
    with warnings.catch_warnings(action="ignore"):
        problem.solve(solver=cvxpy.CLARABEL, **tolerances)
    assert problem.status in ("optimal", "optimal_inaccurate")
    return torch.from_numpy(x.value)


def check(got, want):
    torch.testing.assert_close(got, want, atol=1e-6, rtol=0)


@pytest.mark.parametrize("q", [2.0, INF, 1.5, 3.0])
@pytest.mark.parametrize("lam1", [0.0, 0.4])
def test_groups(q, lam1):
    v = normals(3, 4)
    lam = torch.tensor([0.9, 0.2, 4.0], dtype=torch.float64)
    x = cvxpy.Variable(v.shape)
    penalty = sum(lam[g].item() * cvxpy.pnorm(x[g], "inf" if q == INF else q) for g in range(3))
    penalty += lam1 * cvxpy.sum(cvxpy.abs(x))
    objective = cvxpy.sum_squares(x - v.numpy()) / 2 + penalty
    want = solved(objective, x, tolerance=1e-10 if q in (2, INF) else 1e-13)
    check(lelkern.prox_sparse_group_lasso(v, lam1, lam, dim=1, q=q), want)
    if not lam1:
        check(lelkern.prox_group_lasso(v, lam, dim=1, q=q), want)


@pytest.mark.parametrize("metric", [torch.ones(3, 4), torch.linspace(0.2, 5, 12).reshape(3, 4)])
def test_elements_and_groups_in_a_metric(metric):
    v, d = normals(3, 4), metric.double()
    x = cvxpy.Variable(v.shape)
    distance = cvxpy.sum(cvxpy.multiply(d.numpy(), cvxpy.square(x - v.numpy()))) / 2
    elements = solved(distance + 0.4 * cvxpy.sum(cvxpy.abs(x)), x, tolerance=1e-13)
    check(prox_l1_metric(v, d, 0.4), elements)
    groups = solved(distance + 0.9 * cvxpy.sum(cvxpy.norm(x, 2, axis=1)), x, tolerance=1e-13)
    check(prox_group_lasso_metric(v, d, 0.9, dim=1), groups)
    if (d == 1).all():
        check(lelkern.prox_l1(v, 0.4), elements)
        check(lelkern.prox_group_lasso(v, 0.9, dim=1), groups)


@pytest.mark.parametrize("t", [0.3, 1.0, 5.0])
def test_singular_values(t):
    v = normals(4, 3)
    x = cvxpy.Variable(v.shape)
    want = solved(cvxpy.sum_squares(x - v.numpy()) / 2 + t * cvxpy.normNuc(x), x)
    check(lelkern.prox_nuclear(v, t), want)


@pytest.mark.parametrize("radius", [0.1, 1.0, 3.0])
def test_projections(radius):
    v = normals(3, 5)
    x = cvxpy.Variable(v.shape)
    distance = cvxpy.sum_squares(x - v.numpy())
    simplices = solved(distance, x, [x >= 0, cvxpy.sum(x, axis=1) == radius])
    check(lelkern.project_simplex(v, radius), simplices)
    balls = solved(distance, x, [cvxpy.sum(cvxpy.abs(x), axis=1) <= radius])
    check(lelkern.project_l1_ball(v, radius), balls)
    ball = solved(distance, x, [cvxpy.sum(cvxpy.max(cvxpy.abs(x), axis=1)) <= radius])
    check(lelkern.project_l1inf_ball(v, radius), ball)


def test_a_multi_task_lasso_is_a_fixed_point():
    from sklearn.linear_model import MultiTaskLasso

    X, Y = normals(30, 8), normals(30, 3, seed=1)
    alpha = 0.15
    model = MultiTaskLasso(alpha=alpha, fit_intercept=False, tol=1e-14, max_iter=10**5)
    W = torch.from_numpy(model.fit(X.numpy(), Y.numpy()).coef_.T)
    assert 0 < (W == 0).all(1).sum() < 8
    gradient = X.T @ (X @ W - Y) / len(X)
    # W is off by the root of its gap, 1e-14 times ||Y||^2.
    check(lelkern.prox_group_lasso(W - gradient, alpha, dim=1), W)
    assert math.isclose(gradient.norm(dim=1).max().item(), alpha, rel_tol=1e-6)
