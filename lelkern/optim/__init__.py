"""Optimisers: proximal ones, which minimise objectives with sparsity penalties, and helpers.

What the methods train with is imported when it is first used: its configuration needs a package
that the proximal optimisers do not.
"""

from typing import TYPE_CHECKING, Any

from lelkern.optim.fista import FistaResult, fista
from lelkern.optim.proximal_adam import ProximalAdam
from lelkern.optim.proximal_sgd import ProximalSGD
from lelkern.optim.proximal_step import ProximalStep

if TYPE_CHECKING:
    from lelkern.optim.optimisation import Optimisation, OptimizerConfig, warmup_cosine

__all__ = [
    "FistaResult",
    "Optimisation",
    "OptimizerConfig",
    "ProximalAdam",
    "ProximalSGD",
    "ProximalStep",
    "fista",
    "warmup_cosine",
]


if not TYPE_CHECKING:  # for whom a name that is missing would be of any type

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'lelkern.optim' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module("lelkern.optim.optimisation"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
