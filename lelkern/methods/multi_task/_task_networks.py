"""A network for each task, and how far they are from each other."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lelkern.methods.method import Blueprint
from lelkern.methods.multi_task._classifier import Classifier
from lelkern.methods.multi_task._deep_config import DeepConfig


class TaskNetworks(nn.Module):
    """T networks as one, for evaluation: the logits of all tasks side by side.

    Attributes:
        networks: images (N, 3, H, W) to the logits (N, C_t) of task t.
    """

    def __init__(self, networks: Sequence[Classifier]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W), float in [0, 1], to logits (N, sum of C_t)."""
        return torch.cat([network(images) for network in self.networks], dim=1)


def build(config: DeepConfig, blueprint: Blueprint) -> TaskNetworks:
    """Make networks of the form of those that a recipe trained."""
    return TaskNetworks(
        [
            Classifier(config.encoder, len(classes), blueprint.runtime)
            for classes in blueprint.form.classes
        ]
    )


def known(network: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return a network's logits for the images of a batch whose label is known, and these labels.

    Images without a label do not enter the statistics of BatchNorm either.

    Args:
        network: images (K, 3, H, W) to logits (K, C).
        x: all images of the batch, (N, 3, H, W).
        y: their labels of one task, (N,) int64, -1 where there is none.
    """
    rows = y >= 0
    return network(x[rows]), y[rows]
