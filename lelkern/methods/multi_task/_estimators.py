"""Linear multi-task regression as estimators for scikit-learn: tasks are the columns of y."""

import math
import warnings
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from lelkern.methods.multi_task._least_squares import LeastSquares, Loss
from lelkern.methods.multi_task._penalties import (
    Penalty,
    RowNorm,
    SparseGroup,
    SpectralBox,
    TraceNorm,
)
from lelkern.methods.multi_task._solve import minimise, path, strengths
from lelkern.torch_settings import usual_settings

_LOSSES = ("mean", "sum")


class _LinearRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What all estimators share; the package says what their arguments and attributes are."""

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        loss: Loss = "mean",
        fit_intercept: bool = True,
        tol: float = 1e-6,
        max_iter: int = 10_000,
    ) -> None:
        self.alpha = alpha
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter

    def _penalty(self, tasks: int) -> Penalty:
        """Return the penalty of T tasks, its parameters checked."""
        raise NotImplementedError

    @usual_settings()
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the tasks.

        Args:
            X: (N, D), finite.
            y: (N, T) or, of one task, (N,), finite.

        Raises:
            ValueError: the data or a parameter cannot be used; the message names it.
        """
        problem, single = self._problem(X, y)
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be positive and finite, got {self.alpha}")
        solution = minimise(
            problem,
            self._penalty(problem.tasks),
            self.alpha,
            tolerance=self.tol,
            max_iterations=self.max_iter,
        )
        if not solution.converged:
            warnings.warn(
                f"the duality gap is {solution.gap:.3g} after {solution.iterations} iterations, "
                f"above tol = {self.tol} of the loss of zero coefficients, {problem.at_zero:.3g}: "
                "increase max_iter, or scale the features",
                ConvergenceWarning,
                stacklevel=3,  # the decorator is a frame of its own
            )
        coefficients = solution.coefficients
        intercepts = problem.intercepts(coefficients)
        self.coef_ = np.ascontiguousarray(coefficients.T.numpy())
        self.intercept_: Any = intercepts.numpy()
        if single:
            self.coef_, self.intercept_ = self.coef_[0], float(self.intercept_[0])
        self.n_iter_ = solution.iterations
        self.dual_gap_ = solution.gap
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return (N, T), or (N,) if y was, for X (N, D)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        predicted: NDArray[np.float64] = x @ self.coef_.T + self.intercept_
        return predicted

    @usual_settings()
    def alpha_path(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        weakest: float = 1e-3,
        n_alphas: int = 100,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the coefficients for falling alphas; ``self.alpha`` and the fit are left alone.

        The first alpha is the smallest for which all coefficients are zero (of
        :class:`ClusteredRegressor`, which has none, one for which they are small). Each solution is
        where the next begins.

        Args:
            X: (N, D), finite.
            y: (N, T) or (N,), finite.
            weakest: the last alpha over the first, in (0, 1).
            n_alphas: how many there are.

        Returns:
            alphas (A,) and coefficients (A, T, D).

        Raises:
            ValueError: the data or a parameter cannot be used.
        """
        problem, _ = self._problem(X, y)
        penalty = self._penalty(problem.tasks)
        strongest = penalty.strongest(problem)
        if strongest == 0:
            raise ValueError("y must depend on X, or there is no alpha to begin with")
        along = strengths(strongest, weakest, n_alphas)
        solutions = path(problem, penalty, along, tolerance=self.tol, max_iterations=self.max_iter)
        found = torch.stack([solution.coefficients.T for solution in solutions])
        return np.array(along), found.numpy()

    def _problem(self, X: ArrayLike, y: ArrayLike) -> tuple[LeastSquares, bool]:
        """Return the loss, and whether y is that of one task, without a dimension for tasks."""
        if self.loss not in _LOSSES:
            raise ValueError(f"loss must be one of {', '.join(_LOSSES)}, got {self.loss!r}")
        x, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=np.float64)
        targets = torch.tensor(np.asarray(y, dtype=np.float64))
        columns = targets[:, None] if targets.ndim == 1 else targets
        problem = LeastSquares.of(
            torch.tensor(x), list(columns.T), intercept=self.fit_intercept, loss=self.loss
        )
        return problem, targets.ndim == 1


class JointSparseRegressor(_LinearRegressor):
    r"""Tasks that use the same features: the l1/lq norm of their coefficients is penalised.

    .. math:: \frac{1}{2N} \|Y - XW - 1 b^\top\|_F^2 + \alpha \sum_i \|w^i\|_q

    with a row w^i for each feature. q = 2 is scikit-learn's ``MultiTaskLasso``, with the same
    alpha, and q = 1 its ``Lasso``, task by task.

    Source: Obozinski, Taskar & Jordan, "Joint Covariate Selection and Joint Subspace Selection for
    Multiple Classification Problems", Statistics and Computing 2010 (q = 2); Negahban & Wainwright
    2011 (q = infinity).

    Args:
        alpha: strength of the penalty, greater than 0; ``alpha_path`` has the one that all is zero
            from.
        q: at least 1; ``math.inf`` for the largest of a row.
        loss, fit_intercept, tol, max_iter: as :mod:`lelkern.methods.multi_task` says, which has the
            attributes of a fit too.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        q: float = 2.0,
        loss: Loss = "mean",
        fit_intercept: bool = True,
        tol: float = 1e-6,
        max_iter: int = 10_000,
    ) -> None:
        super().__init__(alpha, loss=loss, fit_intercept=fit_intercept, tol=tol, max_iter=max_iter)
        self.q = q

    def _penalty(self, tasks: int) -> Penalty:
        if not self.q >= 1:
            raise ValueError(f"q must be at least 1, got {self.q}")
        return RowNorm(self.q)


class SparseGroupRegressor(_LinearRegressor):
    r"""Tasks that use the same features, but not each of them all.

    .. math:: \frac{1}{2N} \|Y - XW - 1 b^\top\|_F^2
        + \alpha \bigl(\rho \|W\|_1 + (1 - \rho) \sum_i \|w^i\|_q\bigr)

    Source: Simon, Friedman, Hastie & Tibshirani, "A Sparse-Group Lasso", Journal of
    Computational and Graphical Statistics 2013.

    Args:
        alpha: strength of the penalty, greater than 0.
        l1_ratio: rho, in (0, 1).
        q: greater than 1; ``math.inf`` for the largest of a row.
        loss, fit_intercept, tol, max_iter: as :mod:`lelkern.methods.multi_task` says, which has the
            attributes of a fit too.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        l1_ratio: float = 0.5,
        q: float = 2.0,
        loss: Loss = "mean",
        fit_intercept: bool = True,
        tol: float = 1e-6,
        max_iter: int = 10_000,
    ) -> None:
        super().__init__(alpha, loss=loss, fit_intercept=fit_intercept, tol=tol, max_iter=max_iter)
        self.l1_ratio = l1_ratio
        self.q = q

    def _penalty(self, tasks: int) -> Penalty:
        if not 0 < self.l1_ratio < 1:
            raise ValueError(f"l1_ratio must be in (0, 1), got {self.l1_ratio}")
        if not self.q > 1:
            raise ValueError(f"q must be greater than 1, got {self.q}")
        return SparseGroup(self.l1_ratio, self.q)


class LowRankRegressor(_LinearRegressor):
    r"""Tasks in a space of few dimensions: the trace norm of their coefficients is penalised.

    .. math:: \frac{1}{2N} \|Y - XW - 1 b^\top\|_F^2 + \alpha \sum_i \sigma_i(W)

    Source: Pong, Tseng, Ji & Ye, "Trace Norm Regularization: Reformulations, Algorithms, and
    Multi-Task Learning", SIAM Journal on Optimization 2010.

    Args:
        alpha: strength of the penalty, greater than 0.
        loss, fit_intercept, tol, max_iter: as :mod:`lelkern.methods.multi_task` says, which has the
            attributes of a fit too.
    """

    def _penalty(self, tasks: int) -> Penalty:
        return TraceNorm()


class ClusteredRegressor(_LinearRegressor):
    r"""Tasks in clusters: the squared spectral box norm of their coefficients is penalised.

    .. math:: \frac{1}{2N} \|Y - XW - 1 b^\top\|_F^2
        + \alpha \eta (1 + \eta) \min_M \mathrm{tr}\, W (\eta I + M)^{-1} W^\top

    over 0 <= M <= I with trace k: the convex relaxation of k-means over the tasks.

    Source: Zhou, Chen & Ye, "Clustered Multi-Task Learning via Alternating Structure Optimization",
    NeurIPS 2011, Equation 11.

    Args:
        alpha: strength of the penalty, greater than 0.
        n_clusters: k, at least 1; the number of tasks where there are fewer.
        eta: greater than 0; the smaller, the more what is common to a cluster is spared.
        loss, fit_intercept, tol, max_iter: as :mod:`lelkern.methods.multi_task` says, which has the
            attributes of a fit too.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        *,
        n_clusters: int = 1,
        eta: float = 0.1,
        loss: Loss = "mean",
        fit_intercept: bool = True,
        tol: float = 1e-6,
        max_iter: int = 10_000,
    ) -> None:
        super().__init__(alpha, loss=loss, fit_intercept=fit_intercept, tol=tol, max_iter=max_iter)
        self.n_clusters = n_clusters
        self.eta = eta

    def _penalty(self, tasks: int) -> Penalty:
        if self.n_clusters < 1:
            raise ValueError(f"n_clusters must be at least 1, got {self.n_clusters}")
        if not 0 < self.eta < math.inf:
            raise ValueError(f"eta must be positive and finite, got {self.eta}")
        return SpectralBox(min(self.n_clusters, tasks), self.eta)
