"""Encoders and projection heads, built from their configurations."""

from lelkern.models.encoder import ConvEncoderConfig, EncoderConfig, ResNetEncoderConfig
from lelkern.models.head import HeadConfig, ProjectionHead

__all__ = [
    "ConvEncoderConfig",
    "EncoderConfig",
    "HeadConfig",
    "ProjectionHead",
    "ResNetEncoderConfig",
]
