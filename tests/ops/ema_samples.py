"""Lists of tensors in all layouts, and what their averages have to be."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import lelkern.ops

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)

Layout = Callable[[tuple[int, ...]], tuple[tuple[int, ...], int]]
"""From a shape to strides and to the elements of storage before the first."""


def contiguous(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    return torch.empty(shape).stride(), 0


def misaligned(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    return torch.empty(shape).stride(), 1


def reversed_dimensions(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """For a matrix the transpose of a contiguous one."""
    return torch.empty(shape[::-1]).stride()[::-1], 0


def channels_last(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    if len(shape) != 4:
        return contiguous(shape)
    return torch.empty(shape).to(memory_format=torch.channels_last).stride(), 0


def rows_with_gaps(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    wider = (*shape[:-1], shape[-1] + 3) if shape else shape
    return torch.empty(wider).stride(), 2


def every_third(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    return tuple(3 * stride for stride in torch.empty(shape).stride()), 0


LAYOUTS = (
    contiguous,
    misaligned,
    reversed_dimensions,
    channels_last,
    rows_with_gaps,
    every_third,
)


def tensor(values: Tensor, layout: Layout = contiguous) -> Tensor:
    """Return a view with these values of a storage that is 7 in all other places."""
    strides, offset = layout(tuple(values.shape))
    last = sum((n - 1) * s for n, s in zip(values.shape, strides, strict=True))
    storage = torch.full((offset + max(0, last) + 5,), 7.0, dtype=values.dtype)
    view = storage.to(values.device).as_strided(values.shape, strides, offset)
    return view.copy_(values)


def around(x: Tensor) -> Tensor:
    """Return the storage of a view with 7 in its own places."""
    storage = torch.empty(0, dtype=x.dtype, device=x.device).set_(x.untyped_storage()).clone()
    storage.as_strided(x.shape, x.stride(), x.storage_offset()).fill_(7)
    return storage


def normals(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def check(ema: Tensor, before: Tensor, parameter: Tensor, decay: float) -> None:
    """Compare an average with the float64 mean of what it and its parameter were.

    The error is that of three roundings where it is computed, of numbers no larger than the sum
    of both, and one to the average's dtype, of half the distance of two numbers there.
    """
    e, p = before.double(), parameter.double()
    want = decay * e + (1 - decay) * p
    computed_in = torch.float64 if ema.dtype == torch.float64 else torch.float32
    stored = torch.finfo(ema.dtype)
    bound = 2 * torch.finfo(computed_in).eps * (e.abs() + p.abs())
    bound += stored.eps / 2 * want.abs() * 1.01 + stored.smallest_normal * stored.eps
    assert ((ema.double() - want).abs() <= bound).all()


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether tensors are equal, in the signs of zeros, too, and nan where the other is."""
    equal = (a == b) & (a.signbit() == b.signbit())
    return bool((equal | (a.isnan() & b.isnan())).all())


def compiled(device: str) -> bool:
    """Whether a compiled kernel serves ``ema_update_``."""
    return any(
        row.implementation == "compiled"
        for row in lelkern.ops.implementations()
        if (row.op, row.device) == ("ema_update_", device)
    )


def clones(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return copies with the same strides, in storages of their own."""
    result = []
    for x in tensors:
        copy = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device)
        result.append(copy.copy_(x))
    return result
