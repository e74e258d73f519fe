"""Where features lie on the unit sphere: alignment, uniformity and tolerance.

All three scale rows to unit norm first; a zero row stays zero.
"""

import math

import torch
from torch import Tensor

from lelkern.evaluate.checks import (
    check_features,
    check_labels,
    check_pairs,
    positive_count,
    positive_number,
)
from lelkern.evaluate.unit_rows import unit_rows
from lelkern.reference.precision import widened
from lelkern.torch_settings import usual_settings


@usual_settings()
def alignment(z1: Tensor, z2: Tensor, *, alpha: float = 2.0) -> float:
    r"""Return the mean distance of positive pairs; 0 is perfect, 4 (for alpha = 2) the worst.

    .. math:: \ell_\mathrm{align} = \frac1N \sum_i \lVert z^{(1)}_i - z^{(2)}_i \rVert^\alpha

    Source: Wang & Isola (2020), "Understanding Contrastive Representation Learning through
    Alignment and Uniformity on the Hypersphere", Section 4.1.

    Args:
        z1: (N, D) floating point.
        z2: (N, D); row i is the other view of row i of z1.
        alpha: power of the distance.

    Returns:
        The loss, >= 0, without unit.

    Raises:
        ValueError: an argument has another shape or dtype, is not finite or not positive.
    """
    z1, z2 = check_pairs(z1, z2)
    alpha = positive_number("alpha", alpha)
    return float((unit_rows(z1) - unit_rows(z2)).norm(dim=1).pow(alpha).mean())


@usual_settings()
def uniformity(z: Tensor, *, t: float = 2.0, chunk_size: int = 1024) -> float:
    r"""Return the logarithm of the mean Gaussian potential over pairs; lower is more uniform.

    .. math:: \ell_\mathrm{uniform} = \log \frac{2}{N(N-1)}
              \sum_{i<j} \exp(-t \lVert z_i - z_j \rVert^2)

    0 where all rows are equal; for t = 2 about -4 where many dimensions are filled evenly.

    Source: Wang & Isola (2020), Section 4.1.

    Args:
        z: (N, D) floating point, N >= 2.
        t: sharpness of the potential.
        chunk_size: rows at a time; memory is (chunk_size, N).

    Returns:
        The loss in nats, between -4t and 0.

    Raises:
        ValueError: an argument has another shape or dtype, is not finite or not positive, or there
            is no pair.
    """
    z = check_features("z", z)
    t = positive_number("t", t)
    chunk_size = positive_count("chunk_size", chunk_size)
    n = len(z)
    if n < 2:
        raise ValueError(f"z must have at least 2 rows, got {n}")
    z = unit_rows(z)
    square = z.square().sum(dim=1)  # 1, or 0 for a zero row
    sums = []
    for i in range(0, n, chunk_size):
        rows = z[i : i + chunk_size]  # (B, D)
        # |a - b|^2 = |a|^2 + |b|^2 - 2ab, against this chunk and those after it: (B, n - i).
        distance = square[i : i + chunk_size, None] + square[i:] - 2 * (rows @ z[i:].T)
        potential = -t * widened(distance.clamp(min=0))
        pair = torch.ones_like(potential, dtype=torch.bool).triu(diagonal=1)
        sums.append(potential.masked_fill(~pair, -torch.inf).flatten().logsumexp(dim=0))
    return float(torch.stack(sums).logsumexp(dim=0)) - math.log(n * (n - 1) / 2)


@usual_settings()
def tolerance(z: Tensor, labels: Tensor) -> float:
    r"""Return the mean cosine similarity of samples of one class; 1 where classes are points.

    .. math:: T = \frac{\sum_{i \ne j} [y_i = y_j] \, z_i \cdot z_j}{\sum_{i \ne j} [y_i = y_j]}

    Source: Wang & Liu (2021), "Understanding the Behaviour of Contrastive Loss", Section 4.
    Their equation takes the expectation of [y_i = y_j] z_i·z_j over *all* pairs, which would also
    fall with the number of classes; this is the mean over the pairs of one class, as their text
    describes it. Pairs i = j are left out, since they add a constant that says nothing.

    Args:
        z: (N, D) floating point.
        labels: (N,) integer; some class must have two samples.

    Returns:
        The mean similarity, in [-1, 1].

    Raises:
        ValueError: an argument has another shape or dtype or is not finite, or no two samples
            share a class.
    """
    z = check_features("z", z)
    labels = check_labels("labels", labels, len(z))
    z = widened(unit_rows(z))
    _, y = torch.unique(labels.to(z.device), return_inverse=True)
    count = y.bincount()  # (C,)
    pairs = int((count * (count - 1)).sum())
    if pairs == 0:
        raise ValueError(f"labels must have two samples in some class, got {len(z)} classes of one")
    # sum_{i != j} z_i·z_j = |sum_i z_i|^2 - sum_i |z_i|^2 within a class: no N x N matrix.
    total = z.new_zeros(len(count), z.shape[1]).index_add_(0, y, z)
    return float(total.square().sum() - z.square().sum()) / pairs
