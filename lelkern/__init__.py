"""Label-efficient learning: fused PyTorch kernels, readable methods, repeatable ablations."""

from typing import Any

from lelkern import nn
from lelkern.ops import ContrastiveStats, ema_update_, info_nce, nt_xent, sup_con

__version__: str

__all__ = ["ContrastiveStats", "__version__", "ema_update_", "info_nce", "nn", "nt_xent", "sup_con"]


def __getattr__(name: str) -> Any:
    if name == "__version__":  # looked up when asked for: it is in a file of the installation
        from importlib.metadata import version

        return version("lelkern")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
