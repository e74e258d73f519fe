"""Features as directions, which is all that cosine similarity sees of them."""

import torch
import torch.nn.functional as F
from torch import Tensor


def unit_rows(x: Tensor) -> Tensor:
    """Return the rows of x (N, D) at norm 1, in float32 or float64; a zero row stays zero."""
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=1)
