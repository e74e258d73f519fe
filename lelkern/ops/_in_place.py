"""Operators without a kernel that works in place, over a tensor or several."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from lelkern.ops._casts import forget_casts
from lelkern.ops._memory import check_memory
from lelkern.ops._prox import each, tensor_list


def replace_(
    name: str,
    tensors: Tensor | Iterable[Tensor],
    operator: Callable[[Tensor, Any], Tensor],
    of_each: tuple[str, Any],
) -> None:
    """Replace every tensor by what an operator makes of it, or none of them.

    No gradient is recorded. All results are made before the first tensor changes.

    Args:
        name: what errors call the tensors.
        tensors: one, or several on one device.
        operator: of a tensor and a value, with a result of the same shape and dtype.
        of_each: what errors call the value, and the value for all or a list with one for each.

    Raises:
        TypeError: one is no dense floating-point tensor, or the operator takes none of its kind.
        ValueError: tensors are on several devices, or share memory, or the operator does not take
            one. Nothing has been changed then.
    """
    changed = tensor_list(name, tensors)
    values = each(*of_each, len(changed))
    if not torch.compiler.is_compiling():
        check_memory({name: changed}, {})
    with torch.no_grad():
        results = []
        for i, (x, value) in enumerate(zip(changed, values, strict=True)):
            try:
                results.append(operator(x, value))
            except (TypeError, ValueError) as error:
                if len(changed) == 1:
                    raise
                raise type(error)(f"for {name}[{i}]: {error}") from None
        for x, result in zip(changed, results, strict=True):
            x.copy_(result)
    forget_casts(changed)
