"""Augmentations of whole batches on their device, each image with its own random parameters.

Those of SimCLR (Chen et al. 2020, Section 3 and Appendix A), and CutOut. Each class is the
configuration of one augmentation; ``build`` makes the module that maps images (B, 3, H, W), float
in [0, 1], to images of the same shape. Every image draws its own parameters, uniformly where
nothing else is said, from torch's global generator.
"""

from lelkern.augment.blur import Blur
from lelkern.augment.color import Color
from lelkern.augment.compose import Augment, Augmentation, AugmentConfig
from lelkern.augment.crop import Crop
from lelkern.augment.cutout import CutOut
from lelkern.augment.flip import Flip
from lelkern.augment.noise import Noise
from lelkern.augment.rotation import Rotation
from lelkern.augment.sobel import Sobel

__all__ = [
    "Augment",
    "AugmentConfig",
    "Augmentation",
    "Blur",
    "Color",
    "Crop",
    "CutOut",
    "Flip",
    "Noise",
    "Rotation",
    "Sobel",
]
