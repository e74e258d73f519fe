"""NT-Xent, forward and backward: lelkern against its reference and plain PyTorch.

    pytest benchmarks/bench_nt_xent.py --benchmark-group-by=group

Each group holds one size; the ratio of two rows of a group is the speed-up.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

import lelkern
from lelkern.reference import nt_xent as reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TEMPERATURE = 0.1
FEATURES = 128  # the projection of SimCLR


def plain_pytorch(z1: Tensor, z2: Tensor) -> Tensor:
    """What one writes without a package: normalise, multiply, mask, cross entropy."""
    z = F.normalize(torch.cat([z1, z2]))
    similarity = (z @ z.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    return F.cross_entropy(similarity, torch.arange(len(z), device=z.device).roll(len(z1)))


PROVIDERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "lelkern": lambda z1, z2: lelkern.nt_xent(z1, z2, TEMPERATURE),
    "reference": lambda z1, z2: reference.nt_xent(z1, z2, torch.tensor(TEMPERATURE))[0].mean(),
    "pytorch": plain_pytorch,
    "torch.compile": torch.compile(plain_pytorch),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("rows", [512, 2048, 8192])
def test_forward_backward(benchmark: BenchmarkFixture, rows: int, provider: str) -> None:
    generator = torch.Generator().manual_seed(rows)
    z1, z2 = torch.randn(2, rows // 2, FEATURES, generator=generator).to(DEVICE)
    z1, z2 = z1.requires_grad_(), z2.requires_grad_()

    def step(loss: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        value = loss(z1, z2)
        results = (value, *torch.autograd.grad(value, (z1, z2)))
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        return results

    # Verify first, then time. Gradients are near 1 / rows; float32 keeps five digits of them.
    for got, want in zip(step(PROVIDERS[provider]), step(plain_pytorch), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5 / rows)

    benchmark.group = f"nt_xent 2N={rows} D={FEATURES} float32 {DEVICE}"
    benchmark.extra_info.update(
        op="nt_xent",
        mode="forward+backward",
        provider=provider,
        size=rows,
        device=DEVICE,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        step, args=(PROVIDERS[provider],), rounds=max(5, 10000 // rows), warmup_rounds=2
    )
