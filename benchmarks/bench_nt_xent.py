"""NT-Xent: lelkern against plain PyTorch, torch.compile, the same algorithm with MKL, and peers.

    pytest benchmarks/bench_nt_xent.py --benchmark-group-by=group --csv

The providers of a group are measured in turn, so that their ratios hold on a busy machine too.
"""

import functools
import importlib
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import lelkern
import mkl_tiles
from cases import BOTH, FEATURES, FORWARD, MODES, TEMPERATURE, Case, Provider, matrices
from lelkern.reference import nt_xent as reference
from timing import CLOCK, SGEMM

pytestmark = pytest.mark.benchmark(timer=CLOCK)

SIZES = (512, 2048, 8192)
LARGE = 65536


def plain_pytorch(z1: Tensor, z2: Tensor) -> Tensor:
    """What one writes without a package: normalise, multiply, mask, cross entropy."""
    z = F.normalize(torch.cat([z1, z2]))
    similarity = (z @ z.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    return F.cross_entropy(similarity, torch.arange(len(z), device=z.device).roll(len(z1)))


def fused(z1: Tensor, z2: Tensor) -> Tensor:
    return lelkern.nt_xent(z1, z2, TEMPERATURE)


def fused_with_stats(z1: Tensor, z2: Tensor) -> Tensor:
    return lelkern.nt_xent(z1, z2, TEMPERATURE, return_stats=True)[0]


def specification(z1: Tensor, z2: Tensor) -> Tensor:
    return reference.nt_xent(z1, z2, torch.tensor(TEMPERATURE))[0].mean()


def tiles(z1: Tensor, z2: Tensor) -> Tensor:
    return mkl_tiles.nt_xent(z1, z2, TEMPERATURE)


def lightly(z1: Tensor, z2: Tensor) -> Tensor:
    return importlib.import_module("lightly.loss").NTXentLoss(TEMPERATURE)(z1, z2)


def metric_learning(z1: Tensor, z2: Tensor) -> Tensor:
    losses = importlib.import_module("pytorch_metric_learning.losses")
    return losses.SelfSupervisedLoss(losses.NTXentLoss(TEMPERATURE))(z1, z2)


LELKERN = Provider("lelkern", fused)
LELKERN_BFLOAT16 = Provider("lelkern", fused, dtype="bfloat16")
LELKERN_HIGH = Provider("lelkern", fused, dtype="float32-high", devices=("cuda",))  # CPUs: float32
TILES = Provider("mkl-tiles", tiles, devices=("cpu",))
PLAIN = Provider("pytorch", plain_pytorch, needs=matrices(4))
RIVALS = (
    Provider("torch.compile", plain_pytorch, needs=matrices(3), compiled=True),
    Provider("lightly", lightly, needs=matrices(6), peer=("lightly", "lightly")),
    Provider(
        "pytorch-metric-learning",
        metric_learning,
        # Each of its 2N pairs has a row with a column for each of all 4N^2 negatives.
        needs=lambda size: 4 * 4 * size**3,
        peer=("pytorch-metric-learning", "pytorch_metric_learning"),
    ),
)
PROVIDERS = (
    LELKERN,
    LELKERN_BFLOAT16,
    Provider("lelkern", fused, dtype="float32-medium"),
    LELKERN_HIGH,
    Provider("lelkern-stats", fused_with_stats),
    Provider("lelkern-reference", specification, needs=matrices(8)),
    TILES,
    PLAIN,
    Provider("pytorch", plain_pytorch, dtype="float32-medium", needs=matrices(4)),
    Provider("pytorch", plain_pytorch, dtype="float32-high", needs=matrices(4), devices=("cuda",)),
    *RIVALS,
    SGEMM,
)
ONE_THREAD = Provider("lelkern", fused, threads=1, devices=("cpu",))


def providers(size: int, mode: str) -> tuple[Provider, ...]:
    if size == LARGE:  # where all others would take minutes, or more memory than there is
        ours = (LELKERN, LELKERN_BFLOAT16, LELKERN_HIGH)
        return (*ours, PLAIN, *RIVALS, SGEMM) if mode == BOTH else ()
    return (*PROVIDERS, ONE_THREAD) if (size, mode) == (8192, BOTH) else PROVIDERS


@functools.lru_cache(maxsize=1)
def build(op: str, size: int) -> Case:
    generator = torch.Generator().manual_seed(size)
    z1, z2 = torch.randn(2, size // 2, FEATURES, generator=generator).unbind()
    product = size**2 * FEATURES  # flops of half of a product, since the matrix is symmetric
    return Case(
        op,
        size,
        (z1, z2),
        (),
        plain_pytorch,
        {mode: providers(size, mode) for mode in MODES},
        # Forward half a product; backward that again, and a whole one for the gradients.
        flops={FORWARD: product, BOTH: 4 * product},
        min_rounds=5 if size < LARGE else 2,
        expect=_verified_by_rows if size >= LARGE else None,
    )


def _verified_by_rows(z1: Tensor, z2: Tensor) -> tuple[Tensor, ...]:
    """Return the mean of lelkern's losses after a check of some of them: the matrix is too large.

    Gradients have the code, and the tiles, of the sizes at which they are verified.
    """
    some = torch.arange(0, len(z1), len(z1) // 64, device=z1.device)
    z = F.normalize(torch.cat([z1, z2]).double())
    similarity = z[some] @ z.T / TEMPERATURE
    similarity.scatter_(1, some[:, None], -torch.inf)
    want = F.cross_entropy(similarity, some + len(z1), reduction="none")
    losses = lelkern.nt_xent(z1, z2, TEMPERATURE, reduction="none").double()
    torch.testing.assert_close(losses[some], want, rtol=1e-5, atol=0)
    return (losses.mean(),)


@pytest.mark.parametrize(
    ("size", "mode", "provider"),
    [(s, m, p) for s in (*SIZES, LARGE) for m in MODES for p in providers(s, m)],
    ids=str,
)
def test_time(time_in_group: Callable[..., None], size: int, mode: str, provider: Provider) -> None:
    time_in_group(build("nt_xent", size), provider, mode)


@pytest.mark.parametrize(
    ("size", "provider"),
    [(s, p) for s in SIZES for p in (LELKERN, LELKERN_BFLOAT16, TILES, PLAIN, *RIVALS)]
    + [(LARGE, p) for p in (LELKERN, PLAIN, *RIVALS)],
    ids=str,
)
def test_memory(measure_memory: Callable[..., None], size: int, provider: Provider) -> None:
    measure_memory(build("nt_xent", size), provider)
