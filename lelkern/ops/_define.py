"""How an op is put together: schema, reference, shapes, gradient, vmap and autocast, in Python."""

from collections.abc import Callable
from typing import Any

import torch

_LIBRARY = torch.library.Library("lelkern", "DEF")
_OPS: list[str] = []


def define(
    name: str,
    schema: str,
    *,
    reference: Callable[..., Any],
    fake: Callable[..., Any],
    setup_context: Callable[..., None] | None = None,
    backward: Callable[..., Any] | None = None,
) -> None:
    """Define ``lelkern::name`` so that it works on every device without compiled kernels.

    An op without ``backward`` changes its arguments in place and returns nothing.

    Args:
        name: the op's name.
        schema: its arguments and its results, tensors all of them, as
            ``"(Tensor x, bool exact) -> (Tensor, Tensor)"``; or no results.
        reference: the op in plain PyTorch; compiled kernels override it on their device.
        fake: shapes and dtypes of the results.
        setup_context: saves what ``backward`` needs.
        backward: gradients of the inputs.
    """
    qualified = f"lelkern::{name}"
    _LIBRARY.define(name + schema)
    _LIBRARY.impl(name, reference, "CompositeExplicitAutograd")
    torch.library.register_fake(qualified, fake, lib=_LIBRARY)
    if backward is not None:
        torch.library.register_autograd(
            qualified, backward, setup_context=setup_context, lib=_LIBRARY
        )
        torch.library.register_vmap(qualified, _one_by_one(name), lib=_LIBRARY)
    _OPS.append(name)


def cast_to_float32_under_autocast(name: str) -> None:
    """Run ``lelkern::name`` in float32 under autocast, as PyTorch does for its losses."""
    for device in ("cpu", "cuda"):
        torch.library.register_autocast(f"lelkern::{name}", device, torch.float32, lib=_LIBRARY)


def defined_ops() -> tuple[str, ...]:
    """Return the names of all ops."""
    return tuple(_OPS)


def _one_by_one(name: str) -> Callable[..., Any]:
    """Return a vmap rule that takes the batch one element after the other."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> Any:
        op = getattr(torch.ops.lelkern, name)
        results = [
            op(*(x if d is None else x.select(d, i) for x, d in zip(inputs, in_dims, strict=True)))
            for i in range(info.batch_size)
        ]
        stacked = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
        return stacked, (0,) * len(stacked)

    return rule
