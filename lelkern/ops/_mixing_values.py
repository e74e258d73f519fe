"""Checks of the values that are mixed with: of all in one op."""

import torch
from torch import Tensor

from lelkern.ops._define import define
from lelkern.ops._known import is_looked_at, known_number, known_outside
from lelkern.ops._mixing import Labels
from lelkern.reference import mixing_values as reference


def check_values(
    *,
    lam: object = None,
    perm: Tensor | None = None,
    labels: Labels | None = None,
    boxes: Tensor | None = None,
    height: int = 0,
    width: int = 0,
) -> None:
    """Raise for a value that is known to be wrong, of arguments whose shapes and dtypes are right.

    Args:
        lam: lambda, of which tensors are looked at.
        perm: (R,) int64.
        labels: of which classes are looked at, and distributions over them are not.
        boxes: (4,) or (R, 4) int64: top, left, height and width.
        height: of images, which boxes have to be within.
        width: likewise.

    Raises:
        ValueError: lam is not in [0, 1], perm is no permutation, a class is not among them, or a
            box reaches out of its image.
    """
    weights = lam.detach() if isinstance(lam, Tensor) and is_looked_at(lam) else None
    perm = perm if perm is not None and is_looked_at(perm) else None
    classes, num_classes = None, 0
    if labels is not None and not labels.values.is_floating_point() and is_looked_at(labels.values):
        classes, num_classes, _ = labels
    boxes = boxes.reshape(-1, 4) if boxes is not None and is_looked_at(boxes) else None
    values = {"lam": weights, "perm": perm, "classes": classes, "boxes": boxes}
    given = {name: x for name, x in values.items() if x is not None}
    sizes = num_classes, height, width
    if not given or _are_right(given, sizes):
        return
    # One of them is wrong; or under vmap has many values, and another one may be wrong.
    for name, x in given.items():
        if _are_right({name: x}, sizes) is False:
            raise ValueError(_what_is_wrong(name, x, sizes))


def _are_right(given: dict[str, Tensor], sizes: tuple[int, int, int]) -> bool | None:
    """Return whether all that is given may be mixed with; None if it is not known."""
    each = (given.get(name) for name in ("lam", "perm", "classes", "boxes"))
    right = known_number(torch.ops.lelkern.mixing_values(*each, *sizes))
    return None if right is None else bool(right)


def _what_is_wrong(name: str, x: Tensor, sizes: tuple[int, int, int]) -> str:
    num_classes, height, width = sizes
    if name == "lam":
        return f"lam must be in [0, 1], got {known_outside(x, 0, 1)}"
    if name == "perm":
        return f"perm must be a permutation of 0 to {len(x) - 1}, got {x.tolist()}"
    if name == "classes":
        wrong = known_outside(x, 0, num_classes - 1)
        return f"y must be classes in [0, {num_classes}), got {wrong}"
    limit = x.new_tensor((height, width))
    outside = (x < 0).any(dim=1) | (x[:, 2:] > limit - x[:, :2]).any(dim=1)
    box = x[outside][0].tolist()
    return f"boxes must be top, left, height, width within {height} x {width}, got {box}"


define(
    "mixing_values",
    "(Tensor? lam, Tensor? perm, Tensor? classes, Tensor? boxes, SymInt num_classes, "
    "SymInt height, SymInt width) -> Tensor",
    reference=reference.mixing_values,
    fake=lambda *given: next(x for x in given[:4] if x is not None).new_empty((), dtype=torch.bool),
    devices=("cpu",),  # elsewhere nobody looks at values
)
