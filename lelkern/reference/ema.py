"""The update of an exponential moving average in plain PyTorch: specification and fallback.

Every implementation rounds as this one does and draws the same noise: results have the same bits.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lelkern.reference.philox import philox4x32


def ema_update_(
    ema: Sequence[Tensor],
    params: Sequence[Tensor],
    decay: Tensor,
    seed: Tensor | None = None,
) -> None:
    """Replace every average by decay * average + (1 - decay) * parameter, rounded to its dtype.

    ``decay`` has no dimensions; one outside [0, 1] gives nan. With a ``seed``, an int64 without
    dimensions, averages of 16 bits are rounded stochastically.
    """
    for t, (average, parameter) in enumerate(zip(ema, params, strict=True)):
        mean = weighted_mean(average, parameter, decay)
        if seed is not None and average.dtype in (torch.bfloat16, torch.float16):
            mean = stochastically_rounded(mean, average.dtype, noise(average, t, seed))
        average.copy_(mean)


def weighted_mean(average: Tensor, parameter: Tensor, decay: Tensor) -> Tensor:
    """Return decay * average + (1 - decay) * parameter in float32, or float64 if the average is.

    It is computed from whichever weighs more, as heavy + weight * (light - heavy) with a weight of
    at most 1/2. So where both are equal nothing moves, and 0 and 1 choose one of them exactly,
    whatever the other holds.
    """
    computed_in = torch.float64 if average.dtype == torch.float64 else torch.float32
    if decay.dtype != torch.float64:
        decay = decay.float()
    valid = (decay >= 0) & (decay <= 1)
    # In the decay's own dtype: of half and more 1 - decay is exact, and below decay is the weight.
    weight = torch.minimum(decay, 1 - decay).masked_fill(~valid, math.nan)
    weight, keeps = weight.to(computed_in).to(average.device), (decay >= 0.5).to(average.device)
    average, parameter = average.to(computed_in), parameter.to(computed_in)
    heavy = torch.where(keeps, average, parameter)
    light = torch.where(keeps, parameter, average)
    return torch.where(weight == 0, heavy, heavy + weight * (light - heavy))


def places(x: Tensor) -> Tensor:
    """Return the distance of each element of x from the first in memory, in elements."""
    e = torch.zeros((), dtype=torch.int64, device=x.device)
    for size, stride in zip(x.shape, x.stride(), strict=True):
        e = e.unsqueeze(-1) + torch.arange(size, device=x.device) * stride
    return e


def noise(like: Tensor, t: int, seed: Tensor) -> Tensor:
    """Return 16 random bits for every element of tensor number ``t`` of a list, as int64.

    Element e, counted in memory from the first one, has bits 16 (e mod 2) and up of word
    (e mod 8) // 2 of the Philox block with counter (e // 8, t) and the seed as its key.
    """
    e = places(like)
    block = e // 8
    words = philox4x32((block, block >> 32, torch.full_like(e, t), torch.zeros_like(e)), seed)
    word = torch.stack(words).gather(0, (e % 8 // 2).unsqueeze(0)).squeeze(0)
    return (word >> 16 * (e % 2)) & 0xFFFF


def stochastically_rounded(x: Tensor, dtype: torch.dtype, noise: Tensor) -> Tensor:
    """Round float32 to one of its two neighbours in ``dtype``, to each the likelier the nearer.

    The one farther from zero is taken if noise / 2**16 and the share of the way towards it sum to
    at least 1. So the expected result is x, to 2**-16 of the distance of the neighbours.
    """
    dropped = 16 if dtype == torch.bfloat16 else 13  # bits
    bits = x.contiguous().view(torch.int32).long()
    bits = (bits + (noise >> 16 - dropped)) >> dropped << dropped
    rounded = bits.to(torch.int32).view(torch.float32)
    if dtype == torch.float16:
        # Below 2**-14 float16's numbers are 2**-24 apart.
        y = x.abs() * 2.0**24
        up = y - y.floor() >= 1 - noise.float() / 2**16
        tiny = torch.copysign((y.floor() + up) / 2.0**24, x)
        rounded = torch.where(x.abs() < 2.0**-14, tiny, rounded)
    return torch.where(x.isfinite(), rounded, x).to(dtype)
