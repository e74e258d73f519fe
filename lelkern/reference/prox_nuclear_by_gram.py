"""The proximal operator of the nuclear norm in float32, by a Gram matrix in float64.

The eigenvalues of the smaller one of W'W and WW' are the squares of the singular values, so that
those below the square root of a number's precision are lost beside the largest: in float64 those
below 1.5e-8 of it, which is a quarter of what float32 tells apart. No square of a float32 number is
too large or too small for float64.
"""

import torch
from torch import Tensor


def prox_nuclear_by_gram(w: Tensor, t: Tensor) -> Tensor:
    """Return U max(S - t, 0) V' of w = U S V' (..., m, n), float32 and finite.

    For m >= n it is W V max(1 - t / S, 0) V' with V of the eigenvectors of W'W. Closer to the exact
    result than by a singular value decomposition in float32, and no gradient.

    Args:
        w: (..., m, n) float32.
        t: (), or one a matrix (...), above 0.
    """
    a = w if w.shape[-2] >= w.shape[-1] else w.mT
    wide = a.double()
    squares, v = torch.linalg.eigh(wide.mT @ wide)
    s = squares.clamp(min=0).sqrt()
    t = t.double().unsqueeze(-1)
    shrunk = torch.where(s > t, 1 - t / s, 0)
    x = a @ ((v * shrunk.unsqueeze(-2)) @ v.mT).to(w.dtype)
    return x if a is w else x.mT
