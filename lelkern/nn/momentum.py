"""Schedules of the momentum of an average."""

import math
import warnings

from lelkern.ops._ema import check_decay


def cosine_momentum(step: int, total_steps: int, start: float = 0.996, end: float = 1.0) -> float:
    r"""Return the momentum of update number ``step`` on a cosine from ``start`` to ``end``.

    .. math:: \text{end} - (\text{end} - \text{start})\,(\cos(\pi\,\text{step} / \text{total}) + 1)
        \,/\,2

    as in section 3.2 of Grill et al., "Bootstrap Your Own Latent", NeurIPS 2020, and in the code of
    MoCo v3 and DINO. Updates have the numbers 0 ... ``total_steps`` - 1, of which the last one does
    not quite reach ``end``: with 1 it would leave the average alone. Others, lightly among them,
    reach ``end`` at the last update; for that give ``total_steps - 1``.

    Args:
        step: number of the update, from 0; from ``total_steps`` on it is ``end``, with a warning
            past it, which Python shows once.
        total_steps: of the whole training, at least 1.
        start: momentum of the first update, in [0, 1].
        end: momentum after the last, in [0, 1].

    Returns:
        The momentum, in [0, 1].

    Raises:
        ValueError: an argument is not in its range.
    """
    if total_steps < 1:
        raise ValueError(f"total_steps must be at least 1, got {total_steps}")
    if step < 0:
        raise ValueError(f"step must be at least 0, got {step}")
    check_decay(start, "start")
    check_decay(end, "end")
    if step > total_steps:
        # The same words for every step: it is these that Python shows once.
        warnings.warn(
            f"step is past total_steps = {total_steps}: the momentum stays {end}", stacklevel=2
        )
        return end
    return end - (end - start) * (math.cos(math.pi * step / total_steps) + 1) / 2
