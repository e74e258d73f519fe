"""Checks of two lists of tensors, of which one is averaged into the other, place by place."""

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lelkern.ops._dtypes import check_floating


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
