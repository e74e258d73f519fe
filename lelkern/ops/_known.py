"""What is known of the values of a tensor without waiting for them, for checks of arguments.

Nothing is known of a tensor on a GPU, for which one would have to wait, nor inside
``torch.compile`` or another tracer, nor under ``torch.func.vmap``, where a tensor has many values.
"""

import torch
from torch import Tensor


def known_number(x: Tensor) -> float | None:
    """Return the value of a tensor with one element, None if it is not known."""
    if not is_looked_at(x):
        return None
    try:
        value: float = x.item()
    except RuntimeError:  # under vmap it has many
        return None
    return None if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool) else value


def known_ends(x: Tensor) -> tuple[float, float] | None:
    """Return the least and the largest value, nan for both if one is; None if they are not known.

    Nor are there any of a tensor without elements.
    """
    if not is_looked_at(x) or x.numel() == 0:
        return None
    least, largest = map(known_number, x.detach().aminmax())
    return None if least is None or largest is None else (least, largest)


def known_outside(values: Tensor, least: float, largest: float) -> float | None:
    """Return a value that is not in [least, largest], None if there is none as far as is known."""
    ends = known_ends(values)
    if ends is None or (least <= ends[0] and ends[1] <= largest):
        return None
    values = values.detach()
    wrong: float = values[~((values >= least) & (values <= largest))][0].item()
    return wrong


def is_looked_at(x: Tensor) -> bool:
    """Whether values of a tensor may be known."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
