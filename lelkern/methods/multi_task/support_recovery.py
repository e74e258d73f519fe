"""How many samples the l1/lq norm needs to find which features linear tasks use.

From few of the training samples to all: n = r s log(p - s) of each task, where p is the number of
features and s the largest number that a task uses. Negahban & Wainwright, "Simultaneous Support
Recovery in High Dimensions: Benefits and Perils of Block l1/l-infinity-Regularization", IEEE
Transactions on Information Theory 2011, prove for two tasks, of whose features a share alpha is the
same, that the l1/linf norm finds them from r = 4 - 3 alpha on, and the lasso (q = 1) from r = 2 on.

The strength is the paper's: as far as noise can reach. With T tasks, noise of deviation sigma and
1/q + 1/q' = 1 it is, for sums of squares,

    xi sigma T^(1/q') sqrt(2 n log p).
"""

import math

import numpy as np
import torch
from pydantic import Field

from lelkern.config import Config
from lelkern.data import TaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.metric import Curve, Metric, percentage
from lelkern.methods.multi_task._layer import build, layer
from lelkern.methods.multi_task._least_squares import LeastSquares
from lelkern.methods.multi_task._linear import Fit
from lelkern.methods.multi_task._penalties import RowNorm
from lelkern.methods.multi_task._q import Q, number
from lelkern.methods.multi_task._solve import minimise
from lelkern.runtime import Progress, RuntimeConfig

_RATIO = Metric("samples n / (s log(p - s))", digits=2)


class SupportRecoveryConfig(Config):
    """Everything that decides a run besides the data and the seed.

    Attributes:
        q: of the norm of a feature's coefficients over tasks, at least 1; ``inf`` for the largest.
        ratios: the r that are tried, rising.
        xi: the strength, as a share of the rule's.
        tolerance: of the duality gap, as a share of the loss of coefficients that are all zero.
        max_iterations: most iterations for each r.
    """

    q: Q = 2.0
    ratios: tuple[float, ...] = Field(
        default=(0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0), min_length=2
    )
    xi: float = Field(default=1.0, gt=0)
    tolerance: float = Field(default=1e-6, ge=0)
    max_iterations: int = Field(default=5000, ge=1)


def samples(ratio: float, data: TaskData) -> int:
    """Return n = r s log(p - s), rounded, at least 1."""
    assert data.coefficients is not None  # as check() says
    features = len(data.coefficients)
    used = int((data.coefficients != 0).sum(axis=0).max())
    return max(1, round(ratio * used * math.log(features - used)))


def strength(q: float, xi: float, noise: float, size: int, data: TaskData) -> float:
    """Return the strength of the rule above for samples of that size."""
    conjugate = math.inf if q == 1 else 1.0 if q == math.inf else q / (q - 1)
    features, tasks = data.tasks[0].train_x.shape[1], len(data.tasks)
    reach = math.sqrt(2 * size * math.log(features))
    return float(xi * noise * tasks ** (1 / conjugate) * reach)


def run(
    config: SupportRecoveryConfig,
    data: TaskData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Learn from ever more samples, and see whether the features in use are the right ones.

    The model that is left is that of the largest sample.
    """
    truth = data.coefficients
    assert truth is not None
    right = (truth != 0).any(axis=1)
    q = number(config.q)
    noise = _noise(data)
    recovered, errors = [], []
    for step, ratio in enumerate(config.ratios, start=1):
        size = samples(ratio, data)
        problem = LeastSquares.of(
            [torch.tensor(task.train_x[:size]) for task in data.tasks],
            [torch.tensor(task.train_y[:size]) for task in data.tasks],
            intercept=False,
        )
        coefficients = minimise(
            problem,
            RowNorm(q),
            strength(q, config.xi, noise, size, data),
            tolerance=config.tolerance,
            max_iterations=config.max_iterations,
        ).coefficients
        w = coefficients.numpy()
        recovered.append(float(np.array_equal((w != 0).any(axis=1), right)))
        errors.append(_test_error(w, data))
        progress(step, None)
    return Outcome(
        {
            "threshold": threshold(config.ratios, recovered),
            "recovered": float(np.mean(recovered)),
            "test_error": float(np.mean(errors)),
        },
        {
            "recovery": list(zip(config.ratios, recovered, strict=True)),
            "error": list(zip(config.ratios, errors, strict=True)),
        },
        models={"model": layer(Fit(coefficients, torch.zeros_like(coefficients[0])))},
    )


def threshold(ratios: tuple[float, ...], recovered: list[float]) -> float:
    """Return the mean ratio from which on the features are found, by the rule of Spearman-Karber.

    What is not found up to the last ratio counts as found there, and nothing is found before the
    first.

    Args:
        ratios: (R,), rising.
        recovered: (R,) in [0, 1], how often the features were found.
    """
    return float(ratios[0] + np.trapezoid(1 - np.array(recovered), ratios))


def check(config: SupportRecoveryConfig, data: TaskData) -> None:
    """Raise ValueError unless the tasks were generated, of few enough features, with noise."""
    if any(b <= a for a, b in zip(config.ratios, config.ratios[1:], strict=False)):
        raise ValueError(f"ratios must rise, got {config.ratios}")
    if not config.ratios[0] > 0:
        raise ValueError(f"ratios must be positive, got {config.ratios[0]}")
    if data.coefficients is None:
        raise ValueError(f"{data.name} has no coefficients to be found")
    features = len(data.coefficients)
    used = int((data.coefficients != 0).sum(axis=0).max())
    if not 0 < used < features - 1:
        raise ValueError(
            f"{data.name} must have tasks that use some features, and 2 or more that they don't, "
            f"got {used} of {features}"
        )
    most = samples(config.ratios[-1], data)
    fewest = min(len(task.train_x) for task in data.tasks)
    if most > fewest:
        raise ValueError(
            f"the ratio {config.ratios[-1]} needs {most} training samples of each task, "
            f"got {fewest}"
        )
    # What is left of targets without noise is rounding.
    if _noise(data) <= 1e-12 * max(float(np.abs(task.train_y).max()) for task in data.tasks):
        raise ValueError(f"{data.name} must have noise, which the strength is a multiple of")


def _noise(data: TaskData) -> float:
    """Return the standard deviation of the noise in the training targets."""
    assert data.coefficients is not None
    errors = [
        task.train_y - task.train_x @ w
        for task, w in zip(data.tasks, data.coefficients.T, strict=True)
    ]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def _test_error(w: np.ndarray, data: TaskData) -> float:
    errors = [task.test_y - task.test_x @ own for task, own in zip(data.tasks, w.T, strict=True)]
    return float(np.mean(np.concatenate(errors) ** 2))


METHOD = Method(
    config=SupportRecoveryConfig,
    data=TaskData,
    metrics={
        "threshold": Metric("samples needed, n / (s log(p - s))", better="lower", digits=2),
        "recovered": percentage("sizes at which the features are found"),
        "test_error": Metric("mean squared test error", better="lower"),
    },
    run=run,
    curves={
        "recovery": Curve(_RATIO, percentage("features found")),
        "error": Curve(_RATIO, Metric("mean squared test error", better="lower")),
    },
    check=check,
    build=build,
)
