"""Label guessing in plain PyTorch: the specification of the op, and its fallback.

Computed in float32, or float64 for float64 logits, in logarithms throughout. Both functions are
differentiable. ``temperature`` has no dimensions; one that is not a positive number gives nan.
"""

import math

import torch
from torch import Tensor

from lelkern.reference.sharpen import (
    below_largest,
    inverse_temperature,
    of_temperature,
    powered,
    through_sum,
)


def guess_labels(logits: Tensor, temperature: Tensor) -> Tensor:
    """Return the mean over K of the softmax of logits, (K, B, C), sharpened: (B, C)."""
    log_ratio = below_largest(_log_mean(_log_softmax(logits)), -1)
    return powered(log_ratio, inverse_temperature(temperature, log_ratio), -1)


def guess_labels_backward(
    grad: Tensor, logits: Tensor, temperature: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of logits and temperature, given that of the guesses."""
    log_p = _log_softmax(logits)
    log_mean = _log_mean(log_p)
    log_ratio = below_largest(log_mean, -1)
    beta = inverse_temperature(temperature, log_ratio)
    q = powered(log_ratio, beta, -1)
    grad_scaled = q * through_sum(grad, q, -1)
    # How much of a class's mean is augmentation k's: p_kc / sum_k p_kc.
    impossible = log_mean == -math.inf
    finite = log_mean.masked_fill(impossible, 0)
    part = (log_p - math.log(len(log_p)) - finite).exp().masked_fill(impossible, 0)
    grad_log_p = part * beta * grad_scaled
    grad_logits = grad_log_p - log_p.exp() * grad_log_p.sum(-1, keepdim=True)
    grad_temperature = of_temperature(grad_scaled, log_ratio, temperature)
    return grad_logits.to(logits.dtype), grad_temperature


def _log_softmax(logits: Tensor) -> Tensor:
    z = logits.to(torch.float64 if logits.dtype == torch.float64 else torch.float32)
    return below_largest(z, -1).log_softmax(-1)


def _log_mean(log_p: Tensor) -> Tensor:
    """Return log((1 / K) sum_k p_k), -inf where no p_k is above 0."""
    largest = log_p.detach().amax(0)
    largest = largest.masked_fill(largest == -math.inf, 0)
    total = (log_p - largest).exp().sum(0)
    none = total == 0
    log_total = total.masked_fill(none, 1).log().masked_fill(none, -math.inf)
    return largest + log_total - math.log(len(log_p))
