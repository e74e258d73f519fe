"""Label-efficient learning: fused PyTorch kernels, readable methods, repeatable ablations."""

from importlib.metadata import version

from lelkern import nn
from lelkern.ops import ContrastiveStats, ema_update_, info_nce, nt_xent, sup_con

__version__ = version("lelkern")

__all__ = ["ContrastiveStats", "__version__", "ema_update_", "info_nce", "nn", "nt_xent", "sup_con"]
