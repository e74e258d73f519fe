"""A trial: one frozen configuration and one seed, and what running it means."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from lelkern.ablation.results import Points
from lelkern.ablation.run.code import code_fingerprint, package_versions
from lelkern.ablation.run.identity import identity_of
from lelkern.config import Config
from lelkern.data.config import DataConfig
from lelkern.data.kind import Data
from lelkern.errors import NotFiniteError
from lelkern.methods import find, get
from lelkern.methods.method import Method, Outcome
from lelkern.runtime import Progress, RuntimeConfig

LOSS = "loss"
"""Name of the curve that every trial has: its losses against its steps."""

MOST_POINTS = 200
"""A longer series of losses is kept as the means of so many parts."""


@dataclass(frozen=True)
class Trial:
    """One training run of a study.

    Attributes:
        arm: label of the arm or the baseline that it belongs to.
        method: name of the recipe, or the path of its file.
        settings: the recipe's whole configuration, as JSON: a worker has to know it before it has
            imported the recipe.
        runtime: device, precision and threads, with nothing left to decide.
        data: what decides which labels are seen, and which data.
        fingerprint: of the data.
        seed: decides everything random.
    """

    arm: str
    method: str
    settings: str
    runtime: RuntimeConfig
    data: DataConfig
    fingerprint: str
    seed: int

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out what is derived: a worker could not read it before it has found the recipe."""
        return Trial, tuple(getattr(self, field.name) for field in fields(self))

    @cached_property
    def recipe(self) -> Method:
        """The method, imported."""
        return get(self.method)

    @cached_property
    def config(self) -> Config:
        """The recipe's configuration."""
        return self.recipe.config.parse(json.loads(self.settings), self.arm)

    @cached_property
    def identity(self) -> str:
        """A hash of all that decides the result, code and packages included, but of no label."""
        return identity_of(self.describe())

    def describe(self) -> dict[str, Any]:
        """Return the parts of the identity, as plain data."""
        file = find(self.method)
        return {
            "code": code_fingerprint(self.method, self.runtime.device),
            "packages": dict(package_versions(self.method)),
            "method": file.name if file.is_named else file.path.name,
            "config": json.loads(self.settings),
            "runtime": self.runtime.model_dump(mode="json"),
            "data": self.fingerprint,
            "labels": self.data.budget(),
            "seed": self.seed,
        }

    def run(self, data: Data, progress: Progress) -> Outcome:
        """Train and evaluate, and record the losses.

        A training whose loss is no finite number has diverged: it stops there, and its outcome is
        that step, without metrics. So it has where only what comes after the last step, such as
        features, is not finite.

        Args:
            data: what the recipe may see: labels that the budget hides are -1.
            progress: called after each step with the number of steps done and the loss, if known.

        Raises:
            ValueError: the recipe reports other metrics or curves than it declares, or something is
                not finite before the first step.
        """
        import torch

        torch.set_num_threads(self.runtime.threads)
        losses: list[tuple[float, float]] = []

        def record(step: int, loss: float | None) -> None:
            if loss is not None:
                losses.append((step, loss))
                if not math.isfinite(loss):
                    raise NotFiniteError(f"loss must be finite, got {loss} at step {step}")
            progress(step, loss)

        try:
            outcome = self.recipe.run(self.config, data, self.seed, self.runtime, record)
        except NotFiniteError:
            if not losses:
                raise
            metrics = dict.fromkeys(self.recipe.metrics, math.nan)
            none = dict.fromkeys(self.recipe.curves, ())
            finite = [point for point in losses if math.isfinite(point[1])]
            return Outcome(metrics, {**none, LOSS: thinned(finite)}, int(losses[-1][0]))
        self.recipe.confirm(outcome)
        curves = {**outcome.curves, LOSS: thinned(losses)}
        form = data.form() if outcome.models else None
        return replace(outcome, curves=curves, form=form)


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> Points:
    """Return a series as the means of at most ``most`` parts of (nearly) equal length."""
    if len(points) <= most:
        return points
    edges = [len(points) * i // most for i in range(most + 1)]
    parts = [points[a:b] for a, b in pairwise(edges)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts
    ]
