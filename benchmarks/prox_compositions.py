"""Proximal operators of group norms as one composes them in PyTorch, as fast as that goes."""

import torch
from torch import Tensor


def l2(w: Tensor, lam: float, dim: int) -> Tensor:
    norm = torch.linalg.vector_norm(w, dim=dim, keepdim=True)
    return w * torch.where(norm > lam, 1 - lam / norm, 0)


def l2_(w: Tensor, lam: float, dim: int) -> Tensor:
    norm = torch.linalg.vector_norm(w, dim=dim, keepdim=True)
    return w.mul_(torch.where(norm > lam, 1 - lam / norm, 0))


def l2_lists_(weights: list[Tensor], lam: float) -> None:
    """Norms filter by filter, and everything else of all tensors in one call each."""
    rows = [w.view(len(w), -1) for w in weights]
    norms = [torch.linalg.vector_norm(w, dim=1, keepdim=True) for w in rows]
    factors = torch._foreach_div([torch.full_like(n, lam) for n in norms], norms)
    torch._foreach_neg_(factors)
    torch._foreach_add_(factors, 1)
    for factor, norm in zip(factors, norms, strict=True):
        factor.masked_fill_(norm <= lam, 0)
    torch._foreach_mul_(rows, factors)


def linf_by_sorting(w: Tensor, lam: float) -> Tensor:
    """Cut |w| where what is cut off sums to lam, as found among sorted numbers (Duchi 2008)."""
    u = w.abs()
    ordered = u.sort(dim=1, descending=True).values
    counts = torch.arange(1, w.shape[1] + 1, device=w.device, dtype=w.dtype)
    levels = (ordered.cumsum(1) - lam) / counts
    last = (ordered > levels).sum(1, keepdim=True).clamp(min=1) - 1
    return cut(w, levels.gather(1, last).clamp(min=0))


def linf_by_newton(w: Tensor, lam: float) -> Tensor:
    """Find the level by active sets (Michelot 1986): from what is above, until that is settled."""
    u = w.abs()
    level = (u.sum(1, keepdim=True) - lam) / w.shape[1]
    for _ in range(w.shape[1]):
        above = u > level
        found = ((u * above).sum(1, keepdim=True) - lam) / above.sum(1, keepdim=True).clamp(min=1)
        if not (found > level).any():
            break
        level = torch.maximum(level, found)
    return cut(w, level.clamp(min=0))


def linf_by_bisection(w: Tensor, lam: float, halvings: int = 30) -> Tensor:
    u = w.abs()
    high = u.amax(1, keepdim=True)
    low = torch.zeros_like(high)
    for _ in range(halvings):
        middle = (low + high) / 2
        over = (u - middle).clamp_(min=0).sum(1, keepdim=True) > lam
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    return cut(w, torch.where(u.sum(1, keepdim=True) > lam, low, 0))


def cut(w: Tensor, level: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(w, -level), level)


def power(w: Tensor, lam: float, q: float, halvings: int = 30) -> Tensor:
    """Bisect for c = ||x||_q, for q = 3/2 and 3: c y + lam y^(q-1) = |w| then is quadratic."""
    u = w.abs()
    high = torch.linalg.vector_norm(u, q, 1, keepdim=True)
    alive = torch.linalg.vector_norm(u, q / (q - 1), 1, keepdim=True) > lam
    low = torch.zeros_like(high)

    def direction(c: Tensor) -> Tensor:
        if q == 3:
            return 2 * u / (c + (c * c + 4 * lam * u).sqrt())
        return (2 * u / (lam + (lam * lam + 4 * c * u).sqrt())).square()

    for _ in range(halvings):
        c = (low + high) / 2
        over = direction(c).pow(q).sum(1, keepdim=True) > 1
        low, high = torch.where(over, c, low), torch.where(over, high, c)
    return torch.copysign(high * direction(high), w) * alive
