"""Checks of the values that are mixed with: of all in one op."""

import torch
from torch import Tensor

from lelkern.ops._define import define
from lelkern.ops._known import is_looked_at, known_number, known_outside
from lelkern.reference import mixing_values as reference


def check_values(
    *, lam: object = None, perm: Tensor | None = None, y: Tensor | None = None, num_classes: int = 0
) -> None:
    """Raise for a value that is known to be wrong, of arguments whose shapes and dtypes are right.

    Args:
        lam: lambda, of which tensors are looked at.
        perm: (R,) int64.
        y: (N,) whole numbers, the classes; distributions over them are not looked at.
        num_classes: of which the classes are.

    Raises:
        ValueError: lam is not in [0, 1], perm is no permutation, or a class is not among them.
    """
    weights = lam.detach() if isinstance(lam, Tensor) and is_looked_at(lam) else None
    perm = perm if perm is not None and is_looked_at(perm) else None
    whole = y is not None and not y.is_floating_point() and is_looked_at(y)
    classes = y.to(torch.int64) if y is not None and whole else None
    if weights is None and perm is None and classes is None:
        return
    right = known_number(torch.ops.lelkern.mixing_values(weights, perm, classes, num_classes))
    if right is None or right:
        return
    if weights is not None and (wrong := known_outside(weights, 0, 1)) is not None:
        raise ValueError(f"lam must be in [0, 1], got {wrong}")
    if classes is not None and (wrong := known_outside(classes, 0, num_classes - 1)) is not None:
        raise ValueError(f"y must be classes in [0, {num_classes}), got {wrong}")
    assert perm is not None
    raise ValueError(f"perm must be a permutation of 0 to {len(perm) - 1}, got {perm.tolist()}")


define(
    "mixing_values",
    "(Tensor? lam, Tensor? perm, Tensor? classes, SymInt num_classes) -> Tensor",
    reference=reference.mixing_values,
    fake=lambda lam, perm, classes, num_classes: next(
        x for x in (lam, perm, classes) if x is not None
    ).new_empty((), dtype=torch.bool),
)
