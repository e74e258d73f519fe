"""NT-Xent in plain PyTorch: the specification of the op, and its fallback.

Computed in float32, or float64 for float64 rows, with matrices of 2N x 2N. Both functions are
differentiable. ``temperature`` has no dimensions; one that is not a positive number gives nan.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-12
"""A row with a smaller norm counts as zero: its similarity to every row is 0, its gradient too."""


def nt_xent(z1: Tensor, z2: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each of the 2N rows its loss, and log sum_{k != i} exp(s_ik / temperature)."""
    unit, _ = _unit_rows(z1, z2)
    similarity, itself, positive = _similarities(unit, temperature)
    similarity_of_positive = similarity[positive]
    if len(z1) == 1:  # the only candidate is the positive: -log 1, but nan stays nan
        loss = 0 * similarity_of_positive
    else:
        negatives = similarity.masked_fill(itself | positive, -math.inf).logsumexp(dim=1)
        # -log(e^pos / (e^pos + e^negatives)) without a difference of near logarithms.
        loss = F.softplus(negatives - similarity_of_positive, threshold=40)
    return loss, (similarity_of_positive + loss).double()


def nt_xent_backward(
    grad: Tensor, z1: Tensor, z2: Tensor, temperature: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of z1, z2 and temperature, given those of the 2N losses."""
    unit, norm = _unit_rows(z1, z2)
    similarity, itself, positive = _similarities(unit, temperature)
    P = similarity.masked_fill(itself, -math.inf).softmax(dim=1)
    # dloss_i / dsimilarity_ik is P_ik, and P_ik - 1 for the positive: minus all the others.
    P = P.masked_fill(positive, 0)
    W = grad.unsqueeze(1) * (P - P.sum(dim=1, keepdim=True) * positive)  # (2N, 2N)
    grad_unit = (W + W.T) @ unit / temperature
    # Through unit = z / norm.
    grad_z = (grad_unit - unit * (unit * grad_unit).sum(dim=1, keepdim=True)) / norm
    # Copies, since the outputs of an op may not share memory.
    grad_z1, grad_z2 = (half.to(z1.dtype, copy=True) for half in grad_z.tensor_split(2))
    grad_temperature = -(W * similarity.masked_fill(itself, 0)).sum() / temperature
    return grad_z1, grad_z2, grad_temperature.to(temperature.dtype)


def _unit_rows(z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
    """Return the 2N rows with norm 1, and their norms (2N, 1)."""
    z = torch.cat([z1, z2])  # (2N, D)
    norm = torch.linalg.vector_norm(z, dim=1, keepdim=True, dtype=torch.float64)
    norm = norm.masked_fill(norm.isinf(), math.nan)  # never a silent zero row
    norm = norm.masked_fill(norm < EPS, math.inf)
    computed_in = torch.float64 if z.dtype == torch.float64 else torch.float32
    return (z / norm).to(computed_in), norm


def _similarities(unit: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return s / temperature (2N, 2N), where k = i, and where k is the positive of i."""
    valid = (temperature > 0) & temperature.isfinite()
    similarity = unit @ unit.T / temperature.masked_fill(~valid, math.nan)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return similarity, itself, itself.roll(len(unit) // 2, dims=1)
