"""A step of SGD and the proximal operator of where it leads, in one pass."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lelkern.ops._define import define
from lelkern.ops._memory import check_memory
from lelkern.ops._number import tensor_of
from lelkern.ops._prox import Lists, is_view, values_of, write_back
from lelkern.ops._prox_lists import change_
from lelkern.reference import prox_sgd as reference


def prox_sgd_(
    lists: Lists,
    grads: Sequence[Tensor],
    buffers: Sequence[Tensor],
    q: float,
    *,
    lr: float | Tensor,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    first: bool = False,
) -> None:
    r"""Take a step of SGD, and apply proximal operators to where it leads, in one pass.

    The step is that of ``torch.optim.SGD``. Thresholds are multiplied by the *effective step*

    .. math:: \eta k, \qquad k = \frac{1 - d}{1 - m}, \quad\text{or}\quad
              1 + m \frac{1 - d}{1 - m} \text{ with Nesterov's}

    with learning rate eta, momentum m and dampening d (k = 1 without momentum), since with the
    gradient at a fixed point constant that is how far a step goes: so fixed points minimise the
    loss plus the penalty.

    Args:
        lists: parameters and penalties, of ``group_lists`` or ``elementwise_lists``.
        grads: the gradient of each tensor that was given to make the lists, empty ones too.
        buffers: the momentum buffer of each likewise; nothing without momentum.
        q: of the norms of all groups.
        lr: the learning rate, at least 0: a number or a tensor with one element, which is read.
        momentum: in [0, 1).
        dampening: of the momentum.
        weight_decay: of the squared norm.
        nesterov: whether the momentum is Nesterov's.
        first: whether buffers hold nothing yet.

    Raises:
        ValueError: parameters or buffers share memory with something. Nothing has been changed
            then.
    """
    if not lists.tensors:
        return
    gradients = [grads[i] for i in lists.places]
    moments = [buffers[i] for i in lists.places] if momentum else []
    pairs = list(zip(lists.layouts, gradients, strict=True))
    gradient_values = [values_of(x, layout) for layout, x in pairs]
    moment_values = [
        values_of(x, layout) for layout, x in zip(lists.layouts, moments, strict=False)
    ]

    def update() -> None:
        step: tuple[float | Tensor, ...] = (lr, momentum, dampening, weight_decay)
        numbers = None
        # As a tensor numbers are inputs of a graph, which serves all of their values.
        if torch.compiler.is_compiling() or isinstance(lr, Tensor):
            step, numbers = (0.0,) * 4, torch.stack([_number(x) for x in step])
        op = torch.ops.lelkern.prox_sgd_
        given = (lists.values, gradient_values, moment_values, *lists.groups)
        op(*given, q, *step, nesterov, first, numbers)

    change_(lists, update, {"params": lists.tensors, "buffers": moments}, {"grads": gradients})
    for x, values, w, layout in zip(
        moments, moment_values, lists.tensors, lists.layouts, strict=False
    ):
        if x.stride() != w.stride() or not is_view(w, layout):
            write_back(x, layout, values)
    if not torch.compiler.is_compiling():
        torch.autograd.graph.increment_version(moments)


def _number(value: float | Tensor) -> Tensor:
    """Return a number as a tensor without dimensions, float64 on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().reshape(()).to("cpu", torch.float64)
    return tensor_of(value, dtype=torch.float64, device=torch.device("cpu"))


def _reference(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    buffers: Sequence[Tensor],
    *others: Any,
) -> None:
    check_memory({"params": params, "buffers": buffers}, {"grads": grads})
    reference.prox_sgd_(params, grads, buffers, *others)


define(
    "prox_sgd_",
    "(Tensor(a!)[] params, Tensor[] grads, Tensor(b!)[] buffers, Tensor[] lam1, Tensor[] lam, "
    "Tensor[] group_ptr, Tensor[] group_indices, int[] sizes, float q, float lr, "
    "float momentum, float dampening, float weight_decay, bool nesterov, bool first, "
    "Tensor? numbers=None) -> ()",  # of the step, lr to weight_decay, in their place
    reference=_reference,
    fake=lambda *_: None,
)
