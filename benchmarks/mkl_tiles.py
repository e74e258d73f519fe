"""NT-Xent by the same symmetric algorithm as lelkern, with a torch.mm for each tile.

What one gets without a micro-kernel of one's own: no matrix of 2N x 2N, half of the tiles, and
backward computes them again; but each tile's exponential is a pass of its own.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 512  # with 1 MB in float32 a tile stays in the cache from product to exponential


def nt_xent(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """Return the mean loss; the fixed shift 1 / temperature does for temperatures above 0.03."""
    z = F.normalize(torch.cat([z1, z2]))
    positive = (z * z.roll(len(z1), 0)).sum(1)
    return (_LogSumExp.apply(z, 1 / temperature) - positive / temperature).mean()


class _LogSumExp(torch.autograd.Function):
    """The log-sum-exp (M,) of beta times the similarities of unit rows z (M, D) to all others."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, beta: float) -> Tensor:
        sums = z.new_zeros(len(z))
        for i, j, E in _tiles(z, beta):
            sums[i] += E.sum(1)
            if i != j:
                sums[j] += E.sum(0)
        ctx.save_for_backward(z, sums)
        ctx.beta = beta
        return sums.log() + beta

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        z, sums = ctx.saved_tensors
        weight = grads[0] / sums
        grad = torch.zeros_like(z)
        for i, j, E in _tiles(z, ctx.beta):
            G = E.mul_(weight[i, None] + weight[j])  # symmetric: (i, j) serves (j, i) too
            grad[i].addmm_(G, z[j])
            if i != j:
                grad[j].addmm_(G.T, z[i])
        return grad.mul_(ctx.beta), None


def _tiles(z: Tensor, beta: float) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield rows, columns and exp(beta (similarity - 1)) of each tile of the upper triangle."""
    buffer = z.new_empty(TILE, TILE)
    scaled = z * beta
    blocks = [slice(start, min(start + TILE, len(z))) for start in range(0, len(z), TILE)]
    for n, i in enumerate(blocks):
        for j in blocks[n:]:
            E = buffer[: i.stop - i.start, : j.stop - j.start]
            torch.mm(scaled[i], z[j].T, out=E)
            E.sub_(beta).exp_()
            if i == j:
                E.fill_diagonal_(0)
            yield i, j, E
