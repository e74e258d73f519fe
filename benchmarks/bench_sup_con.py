"""SupCon: lelkern against plain PyTorch, torch.compile and pytorch-metric-learning.

    pytest benchmarks/bench_sup_con.py --benchmark-group-by=group --csv

The providers of a group are measured in turn.
"""

import functools
import importlib
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lelkern
from cases import BOTH, FEATURES, TEMPERATURE, Case, Provider, matrices
from timing import CLOCK, SGEMM

pytestmark = pytest.mark.benchmark(timer=CLOCK)

SIZES = (2048, 8192)
CLASSES = 10


def plain_pytorch(z: Tensor, labels: Tensor) -> Tensor:
    """What one writes without a package, where every class has several rows."""
    z = F.normalize(z)
    log_p = (z @ z.T / TEMPERATURE).fill_diagonal_(-torch.inf).log_softmax(1)
    positive = (labels[:, None] == labels).fill_diagonal_(False)
    return -(log_p.masked_fill(~positive, 0).sum(1) / positive.sum(1)).mean()


def fused(z: Tensor, labels: Tensor) -> Tensor:
    return lelkern.sup_con(z, labels, TEMPERATURE)


def metric_learning(z: Tensor, labels: Tensor) -> Tensor:
    losses = importlib.import_module("pytorch_metric_learning.losses")
    return losses.SupConLoss(TEMPERATURE)(z, labels)


PROVIDERS = (
    Provider("lelkern", fused),
    Provider("lelkern", fused, dtype="bfloat16"),
    Provider("pytorch", plain_pytorch, needs=matrices(6)),
    Provider("torch.compile", plain_pytorch, needs=matrices(4), compiled=True),
    Provider(
        "pytorch-metric-learning",
        metric_learning,
        needs=matrices(12),
        peer=("pytorch-metric-learning", "pytorch_metric_learning"),
    ),
    SGEMM,
)


@functools.lru_cache(maxsize=1)
def build(op: str, size: int) -> Case:
    generator = torch.Generator().manual_seed(size)
    z = torch.randn(size, FEATURES, generator=generator)
    labels = torch.randint(CLASSES, (size,), generator=generator)
    # As for NT-Xent: half a product, that again, and a whole one for the gradients.
    flops = {BOTH: 4 * size**2 * FEATURES}
    return Case(op, size, (z,), (labels,), plain_pytorch, {BOTH: PROVIDERS}, flops)


@pytest.mark.parametrize(("size", "provider"), [(s, p) for s in SIZES for p in PROVIDERS], ids=str)
def test_time(time_in_group: Callable[..., None], size: int, provider: Provider) -> None:
    time_in_group(build("sup_con", size), provider, BOTH)


@pytest.mark.parametrize("provider", [p for p in PROVIDERS if p != SGEMM], ids=str)
def test_memory(measure_memory: Callable[..., None], provider: Provider) -> None:
    measure_memory(build("sup_con", SIZES[-1]), provider)
