"""Encoders and projection heads, built from their configurations."""

from lelkern.models.encoder import (
    ConvEncoderConfig,
    Encoder,
    EncoderConfig,
    ResNetEncoderConfig,
)
from lelkern.models.head import HeadConfig, ProjectionHead
from lelkern.models.split_batch_norm import SplitBatchNorm, split_batch_norms

__all__ = [
    "ConvEncoderConfig",
    "Encoder",
    "EncoderConfig",
    "HeadConfig",
    "ProjectionHead",
    "ResNetEncoderConfig",
    "SplitBatchNorm",
    "split_batch_norms",
]
