"""SigLIP's sigmoid loss: lelkern against plain PyTorch, at once and in chunks of the keys.

    pytest benchmarks/bench_siglip.py --benchmark-group-by=group --csv

The providers of a group are measured in turn.
"""

import functools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import lelkern
from cases import BOTH, FEATURES, Case, Provider, matrices
from timing import CLOCK, SGEMM

pytestmark = pytest.mark.benchmark(timer=CLOCK)

SIZES = (1024, 4096)
SCALE, BIAS = 10.0, -10.0  # where the paper begins
CHUNKS = 8


def fused(query: Tensor, key: Tensor) -> Tensor:
    return lelkern.siglip(query, key, SCALE, BIAS)


def plain(query: Tensor, key: Tensor) -> Tensor:
    """As in Algorithm 1 of the paper."""
    logits = SCALE * F.normalize(query) @ F.normalize(key).T + BIAS
    labels = 2 * torch.eye(len(logits), device=logits.device) - 1
    return -F.logsigmoid(labels * logits).sum() / len(logits)


def of_chunk(query: Tensor, key: Tensor, first: int) -> Tensor:
    """Return the losses of the pairs with a chunk of the keys, which begins with number first."""
    logits = SCALE * query @ key.T + BIAS
    labels = torch.full_like(logits, -1)
    labels[first : first + len(key)].fill_diagonal_(1)
    return -F.logsigmoid(labels * logits).sum()


def in_chunks(query: Tensor, key: Tensor) -> Tensor:
    """As OpenCLIP goes through the keys of other GPUs: each share keeps its logits for backward."""
    q, chunks = F.normalize(query), F.normalize(key).chunk(CHUNKS)
    losses = [of_chunk(q, chunk, k * len(chunks[0])) for k, chunk in enumerate(chunks)]
    return torch.stack(losses).sum() / len(query)


def in_chunks_computed_again(query: Tensor, key: Tensor) -> Tensor:
    """The same, but that backward computes the logits again."""
    q, chunks = F.normalize(query), F.normalize(key).chunk(CHUNKS)
    losses = [
        checkpoint(of_chunk, q, chunk, k * len(chunks[0]), use_reentrant=False)
        for k, chunk in enumerate(chunks)
    ]
    return torch.stack(losses).sum() / len(query)


PROVIDERS = (
    Provider("lelkern", fused),
    Provider("lelkern", fused, dtype="bfloat16"),
    Provider("pytorch", plain, needs=matrices(5)),
    Provider("torch.compile", plain, needs=matrices(3), compiled=True),
    Provider("pytorch in chunks", in_chunks, needs=matrices(5)),
    Provider("pytorch in checkpointed chunks", in_chunks_computed_again, needs=matrices(1)),
    SGEMM,
)


@functools.lru_cache(maxsize=1)
def build(size: int) -> Case:
    generator = torch.Generator().manual_seed(size)
    query, key = torch.randn(2, size, FEATURES, generator=generator).unbind()
    product = 2 * size**2 * FEATURES
    return Case(
        "siglip",
        size,
        (query, key),
        (),
        plain,
        {BOTH: PROVIDERS},
        # The similarities, twice, and the gradients of queries and keys.
        flops={BOTH: 4 * product},
    )


@pytest.mark.parametrize(("size", "provider"), [(s, p) for s in SIZES for p in PROVIDERS], ids=str)
def test_time(time_in_group: Callable[..., None], size: int, provider: Provider) -> None:
    time_in_group(build(size), provider, BOTH)


@pytest.mark.parametrize("provider", [p for p in PROVIDERS if p != SGEMM], ids=str)
def test_memory(measure_memory: Callable[..., None], provider: Provider) -> None:
    measure_memory(build(SIZES[-1]), provider)
