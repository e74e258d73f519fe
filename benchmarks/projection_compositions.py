"""Projections as one composes them in PyTorch, as fast as that goes."""

from collections.abc import Callable

import torch
from torch import Tensor

from prox_compositions import cut, level_by_bisection, level_by_newton, level_by_sorting

Level = Callable[[Tensor, float], Tensor]
"""From rows and a number to the levels above which they sum to it."""


def by_bisection(u: Tensor, t: float) -> Tensor:
    """Return the levels: at most t below the largest."""
    return level_by_bisection(u, t, u.amax(1, keepdim=True) - t)


LEVELS: dict[str, Level] = {
    "pytorch": level_by_newton,
    "pytorch-sort": level_by_sorting,
    "pytorch-bisection": by_bisection,
}


def simplex(x: Tensor, radius: float, level: Level) -> Tensor:
    return (x - level(x, radius)).clamp_(min=0)


def l1_ball(x: Tensor, radius: float, level: Level) -> Tensor:
    u = x.abs()
    theta = torch.where(u.sum(1, keepdim=True) > radius, level(u, radius), 0)
    return (u - theta).clamp_(min=0).copysign_(x)


def l1inf_by_sorting(x: Tensor, radius: float) -> Tensor:
    """Newton's method on what all rows lose, whose levels are known of sorted rows."""
    ordered = x.abs().sort(dim=1, descending=True).values
    if ordered[:, 0].sum() <= radius:
        return x.clone()
    sums = ordered.cumsum(1)
    counts = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=x.dtype)
    below = torch.nn.functional.pad(ordered[:, 1:], (0, 1))
    breaks = sums - counts * below  # the loss at which the next number is cut as well
    total = sums[:, -1:]

    def levels(loss: Tensor) -> tuple[Tensor, Tensor]:
        """Return the levels, and by how much they fall with the loss."""
        last = torch.searchsorted(breaks, loss.expand(len(x), 1)).clamp(max=x.shape[1] - 1)
        count = counts[last]
        level = (sums.gather(1, last) - loss) / count
        alive = loss < total
        return level * alive, (alive / count).sum()

    return cut(x, by_newton(levels, x.new_zeros(1, 1), radius))


def l1inf_by_newton(x: Tensor, radius: float) -> Tensor:
    """Newton's method on what all rows lose, and for their levels (Chau et al. 2019)."""
    u = x.abs()
    if u.amax(1).sum() <= radius:
        return x.clone()
    total = u.sum(1, keepdim=True)
    before = (u.amax(1, keepdim=True), x.new_zeros(1, 1))

    def levels(loss: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal before
        start = before[0] - (loss - before[1])  # no number loses more than its row
        level = level_by_newton(u, loss, start)
        alive = loss < total
        before = (level, loss)
        return level.clamp(min=0) * alive, (alive / (u >= level).sum(1, keepdim=True)).sum()

    return cut(x, by_newton(levels, x.new_zeros(1, 1), radius))


def by_newton(
    levels: Callable[[Tensor], tuple[Tensor, Tensor]], loss: Tensor, radius: float, steps: int = 50
) -> Tensor:
    """Return the levels that sum to the radius; their sum is convex in the loss, and falls."""
    level, slope = levels(loss)
    for _ in range(steps):
        missing = level.sum() - radius
        if missing <= 1e-6 * radius:
            break
        loss = loss + missing / slope
        level, slope = levels(loss)
    return level


def nuclear(w: Tensor, lam: float) -> Tensor:
    u, s, vh = torch.linalg.svd(w, full_matrices=False)
    return (u * (s - lam).clamp(min=0).unsqueeze(-2)) @ vh


def nuclear_by_gram(w: Tensor, lam: float) -> Tensor:
    """Scale what the smaller Gram matrix has as eigenvectors; digits of small values are lost."""
    wide = w.shape[-2] < w.shape[-1]
    rows = w.mT if wide else w
    squares, v = torch.linalg.eigh(rows.mT @ rows)
    s = squares.clamp(min=0).sqrt()
    factor = torch.where(s > lam, 1 - lam / s, 0).unsqueeze(-2)
    x = rows @ ((v * factor) @ v.mT)
    return x.mT if wide else x
