"""In how many directions features spread."""

import torch
from torch import Tensor

from lelkern.evaluate.checks import check_features


def effective_rank(x: Tensor) -> float:
    r"""Return the effective rank of features; 1 where they lie on a line through 0.

    .. math:: \exp H(p), \qquad p_k = \sigma_k / \textstyle\sum_j \sigma_j

    with the singular values sigma of x, and H the entropy in nats.

    Source: Roy & Vetterli, "The Effective Rank: A Measure of Effective Dimensionality", EUSIPCO
    2007, Definition 1.

    Args:
        x: (N, D) floating point.

    Returns:
        A number between 1 and min(N, D); NaN where all features are 0.

    Raises:
        ValueError: x has another shape or dtype, or is not finite.
    """
    check_features("x", x)
    singular = torch.linalg.svdvals(x.double())
    return float(torch.special.entr(singular / singular.sum()).sum().exp())
