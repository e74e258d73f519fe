"""The proximal operator of the nuclear norm: lelkern against compositions, peers and the flops.

    pytest benchmarks/bench_prox_nuclear.py --benchmark-group-by=group --csv

There is no kernel of it: lelkern takes the eigenvectors of the smaller Gram matrix in float64,
``pytorch-gram`` in float32, which loses digits of what is small beside the largest singular value,
and ``pytorch`` calls ``torch.linalg.svd``. ``sgemm`` is a product of the matrices with others, of
as many flops as a decomposition and the product after it.
"""

import functools
import importlib
import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

import lelkern
import projection_compositions as composed
import timing
from mixing import provider
from prox_cases import NEW, PYPROXIMAL, Call, Case, Way, each, report

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

SHAPES = {
    "tall": (4096, 64),
    "wide": (64, 4096),
    "square": (384, 384),
    "many small": (256, 32, 32),
}


def matrices(shape: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape, generator=torch.Generator().manual_seed(0))]


def products(shape: tuple[int, ...]) -> Call:
    """Return a product of as many flops as U, S and V by a QR decomposition first, and U S V.

    6 m n^2 + 20 n^3 (Golub & Van Loan, "Matrix Computations", 4th edition, figure 8.6.1) and
    2 m n^2, for m >= n; of them 2 m n are made by each column of the other matrix.
    """
    *several, m, n = shape
    long, short = max(m, n), min(m, n)
    width = round((8 * long * short**2 + 20 * short**3) / (2 * m * n))
    other = functools.cache(lambda device: torch.randn((*several, n, width), device=device))
    return each(lambda w: w @ other(w.device))


def nuclear_case(name: str) -> Case:
    shape = SHAPES[name]
    m, n = shape[-2:]
    lam = 0.5 * (math.sqrt(m) + math.sqrt(n))  # half of about the largest singular value

    ways = [
        Way(provider("lelkern"), each(lambda w: lelkern.prox_nuclear(w, lam))),
        Way(provider("pytorch"), each(lambda w: composed.nuclear(w, lam))),
        Way(provider("pytorch-gram"), each(lambda w: composed.nuclear_by_gram(w, lam))),
        Way(provider("sgemm"), products(shape), exact=False),
    ]
    if len(shape) == 2:
        ways.append(Way(PYPROXIMAL, pyproximal(lam)))
        peer = provider("proxtorch", peer=("proxtorch", "proxtorch"))
        ways.append(Way(peer, proxtorch(lam)))
    return Case(
        f"prox nuclear {name}",
        NEW,
        lambda: matrices(shape),
        lambda w: composed.nuclear(w, lam),
        tuple(ways),
    )


def pyproximal(lam: float) -> Call:
    def call(given: list[Tensor]) -> list[Tensor]:
        Nuclear = importlib.import_module("pyproximal").Nuclear
        return [
            torch.from_numpy(Nuclear(w.shape, lam).prox(w.numpy().ravel(), 1.0)).view(w.shape)
            for w in given
        ]

    return call


def proxtorch(lam: float) -> Call:
    def call(given: list[Tensor]) -> list[Tensor]:
        TraceNorm = importlib.import_module("proxtorch.operators.tracenorm").TraceNorm
        return [TraceNorm(lam).prox(w, 1.0) for w in given]

    return call


CASES: Mapping[str, Callable[[], Case]] = {
    name: functools.partial(nuclear_case, name) for name in SHAPES
}
PROVIDERS = {
    name: "lelkern pytorch pytorch-gram sgemm" + ("" if len(shape) > 2 else " pyproximal proxtorch")
    for name, shape in SHAPES.items()
}


@pytest.mark.parametrize(
    ("name", "who"), [(name, who) for name in CASES for who in PROVIDERS[name].split()]
)
def test_time(report_time: Callable[..., None], device: torch.device, name: str, who: str) -> None:
    report(report_time, device, CASES[name], who)
