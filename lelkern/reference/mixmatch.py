"""MixMatch in plain PyTorch, step by step: Berthelot et al., NeurIPS 2019, Algorithm 1."""

import torch
from torch import Tensor


def mixmatch(
    x: Tensor,
    y: Tensor,
    u: Tensor,
    guesses: Tensor,
    lam: Tensor,
    perm: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return images and targets of X' and U', one after the other.

    Args:
        x: (N, ...) labelled images, floating point, augmented (line 3).
        y: (N, C) their labels.
        u: (K, B, ...) unlabelled images, augmented K times (line 5).
        guesses: (B, C) their labels, guessed and sharpened (lines 7 and 8).
        lam: (N + K B,) of both MixUps.
        perm: (N + K B,) the order of W.
    """
    K = len(u)
    images = torch.cat((x, *u))  # X^ and U^, lines 10 and 11
    labels = torch.cat((y, *[guesses] * K))
    W = images[perm], labels[perm]  # line 12

    def mixed(rows: Tensor, partners: Tensor) -> Tensor:
        weight = lam.to(rows.dtype).reshape(-1, *(1 for _ in rows.shape[1:]))
        return weight * rows + (1 - weight) * partners  # equation 10

    # Lines 13 and 14: row i of X^ meets W_i, and row i of U^ meets W_(N + i).
    return mixed(images, W[0]), mixed(labels, W[1])
