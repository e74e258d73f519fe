"""Projections: lelkern against compositions, peers and the bytes.

    pytest benchmarks/bench_projections.py --benchmark-group-by=group --csv

The providers of a group are measured in turn, into a new tensor.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

import lelkern
import projection_compositions as composed
import timing
from mixing import provider
from prox_cases import (
    NEW,
    PYPROXIMAL,
    SPAMS,
    Call,
    Case,
    Way,
    bytes_ways,
    each,
    report,
)

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

SIDE = 2048
SHORT = 16
"""Numbers of a short row, of which there are as many as make the same matrix."""


def random_rows() -> list[Tensor]:
    return [torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(0))]


def short_rows() -> list[Tensor]:
    return [w.view(-1, SHORT) for w in random_rows()]


def right(project: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def of(x: Tensor) -> Tensor:
        with torch.no_grad():
            return project(x)

    return of


def rows_case(op: str, rows: Callable[[], list[Tensor]], radius: float, l1: bool) -> Case:
    ours = lelkern.project_l1_ball if l1 else lelkern.project_simplex
    compose = composed.l1_ball if l1 else composed.simplex

    def of(level: composed.Level) -> Call:
        return each(lambda x: compose(x, radius, level))

    def compiled(level: composed.Level) -> Call:
        return each(torch.compile(lambda x: compose(x, radius, level)))

    ways = (
        Way(provider("lelkern"), each(lambda x: ours(x, radius))),
        *(Way(provider(name), of(level)) for name, level in composed.LEVELS.items()),
        Way(
            provider("pytorch-compiled", compiled=True),
            compiled(composed.by_bisection),
        ),
    )
    if rows is not short_rows:  # where SPAMS errs by 0.01, and pyproximal takes minutes
        ways += (
            Way(SPAMS, spams(radius, positive=not l1), prepare=columns, undo=rows_again),
            Way(PYPROXIMAL, pyproximal(radius, l1), tolerance=1e-4),  # its bisection's end
        )
    project = right(lambda x: ours(x, radius))
    return Case(op, NEW, rows, project, (*ways, *bytes_ways(NEW)))


def balls_case() -> Case:
    radius = 0.5 * float(random_rows()[0].abs().amax(1).sum())
    ways = (
        Way(provider("lelkern"), each(lambda x: lelkern.project_l1inf_ball(x, radius))),
        Way(provider("pytorch"), each(lambda x: composed.l1inf_by_newton(x, radius))),
        Way(provider("pytorch-sort"), each(lambda x: composed.l1inf_by_sorting(x, radius))),
        *bytes_ways(NEW),
    )
    project = right(lambda x: lelkern.project_l1inf_ball(x, radius))
    return Case("project l1inf ball", NEW, random_rows, project, ways)


def columns(given: list[Tensor]) -> list[Tensor]:
    """Return matrices in Fortran's order whose columns are the rows."""
    return [x.t() for x in given]


def rows_again(found: Sequence[Tensor]) -> list[Tensor]:
    return [x.t() for x in found]


def spams(radius: float, positive: bool) -> Call:
    """Return SPAMS's projection of columns onto the l1 ball, and those that are positive.

    Its l1 ball of positive numbers is the simplex where positive numbers sum to more.
    """

    def call(given: list[Tensor]) -> list[Tensor]:
        module = importlib.import_module("spams")
        options = {"thrs": radius, "mode": 1, "pos": positive, "numThreads": -1}
        return [torch.from_numpy(module.sparseProject(x.numpy(), **options)) for x in given]

    return call


def pyproximal(radius: float, l1: bool) -> Call:
    """Return pyproximal's projection, a row after the other."""

    def call(given: list[Tensor]) -> list[Tensor]:
        module = importlib.import_module("pyproximal")
        found = []
        for x in given:
            n = x.shape[1]
            one = module.L1Ball(n, radius) if l1 else module.Simplex(n, radius)
            rows = [one.prox(row, 1.0) for row in x.numpy()]
            found.append(torch.from_numpy(np.stack(rows)))
        return found

    return call


L1_RADIUS = 0.4 * SIDE  # half of what the absolute numbers of a row sum to

CASES: Mapping[str, Callable[[], Case]] = {
    "simplex": lambda: rows_case("project simplex rows", random_rows, 1.0, False),
    "simplex-short": lambda: rows_case("project simplex short rows", short_rows, 1.0, False),
    "l1-ball": lambda: rows_case("project l1 ball rows", random_rows, L1_RADIUS, True),
    "l1inf-ball": balls_case,
}
ROWS = "lelkern pytorch pytorch-sort pytorch-bisection pytorch-compiled"
BYTES = "bytes-new bytes-new-2MiB"
PROVIDERS = {
    "simplex": f"{ROWS} spams pyproximal {BYTES}",
    "simplex-short": f"{ROWS} {BYTES}",
    "l1-ball": f"{ROWS} spams pyproximal {BYTES}",
    "l1inf-ball": f"lelkern pytorch pytorch-sort {BYTES}",
}


@pytest.mark.parametrize(
    ("name", "who"), [(name, who) for name in CASES for who in PROVIDERS[name].split()]
)
def test_time(report_time: Callable[..., None], device: torch.device, name: str, who: str) -> None:
    report(report_time, device, CASES[name], who)
