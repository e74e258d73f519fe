"""Label-efficient learning: fused PyTorch kernels, readable methods, repeatable ablations."""

from importlib.metadata import version

from lelkern import nn
from lelkern.ops import nt_xent

__version__ = version("lelkern")

__all__ = ["__version__", "nn", "nt_xent"]
