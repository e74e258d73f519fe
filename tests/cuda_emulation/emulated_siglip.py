"""SigLIP's loss by the emulated CUDA kernels, called as the reference is."""

from pathlib import Path
from typing import NamedTuple

import emulation
import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("siglip_kernels.cpp")


class Case(NamedTuple):
    """A loss and its inputs."""

    query: Tensor
    key: Tensor
    scale: Tensor
    bias: Tensor
    ids: Tensor | None = None
    key_ids: Tensor | None = None
    normalize: bool = True


def module() -> emulation.Module:
    return emulation.load(SOURCE)


def launches() -> int:
    """Return how many kernels were launched since the last call."""
    return module().take_launches()


def _nan(*shape: int, like: Tensor) -> Tensor:
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return torch.full(shape, torch.nan, dtype=dtype)


def _workspace(size: int) -> Tensor:
    """Return so many bytes, an even number, that are NaN or a large whole number in every type."""
    return torch.full((size // 2,), 0x7FFF, dtype=torch.int16).view(torch.uint8)


def forward(case: Case, terms: int, *, multiprocessors: int = 2) -> tuple[Tensor, Tensor]:
    """Return losses and slopes."""
    arguments = (*case, terms, multiprocessors)
    N = len(case.query)
    losses, slopes = _nan(N, like=case.query), _nan(2, N, like=case.query)
    kernels = module()
    workspace = _workspace(kernels.forward_workspace(*arguments))
    assert kernels.forward(*arguments, losses, slopes, workspace) == 0
    return losses, slopes


def backward(
    case: Case,
    terms: int,
    grad: Tensor,
    slopes: Tensor,
    *,
    key_gradients: bool = True,
    multiprocessors: int = 2,
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """Return the gradients of queries, keys, scale and bias."""
    arguments = (*case, terms, multiprocessors)
    to_query, to_key, to_scale, to_bias = (torch.full_like(x, torch.nan) for x in case[:4])
    of_keys = to_key if key_gradients else None
    kernels = module()
    workspace = _workspace(kernels.backward_workspace(*arguments, key_gradients))
    status = kernels.backward(
        *arguments, grad, slopes, to_query, of_keys, to_scale, to_bias, workspace
    )
    assert status == 0
    return to_query, of_keys, to_scale, to_bias
