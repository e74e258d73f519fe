"""Checks of two lists of tensors, of which one is averaged into the other, place by place."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lelkern.ops._dtypes import check_floating
from lelkern.reference.ema import places


def check_lists(ema: Sequence[Tensor], params: Sequence[Tensor]) -> None:
    """Raise unless the tensors pair up: floating point, on one device, of equal shapes."""
    if len(ema) != len(params):
        raise ValueError(
            f"ema and params must have the same length, got {len(ema)} and {len(params)}"
        )
    for i, (average, parameter) in enumerate(zip(ema, params, strict=True)):
        for name, tensor in ((f"ema[{i}]", average), (f"params[{i}]", parameter)):
            check_floating(name, tensor)
            if tensor.layout != torch.strided:
                raise TypeError(f"{name} must be dense, got {tensor.layout}")
            if tensor.device != ema[0].device:
                raise ValueError(
                    f"{name} must be on the device of ema[0], {ema[0].device}, got {tensor.device}"
                )
        if average.shape != parameter.shape:
            raise ValueError(
                f"params[{i}] must have the shape of ema[{i}], {tuple(average.shape)}, "
                f"got {tuple(parameter.shape)}"
            )


def check_decay(value: float, name: str = "decay") -> None:
    """Raise ValueError for a decay, or momentum, that is not in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def local_shards(
    ema: Sequence[Tensor], params: Sequence[Tensor]
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Return the parts of DTensors that this process holds; lists without any as they are.

    Raises ValueError unless each parameter is placed as its average.
    """
    module = sys.modules.get("torch.distributed.tensor")  # not there: there is no DTensor
    if module is None or not any(isinstance(x, module.DTensor) for x in (*ema, *params)):
        return ema, params
    if len(ema) != len(params):
        check_lists(ema, params)
    for i, (average, parameter) in enumerate(zip(ema, params, strict=True)):
        at, other = _placement(average), _placement(parameter)
        if at != other:
            raise ValueError(f"params[{i}] must be placed as ema[{i}], {at}, got {other}")
        if at is not None and any(placement.is_partial() for placement in at[1]):
            raise ValueError(f"ema[{i}] must be sharded or replicated, got {at}")
        if average.shape != parameter.shape:
            check_lists(ema, params)
    with torch.no_grad():
        return [_local(x) for x in ema], [_local(x) for x in params]


def _local(x: Any) -> Tensor:
    return x.to_local() if _placement(x) else x


def _placement(x: Any) -> tuple[Any, Any] | None:
    """Return mesh and placements of a DTensor, None of another tensor."""
    return (x.device_mesh, x.placements) if hasattr(x, "placements") else None


def check_memory(ema: Sequence[Tensor], params: Sequence[Tensor]) -> None:
    """Raise ValueError if an element of an average is also one of anything else.

    Tensors may share storage as long as no two of their elements do.
    """
    for i, average in enumerate(ema):
        if not _is_dense(average) and len(places(average).unique()) < average.numel():
            raise ValueError(
                f"ema[{i}] must have an element of its own in every place, "
                f"got {tuple(average.shape)} with strides {average.stride()}"
            )
    spans = [_Span(*_extent(x), True, f"ema[{i}]", x) for i, x in enumerate(ema)]
    spans += [_Span(*_extent(x), False, f"params[{i}]", x) for i, x in enumerate(params)]
    reaching: list[_Span] = []  # into what comes next
    for span in sorted(span for span in spans if span.begin < span.end):
        reaching = [earlier for earlier in reaching if earlier.end > span.begin]
        for earlier in reaching:
            first, other = (earlier, span) if earlier.is_average else (span, earlier)
            if first.is_average and _share_elements(first.tensor, other.tensor):
                raise ValueError(f"{first.name} must not share memory with {other.name}")
        reaching.append(span)


class _Span(NamedTuple):
    """The addresses from the first byte of a tensor to after its last."""

    begin: int
    end: int
    is_average: bool
    name: str
    tensor: Tensor


def _extent(x: Tensor) -> tuple[int, int]:
    if x.numel() == 0:
        return 0, 0
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.data_ptr(), x.data_ptr() + (last + 1) * x.itemsize


def _is_dense(x: Tensor) -> bool:
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
    if _is_dense(a) and _is_dense(b):
        return True
    return bool(torch.isin(_bytes(a), _bytes(b)).any())


def _bytes(x: Tensor) -> Tensor:
    """Return the addresses of all bytes of x."""
    first = (x.data_ptr() + places(x) * x.itemsize).reshape(-1, 1)
    return (first + torch.arange(x.itemsize, device=x.device)).flatten()
