"""The physical limit: how long the matrix products of a loss take at the best rate of torch.mm."""

import time
from typing import ClassVar

import torch

TILES = (256, 512, 1024)  # rows of a tile: small enough for the cache, large enough for threads
REPEATS = 5


class Gemm:
    """Measures, each time it is called, the seconds of so many flops at the best rate.

    The products are those of a tiled loss: similarities (T, D) x (D, T), and gradients
    (T, T) x (T, D) of the queries and, transposed, of the keys. The best that this process has seen
    counts: other processes slow down single rounds, and a limit is what can be reached at all.
    """

    best_rate: ClassVar[dict[int, float]] = {}  # flops a second, by features

    def __init__(self, features: int, flops: float) -> None:
        self.features = features
        self.flops = flops
        self.products = []
        for tile in TILES:
            z, grad = torch.randn(2, tile, features).unbind()
            similarity = torch.randn(tile, tile)
            self.products += [
                (z, z.T, similarity),
                (similarity, z, grad),
                (similarity.T, z, grad),
            ]

    def __call__(self) -> float:
        rate = max(_rate(*product) for product in self.products)
        self.best_rate[self.features] = max(rate, self.best_rate.get(self.features, 0))
        return self.flops / self.best_rate[self.features]


def _rate(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> float:
    """Return the flops a second of one product."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * a.shape[0] * a.shape[1] * b.shape[1] / best
