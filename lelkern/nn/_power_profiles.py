"""Power-function profiles of averages over a training, and the nearest combination of some."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lelkern.number import number_or_tensor

_WIDEST = 12**-0.5  # sigma_rel of gamma = 0, whose average is that of all steps alike


def sigma_rel_to_gamma(sigma_rel: float) -> float:
    r"""Return the exponent of the power-function average of a relative width.

    The profile :math:`\tau^\gamma` over a training of length 1 has the standard deviation

    .. math:: \sigma_\text{rel} = \sqrt{\gamma + 1} \,/\, ((\gamma + 2) \sqrt{\gamma + 3}),

    which is solved for gamma: Karras et al., "Analyzing and Improving the Training Dynamics of
    Diffusion Models", CVPR 2024, Section 3.1 and Appendix C. 0.05 is gamma = 16.97, 0.10 is 6.94.

    Args:
        sigma_rel: in (0, 0.2886...], where 12**-0.5 is the average of all steps alike.

    Returns:
        gamma, at least 0.

    Raises:
        TypeError: sigma_rel is no number.
        ValueError: sigma_rel is not in this range.
    """
    sigma_rel = float(number_or_tensor("sigma_rel", sigma_rel))
    if not 0 < sigma_rel <= _WIDEST:
        raise ValueError(f"sigma_rel must be in (0, {_WIDEST:.6g}], got {sigma_rel}")
    # Squared, w = (gamma + 2) sigma_rel is the largest root of w^3 + sigma_rel (w^2 + 1) - w, which
    # is convex there and positive at 1: from 1 on Newton's steps only fall.
    w = 1.0
    while (
        next_w := w - (w**3 + sigma_rel * (w**2 + 1) - w) / (3 * w**2 + 2 * sigma_rel * w - 1)
    ) < w:
        w = next_w
    return max(w / sigma_rel - 2, 0.0)


class Profile(NamedTuple):
    """How an average weighs the past: (gamma + 1) tau**gamma / step**(gamma + 1) up to its step."""

    step: int
    gamma: float


class Combination(NamedTuple):
    """A linear combination of profiles that is as near to another one as there is.

    Attributes:
        coefficients: of the profiles, with the sum 1.
        error: norm of the difference, over the norm of the profile that was asked for.
    """

    coefficients: list[float]
    error: float


def combine(profiles: Sequence[Profile], target: Profile) -> Combination:
    """Return the combination of profiles that is nearest to ``target`` in least squares.

    Karras et al. 2024, Section 3.2 and Appendix C. Their coefficients need not have the sum 1, and
    of few snapshots are some per cent off: here they do, so that what never changed stays what it
    is.
    """
    p, t = _columns(profiles), _columns([target])
    norms, norm = _inner(p, p).sqrt(), _inner(t, t).sqrt()  # (n,), (1,)
    overlap = _inner(p, t) / (norms * norm)  # (n,)
    gram = _inner(p[:, :, None], p[:, None, :]) / torch.outer(norms, norms)  # (n, n)
    n = len(profiles)
    # The conditions of the smallest square under one constraint, of profiles with norm 1.
    system = torch.zeros(n + 1, n + 1, dtype=torch.float64, device="cpu")
    system[:n, :n] = gram
    system[n, :n] = system[:n, n] = norm / norms
    right = torch.cat([overlap, torch.ones_like(norm)])
    # By singular values, since profiles may be there twice.
    solution = torch.linalg.lstsq(system, right[:, None], driver="gelsd").solution[:n, 0]
    square = 1 - 2 * solution @ overlap + solution @ gram @ solution
    return Combination((solution * norm / norms).tolist(), math.sqrt(max(square.item(), 0.0)))


def _columns(profiles: Sequence[Profile]) -> Tensor:
    """Return steps and gammas, (2, n)."""
    return torch.tensor(list(profiles), dtype=torch.float64, device="cpu").T


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Return the integrals of products of profiles, given as (2, ...) steps and gammas."""
    (steps_a, gammas_a), (steps_b, gammas_b) = a, b
    # Over the shorter one, in which tau^(gamma_a + gamma_b) is integrated.
    exponent = torch.where(steps_a < steps_b, gammas_b, -gammas_a)
    scale = (gammas_a + 1) * (gammas_b + 1) / (gammas_a + gammas_b + 1)
    return scale * (steps_a / steps_b) ** exponent / torch.maximum(steps_a, steps_b)
