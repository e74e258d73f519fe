"""Draws of MixUp's lambda from a Beta distribution, the same on every device."""

import torch
from torch import Generator, Tensor

from lelkern.number import number_or_tensor
from lelkern.ops._define import define
from lelkern.ops._dtypes import DTYPES
from lelkern.ops._known import known_number
from lelkern.ops._number import tensor_of
from lelkern.reference import mixup_lambda as reference
from lelkern.reference.precision import widened


def sample_mixup_lambda(
    n: int,
    alpha: float | Tensor,
    *,
    fold: bool = True,
    generator: Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    r"""Return draws of MixUp's lambda: (n,).

    .. math::
        \lambda \sim \text{Beta}(\alpha, \alpha), \qquad \lambda' = \max(\lambda, 1 - \lambda)

    (Zhang et al., ICLR 2018, section 2; Berthelot et al., "MixMatch", NeurIPS 2019, equations 8
    and 9, where the fold keeps each mix closer to the sample that keeps its place). Without
    ``fold`` it is the first of them.

    A seed is drawn from the generator, and the numbers are a function of it, of alpha, and of their
    place: the random words are those of Philox4x32-10 and the Gammas of which the Beta is made are
    those of Marsaglia & Tsang 2000 (``lelkern/reference/mixup_lambda.py`` has all of it). So a
    generator of the CPU gives the same numbers on every device: to the bit in float32 and narrower,
    but where the last bits of a device's logarithm in float64 decide how a number is rounded, of
    ten million about one; in float64 but for those last bits. Without ``fold`` lambda may be 0, and
    with alpha so small that lambda is nearer to 1 than the dtype's numbers are, it is 1.

    Args:
        n: number of draws.
        alpha: any positive number: small ones give lambdas near 0 and 1, 1 the uniform
            distribution, and inf 1/2. Or a tensor with one element; one on a GPU is not looked at,
            nor is one inside ``torch.compile``: what is not positive gives nan there.
        fold: return max(lambda, 1 - lambda), which is at least 1/2.
        generator: of the seed; by default PyTorch's own of the device.
        device: where the draws are wanted; by default that of the generator, or PyTorch's default.
        dtype: float64, float32, bfloat16 or float16.

    Raises:
        TypeError: alpha is no number, nor a floating-point tensor; the dtype is another.
        ValueError: n is negative; alpha is not positive, or has several elements.
    """
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    if dtype not in DTYPES:
        raise TypeError(f"dtype must be float64, float32, bfloat16 or float16, got {dtype}")
    where = device if generator is None else generator.device
    seed = torch.randint(2**63 - 1, (), device=where, generator=generator)
    if device is not None:
        seed = seed.to(device)
    lam: Tensor = torch.ops.lelkern.mixup_lambda(seed, _alpha(alpha, seed.device), n, fold, dtype)
    return lam


def _alpha(alpha: float | Tensor, device: torch.device) -> Tensor:
    """Return alpha as a tensor without dimensions, checked where it can be."""
    alpha = number_or_tensor("alpha", alpha)
    if not isinstance(alpha, Tensor):
        if not alpha > 0:
            raise ValueError(f"alpha must be > 0, got {alpha}")
        return tensor_of(alpha, dtype=torch.float64, device=device)
    if alpha.numel() != 1:
        raise ValueError(f"alpha must have one element, got {tuple(alpha.shape)}")
    if alpha.dtype not in DTYPES:
        raise TypeError(f"alpha must be floating point, got {alpha.dtype}")
    alpha = alpha.detach().reshape(())
    value = known_number(alpha)
    if value is not None and not value > 0:
        raise ValueError(f"alpha must be > 0, got {value}")
    return widened(alpha.to(device))


def _fake(seed: Tensor, alpha: Tensor, n: int, fold: bool, dtype: torch.dtype) -> Tensor:
    return seed.new_empty(n, dtype=dtype)


define(
    "mixup_lambda",
    "(Tensor seed, Tensor alpha, SymInt n, bool fold, ScalarType dtype) -> Tensor",
    reference=reference.mixup_lambda,
    fake=_fake,
)
