"""From images to features, leaving the network exactly as it was."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from lelkern.evaluate.checks import check_images, positive_count


def to_unit(images: Tensor) -> Tensor:
    """Return images in 0..255, uint8, as numbers in [0, 1], float32.

    Args:
        images: (..., 3, H, W).

    Raises:
        ValueError: the images have another dtype: numbers from 0 to 1 would become black images.
    """
    if images.dtype != torch.uint8:
        raise ValueError(f"images must be uint8, got {images.dtype} {tuple(images.shape)}")
    return images.float() / 255


def extract(
    modules: Sequence[nn.Module],
    images: Tensor,
    *,
    batch_size: int = 512,
    device: torch.device | str | None = None,
    preprocess: Callable[[Tensor], Tensor] = to_unit,
) -> tuple[Tensor, ...]:
    """Return the outputs of each module of a chain for images.

    ``h, z = extract([encoder, head], images)`` gives representations and projections in one pass.

    The modules run in evaluation mode without gradients. Afterwards the training flag of every
    submodule is what it was, which matters where they differ, as with a frozen BatchNorm inside a
    model in training; weights and buffers are not touched.

    Args:
        modules: at least one. The first takes a preprocessed batch, each other what the one before
            it returns. All lie on one device; they are not moved.
        images: (N, 3, H, W) uint8, on any device.
        batch_size: images at a time.
        device: where batches are sent; that of the modules' first parameter where not given, or
            the CPU where they have none.
        preprocess: turns a uint8 batch on `device` into the first module's input: the place for a
            normalisation.

    Returns:
        For each module its outputs, (N, D) float32 on the CPU; further dimensions are flattened.

    Raises:
        ValueError: no modules, or images of another dtype or shape, or none of them, or a
            batch size below 1.
    """
    if not modules:
        raise ValueError("modules must hold at least one module, got none")
    check_images("images", images)
    batch_size = positive_count("batch_size", batch_size)
    if device is None:
        first = next(chain.from_iterable(module.parameters() for module in modules), None)
        device = torch.device("cpu") if first is None else first.device

    outputs: list[list[Tensor]] = [[] for _ in modules]
    # no_grad and not inference_mode: a module that caches a tensor in its forward pass, such as a
    # position encoding, could not be trained afterwards, since autograd refuses inference tensors.
    with torch.no_grad(), _evaluating(modules):
        for batch in torch.split(images, batch_size):
            x = preprocess(batch.to(device))
            for module, kept in zip(modules, outputs, strict=True):
                x = module(x)
                kept.append(x.flatten(1).float().cpu())
    return tuple(torch.cat(kept) for kept in outputs)


@contextmanager
def _evaluating(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put modules in evaluation mode inside a ``with`` block, and back afterwards."""
    before = [(m, m.training) for module in modules for m in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        # Not by train(): it sets all submodules to one value, and some classes override it.
        for m, training in before:
            m.training = training
