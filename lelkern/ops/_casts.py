"""What autocast keeps of tensors that change."""

from collections.abc import Sequence

import torch
from torch import Tensor


def forget_casts(changed: Sequence[Tensor]) -> None:
    """Have autocast cast anew what has changed in place.

    It keeps its casts of parameters to the end of its region. A compiled function forgets them when
    it runs, by an op that says that it changes the tensors, as nothing else keeps it in its place;
    not every PyTorch that lelkern supports can trace the function itself.
    """
    if torch.compiler.is_compiling():
        _forget_casts_of(list(changed))
    else:
        torch.clear_autocast_cache()


@torch.library.custom_op("lelkern::forget_casts_of_", mutates_args=("changed",))
def _forget_casts_of(changed: Sequence[Tensor]) -> None:
    torch.clear_autocast_cache()
