"""Augmentations of whole batches on their device, each image with its own random parameters."""

from lelkern.augment.compose import Augment, Augmentation, AugmentConfig
from lelkern.augment.transforms import Blur, Color, Crop, CutOut, Flip, Rotation

__all__ = [
    "Augment",
    "AugmentConfig",
    "Augmentation",
    "Blur",
    "Color",
    "Crop",
    "CutOut",
    "Flip",
    "Rotation",
]
