"""Linear tasks from data to a model: standardised features, and a strength that is chosen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from lelkern.config import Config
from lelkern.data import TaskData
from lelkern.data.draw import stream
from lelkern.methods.multi_task._least_squares import LeastSquares
from lelkern.methods.multi_task._penalties import Penalty
from lelkern.methods.multi_task._solve import path, strengths
from lelkern.runtime import Progress


class LinearTasksConfig(Config):
    """What all methods for linear tasks can be told.

    The strength of the penalty is the one with the smallest squared error on the validation samples
    of all tasks, or, where there are none, in a cross-validation of the training samples, after
    which all of them are learned from.

    Attributes:
        strengths: how many strengths are tried, in equal ratios, the strongest first.
        weakest: the weakest of them as a share of the strongest.
        folds: of the cross-validation.
        standardize: whether features are brought to mean 0 and variance 1 over the training samples
            of all tasks together.
    """

    strengths: int = Field(default=12, ge=1)
    weakest: float = Field(default=1e-3, gt=0, lt=1)
    folds: int = Field(default=5, ge=2)
    standardize: bool = True


class IterativeConfig(LinearTasksConfig):
    """The same for penalties that are minimised iteratively.

    Attributes:
        tolerance: of the duality gap, as a share of the loss of coefficients that are all zero.
        max_iterations: most iterations for each strength.
    """

    tolerance: float = Field(default=1e-4, ge=0)
    max_iterations: int = Field(default=2000, ge=1)


class Samples(NamedTuple):
    """Samples of T tasks.

    Attributes:
        x: (N_t, D) float64 of each.
        y: (N_t,) float64 of each.
        shared: whether all tasks have the same x.
    """

    x: list[Tensor]
    y: list[Tensor]
    shared: bool

    def loss(self) -> LeastSquares:
        """Return the sum of squares of the tasks, each with an intercept."""
        return LeastSquares.of(self.x[0] if self.shared else self.x, self.y)

    def rows(self, rows: Sequence[Tensor]) -> "Samples":
        """Return some rows of each task."""
        x = [part[own] for part, own in zip(self.x, rows, strict=True)]
        y = [part[own] for part, own in zip(self.y, rows, strict=True)]
        return Samples(x, y, self.shared)


class Fit(NamedTuple):
    """A linear model of T tasks.

    Attributes:
        coefficients: W (D, T) float64.
        intercepts: (T,) float64.
        iterations: of the solver; 1 where equations are solved.
        gap: the duality gap as a share of the loss of zero coefficients; 0 where equations are
            solved.
    """

    coefficients: Tensor
    intercepts: Tensor
    iterations: int = 1
    gap: float = 0.0

    def squared_error(self, samples: Samples) -> float:
        """Return the sum of squared errors over the samples of all tasks."""
        return sum(
            float((y - x @ w - b).square().sum())
            for x, y, w, b in zip(
                samples.x, samples.y, self.coefficients.T, self.intercepts, strict=True
            )
        )


class Learned(NamedTuple):
    """What :func:`learn` returns.

    Attributes:
        fit: the model, for features as they are in the data.
        strength: the strength that was chosen.
        share: the same as a share of the strongest that was tried.
    """

    fit: Fit
    strength: float
    share: float


@dataclass(frozen=True)
class Learner:
    """A way to learn linear tasks.

    Attributes:
        strongest: from samples to the strength with which a path begins.
        fits: from samples and falling strengths to a model for each.
    """

    strongest: Callable[[Samples], float]
    fits: Callable[[Samples, Sequence[float]], Iterator[Fit]]


def penalised(penalty: Penalty, config: IterativeConfig) -> Learner:
    """Return the learner of a penalty."""

    def fits(samples: Samples, along: Sequence[float]) -> Iterator[Fit]:
        problem = samples.loss()
        scale = problem.at_zero or 1.0  # which targets of no variance have not
        for solution in path(
            problem,
            penalty,
            along,
            tolerance=config.tolerance,
            max_iterations=config.max_iterations,
        ):
            w = solution.coefficients
            yield Fit(w, problem.intercepts(w), solution.iterations, solution.gap / scale)

    return Learner(lambda samples: penalty.strongest(samples.loss()), fits)


def equations(solve: Callable[[LeastSquares, float], Tensor], stiffness: float = 10.0) -> Learner:
    """Return the learner that solves linear equations for W, given the loss and a strength.

    Args:
        solve: from the loss and a strength to W (D, T).
        stiffness: the strongest penalty, in multiples of the largest curvature of the loss.
    """

    def fits(samples: Samples, along: Sequence[float]) -> Iterator[Fit]:
        problem = samples.loss()
        for strength in along:
            w = solve(problem, strength)
            yield Fit(w, problem.intercepts(w))

    return Learner(lambda samples: stiffness * samples.loss().curvature, fits)


def learn(
    learner: Learner,
    config: LinearTasksConfig,
    data: TaskData,
    seed: int,
    progress: Progress,
) -> Learned:
    """Learn tasks with the strength that is best for validation samples.

    Args:
        learner: how.
        config: the strengths to choose from.
        data: with validation samples or without.
        seed: decides the folds of a cross-validation.
        progress: called after each strength with its mean squared error on what was held out.

    Returns:
        The model and the strength.
    """
    train, held_out, scale = _standardised(config, data)
    strongest = learner.strongest(train)
    if not strongest > 0:
        strongest = 1.0  # no target varies with any feature: every strength gives zeros
    along = strengths(strongest, config.weakest, config.strengths)
    parts = [(train, held_out)] if held_out else _folds(train, config.folds, seed)
    paths = [learner.fits(part, along) for part, _ in parts]
    number = sum(len(y) for _, held in parts for y in held.y)
    best, chosen, fit = float("inf"), 0, None
    for step in range(len(along)):
        fits = [next(found) for found in paths]
        error = sum(found.squared_error(held) for found, (_, held) in zip(fits, parts, strict=True))
        progress(step + 1, error / number)
        if error < best:
            best, chosen, fit = error, step, fits[0]
    if not held_out:
        *_, fit = learner.fits(train, along[: chosen + 1])
    assert fit is not None  # errors of finite data are finite
    return Learned(scale.undo(fit), along[chosen], along[chosen] / strongest)


def check(config: LinearTasksConfig, data: TaskData) -> None:
    """Raise ValueError unless tasks have the same features, and samples to choose a strength by."""
    widths = {task.train_x.shape[1] for task in data.tasks}
    if len(widths) > 1:
        raise ValueError(f"all tasks must have the same features, got {sorted(widths)} columns")
    given = [task.val_x is not None for task in data.tasks]
    if any(given) != all(given):
        raise ValueError("either all tasks must have validation samples or none")
    if not given[0]:
        fewest = min(len(task.train_x) for task in data.tasks)
        if fewest < 2:
            raise ValueError(
                "a cross-validation needs 2 training samples of each task, got 1; "
                "set data.val_fraction or data.samples_per_task"
            )


class _Scale(NamedTuple):
    """What standardisation did to features.

    Attributes:
        mean: (D,), subtracted.
        deviation: (D,), divided by.
    """

    mean: Tensor
    deviation: Tensor

    def apply(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation

    def undo(self, fit: Fit) -> Fit:
        """Return the model for features that are not standardised."""
        w = fit.coefficients / self.deviation[:, None]
        return fit._replace(coefficients=w, intercepts=fit.intercepts - self.mean @ w)


def _standardised(
    config: LinearTasksConfig, data: TaskData
) -> tuple[Samples, Samples | None, _Scale]:
    """Return the training samples, the validation samples if there are any, and the scale."""
    shared = data.shared_inputs
    x = [torch.tensor(task.train_x) for task in data.tasks]
    every = x[0] if shared else torch.cat(x)
    scale = _Scale(torch.zeros_like(every[0]), torch.ones_like(every[0]))
    if config.standardize:
        deviation = every.std(dim=0, correction=0)
        # A feature that is constant but for rounding must not be blown up.
        tiny = deviation <= 1e-12 * every.abs().amax(dim=0)
        scale = _Scale(every.mean(dim=0), torch.where(tiny, 1.0, deviation))
    y = [torch.tensor(task.train_y) for task in data.tasks]
    train = Samples([scale.apply(part) for part in x], y, shared)
    held_x = [task.val_x for task in data.tasks if task.val_x is not None]
    if not held_x:
        return train, None, scale
    held_y = [torch.tensor(task.val_y) for task in data.tasks]
    return train, Samples([scale.apply(torch.tensor(p)) for p in held_x], held_y, False), scale


def _folds(samples: Samples, number: int, seed: int) -> list[tuple[Samples, Samples]]:
    """Return the samples to learn from and those held out, of each fold.

    The samples of a task are dealt out at random; of tasks with the same samples alike. A task with
    fewer samples than there are folds has none to hold out in some.
    """
    generator = stream("folds", seed)
    deals: list[Tensor] = []
    for y in samples.y:
        if samples.shared and deals:
            deals.append(deals[0])
        else:
            deals.append(torch.randperm(len(y), generator=generator) % number)
    most = max(len(deal) for deal in deals)
    return [
        (samples.rows([deal != fold for deal in deals]), samples.rows([d == fold for d in deals]))
        for fold in range(min(number, most))
    ]
