"""Images to mix, and MixUp and CutMix of them by loops over the samples, with NumPy."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import lelkern.ops

FLOATING = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def normals(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def bytes_of(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed)).byte()


def images(dtype: torch.dtype, *shape: int, seed: int = 0) -> Tensor:
    if dtype == torch.uint8:
        return bytes_of(*shape, seed=seed)
    return (10 * normals(*shape, seed=seed)).to(dtype)


def lambdas(n: int, seed: int = 1) -> Tensor:
    """n numbers in [0, 1], its ends among them, in float64."""
    lam = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    lam[:1], lam[1:2] = 1, 0
    return lam


def permuted(n: int, seed: int = 2) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def computed(x: Tensor, dtype: torch.dtype):
    """The NumPy type of the arithmetic."""
    return np.float64 if torch.float64 in (x.dtype, dtype) else np.float32


def rescaled(x: Tensor, scale, offset, number) -> np.ndarray:
    """scale * x + offset, rounded after each step; (channels,) tensors are of dimension 1."""
    values = x.to(torch.float64).numpy().astype(number)  # exact
    for value, step in ((scale, np.multiply), (offset, np.add)):
        if value is not None:
            value = np.asarray(value, dtype=np.float64).astype(number)
            if value.ndim:
                value = value.reshape(-1, *(1 for _ in x.shape[2:]))
            values = step(values, value, dtype=number)
    return values


def mixed(x: Tensor, lam: Tensor, perm: Tensor, scale=None, offset=None, dtype=None) -> Tensor:
    """MixUp sample by sample."""
    dtype = dtype or (torch.float32 if x.dtype == torch.uint8 else x.dtype)
    number = computed(x, dtype)
    values = rescaled(x, scale, offset, number)
    result = np.empty_like(values)
    with np.errstate(invalid="ignore", over="ignore"):
        for i, j in enumerate(perm.tolist()):
            weight = number(lam[i].item())
            result[i] = weight * values[i] + (number(1) - weight) * values[j]
    return torch.from_numpy(result).to(dtype)


def pasted(x: Tensor, boxes: Tensor, perm: Tensor, scale=None, offset=None, dtype=None) -> Tensor:
    """CutMix sample by sample."""
    dtype = dtype or (torch.float32 if x.dtype == torch.uint8 else x.dtype)
    values = rescaled(x, scale, offset, computed(x, dtype))
    result = values.copy()
    for i, (j, box) in enumerate(zip(perm.tolist(), boxes.tolist(), strict=True)):
        top, left, height, width = box
        place = (slice(None), slice(top, top + height), slice(left, left + width))
        result[i][place] = values[j][place]
    return torch.from_numpy(result).to(dtype)


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether all bits are the same, but for those of nan, which tell devices apart."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    whole = {8: torch.int64, 4: torch.int32, 2: torch.int16}[a.itemsize]
    a, b = (torch.where(x.isnan(), torch.nan, x.cpu()).contiguous().view(whole)
            for x in (a.cpu(), b.cpu()))  # fmt: skip
    return torch.equal(a, b)


def compiled(op: str, device: str = "cpu") -> bool:
    """Whether a compiled kernel serves an op."""
    rows = lelkern.ops.implementations()
    return any(row[:3] == (op, device, "compiled") for row in rows)


@dataclass(frozen=True)
class Layout:
    """A way in which a batch of images (N, C, H, W) may lie in memory."""

    name: str

    def of(self, x: Tensor) -> Tensor:
        if self.name == "channels_last":
            return x.contiguous(memory_format=torch.channels_last)
        if self.name == "every other":
            return torch.stack((x, 0 * x), dim=-1).flatten(-2)[..., ::2]
        if self.name == "transposed":
            return x.transpose(2, 3).contiguous().transpose(2, 3)
        if self.name == "with gaps":
            return torch.stack((x, 0 * x), dim=1)[:, 0]
        if self.name == "misaligned":
            storage = torch.empty(x.numel() + 1, dtype=x.dtype, device=x.device)
            return storage[1:].view(x.shape).copy_(x)
        return x.contiguous()

    def __str__(self) -> str:
        return self.name


LAYOUTS = [
    Layout(name)
    for name in (
        "contiguous",
        "channels_last",
        "every other",
        "transposed",
        "with gaps",
        "misaligned",
    )
]
