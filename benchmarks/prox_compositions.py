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


def csr_by_scattering_(w: Tensor, lam: float, owner: Tensor, count: int) -> Tensor:
    """Groups by what each number belongs to."""
    norm = torch.zeros(count, device=w.device).index_add_(0, owner, w * w).sqrt_()
    return w.mul_(torch.where(norm > lam, 1 - lam / norm, 0)[owner])


def csr_by_segments_(w: Tensor, lam: float, ptr: Tensor, indices: Tensor) -> Tensor:
    """Groups by gathering their numbers side by side."""
    gathered = w[indices]
    norm = torch.segment_reduce(gathered * gathered, "sum", offsets=ptr, unsafe=True).sqrt_()
    factor = torch.where(norm > lam, 1 - lam / norm, 0)
    gathered.mul_(torch.repeat_interleave(factor, ptr.diff(), output_size=len(indices)))
    return w.index_copy_(0, indices, gathered)


def metric(v: Tensor, d: Tensor, lam: float, steps: int = 6) -> Tensor:
    """Rows in a diagonal metric: the r at which |v_i| / (r + lam / d_i) has norm 1, by Newton."""
    size, tau = v.abs(), lam / d
    alive = (d * v).square().sum(1, keepdim=True).sqrt() > lam
    r = torch.maximum(
        (size - tau).clamp(min=0).amax(1, keepdim=True),
        size.square().sum(1, keepdim=True).sqrt() - tau.amax(1, keepdim=True),
    )
    for _ in range(steps):
        distance = r + tau
        squares = (size / distance).square()
        square = squares.sum(1, keepdim=True)
        r = r + square * (square.sqrt() - 1) / (squares / distance).sum(1, keepdim=True)
    return torch.where(alive, v * (r / (r + tau)), 0)


def level_by_sorting(u: Tensor, t: float) -> Tensor:
    """Return where what is above sums to t in each row, as found among sorted numbers (Duchi)."""
    ordered = u.sort(dim=1, descending=True).values
    counts = torch.arange(1, u.shape[1] + 1, device=u.device, dtype=u.dtype)
    levels = (ordered.cumsum(1) - t) / counts
    last = (ordered > levels).sum(1, keepdim=True).clamp(min=1) - 1
    return levels.gather(1, last)


def level_by_newton(u: Tensor, t: float | Tensor, start: Tensor | None = None) -> Tensor:
    """Find it by active sets (Michelot 1986): from what is above, until that is settled."""
    level = (u.sum(1, keepdim=True) - t) / u.shape[1]
    level = level if start is None else torch.maximum(level, start)
    for _ in range(u.shape[1]):
        above = u > level
        found = ((u * above).sum(1, keepdim=True) - t) / above.sum(1, keepdim=True).clamp(min=1)
        if not (found > level).any():
            break
        level = torch.maximum(level, found)
    return level


def level_by_bisection(u: Tensor, t: float, low: Tensor, halvings: int = 30) -> Tensor:
    high = u.amax(1, keepdim=True)
    for _ in range(halvings):
        middle = (low + high) / 2
        over = (u - middle).clamp_(min=0).sum(1, keepdim=True) > t
        low, high = torch.where(over, middle, low), torch.where(over, high, middle)
    return low


def linf_by_sorting(w: Tensor, lam: float) -> Tensor:
    """Cut |w| where what is cut off sums to lam."""
    return cut(w, level_by_sorting(w.abs(), lam).clamp(min=0))


def linf_by_newton(w: Tensor, lam: float) -> Tensor:
    return cut(w, level_by_newton(w.abs(), lam).clamp(min=0))


def linf_by_bisection(w: Tensor, lam: float) -> Tensor:
    u = w.abs()
    total = u.sum(1, keepdim=True)
    level = level_by_bisection(u, lam, torch.zeros_like(total))
    return cut(w, torch.where(total > lam, level, 0))


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
