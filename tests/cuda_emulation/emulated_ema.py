"""Moving averages by the emulated CUDA kernel, called as the reference is."""

from collections.abc import Sequence
from pathlib import Path

import emulation
import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("ema_kernels.cpp")
ELEMENTS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
PAGE = 4096  # where storages begin: their tensors are aligned as PyTorch's are


def module() -> emulation.Module:
    return emulation.load(SOURCE)


def update_(
    ema: Sequence[Tensor],
    params: Sequence[Tensor],
    decay: float | Tensor,
    seed: Tensor | None = None,
    *,
    large_parameters: bool = True,
) -> None:
    """Do what lelkern.reference.ema.ema_update_ does.

    The storages of all tensors are copied into one piece of memory, and back: what a kernel writes
    beside an average is there afterwards, and beyond the first and the last it is reported.
    """
    storages: dict[int, tuple[Tensor, int]] = {}
    size = 0
    for tensor in (*ema, *params):
        storage = tensor.untyped_storage()
        if tensor.numel() == 0 or storage.data_ptr() in storages:
            continue
        size = -(-size // PAGE) * PAGE
        whole = torch.empty(0, dtype=torch.uint8).set_(storage)
        storages[storage.data_ptr()] = whole, size
        size += len(whole)
    memory = torch.full((size,), 255, dtype=torch.uint8)
    for whole, at in storages.values():
        memory[at : at + len(whole)] = whole

    def place(tensor: Tensor) -> int:
        if tensor.numel() == 0:
            return 0
        start = tensor.untyped_storage().data_ptr()
        return storages[start][1] + tensor.data_ptr() - start

    pairs, dimensions = [], []
    for average, parameter in zip(ema, params, strict=True):
        own = dimensions_of(average, parameter)
        types = ELEMENTS.index(average.dtype), ELEMENTS.index(parameter.dtype)
        pairs.append([place(average), place(parameter), *types, average.numel(), len(own)])
        dimensions += own
    tensor = decay if isinstance(decay, Tensor) else None
    status = module().update(
        memory,
        torch.tensor(pairs, dtype=torch.int64).flatten(),
        len(pairs),
        torch.tensor(dimensions, dtype=torch.int64).flatten(),
        0.0 if tensor is not None else decay,
        tensor,
        seed,
        large_parameters,
    )
    assert status == 0
    for whole, at in storages.values():
        whole.copy_(memory[at : at + len(whole)])


def dimensions_of(average: Tensor, parameter: Tensor) -> list[tuple[int, int, int]]:
    """Return size and both strides of every dimension, the innermost first; none if both are flat.

    Unlike those that the op passes, neighbours are not joined.
    """
    found = sorted(
        (of_average, of_parameter, size)
        for size, of_average, of_parameter in zip(
            average.shape, average.stride(), parameter.stride(), strict=True
        )
        if size != 1
    )
    step = 1
    for of_average, of_parameter, size in found:
        if average.numel() and (of_average, of_parameter) != (step, step):
            return [(size, of_average, of_parameter) for of_average, of_parameter, size in found]
        step *= size
    return []
