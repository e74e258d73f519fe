"""Ways of differentiating for which PyTorch has no rule of a custom op, and gives silent zeros."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import TransformType, get_interpreter_stack
from torch.autograd import forward_ad
from torch.overrides import has_torch_function

below_autograd = getattr(torch._C, "_AutoDispatchBelowAutograd", torch.no_grad)
"""A context in which ops record nothing for gradients.

PyTorch enters it itself where no input of a custom op has one, but only after a way through Python
that takes as long as a small op. Without it ``no_grad`` does the same, and goes that way.
"""


def only_autograd(inputs: Sequence[Any]) -> bool:
    """Whether nothing but autograd may differentiate what is computed of these inputs now.

    That is neither a transform of ``torch.func`` nor forward mode, no ``torch.compile``, and no
    ``__torch_function__``, which may put other tensors in their place.
    """
    if torch.compiler.is_compiling() or has_torch_function(inputs):
        return False
    return not get_interpreter_stack() and forward_ad._current_level < 0


def differentiated_by_tracing(*tensors: Tensor | None) -> bool:
    """Whether ``torch.func.grad``, ``jvp`` and the like, or forward mode, see these tensors.

    An op registered with ``torch.library`` then raises, or is taken for a constant (seen with
    PyTorch 2.14); plain PyTorch works.
    """
    if torch.compiler.is_compiling():
        return False
    levels = get_interpreter_stack() or ()
    if any(level.key() in (TransformType.Grad, TransformType.Jvp) for level in levels):
        return True
    return forward_ad._current_level >= 0 and any(
        tensor is not None and forward_ad.unpack_dual(tensor).tangent is not None
        for tensor in tensors
    )


def in_float32_under_autocast(function: Callable[..., Any], *inputs: Tensor | None) -> Any:
    """Call a reference as its op would be called under autocast: in float32, undisturbed."""
    device = next(x.device.type for x in inputs if x is not None)
    if not torch.is_autocast_enabled(device):
        return function(*inputs)
    with torch.autocast(device, enabled=False):
        return function(*map(_cast_as_autocast_does, inputs))


def _cast_as_autocast_does(x: Tensor | None) -> Tensor | None:
    if x is None or not x.is_floating_point() or x.dtype == torch.float64:
        return x
    return x.float()
