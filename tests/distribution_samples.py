"""Distributions over classes, and what sharpening makes of them in extended precision."""

import math

import numpy as np
import torch
from torch import Tensor

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
TEMPERATURES = [1e-30, 0.01, 0.25, 0.3, 0.5, 1.0, 1.5, 20.0, 1e30]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def probabilities(*shape: int, spread: float = 3.0, seed: int = 0) -> Tensor:
    """Return distributions along the last dimension, float64; spread: of their logarithms."""
    z = spread * torch.randn(shape, generator=generator(seed), dtype=torch.float64)
    return z.softmax(-1)


def exact(x: Tensor) -> np.ndarray:
    """Return the numbers as they are, in the widest type that NumPy has."""
    return x.detach().cpu().double().numpy().astype(np.longdouble)


def log_of(p: np.ndarray) -> np.ndarray:
    """Return log(p / max p) along the last axis: what is next to the largest loses nothing."""
    largest = p.max(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.where(2 * p > largest, np.log1p((p - largest) / largest), np.log(p / largest))


def softmax(z: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return exp(z / T) / sum exp(z / T) of finite or infinitely low z, along the last axis."""
    powers = np.exp(scaled(z, temperature))
    return powers / powers.sum(-1, keepdims=True)


def scaled(z: np.ndarray, temperature: float) -> np.ndarray:
    """Return (z - max z) / T."""
    return (z - z.max(-1, keepdims=True)) / np.longdouble(temperature)


def assert_sharpened(
    q: Tensor, log_p: np.ndarray, temperature: float, units: float | np.ndarray = 0
) -> None:
    """Compare q with the softmax of log_p / T, along the last dimension.

    The exponent x = (log p - max log p) / T is off by 4 units in its last place, as logarithm,
    difference and product round, and a power by x times as much and a few more; their sum, in the
    narrowest vectors that of four lanes, by half a unit for each number that a lane adds. Where a
    power is no normal number of those that are computed with, it may be 0. The result is rounded.

    Args:
        q: what is to be right.
        log_p: logarithms of the distributions, plus any number.
        temperature: T.
        units: by how many units in the last place of 1 log_p - max log_p is off before all that.
    """
    want = softmax(log_p, temperature)
    computed = torch.finfo(torch.float64 if q.dtype == torch.float64 else torch.float32)
    stored = torch.finfo(q.dtype)
    exponent = np.where(want > 0, -scaled(log_p, temperature), 0)
    off = 4 * exponent + units / np.longdouble(temperature) + 12 + log_p.shape[-1] / 4
    bound = want * np.expm1(np.minimum(off * computed.eps, 1))
    bound += computed.tiny + want * stored.eps / 2 + stored.tiny * stored.eps
    error = np.abs(exact(q) - want)
    assert q.shape == log_p.shape
    assert (error <= bound).all(), f"{(error / bound).max():.1f} times the bound"


def upstream(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def gradients(
    log_p: np.ndarray, grad: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of log_p and of the temperature, given that of the softmax."""
    q = softmax(log_p, temperature)
    centred = grad - (grad * q).sum(-1, keepdims=True)
    T = np.longdouble(temperature)
    finite = np.where(q > 0, log_p - log_p.max(-1, keepdims=True), 0)
    return q * centred / T, -(q * centred * finite).sum() / T**2


INF, NAN = math.inf, math.nan
