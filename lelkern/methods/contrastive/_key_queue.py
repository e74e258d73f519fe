"""The memory of contrastive recipes that compare with more than a batch."""

import torch
from torch import Tensor, nn


class KeyQueue(nn.Module):
    """The last K keys, first in, first out (He et al. 2020, Section 3.2).

    It starts empty and gives what it has; the authors' code starts with K random keys, which stay
    for K / N steps. Both buffers belong to the ``state_dict``.

    Args:
        size: K, at least 1.
        features: D, length of a key, at least 1.

    Raises:
        ValueError: size or features is less than 1.

    Attributes:
        rows: (K, D); key number i lies in row i mod K.
        count: (), int64: how many keys there have been.
    """

    rows: Tensor
    count: Tensor

    def __init__(self, size: int, features: int) -> None:
        super().__init__()
        for name, value in (("size", size), ("features", features)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.register_buffer("rows", torch.zeros(size, features))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def keys(self) -> Tensor:
        """Return the keys that are there, (min(count, K), D), in the order of their rows."""
        return self.rows[: int(self.count)]

    def enqueue(self, keys: Tensor) -> None:
        """Add keys (N, D) in their order, the oldest giving way; N may be larger than K."""
        size, n = len(self.rows), len(keys)
        number = self.count + torch.arange(n, device=keys.device)[-size:]
        self.rows[number % size] = keys[-size:]
        self.count += n
