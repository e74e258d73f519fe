import math
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, MultiTaskLasso, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator
from strange_settings import strange_settings

from lelkern.methods.multi_task import (
    ClusteredRegressor,
    JointSparseRegressor,
    LowRankRegressor,
    SparseGroupRegressor,
)

ESTIMATORS = (
    JointSparseRegressor,
    SparseGroupRegressor,
    LowRankRegressor,
    ClusteredRegressor,
)


@pytest.fixture(scope="module")
def samples():
    """Four tasks that use five of twenty features, with intercepts and scales of their own."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 20)) * generator.uniform(0.5, 2, size=20) + 1
    w = np.zeros((20, 4))
    w[:5] = generator.normal(size=(5, 4))
    return x, x @ w + 0.3 * generator.normal(size=(50, 4)) + 3


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_settings_of_pytorch_decide_nothing(estimator, samples):
    def fitted():
        model = estimator(alpha=0.1, tol=1e-2)
        _, coefficients = model.alpha_path(*samples, n_alphas=2)
        return coefficients, model.fit(*samples).coef_

    expected = fitted()
    with strange_settings():
        path, coefficients = fitted()
    assert np.array_equal(path, expected[0])
    assert np.array_equal(coefficients, expected[1])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_they_are_estimators(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of data made to be awkward
        results = check_estimator(estimator(), on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}


@pytest.mark.parametrize("intercept", [True, False])
def test_q_of_2_is_scikit_learns_multi_task_lasso(samples, intercept):
    x, y = samples
    options = {"alpha": 0.1, "fit_intercept": intercept}
    theirs = MultiTaskLasso(**options, tol=1e-14, max_iter=100_000).fit(x, y)
    ours = JointSparseRegressor(**options, tol=1e-12).fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=1e-5)
    assert ours.score(x, y) == pytest.approx(theirs.score(x, y))
    # Rows that are out of use are exactly so.
    assert ((ours.coef_ == 0) == (theirs.coef_ == 0)).all()
    assert 0 < (ours.coef_ != 0).any(axis=0).sum() < 20


def test_q_of_1_is_a_lasso_for_each_task(samples):
    x, y = samples
    ours = JointSparseRegressor(0.1, q=1.0, tol=1e-12).fit(x, y)
    for task in range(4):
        theirs = Lasso(0.1, tol=1e-14, max_iter=100_000).fit(x, y[:, task])
        np.testing.assert_allclose(ours.coef_[task], theirs.coef_, atol=1e-6)
        one = JointSparseRegressor(0.1, tol=1e-12).fit(x, y[:, task])
        np.testing.assert_allclose(one.coef_, theirs.coef_, atol=1e-6)
        assert isinstance(one.intercept_, float)
        assert one.predict(x).shape == (50,)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_sum_of_squares_is_the_mean_times_the_number_of_samples(estimator, samples):
    x, y = samples
    mean = estimator(0.05, tol=1e-12).fit(x, y)
    total = estimator(0.05 * 50, loss="sum", tol=1e-12).fit(x, y)
    np.testing.assert_allclose(mean.coef_, total.coef_, atol=1e-5)


def test_ends_of_the_sparse_group_lasso_are_its_parts(samples):
    x, y = samples
    for ratio, q in ((1e-6, 2.0), (1 - 1e-6, 1.0)):
        mixed = SparseGroupRegressor(0.1, l1_ratio=ratio, tol=1e-10).fit(x, y)
        part = JointSparseRegressor(0.1, q=q, tol=1e-10).fit(x, y)
        np.testing.assert_allclose(mixed.coef_, part.coef_, atol=1e-4)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_path_begins_at_zero_and_passes_the_fit(estimator, samples):
    x, y = samples
    model = estimator(tol=1e-10)
    alphas, coefficients = model.alpha_path(x, y, weakest=0.01, n_alphas=7)
    assert coefficients.shape == (7, 4, 20)
    assert alphas[-1] == pytest.approx(0.01 * alphas[0])
    assert (np.diff(alphas) < 0).all()
    assert not hasattr(model, "coef_")
    if estimator is not ClusteredRegressor:
        assert np.abs(coefficients[0]).max() < 1e-9
    fit = estimator(alphas[4], tol=1e-10).fit(x, y)
    np.testing.assert_allclose(coefficients[4], fit.coef_, atol=1e-3)


def test_it_works_in_a_grid_search(samples):
    grid = {"alpha": [0.01, 100.0], "q": [2.0, math.inf]}
    search = GridSearchCV(JointSparseRegressor(), grid, cv=2)
    search.fit(*samples)
    assert search.best_params_["alpha"] == 0.01


def test_the_rank_grows_along_the_path(samples):
    x, y = samples
    _, coefficients = LowRankRegressor().alpha_path(x, y, n_alphas=12)
    ranks = [np.linalg.matrix_rank(w, tol=1e-9) for w in coefficients]
    assert (ranks[0], ranks[-1]) == (0, 4)
    assert ranks == sorted(ranks)
    assert {1, 2, 3} & set(ranks)


def test_with_a_cluster_for_each_task_it_is_ridge(samples):
    """All theta are 1 + eta, so that the penalty is alpha eta ||W||^2."""
    x, y = samples
    ours = ClusteredRegressor(0.5, n_clusters=4, eta=0.3, tol=1e-12).fit(x, y)
    theirs = Ridge(2 * 0.5 * 0.3 * len(x)).fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)


def test_what_takes_too_long_warns(samples):
    with pytest.warns(ConvergenceWarning, match="after 2 iterations, above tol = 1e-12"):
        model = JointSparseRegressor(0.001, tol=1e-12, max_iter=2).fit(*samples)
    assert model.n_iter_ == 2


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (JointSparseRegressor(-1.0), "alpha must be positive and finite, got -1.0"),
        (JointSparseRegressor(math.nan), "alpha must be positive and finite, got nan"),
        (JointSparseRegressor(q=0.5), "q must be at least 1, got 0.5"),
        (JointSparseRegressor(q=math.nan), "q must be at least 1, got nan"),
        (JointSparseRegressor(loss="median"), "loss must be one of mean, sum, got 'median'"),
        (JointSparseRegressor(tol=-1.0), "tolerance must be at least 0, got -1.0"),
        (JointSparseRegressor(max_iter=0), "max_iterations must be at least 1, got 0"),
        (SparseGroupRegressor(l1_ratio=1.0), r"l1_ratio must be in \(0, 1\), got 1.0"),
        (SparseGroupRegressor(q=1.0), "q must be greater than 1, got 1.0"),
        (ClusteredRegressor(n_clusters=0), "n_clusters must be at least 1, got 0"),
        (ClusteredRegressor(eta=0.0), "eta must be positive and finite, got 0.0"),
    ],
)
def test_wrong_parameters_are_refused(model, message, samples):
    with pytest.raises(ValueError, match=message):
        model.fit(*samples)


def test_a_path_needs_something_to_explain(samples):
    with pytest.raises(ValueError, match="y must depend on X"):
        JointSparseRegressor().alpha_path(samples[0], np.ones(50))
