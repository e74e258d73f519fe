"""Sine waves: the regression tasks of MAML (Finn, Abbeel & Levine 2017, Section 5.1)."""

import math

import torch
from torch import Tensor

from lelkern.data.function_family import FunctionFamily
from lelkern.data.registry import register

VERSION = 1
"""Raised whenever the same generator would give other samples, so that caches notice."""

_AMPLITUDE, _PHASE, _X = (0.1, 5.0), (0.0, math.pi), (-5.0, 5.0)


@register(
    "sine-waves", FunctionFamily, summary="sines of random amplitude and phase", version=VERSION
)
def sine_waves() -> FunctionFamily:
    """Return the family y = A sin(x - phase), everything uniform.

    The amplitude A is in [0.1, 5], the phase in [0, pi], x in [-5, 5].
    """
    return FunctionFamily(
        name="sine-waves",
        formula="y = A sin(x - phase), A in [0.1, 5], phase in [0, pi], x in [-5, 5]",
        inputs=1,
        outputs=1,
        draw=_draw,
    )


def _draw(tasks: int, shots: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(shape).uniform_(low, high, generator=generator)

    amplitude = uniform(*_AMPLITUDE, tasks, 1, 1)
    phase = uniform(*_PHASE, tasks, 1, 1)
    x = uniform(*_X, tasks, shots, 1)
    return x, amplitude * torch.sin(x - phase)
