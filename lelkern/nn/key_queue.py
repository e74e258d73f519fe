"""The memory of contrastive learning that compares with more than a batch."""

import torch
from torch import Tensor, nn

from lelkern.ops._contrastive import optional_codes
from lelkern.ops._dtypes import check_floating


class KeyQueue(nn.Module):
    r"""The last K keys, first in, first out: the negatives of MoCo.

    He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
    Section 3.2. It starts empty and gives what it has; the authors' code starts with K random keys,
    which stay for K / N steps. With ``ids`` it remembers of what image, or class, each key is, so
    that no query has its own among its negatives::

        queue = KeyQueue(65536, 128, ids=True)
        for images, ids in batches:
            ...
            keys, key_ids = queue.keys_and_ids()
            loss = info_nce(q, k, keys, 0.07, ids=ids, negative_ids=key_ids)
            loss.backward()
            queue.enqueue(k, ids)

    What it holds belongs to the ``state_dict`` and has no gradient.

    Args:
        size: K, at least 1.
        features: D, length of a key, at least 1.
        ids: whether keys come with ids.
        device: where the keys are; by default PyTorch's.
        dtype: of the keys, floating point; by default PyTorch's.

    Raises:
        TypeError: dtype is not floating point.
        ValueError: size or features is less than 1.

    Attributes:
        rows: (K, D); key number i lies in row i mod K. Once the queue is full, this is what
            :meth:`keys` returns, and reading it does not wait for the GPU.
        row_ids: (K,), int64: their ids likewise; None without.
        count: (), int64: how many keys there have been.
    """

    rows: Tensor
    row_ids: Tensor | None
    count: Tensor

    def __init__(
        self,
        size: int,
        features: int,
        *,
        ids: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("size", size), ("features", features)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"dtype must be floating point, got {dtype}")
        self.register_buffer("rows", torch.zeros(size, features, dtype=dtype, device=device))
        row_ids = torch.zeros(size, dtype=torch.int64, device=device) if ids else None
        self.register_buffer("row_ids", row_ids)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64, device=device))

    def keys(self) -> Tensor:
        """Return the keys that are there, (min(count, K), D), in the order of their rows.

        They are a part of ``rows``, which :meth:`enqueue` changes: a loss of them has to go
        backward before that, or PyTorch refuses.
        """
        return self.rows.narrow(0, 0, self._filled())

    def keys_and_ids(self) -> tuple[Tensor, Tensor]:
        """Return the same, and the id of each, (min(count, K),), int64.

        Raises:
            ValueError: the queue was made without ids.
        """
        if self.row_ids is None:
            raise ValueError("the queue must be made with ids=True to have ids")
        filled = self._filled()
        return self.rows.narrow(0, 0, filled), self.row_ids.narrow(0, 0, filled)

    def _filled(self) -> int:
        return int(self.count.clamp(max=len(self.rows)))

    @torch.no_grad()
    def enqueue(self, keys: Tensor, ids: Tensor | None = None) -> None:
        """Add keys in their order, the oldest giving way.

        Args:
            keys: (N, D), floating point, on the queue's device; of more than K the last K stay.
            ids: (N,) whole numbers, of a queue with ids, and only then.

        Raises:
            TypeError: the keys are not floating point, or the ids no whole numbers.
            ValueError: shapes or devices do not match, or ids are missing or not wanted.
        """
        self._check_keys(keys)
        if (ids is not None) != (self.row_ids is not None):
            raise ValueError(
                f"ids must be {'None' if self.row_ids is None else 'given'}: "
                f"the queue was made with ids={self.row_ids is not None}"
            )
        numbers = optional_codes("ids", ids, keys)
        size, n = len(self.rows), len(keys)
        places = (self.count + torch.arange(n, device=keys.device)[-size:]) % size
        self.rows[places] = keys[-size:].to(self.rows.dtype)
        if self.row_ids is not None and numbers is not None:
            self.row_ids[places] = numbers[-size:]
        self.count += n

    def _check_keys(self, keys: Tensor) -> None:
        check_floating("keys", keys)
        features = self.rows.shape[1]
        if keys.dim() != 2 or keys.shape[1] != features:
            raise ValueError(f"keys must be (N, {features}), got {tuple(keys.shape)}")
        if keys.device != self.rows.device:
            raise ValueError(
                f"keys must be on the device of the queue, {self.rows.device}, got {keys.device}"
            )

    def extra_repr(self) -> str:
        """Describe the sizes."""
        size, features = self.rows.shape
        return f"{size}, {features}, ids={self.row_ids is not None}"
