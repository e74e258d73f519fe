"""Sharpening in plain PyTorch: the specification of the op, and its fallback.

Computed in float32, or float64 for float64 inputs, from logarithms of each probability's ratio to
the largest of its distribution: they are at most 0 and lose nothing near it, so that whatever the
temperature no power overflows and none that matters underflows. Both functions are differentiable.
``temperature`` has no dimensions; one that is not a positive number gives nan.
"""

import math

import torch
from torch import Tensor

from lelkern.reference.precision import widened


def sharpen(x: Tensor, temperature: Tensor, dim: int = -1, logits: bool = False) -> Tensor:
    """Return p^(1 / T) / sum p^(1 / T) along a dimension, like x.

    ``x``: probabilities p, or with ``logits`` their logarithms plus any number.
    """
    log_ratio = _log_ratio(x, dim, logits)
    return powered(log_ratio, inverse_temperature(temperature, log_ratio), dim).to(x.dtype)


def sharpen_backward(
    grad: Tensor, x: Tensor, temperature: Tensor, dim: int = -1, logits: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and temperature, given that of the sharpened probabilities."""
    log_ratio = _log_ratio(x, dim, logits)
    beta = inverse_temperature(temperature, log_ratio)
    q = powered(log_ratio, beta, dim)
    centred = through_sum(grad.to(q.dtype), q, dim)
    slope = q if logits else _slope(x.to(q.dtype), log_ratio, beta, dim)
    grad_temperature = of_temperature(q * centred, log_ratio, temperature)
    return (beta * slope * centred).to(x.dtype), grad_temperature


def inverse_temperature(temperature: Tensor, like: Tensor) -> Tensor:
    """Return 1 / T as ``like`` is computed with it: in its dtype, neither 0 nor infinite.

    It is nan for a temperature that is not a positive number.
    """
    valid = (temperature > 0) & temperature.isfinite()
    beta = 1 / widened(temperature).masked_fill(~valid, math.nan)
    numbers = torch.finfo(like.dtype)
    return beta.clamp(numbers.tiny, numbers.max).to(like.dtype)


def below_largest(logits: Tensor, dim: int) -> Tensor:
    """Return logits minus the largest: log p_i - max log p, where infinite ones share first place.

    nan where all are -inf.
    """
    largest = logits.detach().amax(dim, keepdim=True)
    shares = (logits == largest) & (largest == math.inf)
    return (logits - largest).masked_fill(shares, 0)


def powered(log_ratio: Tensor, beta: Tensor, dim: int) -> Tensor:
    """Return the softmax of beta log p, where what has no probability gets none, nor a gradient."""
    impossible = log_ratio == -math.inf
    scaled = log_ratio.masked_fill(impossible, 0) * beta
    return scaled.masked_fill(impossible, -math.inf).softmax(dim)


def through_sum(grad: Tensor, q: Tensor, dim: int) -> Tensor:
    """Return the gradient of a softmax's logits, divided by its values q: grad - sum grad q."""
    return grad - (grad * q).sum(dim, keepdim=True)


def of_temperature(grad_scaled: Tensor, log_ratio: Tensor, temperature: Tensor) -> Tensor:
    """Return the gradient of the temperature, given that of log_ratio / T."""
    moved = grad_scaled * log_ratio.masked_fill(log_ratio == -math.inf, 0)
    T = widened(temperature)
    return (-widened(moved).sum() / T / T).to(temperature.dtype)


def _log_ratio(x: Tensor, dim: int, logits: bool) -> Tensor:
    x = x.to(torch.float64 if x.dtype == torch.float64 else torch.float32)
    return below_largest(x, dim) if logits else _log_of_ratio(x, dim)


def _log_of_ratio(p: Tensor, dim: int) -> Tensor:
    """Return log(p / max p); nan for what is negative, infinite, or all zeros."""
    largest = _largest(p, dim)
    near = p > largest / 2  # log1p of the difference, which is exact, loses nothing at 1
    log_of_near = ((p.where(near, largest) - largest) / largest).log1p()
    ratio = widened(p) / widened(largest)  # where no float32 is lost
    zero = ratio == 0
    log_of_far = ratio.masked_fill(zero, 1).log().to(p.dtype)
    return log_of_near.where(near, log_of_far).masked_fill(zero, -math.inf)


def _slope(p: Tensor, log_ratio: Tensor, beta: Tensor, dim: int) -> Tensor:
    """Return q / p, and its limit at p = 0: 0 for T < 1, infinite for T > 1."""
    lowest = torch.finfo(p.dtype).min  # which times 0 is 0, at T = 1
    ratio = ((beta - 1) * log_ratio.clamp(min=lowest)).exp()
    impossible = log_ratio == -math.inf
    powers = (log_ratio.masked_fill(impossible, 0) * beta).exp().masked_fill(impossible, 0)
    return ratio / powers.sum(dim, keepdim=True) / _largest(p, dim)


def _largest(p: Tensor, dim: int) -> Tensor:
    largest = p.detach().amax(dim, keepdim=True)
    return largest.masked_fill(largest <= 0, math.nan)
