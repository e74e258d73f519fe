"""What a contrastive batch looks like to its loss: accuracy and entropy of the pretext task."""

from typing import NamedTuple

import torch
from torch import Tensor

from lelkern.evaluate.checks import check_pairs, positive_count, positive_number
from lelkern.evaluate.unit_rows import unit_rows
from lelkern.reference.precision import widened
from lelkern.torch_settings import usual_settings


class ContrastiveStatistics(NamedTuple):
    """Accuracy and entropy with which 2N rows tell their one positive among 2N-1 candidates.

    Attributes:
        accuracy: share of rows whose positive is more similar than every negative, in [0, 1].
        entropy: mean entropy of the rows' softmax over the candidates, in nats; between 0 and
            log(2N-1).
    """

    accuracy: float
    entropy: float


@usual_settings()
def contrastive_statistics(
    z1: Tensor, z2: Tensor, temperature: float, *, normalize: bool = True, chunk_size: int = 1024
) -> ContrastiveStatistics:
    r"""Return accuracy and entropy of the contrastive prediction task (SimCLR, Table 5).

    With the rows of z1 and z2 scaled to unit norm and put below each other, row i predicts its
    positive among all rows but itself,

    .. math:: p_{ij} = \frac{\exp(z_i \cdot z_j / \tau)}{\sum_{k \ne i} \exp(z_i \cdot z_k / \tau)},
              \qquad H = -\frac{1}{2N} \sum_i \sum_{j \ne i} p_{ij} \log p_{ij}

    Source: Chen, Kornblith, Norouzi & Hinton, "A Simple Framework for Contrastive Learning of
    Visual Representations", Section 5.1.

    A positive that merely equals the best negative counts as wrong, so that a collapsed
    representation scores 0 and not 1. A single pair (N = 1) has no negatives: accuracy 1,
    entropy 0.

    Args:
        z1: (N, D) floating point; rows need not have unit norm. A zero row has similarity 0.
        z2: (N, D); row i is the other view of row i of z1.
        temperature: tau. Right from 0.001 to 100 at least.
        normalize: scale rows to unit norm, as the loss does with the same option; without, rows
            are compared by their dot products.
        chunk_size: rows at a time; memory is (chunk_size, 2N).

    Raises:
        ValueError: an argument has another shape or dtype, is not finite or not positive.
    """
    z1, z2 = check_pairs(z1, z2)
    temperature = positive_number("temperature", temperature)
    chunk_size = positive_count("chunk_size", chunk_size)
    n = len(z1)
    z = torch.cat([z1, z2])  # (2N, D)
    if normalize:
        z = unit_rows(z)
    row = torch.arange(2 * n, device=z.device)
    correct, entropy = 0, 0.0
    for i in torch.split(row, chunk_size):
        here = torch.arange(len(i), device=z.device)
        s = z[i] @ z.T  # (B, 2N)
        s[here, i] = -torch.inf
        # softmax subtracts the row's maximum, and entr is 0 at p = 0: no temperature overflows.
        entropy += float(widened(torch.special.entr((s / temperature).softmax(dim=1))).sum())
        positive = (i + n) % (2 * n)
        s_positive = s[here, positive]
        s[here, positive] = -torch.inf  # leaves the negatives
        correct += int((s_positive > s.amax(dim=1)).sum())
    return ContrastiveStatistics(correct / (2 * n), entropy / (2 * n))
