"""Label-efficient learning: fused PyTorch kernels, readable methods, repeatable ablations."""

from importlib.metadata import version

from lelkern.ops import nt_xent

__version__ = version("lelkern")

__all__ = ["__version__", "nt_xent"]
