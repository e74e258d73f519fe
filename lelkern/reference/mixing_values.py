"""What values may be mixed with, in plain PyTorch."""

import torch
from torch import Tensor


def mixing_values(
    lam: Tensor | None, perm: Tensor | None, classes: Tensor | None, num_classes: int
) -> Tensor:
    """Return whether everything that is given may be mixed with: a boolean without dimensions.

    That is lambda (R,) in [0, 1], a permutation (R,), and classes (N,) in [0, num_classes).
    """
    given = next(x for x in (lam, perm, classes) if x is not None)
    right = given.new_ones((), dtype=torch.bool)
    if lam is not None:
        right = right & ((lam >= 0) & (lam <= 1)).all()
    if perm is not None:
        right = right & (perm.sort().values == torch.arange(len(perm), device=perm.device)).all()
    if classes is not None:
        right = right & ((classes >= 0) & (classes < num_classes)).all()
    return right
