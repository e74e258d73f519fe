"""What every contrastive method is judged by, once its encoder is frozen."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

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


def evaluate_contrastive(
    encoder: nn.Module,
    head: nn.Module,
    view: Callable[[Tensor], Tensor],
    temperature: float,
    data: ImageData,
    seed: int,
) -> dict[str, float]:
    """Judge h = f(x) and z = g(h); both networks stay as they are.

    Accuracies are those of classifiers that are fitted to features of the labelled training
    images and tested on the test images. What is measured on z follows the loss: contrastive
    accuracy and entropy and alignment on two augmented views of every test image, uniformity and
    tolerance on the test images as they are.

    Args:
        encoder: f: images (B, 3, H, W), float in [0, 1], to h (B, features).
        head: g: h to z.
        view: draws an augmented view, float, of each image of a batch, uint8.
        temperature: of the contrastive distribution.
        data: labelled images.
        seed: decides the augmented views.

    Returns:
        Metrics by name; see :data:`lelkern.ablation.metrics.METRICS` for what each one means.
    """
    train_h, train_z = extract([encoder, head], data.train_images)
    test_h, test_z = extract([encoder, head], data.test_images)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _, z1 = extract([encoder, head], data.test_images, preprocess=view)
        _, z2 = extract([encoder, head], data.test_images, preprocess=view)
    contrastive = contrastive_statistics(z1, z2, temperature)
    train_y, test_y = data.train_labels, data.test_labels
    metrics = {
        "linear_probe": linear_probe(train_h, train_y, test_h, test_y),
        "linear_probe_projection": linear_probe(train_z, train_y, test_z, test_y),
        "knn": knn(train_h, train_y, test_h, test_y),
        "knn_projection": knn(train_z, train_y, test_z, test_y),
        "contrastive_accuracy": contrastive.accuracy,
        "contrastive_entropy": contrastive.entropy,
        "alignment": alignment(z1, z2),
        "uniformity": uniformity(test_z),
        "parameters": float(sum(p.numel() for p in encoder.parameters())),
    }
    if int(test_y.bincount().max()) > 1:  # tolerance compares test images of one class
        metrics["tolerance"] = tolerance(test_z, test_y)
    return metrics
