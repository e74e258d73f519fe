"""How far a solver of scikit-learn is."""

from collections.abc import Callable
from typing import Any


class Iterations:
    """A callback of scikit-learn's estimators that counts the iterations of a solver.

    It does what ``sklearn.callback.FitCallback`` asks for, and never stops a solver.
    """

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._done = 0

    @classmethod
    def follow(cls, estimator: Any, report: Callable[[int], None]) -> None:
        """Report after each iteration how many are done, where scikit-learn tells: from 1.9 on."""
        if hasattr(estimator, "set_callbacks"):
            estimator.set_callbacks(cls(report))

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing: the estimator begins."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing: the estimator has ended."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing: an iteration begins."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any = None) -> None:
        """Report an iteration, which is a part of the fit; the last part is empty and lacks X."""
        if context.parent is not None and X is not None:
            self._done += 1
            self._report(self._done)
