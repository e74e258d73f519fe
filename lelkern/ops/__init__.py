"""The ops: functions over tensors with compiled kernels where there are some."""

from lelkern.ops._backend import Implementation, build_info, implementations, library_path
from lelkern.ops._contrastive import ContrastiveStats
from lelkern.ops.ema import ema_update_
from lelkern.ops.guess_labels import guess_labels
from lelkern.ops.info_nce import info_nce
from lelkern.ops.nt_xent import nt_xent
from lelkern.ops.sharpen import sharpen, sharpen_logits
from lelkern.ops.sup_con import sup_con

__all__ = [
    "ContrastiveStats",
    "Implementation",
    "build_info",
    "ema_update_",
    "guess_labels",
    "implementations",
    "info_nce",
    "library_path",
    "nt_xent",
    "sharpen",
    "sharpen_logits",
    "sup_con",
]
