"""Modules over the ops, and what goes with them."""

from lelkern.nn.losses import InfoNCELoss, NTXentLoss, SigLIPLoss, SupConLoss
from lelkern.nn.model_ema import ModelEMA, get_ema_multi_avg_fn
from lelkern.nn.momentum import cosine_momentum

__all__ = [
    "InfoNCELoss",
    "ModelEMA",
    "NTXentLoss",
    "SigLIPLoss",
    "SupConLoss",
    "cosine_momentum",
    "get_ema_multi_avg_fn",
]
