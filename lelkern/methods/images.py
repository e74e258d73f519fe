"""What methods of every chapter ask of images: which to learn from, and whether they will do."""

import torch
from torch import Tensor

from lelkern.data import ImageData


def training_images(data: ImageData) -> Tensor:
    """Return all images that may be learned from, (N, 3, H, W), whether or not they have labels."""
    if data.unlabeled_images is None:
        return data.train_images
    return torch.cat([data.train_images, data.unlabeled_images])


def labelled_images(data: ImageData) -> tuple[Tensor, Tensor]:
    """Return the training images whose labels are visible, (L, 3, H, W), and these labels."""
    visible = data.train_labels >= 0
    return data.train_images[visible], data.train_labels[visible]


def check_batch(key: str, size: int, number: int) -> None:
    """Raise ValueError if there are too few training images for a batch of different ones."""
    if number < size:
        raise ValueError(
            f"{key} must be at most the number of training images, {number}, got {size}"
        )


def check_square(height: int, width: int) -> None:
    """Raise ValueError if images are not square."""
    if height != width:
        raise ValueError(f"images must be square, got {height}x{width}; set data.image_size")


def check_labels(data: ImageData) -> None:
    """Raise ValueError if no classifier can be fitted to what is labelled."""
    classes = int((torch.unique(data.train_labels) >= 0).sum())
    if classes < 2:
        raise ValueError(f"training labels of at least 2 classes must be visible, got {classes}")
