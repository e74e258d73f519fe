"""Features as directions, which is all that cosine similarity sees of them."""

import torch
import torch.nn.functional as F
from torch import Tensor


def unit_rows(x: Tensor) -> Tensor:
    """Scale the rows of x (N, D) to norm 1, in float32 (float64 stays); a zero row stays zero."""
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=1)
