"""The ops: functions over tensors with compiled kernels where there are some."""

from lelkern.ops._backend import Implementation, build_info, implementations, library_path
from lelkern.ops.nt_xent import nt_xent

__all__ = ["Implementation", "build_info", "implementations", "library_path", "nt_xent"]
