"""Which layers of a classifier feed which, so that whole filters can be taken out."""

from collections.abc import Mapping
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lelkern.methods.multi_task._classifier import Classifier
from lelkern.methods.multi_task._filter_bank import FilterBank


class _Layer(NamedTuple):
    """A convolution with its BatchNorm, by the module that holds both and their names there."""

    holder: nn.Module
    conv: str
    norm: str


class _Chain(NamedTuple):
    """Layers that feed each other, with nothing but ReLUs and pooling between them.

    Attributes:
        layers: those whose filters may go; each is the only one that the one before it feeds.
        holder: of what the last of them feeds, a convolution or a linear layer, which loses no
            output but only inputs.
        last: its name there.
    """

    layers: list[_Layer]
    holder: nn.Module
    last: str


def _chains(model: Classifier) -> list[_Chain]:
    """Return all chains of an encoder of either family and the linear layer above it.

    In a ResNet every block is a chain: its last convolution is added to what goes past the block,
    and so are those of others, which therefore keep all of their filters.
    """
    layers = model.encoder.layers
    if isinstance(layers, nn.Sequential):
        convs = [int(name) for name, m in layers.named_children() if _is_filters(m)]
        return [_Chain([_Layer(layers, str(i), str(i + 1)) for i in convs], model, "linear")]
    blocks = [module for module in layers.modules() if hasattr(module, "conv2")]
    chains = []
    for block in blocks:
        number = 3 if hasattr(block, "conv3") else 2
        inner = [_Layer(block, f"conv{i}", f"bn{i}") for i in range(1, number)]
        chains.append(_Chain(inner, block, f"conv{number}"))
    return chains


def _is_filters(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | FilterBank)


def group_filters(model: Classifier) -> list[FilterBank]:
    """Make every convolution whose filters may go a filter bank, in place, and return these.

    Args:
        model: with an encoder of either family.
    """
    banks = []
    for chain in _chains(model):
        for holder, conv, norm in chain.layers:
            bank = FilterBank(getattr(holder, conv), getattr(holder, norm))
            setattr(holder, conv, bank)
            setattr(holder, norm, nn.Identity())
            banks.append(bank)
    return banks


def without_dead_filters(model: Classifier) -> Classifier:
    """Return a smaller model of ordinary layers that computes the same.

    What is zero is left out: filters, their part of BatchNorm, and the channels of the next layer
    that they would feed. A layer whose filters are all zero keeps one of them.

    Args:
        model: after :func:`group_filters`; it stays as it is.
    """
    model = deepcopy(model)
    for chain in _chains(model):
        inputs: Tensor | None = None  # of the first layer of a chain all
        for holder, conv, norm in chain.layers:
            bank: FilterBank = getattr(holder, conv)
            filters = bank.alive()
            if not filters.any():
                filters[0] = True
            for name, layer in zip((conv, norm), bank.layers(filters, inputs), strict=True):
                setattr(holder, name, layer)
            inputs = filters
        assert inputs is not None
        _keep_inputs(getattr(chain.holder, chain.last), inputs)
    model.encoder.features = model.linear.in_features
    return model


def resize_layers(model: Classifier, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Give the layers of a model other sizes, in place, and weights that mean nothing.

    Args:
        model: of ordinary layers, with an encoder of either family.
        shapes: of the weights of convolutions, BatchNorms and linear layers, by name.
    """
    for name, layer in model.named_modules():
        shape = shapes.get(f"{name}.weight")
        if shape is None:
            continue
        if isinstance(layer, nn.Conv2d):
            layer.out_channels, layer.in_channels = shape[:2]
            layer.weight = nn.Parameter(torch.empty(shape))
        elif isinstance(layer, nn.Linear):
            layer.out_features, layer.in_features = shape
            layer.weight = nn.Parameter(torch.empty(shape))
        elif isinstance(layer, nn.BatchNorm2d):
            (layer.num_features,) = shape
            layer.weight, layer.bias = (nn.Parameter(torch.empty(shape)) for _ in range(2))
            layer.running_mean, layer.running_var = torch.empty(shape), torch.empty(shape)
    model.encoder.features = model.linear.in_features


def _keep_inputs(layer: nn.Conv2d | nn.Linear, inputs: Tensor) -> None:
    """Leave a layer those of its inputs, (I,) bool, in place."""
    layer.weight = nn.Parameter(layer.weight.detach()[:, inputs].contiguous())
    number = int(inputs.sum())
    if isinstance(layer, nn.Conv2d):
        layer.in_channels = number
    else:
        layer.in_features = number
