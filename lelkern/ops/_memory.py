"""Whether tensors that change share memory with others."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lelkern.reference.ema import places


def check_memory(
    changed: Mapping[str, Sequence[Tensor]], read: Mapping[str, Sequence[Tensor]]
) -> None:
    """Raise ValueError if an element of what changes is also one of anything else.

    Tensors may share storage as long as no two of their elements do.

    Args:
        changed: lists of tensors, by the names that the error calls them.
        read: likewise.
    """
    for name, tensors in changed.items():
        for i, x in enumerate(tensors):
            if not is_dense(x) and len(places(x).unique()) < x.numel():
                raise ValueError(
                    f"{name}[{i}] must have an element of its own in every place, "
                    f"got {tuple(x.shape)} with strides {x.stride()}"
                )
    spans = [
        _Span(*_extent(x), is_changed, f"{name}[{i}]", x)
        for is_changed, lists in ((True, changed), (False, read))
        for name, tensors in lists.items()
        for i, x in enumerate(tensors)
    ]
    reaching: list[_Span] = []  # into what comes next
    for span in sorted((span for span in spans if span.begin < span.end), key=lambda s: s[:2]):
        reaching = [earlier for earlier in reaching if earlier.end > span.begin]
        for earlier in reaching:
            first, other = (earlier, span) if earlier.is_changed else (span, earlier)
            if first.is_changed and _share_elements(first.tensor, other.tensor):
                raise ValueError(f"{first.name} must not share memory with {other.name}")
        reaching.append(span)


class _Span(NamedTuple):
    """The addresses from the first byte of a tensor to after its last."""

    begin: int
    end: int
    is_changed: bool
    name: str
    tensor: Tensor


def _extent(x: Tensor) -> tuple[int, int]:
    if x.numel() == 0:
        return 0, 0
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.data_ptr(), x.data_ptr() + (last + 1) * x.itemsize


def is_dense(x: Tensor) -> bool:
    """Whether the elements lie side by side, in whatever order."""
    steps = sorted(
        (stride, size) for size, stride in zip(x.shape, x.stride(), strict=True) if size != 1
    )
    expected = 1
    for stride, size in steps:
        if stride != expected:
            return x.numel() == 0
        expected *= size
    return True


def _share_elements(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors, whose extents overlap, have a byte in common."""
    if is_dense(a) and is_dense(b):
        return True
    return bool(torch.isin(_bytes(a), _bytes(b)).any())


def _bytes(x: Tensor) -> Tensor:
    """Return the addresses of all bytes of x."""
    first = (x.data_ptr() + places(x) * x.itemsize).reshape(-1, 1)
    return (first + torch.arange(x.itemsize, device=x.device)).flatten()
