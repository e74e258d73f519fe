"""MixMatch's batch from labelled and unlabelled images: lelkern against PyTorch and the bytes.

    pytest benchmarks/bench_mixmatch.py --benchmark-group-by=group --csv

The providers of a group are measured in turn. Guesses, sharpening, lambdas and the permutation are
all part of it, as Algorithm 1 has them. The size is that of each of the three batches.
"""

import functools
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

import lelkern
import timing
from cases import Provider
from lelkern.reference import mixmatch as reference
from mixing import BYTES, CLASSES, MODE, SHAPE, Case, Mix, bytes_of, images, provider

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

ALPHA, TEMPERATURE, K = 0.75, 0.5, 2


def guessed(logits: Tensor) -> Tensor:
    power = logits.softmax(2).mean(0) ** (1 / TEMPERATURE)
    return power / power.sum(1, keepdim=True)


def composed(x: Tensor, y: Tensor, u: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return what plain PyTorch makes of it: the reference, with its draws."""
    total = len(x) + K * u.shape[1]
    lam = torch.distributions.Beta(ALPHA, ALPHA).sample((total,)).to(x.device)
    perm = torch.randperm(total, device=x.device)
    labels = one_hot(y, CLASSES).float()
    return reference.mixmatch(x, labels, u, guessed(logits), torch.maximum(lam, 1 - lam), perm)


def build(size: int, device: torch.device) -> tuple[Mapping[str, Mix], Tensor, Tensor]:
    rows = images((1 + K) * size, device)
    x, u = rows[:size].clone(), rows[size:].reshape(K, size, *SHAPE).clone()
    y = torch.arange(size, device=device) % CLASSES
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((K, size, CLASSES), generator=generator).to(device)
    compiled = torch.compile(composed)

    def ours() -> tuple[Tensor, Tensor]:
        batch = lelkern.mixmatch(x, y, u, logits, temperature=TEMPERATURE, alpha=ALPHA)
        return batch.images, batch.targets

    mixes: dict[str, Mix] = {
        "lelkern": ours,
        "pytorch": lambda: composed(x, y, u, logits),
        "pytorch-compiled": lambda: compiled(x, y, u, logits),
        **bytes_of((x, *u)),
    }
    labels = torch.cat((one_hot(y, CLASSES).double(), *[guessed(logits.double())] * K))
    return mixes, rows, labels


PROVIDERS = (
    provider("lelkern"),
    provider("pytorch"),
    provider("pytorch-compiled", compiled=True),
    *BYTES,
)
CASES = tuple(Case("mixmatch", size, build, PROVIDERS) for size in (256, 1024))


@functools.lru_cache(maxsize=1)
def group(case: Case, device: torch.device) -> timing.Outcomes:
    return case.time(device)


@pytest.mark.parametrize(
    ("case", "provider"),
    [
        pytest.param(case, provider, id=f"{case.op}-{case.size}-{provider}")
        for case in CASES
        for provider in case.providers
    ],
)
def test_time(
    report_time: Callable[..., None], device: torch.device, case: Case, provider: Provider
) -> None:
    if reason := provider.why_not(0, device):
        pytest.skip(reason)
    report_time(case, provider, MODE, group(case, device), f"{case.op}, {case.size} images each")
