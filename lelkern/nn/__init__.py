"""Modules over the ops, and what goes with them."""

from lelkern.nn._power_profiles import sigma_rel_to_gamma
from lelkern.nn.key_queue import KeyQueue
from lelkern.nn.losses import InfoNCELoss, NTXentLoss, SigLIPLoss, SupConLoss
from lelkern.nn.model_ema import ModelEMA, get_ema_multi_avg_fn
from lelkern.nn.momentum import cosine_momentum, power_momentum
from lelkern.nn.power_ema import PowerEMA, Synthesis

__all__ = [
    "InfoNCELoss",
    "KeyQueue",
    "ModelEMA",
    "NTXentLoss",
    "PowerEMA",
    "SigLIPLoss",
    "SupConLoss",
    "Synthesis",
    "cosine_momentum",
    "get_ema_multi_avg_fn",
    "power_momentum",
    "sigma_rel_to_gamma",
]
