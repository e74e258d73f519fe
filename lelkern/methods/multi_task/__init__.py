"""Multi-task learning: several tasks that help each other, by what they share or what is sparse.

Linear tasks over the same samples are also estimators for scikit-learn:
:class:`JointSparseRegressor`, :class:`SparseGroupRegressor`, :class:`LowRankRegressor` and
:class:`ClusteredRegressor`. All of them take

- ``loss``: ``mean``, 1 / (2N) times the squares, or ``sum``, without the 1 / N;
- ``fit_intercept``: whether every task has an intercept, which is not penalised;
- ``tol``: of the duality gap, as a share of the loss of zero coefficients;
- ``max_iter``: most iterations of FISTA;

and after a fit to X (N, D) and y (N, T), or of one task (N,), have

- ``coef_``: (T, D), or (D,);
- ``intercept_``: (T,), or a number;
- ``n_iter_``: iterations of FISTA;
- ``dual_gap_``: upper bound of how far the objective is from its smallest value;
- ``n_features_in_``: D.
"""

from typing import TYPE_CHECKING

from lelkern.lazy import attributes

if TYPE_CHECKING:
    from lelkern.methods.multi_task._estimators import (
        ClusteredRegressor,
        JointSparseRegressor,
        LowRankRegressor,
        SparseGroupRegressor,
    )

__all__ = [
    "ClusteredRegressor",
    "JointSparseRegressor",
    "LowRankRegressor",
    "SparseGroupRegressor",
]


if not TYPE_CHECKING:  # for whom a name that is missing would be of any type
    # Imported on use: the deep methods of the chapter need no scikit-learn.
    __getattr__ = attributes(__name__, dict.fromkeys(__all__, "_estimators"))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
