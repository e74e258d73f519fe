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


def power_momentum(step: int, gamma: float) -> float:
    r"""Return the momentum of update number ``step`` of a power-function average.

    .. math:: \beta_\gamma(t) = (1 - 1/t)^{\gamma + 1}, \quad t = \text{step} + 1,

    after which the average weighs the model of update s by
    :math:`(s^{\gamma + 1} - (s - 1)^{\gamma + 1}) / t^{\gamma + 1}`: Section 3.1 of
    Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion Models", CVPR 2024.

    Args:
        step: number of the update, from 0, which copies the model.
        gamma: at least 0, where 0 is the average of all updates alike;
            :func:`lelkern.nn.sigma_rel_to_gamma` has that of a width.

    Returns:
        The momentum, in [0, 1).

    Raises:
        ValueError: an argument is not in its range.
    """
    if step < 0:
        raise ValueError(f"step must be at least 0, got {step}")
    if not 0 <= gamma < math.inf:
        raise ValueError(f"gamma must be at least 0 and finite, got {gamma}")
    return (1 - 1 / (step + 1)) ** (gamma + 1)
