"""The parts of the contrastive losses in plain PyTorch: rows of norm 1, logits, losses of rows.

Everything is computed in float32, or float64 for float64 rows, but for norms, which are computed in
float64 where the device has it. A row of logits holds the
candidates of one query; ``positive`` marks the candidates that it should recognise and ``excluded``
those that do not count, both boolean and of the shape of the logits.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lelkern.reference.precision import widened

EPS = 1e-12
"""A row with a smaller norm counts as zero: its similarity to every row is 0, its gradient too."""

MASKED = -1e30
"""The logit of what is excluded: its exponential is 0, and unlike -inf it makes no nan."""


def rows(z: Tensor, normalize: bool) -> tuple[Tensor, Tensor]:
    """Return the rows z, (N, D), as the loss compares them, and their divisors, (N, 1)."""
    computed_in = torch.float64 if z.dtype == torch.float64 else torch.float32
    if not normalize:
        return z.to(computed_in), torch.ones(len(z), 1, dtype=computed_in, device=z.device)
    norm = torch.linalg.vector_norm(widened(z), dim=1, keepdim=True)
    norm = norm.masked_fill(norm.isinf(), math.nan)  # never a silent zero row
    norm = norm.masked_fill(norm < EPS, math.inf)
    return (z / norm).to(computed_in), norm


def through_rows(grad: Tensor, unit: Tensor, norm: Tensor, normalize: bool) -> Tensor:
    """Return the gradient of what :func:`rows` was given, from that of what it returned."""
    if not normalize:
        return grad
    return (grad - unit * (unit * grad).sum(dim=1, keepdim=True)) / norm


def logits(similarity: Tensor, temperature: Tensor) -> Tensor:
    """Return similarity / temperature; nan for a temperature that is not a positive number."""
    valid = (temperature > 0) & temperature.isfinite()
    return similarity / temperature.masked_fill(~valid, math.nan)


def same(ids: Tensor, others: Tensor) -> Tensor:
    """Return a mask, (R, C), of where ids, (R,), equal others, (C,)."""
    return ids.unsqueeze(1) == others.unsqueeze(0)


def loss_of_one_positive(
    x: Tensor, positive: Tensor, excluded: Tensor, decoupled: bool = False
) -> tuple[Tensor, Tensor]:
    """Return each row's -log of its positive's softmax, and its log-sum-exp.

    Decoupled, the softmax's sum is over the negatives alone; of none both are log 0.
    """
    # Exactly one positive a row; a sum rather than an index, which keeps nan and zero rows.
    x_positive = x.masked_fill(~positive, 0).sum(dim=1)
    negatives = x.masked_fill(positive | excluded, MASKED).logsumexp(dim=1)
    if decoupled:
        none = (positive | excluded).all(dim=1)
        log_sum_exp = negatives.masked_fill(none, -math.inf)
        return torch.where(none, 0 * x_positive - math.inf, negatives - x_positive), log_sum_exp
    # -log(e^pos / (e^pos + e^negatives)) without a difference of near logarithms.
    loss = F.softplus(negatives - x_positive, threshold=40)
    return loss, x_positive + loss


def weights_of_one_positive(
    grad: Tensor, x: Tensor, positive: Tensor, excluded: Tensor, decoupled: bool = False
) -> Tensor:
    """Return the gradient of the logits, given that of the losses of their rows."""
    others = positive | excluded
    P = x.masked_fill(others if decoupled else excluded, MASKED).softmax(dim=1)
    # P_ik, and P_ik - 1 for the positive: minus all the others.
    P = P.masked_fill(others, 0)
    return grad.unsqueeze(1) * (P - P.sum(dim=1, keepdim=True) * positive)


def loss_of_positives(x: Tensor, positive: Tensor, excluded: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's mean over its positives of -log softmax, 0 if it has none; and log-sum-exp.

    The positives count among the candidates.
    """
    candidates = x.masked_fill(excluded, MASKED)
    peak = candidates.detach().amax(dim=1, keepdim=True) if x.shape[1] else x.new_zeros(len(x), 1)
    log_sum_exp = (candidates - peak).logsumexp(dim=1)
    count = positive.sum(dim=1)
    mean = (x - peak).masked_fill(~positive, 0).sum(dim=1) / count.clamp(min=1)
    one, _ = loss_of_one_positive(x, positive, excluded)  # nothing of a tiny loss is lost
    loss = torch.where(count == 1, one, log_sum_exp - mean) * (count > 0)
    return loss, log_sum_exp + peak.squeeze(1)


def weights_of_positives(grad: Tensor, x: Tensor, positive: Tensor, excluded: Tensor) -> Tensor:
    """Return the gradient of the logits, given that of the losses of their rows."""
    P = x.masked_fill(excluded, MASKED).softmax(dim=1).masked_fill(excluded, 0)
    count = positive.sum(dim=1, keepdim=True)
    share = positive.to(P.dtype) / count.clamp(min=1)
    several = grad.unsqueeze(1) * (count > 0) * (P - share)
    one = weights_of_one_positive(grad, x, positive, excluded)
    return torch.where(count == 1, one, several)


def sum_of_weighted(W: Tensor, x: Tensor, positive: Tensor) -> Tensor:
    """Return the sum of W x over all rows and columns, whose weights W sum to 0 in every row.

    x is measured from the mean of the row's positives: of logits that are nearly equal, rounding
    errors of the weights would be all that is left otherwise.
    """
    count = positive.sum(dim=1, keepdim=True).clamp(min=1)
    centre = x.masked_fill(~positive, 0).sum(dim=1, keepdim=True) / count
    return (W * (x - centre)).sum()


def statistics(x: Tensor, positive: Tensor, excluded: Tensor, wanted: bool) -> Tensor:
    """Return accuracy (0 or 1) and entropy of the softmax of each row, (2, rows); or (2, 0)."""
    if not wanted:
        return x.new_empty(2, 0)
    x = x.detach().masked_fill(excluded, MASKED)
    nothing = x.new_full((len(x), 1), MASKED)  # for rows without a negative

    def best(of: Tensor) -> Tensor:
        return torch.cat([x.masked_fill(~of, MASKED), nothing], dim=1).amax(dim=1)

    correct = best(positive) > best(~positive)
    entropy = torch.special.entr(x.softmax(dim=1).masked_fill(excluded, 0)).sum(dim=1)
    return torch.stack([correct.to(x.dtype), entropy])
