"""The ops: functions over tensors with compiled kernels where there are some."""

from lelkern.ops._backend import Implementation, build_info, implementations, library_path
from lelkern.ops._contrastive import ContrastiveStats
from lelkern.ops.cutmix import cutmix, sample_cutmix_boxes
from lelkern.ops.ema import ema_update_
from lelkern.ops.guess_labels import guess_labels
from lelkern.ops.info_nce import info_nce
from lelkern.ops.mixmatch import MixMatchBatch, mixmatch
from lelkern.ops.mixup import mixup
from lelkern.ops.mixup_lambda import sample_mixup_lambda
from lelkern.ops.nt_xent import nt_xent
from lelkern.ops.sharpen import sharpen, sharpen_logits
from lelkern.ops.sup_con import sup_con

__all__ = [
    "ContrastiveStats",
    "Implementation",
    "MixMatchBatch",
    "build_info",
    "cutmix",
    "ema_update_",
    "guess_labels",
    "implementations",
    "info_nce",
    "library_path",
    "mixmatch",
    "mixup",
    "nt_xent",
    "sample_cutmix_boxes",
    "sample_mixup_lambda",
    "sharpen",
    "sharpen_logits",
    "sup_con",
]
