"""The linear probe: what a linear classifier makes of frozen features."""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from lelkern.evaluate._iterations import Iterations
from lelkern.evaluate.checks import check_classification, positive_count, positive_number

_NUMBERS = 1 << 21
"""How many numbers of features are standardised at a time: 16 MiB of them in float64."""


def linear_probe(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    test_y: Tensor,
    *,
    C: float = 0.1,
    max_iter: int = 500,
    progress: Callable[[int], None] | None = None,
) -> float:
    r"""Return the test accuracy of multinomial logistic regression on frozen features.

    Features are standardised with the mean and the standard deviation of the training set; then

    .. math:: \min_{W,b} \; \tfrac12 \lVert W \rVert^2
              - C \sum_i \log \mathrm{softmax}(W x_i + b)_{y_i}

    is solved with L-BFGS from zero, which involves no randomness. The protocol is that of SimCLR,
    Appendix B.8 (L2-regularised logistic regression on frozen features, no augmentation), except
    that C is fixed instead of searched for: a study compares encoders, and a search per encoder
    would take longer than training a small one, and would need a third split.

    Memory is that of the standardised features, (N, D) float64, besides the arguments.

    Args:
        train_x: (N, D) floating point.
        train_y: (N,) integer.
        test_x: (M, D) floating point.
        test_y: (M,) integer. A class that the training set lacks counts as wrong.
        C: inverse strength of the L2 penalty on standardised features. 0.1 is a compromise: many
            features for few samples (raw pixels) want less, up to 256 features want more (tried
            at 1: half a point to 4.4 points more, at twice the time). Compare only results of
            one C.
        max_iter: bound on L-BFGS iterations.
        progress: called after each iteration with how many are done; never by a scikit-learn
            older than 1.9, which does not tell.

    Returns:
        Accuracy in [0, 1].

    Raises:
        ValueError: an argument has another shape or dtype or is not finite, or the training set
            has fewer than two classes.
    """
    # Imported here: scikit-learn takes a second, and `import lelkern.evaluate` should not.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    train_x, train_y, test_x, test_y = check_classification(train_x, train_y, test_x, test_y)
    C = positive_number("C", C)
    max_iter = positive_count("max_iter", max_iter)
    classes = torch.unique(train_y)
    if len(classes) < 2:
        raise ValueError(f"train_y must hold at least 2 classes, got only {int(classes)}")

    train_x, test_x = train_x.cpu(), test_x.cpu()  # where scikit-learn works, and float64 is
    mean, scale = _statistics(train_x)
    probe = LogisticRegression(C=C, max_iter=max_iter)
    if progress is not None:
        Iterations.follow(probe, progress)
    # BLAS has threads of its own that torch.set_num_threads does not reach: a worker process that
    # was given one thread would otherwise start as many as there are cores.
    with threadpool_limits(torch.get_num_threads()), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(_standardise(train_x, mean, scale), train_y.cpu().numpy())
        predicted = probe.predict(_standardise(test_x, mean, scale))
    return float((predicted == test_y.cpu().numpy()).mean())


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column, (1, D) float64; 1 for constant ones."""
    parts = _parts(x)
    total = torch.zeros(1, x.shape[1], dtype=torch.float64, device=x.device)
    for part in parts:
        total += part.double().sum(dim=0, keepdim=True)
    mean = total / len(x)
    squares, largest = torch.zeros_like(mean), torch.zeros_like(mean)
    for part in parts:
        squares += (part.double() - mean).square().sum(dim=0, keepdim=True)
        largest = torch.maximum(largest, part.double().abs().amax(dim=0, keepdim=True))
    std = (squares / len(x)).sqrt()
    # A dead unit's deviation is rounding, relative to its size; dividing by it would turn the
    # slightest difference in the test set into the largest feature of all.
    constant = std <= 1e-7 * largest
    return mean, std.masked_fill(constant, 1)


def _standardise(x: Tensor, mean: Tensor, scale: Tensor) -> NDArray[np.float64]:
    """Return NumPy float64 (N, D): in float32 L-BFGS stops early, on noise in the line search."""
    standardised = np.empty(x.shape)
    done = 0
    for part in _parts(x):
        standardised[done : done + len(part)] = ((part.double() - mean) / scale).numpy()
        done += len(part)
    return standardised


def _parts(x: Tensor) -> tuple[Tensor, ...]:
    """Split features (N, D) into parts of so few rows that their copies in float64 are small."""
    return x.split(max(1, _NUMBERS // x.shape[1]))
