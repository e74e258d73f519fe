"""How much a network computes for an image."""

from copy import deepcopy

import torch
from torch import Tensor, nn


def multiply_adds(model: nn.Module, image: Tensor) -> int:
    """Return the number of multiplications that convolutions and linear layers do for one image.

    Args:
        model: of ordinary layers; it stays as it is.
        image: (3, H, W), float in [0, 1].
    """
    model, total = deepcopy(model).eval(), 0

    def count(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, Tensor)
        total += output[0, 0].numel() * weight.numel()  # at every place of a channel all weights

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        model(image[None])
    return total
