"""Whether a classifier's confidence is its accuracy, and what one temperature can do about it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lelkern.evaluate.checks import check_features, check_labels, positive_count
from lelkern.reference.precision import widened


def calibration_error(probabilities: Tensor, labels: Tensor, *, bins: int = 15) -> float:
    r"""Return the expected calibration error; 0 where confidence is accuracy.

    With the confidence of a sample the largest of its probabilities, and B_m the samples whose
    confidence lies in the m-th of M intervals of equal width, ((m - 1) / M, m / M]:

    .. math:: \mathrm{ECE} = \sum_{m=1}^M \frac{|B_m|}{n}
              \, \bigl| \mathrm{acc}(B_m) - \mathrm{conf}(B_m) \bigr|

    A confidence of exactly 1 belongs to the last interval. Of few samples it is too large, since
    the two differ by chance in every interval.

    Source: Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    Section 2 and equation 3.

    Args:
        probabilities: (N, C) floating point, of each class.
        labels: (N,) integer, the true classes.
        bins: M.

    Returns:
        A number in [0, 1].

    Raises:
        ValueError: an argument has another shape or dtype, is not finite or not positive, or a
            probability is not in [0, 1].
    """
    probabilities, labels = _check_probabilities(probabilities, labels)
    bins = positive_count("bins", bins)
    confidence, predicted = widened(probabilities).max(dim=1)
    ends = torch.arange(1, bins, dtype=confidence.dtype, device=confidence.device) / bins
    place = torch.bucketize(confidence, ends)  # m - 1; an end belongs to the interval below
    excess = confidence - (predicted == labels).to(confidence.dtype)
    # |B| * |acc - conf| is the absolute value of the sum over B.
    return float(excess.new_zeros(bins).index_add_(0, place, excess).abs().sum()) / len(labels)


def overconfidence(probabilities: Tensor, labels: Tensor) -> float:
    """Return the mean confidence minus the accuracy; negative where a classifier is too modest.

    Its absolute value is the calibration error with one bin, and at most that with more.

    Args:
        probabilities: (N, C) floating point, of each class.
        labels: (N,) integer, the true classes.

    Returns:
        A number in [-1, 1].

    Raises:
        ValueError: an argument has another shape or dtype, is not finite, or a probability is not
            in [0, 1].
    """
    probabilities, labels = _check_probabilities(probabilities, labels)
    confidence, predicted = widened(probabilities).max(dim=1)
    return float(confidence.mean() - (predicted == labels).to(confidence.dtype).mean())


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    r"""Return the temperature T by which logits are divided to be calibrated.

    It minimises the negative log-likelihood of held-out samples, which is convex in 1 / T:

    .. math:: \min_T \; -\frac1N \sum_i \log \mathrm{softmax}(z_i / T)_{y_i}

    Dividing by T changes no prediction. Source: Guo et al. (2017), Section 4.2.

    Args:
        logits: (N, C) floating point, of samples that nothing was fitted to.
        labels: (N,) integer, below C.

    Returns:
        T between 1/1000 and 1000; the ends stand for 0, where every sample is predicted right, and
        for infinity, where the logits say nothing.

    Raises:
        ValueError: an argument has another shape or dtype or is not finite, or a label is no class.
    """
    logits = check_features("logits", logits)
    labels = _check_classes(labels, *logits.shape)
    z = widened(logits)
    own = z.gather(1, labels[:, None])[:, 0]
    low, high = -math.log(1000), math.log(1000)  # of log(1 / T)
    for _ in range(60):  # to the last bit of a float64
        middle = (low + high) / 2
        p = (z * math.exp(middle)).softmax(dim=1)
        slope = float(((p * z).sum(dim=1) - own).mean())  # of the objective in 1 / T
        low, high = (low, middle) if slope > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def negative_log_likelihood(logits: Tensor, labels: Tensor) -> float:
    r"""Return the mean of -log softmax(z)_y over samples, in nats.

    Args:
        logits: (N, C) floating point.
        labels: (N,) integer, below C.

    Returns:
        A number >= 0.

    Raises:
        ValueError: an argument has another shape or dtype or is not finite, or a label is no class.
    """
    logits = check_features("logits", logits)
    labels = _check_classes(labels, *logits.shape)
    return float(F.cross_entropy(widened(logits), labels))


def _check_classes(labels: Tensor, n: int, classes: int) -> Tensor:
    labels = check_labels("labels", labels, n)
    if (high := int(labels.max())) >= classes:
        raise ValueError(f"labels must be below the number of classes, {classes}, got {high}")
    return labels


def _check_probabilities(p: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    p = check_features("probabilities", p)
    labels = _check_classes(labels, *p.shape)
    if (low := float(p.min())) < 0 or float(p.max()) > 1:
        wrong = low if low < 0 else float(p.max())
        raise ValueError(f"probabilities must be in [0, 1], got {wrong}")
    return p, labels
