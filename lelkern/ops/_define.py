"""Definitions of ops in Python: schema, reference, shapes, gradient, vmap and autocast."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

_LIBRARY = torch.library.Library("lelkern", "DEF")
# The references alone, for kernels that find no code for the GPU they are called on.
_REFERENCES = torch.library.Library("lelkern_reference", "DEF")
_OPS: dict[str, tuple[str, ...]] = {}


def define(
    name: str,
    schema: str,
    *,
    reference: Callable[..., Any],
    fake: Callable[..., Any],
    setup_context: Callable[..., None] | None = None,
    backward: Callable[..., Any] | None = None,
    devices: tuple[str, ...] = ("cpu", "cuda"),
) -> None:
    """Define ``lelkern::name`` so that it works on every device without compiled kernels.

    An op that returns nothing changes its arguments in place; one without ``backward`` has no
    gradient. ``lelkern_reference::name`` is the reference, whatever was compiled.

    Args:
        name: the op's name.
        schema: its arguments and its results, tensors all of them, as
            ``"(Tensor x, bool exact) -> (Tensor, Tensor)"``; or no results. Kernels for GPUs
            ask the first argument, a tensor or in place a list of tensors, which GPU it is on.
        reference: the op in plain PyTorch; compiled kernels override it on their device.
        fake: shapes and dtypes of the results.
        setup_context: saves what ``backward`` needs.
        backward: gradients of the inputs.
        devices: for which kernels are compiled; elsewhere there is the reference.
    """
    qualified = f"lelkern::{name}"
    _LIBRARY.define(name + schema)
    _LIBRARY.impl(name, reference, "CompositeExplicitAutograd")
    _REFERENCES.define(name + schema)
    _REFERENCES.impl(name, reference, "CompositeExplicitAutograd")
    torch.library.register_fake(qualified, fake, lib=_LIBRARY)
    if backward is not None:
        torch.library.register_autograd(
            qualified, backward, setup_context=setup_context, lib=_LIBRARY
        )
    if not schema.endswith("-> ()"):
        torch.library.register_vmap(qualified, _one_by_one(name, fake), lib=_LIBRARY)
    _OPS[name] = devices


def cast_to_float32_under_autocast(name: str) -> None:
    """Run ``lelkern::name`` in float32 under autocast, as PyTorch does for its losses."""
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(f"lelkern::{name}", device, torch.float32, lib=_LIBRARY)


def defined_ops() -> Mapping[str, tuple[str, ...]]:
    """Return the names of all ops, and the devices for which they have compiled kernels."""
    return MappingProxyType(_OPS)


def _one_by_one(name: str, fake: Callable[..., Any]) -> Callable[..., Any]:
    """Return a vmap rule that takes the batch one element after the other."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> Any:
        op = getattr(torch.ops.lelkern, name)
        batched = list(zip(inputs, in_dims, strict=True))
        if info.batch_size == 0:
            stacked = _of_no_elements(fake, batched)
        else:
            results = [
                as_tuple(op(*(x if d is None else x.select(d, i) for x, d in batched)))
                for i in range(info.batch_size)
            ]
            stacked = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
        return (stacked, (0,) * len(stacked)) if len(stacked) > 1 else (stacked[0], 0)

    return rule


def _of_no_elements(fake: Callable[..., Any], batched: list[tuple[Any, int | None]]) -> Any:
    """Return the results of an empty batch, of which the first depends on all inputs."""
    alike = as_tuple(
        fake(*(x if d is None else x.new_empty(x.shape[:d] + x.shape[d + 1 :]) for x, d in batched))
    )
    first, *others = (x.new_empty((0, *x.shape)) for x in alike)
    for x, _ in batched:
        if isinstance(x, Tensor) and x.is_floating_point():
            first = first + x.sum().to(first.dtype)
    return first, *others


def as_tuple(result: Any) -> tuple[Any, ...]:
    """Return the results of an op as a tuple also if there is only one."""
    return (result,) if isinstance(result, Tensor) else tuple(result)
