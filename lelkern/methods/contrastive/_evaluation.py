"""What contrastive methods are judged by, once their encoder is frozen."""

import math
from collections.abc import Mapping
from typing import Literal

from torch import nn

from lelkern.augment import Augment, AugmentConfig
from lelkern.data import ImageData
from lelkern.evaluate import (
    alignment,
    contrastive_statistics,
    extract,
    knn,
    linear_probe,
    tolerance,
    uniformity,
)
from lelkern.evaluate.features import to_unit
from lelkern.methods.images import check_labels, labelled_images
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.training import seeded

CLASSIFIERS: Mapping[str, Metric] = {
    "linear_probe": percentage("linear probe"),
    "knn": percentage("k-NN"),
}
"""Accuracy of classifiers that are fitted to a representation."""

METRICS: Mapping[str, Metric] = {
    **CLASSIFIERS,
    "linear_probe_projection": percentage("linear probe on projection"),
    "knn_projection": percentage("k-NN on projection"),
    "contrastive_accuracy": percentage("contrastive accuracy"),
    "contrastive_entropy": Metric("contrastive entropy", unit="nats", digits=2),
    "alignment": Metric("alignment", better="lower"),
    "uniformity": Metric("uniformity", better="lower", unit="nats", digits=2),
    "tolerance": Metric("tolerance"),
    "parameters": Metric("encoder parameters", digits=0),
    "final_loss": Metric("final loss", better="lower", unit="nats"),
}
"""What every contrastive method reports: that of :func:`evaluate`, and ``final_loss``."""


def evaluate(
    encoder: nn.Module,
    head: nn.Module,
    augment: AugmentConfig,
    temperature: float,
    data: ImageData,
    seed: int,
    *,
    augmented: Literal["both", "one"] = "both",
    normalize: bool = True,
) -> dict[str, float]:
    """Judge h = f(x) and z = g(h); both networks stay as they are.

    Accuracies are those of classifiers that are fitted to features of the labelled training
    images and tested on the test images. What is measured on z follows the loss: contrastive
    accuracy and entropy and alignment on two augmented views of every test image, uniformity and
    tolerance on the test images as they are.

    Args:
        encoder: f: images (N, 3, H, W), float in [0, 1], to h (N, features).
        head: g: h to z (N, out).
        augment: the augmentations that make the views.
        temperature: of the contrastive distribution.
        data: images, with at least two classes among the visible labels.
        seed: decides the views.
        augmented: whether both views are, or the second is the image itself.
        normalize: whether the contrastive distribution is one of cosines, or of dot products.

    Returns:
        The metrics by name; tolerance is NaN where no two test images share a class.
    """
    train_x, train_y = labelled_images(data)
    train_h, train_z = extract([encoder, head], train_x)
    test_h, test_z = extract([encoder, head], data.test_images)
    test_y = data.test_labels
    size = data.test_images.shape[-1]
    one = Augment(augment, size)
    other = one if augmented == "both" else Augment((), size)
    with seeded(seed):
        _, z1 = extract([encoder, head], data.test_images, preprocess=lambda x: one(to_unit(x)))
        _, z2 = extract([encoder, head], data.test_images, preprocess=lambda x: other(to_unit(x)))
    contrastive = contrastive_statistics(z1, z2, temperature, normalize=normalize)
    return {
        "linear_probe": linear_probe(train_h, train_y, test_h, test_y),
        "knn": knn(train_h, train_y, test_h, test_y),
        "linear_probe_projection": linear_probe(train_z, train_y, test_z, test_y),
        "knn_projection": knn(train_z, train_y, test_z, test_y),
        "contrastive_accuracy": contrastive.accuracy,
        "contrastive_entropy": contrastive.entropy,
        "alignment": alignment(z1, z2),
        "uniformity": uniformity(test_z),
        "tolerance": tolerance(test_z, test_y) if int(test_y.bincount().max()) > 1 else math.nan,
        "parameters": float(sum(p.numel() for p in encoder.parameters())),
    }


def check_evaluation(data: ImageData) -> None:
    """Raise ValueError if the data do not serve to judge an encoder."""
    check_labels(data)
    if len(data.test_images) < 2:  # uniformity is about pairs
        raise ValueError(f"there must be at least 2 test images, got {len(data.test_images)}")
