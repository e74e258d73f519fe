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
    given = (weights, perm, classes, boxes)
    if all(x is None for x in given):
        return
    right = known_number(torch.ops.lelkern.mixing_values(*given, num_classes, height, width))
    if right is None or right:
        return
    if weights is not None and (wrong := known_outside(weights, 0, 1)) is not None:
        raise ValueError(f"lam must be in [0, 1], got {wrong}")
    if classes is not None and (wrong := known_outside(classes, 0, num_classes - 1)) is not None:
        raise ValueError(f"y must be classes in [0, {num_classes}), got {wrong}")
    if boxes is not None and (box := _outside_image(boxes, height, width)) is not None:
        raise ValueError(
            f"boxes must be top, left, height, width within {height} x {width}, got {box}"
        )
    assert perm is not None
    raise ValueError(f"perm must be a permutation of 0 to {len(perm) - 1}, got {perm.tolist()}")


def _outside_image(boxes: Tensor, height: int, width: int) -> list[int] | None:
    """Return a box that reaches out of its image, None if there is none."""
    limit = boxes.new_tensor((height, width))
    outside = (boxes < 0).any(dim=1) | (boxes[:, 2:] > limit - boxes[:, :2]).any(dim=1)
    wrong: list[list[int]] = boxes[outside][:1].tolist()
    return wrong[0] if wrong else None


define(
    "mixing_values",
    "(Tensor? lam, Tensor? perm, Tensor? classes, Tensor? boxes, SymInt num_classes, "
    "SymInt height, SymInt width) -> Tensor",
    reference=reference.mixing_values,
    fake=lambda *given: next(x for x in given[:4] if x is not None).new_empty((), dtype=torch.bool),
)
