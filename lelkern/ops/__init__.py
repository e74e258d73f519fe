"""The ops: functions over tensors with compiled kernels where there are some."""

from lelkern.ops._backend import Implementation, build_info, implementations, library_path
from lelkern.ops._contrastive import ContrastiveStats
from lelkern.ops.cutmix import cutmix, sample_cutmix_boxes
from lelkern.ops.ema import ema_update_
from lelkern.ops.info_nce import info_nce
from lelkern.ops.mixup import mixup
from lelkern.ops.mixup_lambda import sample_mixup_lambda
from lelkern.ops.nt_xent import nt_xent
from lelkern.ops.sup_con import sup_con

__all__ = [
    "ContrastiveStats",
    "Implementation",
    "build_info",
    "cutmix",
    "ema_update_",
    "implementations",
    "info_nce",
    "library_path",
    "mixup",
    "nt_xent",
    "sample_cutmix_boxes",
    "sample_mixup_lambda",
    "sup_con",
]
