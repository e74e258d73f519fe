"""Draws of MixUp's lambda in plain PyTorch: the specification of the op, and its fallback.

Lambda is G1 / (G1 + G2) with two draws of Gamma(alpha, 1), each by the rejection of Marsaglia and
Tsang, "A Simple Method for Generating Gamma Variables", ACM TOMS 26(3), 2000: with d = alpha - 1/3,
c = 1 / sqrt(9 d), x normal and v = (1 + c x)^3, the proposal d v is accepted if
log u < x^2/2 + d - d v + d log v. For alpha < 1 it is that of alpha + 1, times u^(1 / alpha).

All of it in logarithms, lambda = sigmoid(log G1 - log G2), since u^(1 / alpha) is soon no number;
and in the difference d cancels, so that no alpha is too large.
"""

import math

import torch
from torch import Tensor

from lelkern.reference.philox import philox4x32
from lelkern.reference.precision import widened

ATTEMPTS = 12
"""Proposals that are drawn for a Gamma; at least 0.95 of them are accepted whatever alpha is.

So in a share of 0.05**12 = 2e-16 of draws none is, and the mode of the Gamma, d, is taken.
"""

SERIES_BELOW = 1 / 16
"""For |c x| below, a series stands in for what would cancel in the acceptance."""

_BLOCK = 2**14
"""Draws at a time: each takes 24 proposals, of 32 bytes of random words."""


def mixup_lambda(seed: Tensor, alpha: Tensor, n: int, fold: bool, dtype: torch.dtype) -> Tensor:
    """Return n draws of Beta(alpha, alpha), or of max(lam, 1 - lam) if they are to be folded.

    ``seed`` is an int64 and ``alpha`` a number without dimensions; one that is not positive gives
    nan. Draw i is a function of the seed, alpha and i: proposal a of its Gamma g has the counter
    (i, i >> 32, g, a) of Philox. Computed in float64 where the device has it.
    """
    alpha = widened(alpha)
    blocks = torch.arange(n, device=seed.device).split(_BLOCK)
    logits = torch.cat([_logits(seed, alpha, numbers) for numbers in blocks])
    lam = 1 / (1 + torch.exp(-(logits.abs() if fold else logits)))
    return lam.masked_fill(~(alpha > 0), math.nan).to(dtype)


def _logits(seed: Tensor, alpha: Tensor, numbers: Tensor) -> Tensor:
    """Return log G1 - log G2 for draws of these numbers (n,)."""
    device = seed.device
    number = numbers.reshape(-1, 1, 1)
    gamma = torch.arange(2, device=device).reshape(2, 1)
    attempt = torch.arange(ATTEMPTS, device=device)
    shape = (len(numbers), 2, ATTEMPTS)
    counter = (number, number >> 32, gamma, attempt)
    words = philox4x32(tuple(word.expand(shape) for word in counter), seed)
    radius, angle, acceptance, boost = ((widened(word) + 0.5) / 2**32 for word in words)

    is_boosted = alpha < 1
    d = torch.where(is_boosted, alpha + 1, alpha) - 1 / 3
    c = 1 / torch.sqrt(9 * d)
    x = torch.sqrt(-2 * torch.log(radius)) * torch.cos(2 * math.pi * angle)  # Box and Muller
    t = c * x  # v = (1 + t)^3
    accepted = (t > -1) & (torch.log(acceptance) < _log_acceptance(x, t, d))
    # The first proposal that was accepted; without one t stays 0.
    first = accepted & (accepted.cumsum(dim=2) == 1)
    t = torch.where(first, t, 0).sum(dim=2)
    log_boost = torch.where(first, torch.log(boost), 0).sum(dim=2)

    log_v = 3 * torch.log1p(t)
    logits = log_v[:, 0] - log_v[:, 1]
    # One division for both, so that those of tiny alphas, which are infinite, do not meet.
    boosted = logits + (log_boost[:, 0] - log_boost[:, 1]) / alpha
    return torch.where(is_boosted, boosted, logits)


def _log_acceptance(x: Tensor, t: Tensor, d: Tensor) -> Tensor:
    """Return x^2/2 + d - d v + d log v for v = (1 + t)^3 and x = 3 sqrt(d) t."""
    exact = x**2 / 2 - d * (t * (3 + t * (3 + t)) - 3 * torch.log1p(t))
    # 3 d (log(1 + t) - t + t^2/2 - t^3/3), whose terms beyond are less than 2^-32 of the first.
    terms = 1 / 10 - t / 11
    for k in range(9, 3, -1):
        terms = 1 / k - t * terms
    series = -(x**2) * t**2 / 3 * terms
    return torch.where(t.abs() < SERIES_BELOW, series, exact)
