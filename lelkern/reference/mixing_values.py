"""What values may be mixed with, in plain PyTorch."""

import torch
from torch import Tensor


def mixing_values(
    lam: Tensor | None,
    perm: Tensor | None,
    classes: Tensor | None,
    boxes: Tensor | None,
    num_classes: int,
    height: int,
    width: int,
) -> Tensor:
    """Return whether everything that is given may be mixed with: a boolean without dimensions.

    That is lambda (R,) in [0, 1], a permutation (R,), classes (N,) in [0, num_classes), and boxes
    (R, 4), top, left, height and width, within an image.
    """
    given = [x for x in (lam, perm, classes, boxes) if x is not None]
    if not given:
        raise RuntimeError("one of lam, perm, classes and boxes must be given")
    right = given[0].new_ones((), dtype=torch.bool)
    if lam is not None:
        right = right & ((lam >= 0) & (lam <= 1)).all()
    if perm is not None:
        right = right & (perm.sort().values == torch.arange(len(perm), device=perm.device)).all()
    if classes is not None:
        right = right & ((classes >= 0) & (classes < num_classes)).all()
    if boxes is not None:
        start, size = boxes[:, :2], boxes[:, 2:]
        limit = boxes.new_tensor((height, width))
        # Without a sum, which may be too large to be a number.
        within = (start >= 0) & (size >= 0) & (start <= limit) & (size <= limit - start)
        right = right & within.all()
    return right
