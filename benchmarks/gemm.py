"""The physical limit: how long the matrix products of a loss take at the best rate of torch.mm."""

from functools import partial
from typing import ClassVar

import torch

from stopwatch import seconds

# Rows of a tile: on a CPU small enough for the cache, large enough for threads; many on a GPU.
TILES = {"cpu": (256, 512, 1024), "cuda": (4096, 8192)}
REPEATS = 5


class Gemm:
    """Measures, each time it is called, the seconds of so many flops at the best rate.

    The products are those of a tiled loss: similarities (T, D) x (D, T), and gradients
    (T, T) x (T, D) of the queries and, transposed, of the keys. The best that this process has seen
    counts: other processes slow down single rounds, and a limit is what can be reached at all.
    """

    best_rate: ClassVar[dict[int, float]] = {}  # flops a second, by features

    def __init__(self, features: int, flops: float, device: torch.device) -> None:
        self.features = features
        self.flops = flops
        self.device = device
        self.products = []
        for tile in TILES[device.type]:
            z, grad = torch.randn(2, tile, features, device=device).unbind()
            similarity = torch.randn(tile, tile, device=device)
            self.products += [
                (z, z.T, similarity),
                (similarity, z, grad),
                (similarity.T, z, grad),
            ]

    def __call__(self) -> float:
        rate = max(self._rate(*product) for product in self.products)
        self.best_rate[self.features] = max(rate, self.best_rate.get(self.features, 0))
        return self.flops / self.best_rate[self.features]

    def _rate(self, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> float:
        """Return the flops a second of one product."""
        product = partial(torch.mm, a, b, out=out)
        best = min(seconds(product, self.device) for _ in range(REPEATS))
        return 2 * a.shape[0] * a.shape[1] * b.shape[1] / best
