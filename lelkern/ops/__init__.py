"""The ops: functions over tensors with compiled kernels where there are some."""

from lelkern.ops._backend import Implementation, build_info, implementations, library_path
from lelkern.ops._contrastive import ContrastiveStats
from lelkern.ops._groups import CSRGroups
from lelkern.ops.cutmix import cutmix, sample_cutmix_boxes
from lelkern.ops.ema import ema_update_
from lelkern.ops.guess_labels import guess_labels
from lelkern.ops.info_nce import info_nce
from lelkern.ops.mixmatch import MixMatchBatch, mixmatch
from lelkern.ops.mixup import mixup
from lelkern.ops.mixup_lambda import sample_mixup_lambda
from lelkern.ops.nt_xent import nt_xent
from lelkern.ops.project_l1inf import project_l1inf_ball, project_l1inf_ball_
from lelkern.ops.project_simplex import (
    project_l1_ball,
    project_l1_ball_,
    project_simplex,
    project_simplex_,
)
from lelkern.ops.prox_group import (
    prox_group_lasso,
    prox_group_lasso_,
    prox_sparse_group_lasso,
    prox_sparse_group_lasso_,
)
from lelkern.ops.prox_l1 import prox_l1, prox_l1_
from lelkern.ops.prox_nuclear import prox_nuclear, prox_nuclear_
from lelkern.ops.prox_sgd import prox_sgd_
from lelkern.ops.sharpen import sharpen, sharpen_logits
from lelkern.ops.siglip import siglip
from lelkern.ops.sup_con import sup_con

__all__ = [
    "CSRGroups",
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
    "project_l1_ball",
    "project_l1_ball_",
    "project_l1inf_ball",
    "project_l1inf_ball_",
    "project_simplex",
    "project_simplex_",
    "prox_group_lasso",
    "prox_group_lasso_",
    "prox_l1",
    "prox_l1_",
    "prox_nuclear",
    "prox_nuclear_",
    "prox_sgd_",
    "prox_sparse_group_lasso",
    "prox_sparse_group_lasso_",
    "sample_cutmix_boxes",
    "sample_mixup_lambda",
    "sharpen",
    "sharpen_logits",
    "siglip",
    "sup_con",
]
