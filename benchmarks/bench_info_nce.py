"""InfoNCE in a batch, symmetric as in CLIP, and with MoCo's queue: lelkern against its rivals.

    pytest benchmarks/bench_info_nce.py --benchmark-group-by=group --csv

The providers of a group are measured in turn.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lelkern
from cases import BOTH, FEATURES, TEMPERATURE, Case, Loss, Provider, matrices
from timing import CLOCK, SGEMM

pytestmark = pytest.mark.benchmark(timer=CLOCK)

QUEUE = 65536  # MoCo's
SIZES = {"info_nce": 4096, "info_nce symmetric": 4096, f"info_nce queue={QUEUE}": 256}


def fused(query: Tensor, positive: Tensor, queue: Tensor | None = None) -> Tensor:
    return lelkern.info_nce(query, positive, queue, TEMPERATURE)


def fused_symmetric(query: Tensor, positive: Tensor) -> Tensor:
    return lelkern.info_nce(query, positive, temperature=TEMPERATURE, symmetric=True)


def plain(query: Tensor, positive: Tensor) -> Tensor:
    logits = F.normalize(query) @ F.normalize(positive).T / TEMPERATURE
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def plain_symmetric(query: Tensor, positive: Tensor) -> Tensor:
    """As in Figure 3 of the paper of CLIP."""
    logits = F.normalize(query) @ F.normalize(positive).T / TEMPERATURE
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def plain_queue(query: Tensor, positive: Tensor, queue: Tensor) -> Tensor:
    """As in Algorithm 1 of the paper of MoCo, whose queue is normalised already."""
    q = F.normalize(query)
    own = (q * F.normalize(positive)).sum(1, keepdim=True)
    logits = torch.cat([own, q @ queue.T], 1) / TEMPERATURE
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))


def lightly_queue(query: Tensor, positive: Tensor, queue: Tensor) -> Tensor:
    return _lightly_with(queue)(query, positive)


@functools.lru_cache(maxsize=1)
def _lightly_with(queue: Tensor) -> Any:
    """Return its loss with this memory bank, of which each call replaces the oldest keys."""
    criterion = importlib.import_module("lightly.loss").NTXentLoss(TEMPERATURE, tuple(queue.shape))
    criterion.memory_bank.bank = queue.clone()
    return criterion


def metric_learning(query: Tensor, positive: Tensor) -> Tensor:
    losses = importlib.import_module("pytorch_metric_learning.losses")
    loss = losses.NTXentLoss(TEMPERATURE)
    return losses.SelfSupervisedLoss(loss, symmetric=False)(query, positive)


LOSSES: dict[str, tuple[Loss, Loss]] = {
    "info_nce": (fused, plain),
    "info_nce symmetric": (fused_symmetric, plain_symmetric),
    f"info_nce queue={QUEUE}": (fused, plain_queue),
}
PEERS = {
    "info_nce": [
        Provider(
            "pytorch-metric-learning",
            metric_learning,
            # Each of its N pairs has a row with a column for each of all N^2 negatives.
            needs=lambda size: 4 * 4 * size**3,
            peer=("pytorch-metric-learning", "pytorch_metric_learning"),
        )
    ],
    f"info_nce queue={QUEUE}": [Provider("lightly", lightly_queue, peer=("lightly", "lightly"))],
}


def providers(op: str) -> tuple[Provider, ...]:
    ours, theirs = LOSSES[op]
    return (
        Provider("lelkern", ours),
        Provider("lelkern", ours, dtype="bfloat16"),
        Provider("pytorch", theirs, needs=matrices(4)),
        Provider("torch.compile", theirs, needs=matrices(3), compiled=True),
        *PEERS.get(op, ()),
        SGEMM,
    )


@functools.lru_cache(maxsize=1)
def build(op: str, size: int) -> Case:
    generator = torch.Generator().manual_seed(size)
    query, positive = torch.randn(2, size, FEATURES, generator=generator).unbind()
    with_queue = "queue" in op
    queue = F.normalize(torch.randn(QUEUE, FEATURES, generator=generator))
    product = 2 * size * (QUEUE if with_queue else size) * FEATURES
    return Case(
        op,
        size,
        # MoCo's keys, of which its queue is made too, get no gradients.
        (query,) if with_queue else (query, positive),
        (positive, queue) if with_queue else (),
        LOSSES[op][1],
        {BOTH: providers(op)},
        # The similarities, twice, and the gradients of the queries, and of the keys if any.
        flops={BOTH: (3 if with_queue else 4) * product},
    )


@pytest.mark.parametrize(
    ("op", "provider"), [(op, p) for op in SIZES for p in providers(op)], ids=str
)
def test_time(time_in_group: Callable[..., None], op: str, provider: Provider) -> None:
    time_in_group(build(op, SIZES[op]), provider, BOTH)


@pytest.mark.parametrize(
    ("op", "provider"), [(op, p) for op in SIZES for p in providers(op) if p != SGEMM], ids=str
)
def test_memory(measure_memory: Callable[..., None], op: str, provider: Provider) -> None:
    measure_memory(build(op, SIZES[op]), provider)
