"""The ops that apply proximal operators to a list of tensors in place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lelkern.ops._casts import forget_casts
from lelkern.ops._define import define
from lelkern.ops._dtypes import computed_in
from lelkern.ops._memory import check_memory
from lelkern.ops._prox import Lists, is_view, values_of, write_back
from lelkern.reference import prox_metric as metric_reference
from lelkern.reference import prox_sgd as reference


def prox_lists_(
    name: str, lists: Lists, q: float, scale: float = 1.0, scale_tensor: Tensor | None = None
) -> None:
    """Apply proximal operators with thresholds times ``scale``, in one launch.

    Args:
        name: what errors call the tensors.
        lists: tensors and penalties.
        q: of the norms of all groups.
        scale: a number >= 0.
        scale_tensor: (), float64 and on the device, in its place.

    Raises:
        ValueError: tensors share memory. Nothing has been changed then.
    """
    if not lists.tensors:
        return

    def update() -> None:
        op = torch.ops.lelkern.prox_group_
        op(lists.values, *lists.groups, q, scale, scale_tensor)

    change_(lists, update, {name: lists.tensors}, {})


def prox_metric_(name: str, lists: Lists, metric: Sequence[Tensor]) -> None:
    """Apply proximal operators in diagonal metrics, for q = 2, in one launch.

    Args:
        name: what errors call the tensors.
        lists: tensors and penalties.
        metric: of each tensor that was given to make the lists, empty ones too, floating point.

    Raises:
        ValueError: tensors share memory. Nothing has been changed then.
    """
    if not lists.tensors:
        return
    given = [metric[i].detach() for i in lists.places]
    values = [
        values_of(d.to(computed_in(w)), layout)
        for w, d, layout in zip(lists.tensors, given, lists.layouts, strict=True)
    ]

    def update() -> None:
        torch.ops.lelkern.prox_metric_(lists.values, values, *lists.groups)

    change_(lists, update, {name: lists.tensors}, {"metric": given})


def change_(
    lists: Lists,
    update: Any,
    changed: dict[str, Sequence[Tensor]],
    read: dict[str, Sequence[Tensor]],
) -> None:
    """Run an op that changes the values of lists, and do what PyTorch has to know of it.

    Args:
        lists: whose values change.
        update: calls the op.
        changed: what changes, by the names that errors call it.
        read: what must not share memory with it.

    Raises:
        ValueError: something shares memory. Nothing has been changed then.
    """
    compiling = torch.compiler.is_compiling()
    copied = [
        (w, layout, values)
        for w, layout, values in zip(lists.tensors, lists.layouts, lists.values, strict=True)
        if not is_view(w, layout)
    ]
    if not compiling:
        forget_casts(lists.tensors)
        if copied:  # of which the op does not see the memory
            check_memory(changed, read)
    with torch.no_grad():
        try:
            update()
        except RuntimeError:
            if not compiling:
                # Looked for only now: looking at every tensor costs as much as the update.
                check_memory(changed, read)
            raise
    for given in copied:
        write_back(*given)
    if compiling:
        forget_casts(lists.tensors)
    else:
        torch.autograd.graph.increment_version(lists.tensors)


def _reference(
    w: Sequence[Tensor],
    lam1: Sequence[Tensor],
    lam: Sequence[Tensor],
    group_ptr: Sequence[Tensor],
    group_indices: Sequence[Tensor],
    sizes: Sequence[int],
    q: float,
    scale: float,
    scale_tensor: Tensor | None,
) -> None:
    check_memory({"w": w}, {})
    if scale_tensor is None:
        scale_tensor = torch.tensor(scale, dtype=torch.float64, device="cpu")
    reference.prox_group_(w, lam1, lam, group_ptr, group_indices, sizes, q, scale_tensor)


define(
    "prox_group_",
    "(Tensor(a!)[] w, Tensor[] lam1, Tensor[] lam, Tensor[] group_ptr, Tensor[] group_indices, "
    "int[] sizes, float q, float scale, Tensor? scale_tensor) -> ()",
    reference=_reference,
    fake=lambda *_: None,
)


def _metric_reference(w: Sequence[Tensor], metric: Sequence[Tensor], *others: Any) -> None:
    check_memory({"w": w}, {"metric": metric})
    metric_reference.prox_metric_(w, metric, *others)


define(
    "prox_metric_",
    "(Tensor(a!)[] w, Tensor[] metric, Tensor[] lam1, Tensor[] lam, Tensor[] group_ptr, "
    "Tensor[] group_indices, int[] sizes) -> ()",
    reference=_metric_reference,
    fake=lambda *_: None,
)
