"""Penalised least squares for tasks against independent solvers and conditions of optimality."""

import math
from itertools import cycle, pairwise

import cvxpy
import numpy as np
import pytest
import torch
from covering import covering

from lelkern.methods.multi_task._least_squares import LeastSquares
from lelkern.methods.multi_task._penalties import RowNorm, SparseGroup, SpectralBox, TraceNorm
from lelkern.methods.multi_task._quadratic import ridge, towards_centres
from lelkern.methods.multi_task._solve import duality_gap, minimise, path, strengths

FEATURES, TASKS = 5, 4


def drawn(shared, features=FEATURES, rows=(9, 12, 4, 8)):
    """Samples of four tasks, with an intercept that is not small."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    w = normal(features, TASKS)
    x = [normal(rows[0], features)] * TASKS if shared else [normal(n, features) for n in rows]
    y = [own @ w[:, t] + 0.5 * normal(len(own)) + 3 for t, own in enumerate(x)]
    return x, y


def problem(shared=False, intercept=True, loss="sum", **sizes):
    x, y = drawn(shared, **sizes)
    return LeastSquares.of(x[0] if shared else x, y, intercept=intercept, loss=loss)


def box(w, clusters, eta):
    """The penalty of clusters as a semidefinite program: tr S, [[S, W], [W', eta I + M]] >= 0."""
    m = cvxpy.Variable((TASKS, TASKS), PSD=True)
    s = cvxpy.Variable((FEATURES, FEATURES), PSD=True)
    whole = cvxpy.bmat([[s, w], [w.T, eta * np.eye(TASKS) + m]])
    fits = [whole >> 0, m << np.eye(TASKS), cvxpy.trace(m) == clusters]
    return eta * (1 + eta) * cvxpy.trace(s), fits


def rows(w, q):
    return cvxpy.sum([cvxpy.pnorm(w[i], q) for i in range(FEATURES)])


PENALTIES = {
    "lasso": (RowNorm(1.0), lambda w: (cvxpy.sum(cvxpy.abs(w)), [])),
    "q = 1.5": (RowNorm(1.5), lambda w: (rows(w, 1.5), [])),
    "q = 2": (RowNorm(2.0), lambda w: (rows(w, 2), [])),
    "q = inf": (RowNorm(math.inf), lambda w: (rows(w, math.inf), [])),
    "sparse group": (
        SparseGroup(0.3),
        lambda w: (0.3 * cvxpy.sum(cvxpy.abs(w)) + 0.7 * rows(w, 2), []),
    ),
    "trace": (TraceNorm(), lambda w: (cvxpy.normNuc(w), [])),
    "one cluster": (SpectralBox(1, 0.1), lambda w: box(w, 1, 0.1)),
    "two clusters": (SpectralBox(2, 0.5), lambda w: box(w, 2, 0.5)),
    "a cluster each": (SpectralBox(TASKS, 1.0), lambda w: box(w, TASKS, 1.0)),
}
NORMS = [name for name, (penalty, _) in PENALTIES.items() if not isinstance(penalty, SpectralBox)]


def objective(found, penalty, strength, w):
    return float(found.value(w, found.gradient(w))) + strength * penalty.value(w)


# --- against a convex solver ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shared", "intercept", "loss"),
    [
        (name, *rest)
        for name, rest in zip(
            PENALTIES, cycle(covering([False, True], [True, False], ["sum", "mean"]))
        )
    ],
)
def test_the_minimum_is_that_of_a_convex_solver(name, shared, intercept, loss):
    penalty, expression = PENALTIES[name]
    x, y = drawn(shared)
    found = problem(shared, intercept, loss)
    strength = 0.2 * penalty.strongest(found)
    solution = minimise(found, penalty, strength, tolerance=1e-12)
    assert solution.converged

    w, b = cvxpy.Variable((FEATURES, TASKS)), cvxpy.Variable(TASKS)
    penalised, fits = expression(w)
    squares = [
        cvxpy.sum_squares(own.numpy() @ w[:, t] + b[t] - y[t].numpy())
        / (2 * (len(own) if loss == "mean" else 1))
        for t, own in enumerate(x)
    ]
    fits = fits if intercept else [*fits, b == 0]
    asked = cvxpy.Problem(cvxpy.Minimize(sum(squares) + strength * penalised), fits)
    asked.solve(solver=cvxpy.CLARABEL)
    mine = objective(found, penalty, strength, solution.coefficients)
    # An interior-point method ends at about 1e-8 of the objective, from either side.
    assert mine == pytest.approx(asked.value, rel=1e-6)
    # Where an objective is flat to second order, W is known to the root of that.
    np.testing.assert_allclose(solution.coefficients, w.value, atol=1e-3)
    if intercept:
        np.testing.assert_allclose(found.intercepts(solution.coefficients), b.value, atol=1e-2)


@pytest.mark.parametrize("clusters", [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 2, 3]])
def test_tasks_and_centres_solve_their_equations(clusters):
    x, y = drawn(False)
    w, m = towards_centres(problem(), 0.7, 0.2, torch.tensor(clusters))
    number = max(clusters) + 1
    a, b = cvxpy.Variable((FEATURES, TASKS)), cvxpy.Variable(TASKS)
    c = cvxpy.Variable((FEATURES, number))
    parts = [
        0.5 * cvxpy.sum_squares(own.numpy() @ a[:, t] + b[t] - y[t].numpy())
        + 0.35 * cvxpy.sum_squares(a[:, t] - c[:, clusters[t]])
        for t, own in enumerate(x)
    ]
    asked = cvxpy.Problem(cvxpy.Minimize(sum(parts) + 0.1 * cvxpy.sum_squares(c)))
    asked.solve(solver=cvxpy.CLARABEL)
    np.testing.assert_allclose(w, a.value, atol=1e-6)
    np.testing.assert_allclose(m, c.value, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_ridge_is_that_of_every_task(shared):
    from sklearn.linear_model import Ridge

    x, y = drawn(shared)
    found = problem(shared)
    w = ridge(found, 0.6)
    for t, own in enumerate(x):
        model = Ridge(alpha=0.6).fit(own.numpy(), y[t].numpy())
        np.testing.assert_allclose(w[:, t], model.coef_, rtol=1e-10)
        assert float(found.intercepts(w)[t]) == pytest.approx(model.intercept_, rel=1e-10)


# --- clusters -------------------------------------------------------------------------------


def in_turns(found, clusters, eta, strength, turns):
    """W and M in turns, each exactly: linear equations for W, water-filling for M."""
    t, d = found.tasks, found.features
    m = torch.eye(t, dtype=torch.float64) * clusters / t
    blocks = torch.block_diag(*found.gram.expand(t, -1, -1))
    for _ in range(turns):
        inverse = torch.linalg.inv(eta * torch.eye(t, dtype=torch.float64) + m).contiguous()
        stiff = 2 * strength * eta * (1 + eta) * torch.kron(inverse, torch.eye(d).double())
        w = torch.linalg.solve(blocks + stiff, found.moments.T.reshape(-1)).reshape(t, d).T
        values, vectors = torch.linalg.eigh(w.T @ w)
        order = values.clamp(min=0).sqrt().flip(0)
        theta = SpectralBox(clusters, eta).weights(order).flip(0)
        m = vectors @ torch.diag(theta - eta) @ vectors.T
        yield w


@pytest.mark.parametrize(("clusters", "eta"), [(1, 0.3), (2, 0.5), (3, 1.0)])
def test_turns_of_w_and_m_end_where_the_proximal_steps_do(clusters, eta):
    found, penalty, strength = problem(), SpectralBox(clusters, eta), 0.8
    solution = minimise(found, penalty, strength, tolerance=1e-12)
    values = [
        objective(found, penalty, strength, w)
        for w in in_turns(found, clusters, eta, strength, 150)
    ]
    # Neither turn raises the objective; rounding may, by its last bits.
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(values))
    best = objective(found, penalty, strength, solution.coefficients)
    assert values[-1] == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("shift", [0.0, 0.4])
@pytest.mark.parametrize(("clusters", "eta"), [(1, 0.1), (2, 0.5), (3, 1.0)])
@pytest.mark.parametrize(
    "singular", [[5, 2, 1, 0.1], [1, 1, 1, 1], [3, 3, 0, 0], [9, 0, 0, 0], [4, 1e-9, 1e-9, 0]]
)
def test_weights_of_singular_values_are_the_best_in_the_box(singular, clusters, eta, shift):
    values = torch.tensor(singular, dtype=torch.float64)
    theta = SpectralBox(clusters, eta).weights(values, shift)
    room = 1e-9  # rounding
    assert (theta >= eta - room).all()
    assert (theta <= 1 + eta + room).all()
    assert float((theta - eta).sum()) <= clusters + room
    # Moving weight from any entry to any other, as far as the box lets it, gains nothing.
    best = float((values**2 / (theta + shift)).sum())
    for i in range(4):
        for j in range(4):
            moved = theta.clone()
            amount = min(0.01, float(theta[i] - eta), float(1 + eta - theta[j]))
            if i != j and amount > 0:
                moved[i] -= amount
                moved[j] += amount
                assert float((values**2 / (moved + shift)).sum()) >= best - room * best
    spent = min(clusters, int((values > 0).sum()))
    assert float((theta - eta).sum()) == pytest.approx(spent, abs=1e-6)


# --- the gap --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PENALTIES)
def test_the_gap_bounds_the_distance_from_the_minimum(name):
    penalty, _ = PENALTIES[name]
    found = problem()
    strength = 0.1 * penalty.strongest(found)
    best = minimise(found, penalty, strength, tolerance=1e-12)
    lowest = objective(found, penalty, strength, best.coefficients)
    generator = torch.Generator().manual_seed(1)
    for scale in (0.0, 1e-3, 0.1, 1.0):
        noise = torch.randn(FEATURES, TASKS, generator=generator, dtype=torch.float64)
        w = best.coefficients + scale * noise
        above = objective(found, penalty, strength, w) - lowest
        gap = duality_gap(found, penalty, strength, w)
        assert gap >= above - 1e-12 * found.at_zero
    assert best.gap <= 1e-12 * found.at_zero


@pytest.mark.parametrize("name", NORMS)
def test_all_is_zero_from_the_strongest_on_and_not_before(name):
    penalty, _ = PENALTIES[name]
    found = problem()
    strongest = penalty.strongest(found)
    at = minimise(found, penalty, strongest * (1 + 1e-9), tolerance=1e-12)
    assert not at.coefficients.any()
    below = minimise(found, penalty, strongest * 0.99, tolerance=1e-10)
    assert below.coefficients.any()


@pytest.mark.parametrize("name", NORMS)
def test_dual_norms_are_the_largest_inner_products(name):
    """Of W with what has norm 1: reached by the gradient of the dual norm, passed by nothing."""
    penalty, _ = PENALTIES[name]
    generator = torch.Generator().manual_seed(2)
    w = torch.randn(FEATURES, TASKS, generator=generator, dtype=torch.float64)
    dual = penalty.dual_norm(w)
    others = torch.randn(200, FEATURES, TASKS, generator=generator, dtype=torch.float64)
    assert max(float((w * x).sum()) / penalty.value(x) for x in others) <= dual
    # The prox of w leaves what lies outside the dual ball: nothing at the dual norm itself.
    left = penalty.prox(w, dual * (1 - 1e-6))
    assert float((w * left).sum()) / penalty.value(left) == pytest.approx(dual, rel=1e-4)


# --- paths and ends -------------------------------------------------------------------------


def test_a_path_has_the_solution_of_every_strength():
    found, penalty = problem(), RowNorm(2.0)
    along = strengths(penalty.strongest(found), 0.05, 4)
    assert along[-1] == pytest.approx(0.05 * along[0])
    warm = list(path(found, penalty, along, tolerance=1e-12))
    for strength, solution in zip(along, warm, strict=True):
        cold = minimise(found, penalty, strength, tolerance=1e-12)
        np.testing.assert_allclose(solution.coefficients, cold.coefficients, atol=1e-5)
    used = [int(s.coefficients.any(dim=1).sum()) for s in warm]
    assert (used[0], used[-1]) == (0, FEATURES)


def test_more_features_than_samples_are_the_same_problem():
    """Where X'X is larger than X, it is not made."""
    penalty, sizes = RowNorm(2.0), {"features": 20}
    found = problem(**sizes)
    w = torch.randn(20, TASKS, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x, y = drawn(False, **sizes)
    for t, (own, target) in enumerate(zip(x, y, strict=True)):
        centred, shifted = own - own.mean(0), target - target.mean()
        expected = centred.T @ (centred @ w[:, t] - shifted)
        np.testing.assert_allclose(found.gradient(w)[:, t], expected, rtol=1e-9)
    assert "gram" not in vars(found)
    largest = max(float(torch.linalg.matrix_norm(own - own.mean(0), 2)) ** 2 for own in x)
    assert found.curvature == pytest.approx(largest, rel=1e-10)
    solution = minimise(found, penalty, 0.1 * penalty.strongest(found), tolerance=1e-10)
    assert solution.converged


def test_one_matrix_for_all_is_the_same_as_a_copy_each():
    x, y = drawn(True)
    shared, copies = LeastSquares.of(x[0], y), LeastSquares.of(x, y)
    w = torch.ones(FEATURES, TASKS, dtype=torch.float64)
    np.testing.assert_allclose(shared.gradient(w), copies.gradient(w), rtol=1e-10)
    np.testing.assert_allclose(shared.intercepts(w), copies.intercepts(w), rtol=1e-12)
    assert shared.curvature == pytest.approx(copies.curvature)


def test_where_nothing_varies_all_is_zero():
    ones = torch.ones(5, FEATURES, dtype=torch.float64)
    targets = [torch.arange(5.0, dtype=torch.float64)] * TASKS
    for found in (
        LeastSquares.of(ones, targets),
        LeastSquares.of(drawn(True)[0][0], [torch.ones(9, dtype=torch.float64)] * TASKS),
    ):
        solution = minimise(found, RowNorm(2.0), 1.0)
        assert solution.converged
        assert not solution.coefficients.any()


def test_what_takes_too_long_says_so():
    found, penalty = problem(), RowNorm(2.0)
    solution = minimise(
        found, penalty, 1e-3 * penalty.strongest(found), tolerance=1e-12, max_iterations=3
    )
    assert (solution.converged, solution.iterations) == (False, 3)
    assert solution.gap > 1e-13 * found.at_zero


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 0.0}, "strength must be positive and finite, got 0.0"),
        ({"strength": math.inf}, "strength must be positive and finite, got inf"),
        ({"strength": math.nan}, "strength must be positive and finite, got nan"),
        ({"tolerance": -1.0}, "tolerance must be at least 0, got -1.0"),
        ({"max_iterations": 0}, "max_iterations must be at least 1, got 0"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        minimise(problem(), RowNorm(2.0), **{"strength": 1.0, **options})


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [], "y must have a vector for each task, got 0 for 0"),
        ([torch.ones(2, 3)], [torch.ones(2)] * 2, "a vector for each task, got 2 for 1"),
        ([torch.ones(2, 3)], [torch.ones(3)], r"y of task 0 must be \(2,\), got \(3,\)"),
        (
            [torch.ones(2, 3), torch.ones(2, 4)],
            [torch.ones(2)] * 2,
            r"x of task 1 must be \(N, 3\), got \(2, 4\)",
        ),
        ([torch.ones(0, 3)], [torch.ones(0)], r"x of task 0 must be \(N, 3\), got \(0, 3\)"),
    ],
)
def test_samples_that_do_not_fit_together_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        LeastSquares.of(x, y)


@pytest.mark.parametrize(
    ("weakest", "number", "message"),
    [(0.0, 3, "weakest must be"), (1.0, 3, "weakest must be"), (0.1, 0, "number must be")],
)
def test_wrong_paths_are_refused(weakest, number, message):
    with pytest.raises(ValueError, match=message):
        strengths(1.0, weakest, number)
