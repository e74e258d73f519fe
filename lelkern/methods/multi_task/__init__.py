"""Multi-task learning: several tasks that help each other, by what they share or what is sparse.

Linear tasks over the same samples are also estimators for scikit-learn:
:class:`JointSparseRegressor`, :class:`SparseGroupRegressor`, :class:`LowRankRegressor` and
:class:`ClusteredRegressor`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    # Imported on use: the deep methods of the chapter need no scikit-learn.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}._estimators"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
