"""Proximal operators of group norms: lelkern against compositions, peers and the bytes.

    pytest benchmarks/bench_prox.py --benchmark-group-by=group --csv

The providers of a group are measured in turn. Modes: ``new``, into a new tensor; ``in place``;
``step``, in place after a step of SGD with momentum. In place every round has the same weight once
more, which is copied before the clock runs.
"""

import functools
import importlib
import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

import lelkern
import prox_compositions as composed
import timing
from mixing import provider
from prox_cases import (
    IN_PLACE,
    NEW,
    PYPROXIMAL,
    SIDE,
    SPAMS,
    STEP,
    Call,
    Case,
    Way,
    bytes_ways,
    each,
    each_,
    filters,
    random_rows,
    report,
)

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)


def heavy_rows() -> list[Tensor]:
    """Cubes of normal numbers."""
    return [random_rows()[0].pow_(3)]


def constant_rows() -> list[Tensor]:
    own = torch.rand(SIDE, 1, generator=torch.Generator().manual_seed(0)).add_(1)
    return [own.expand(SIDE, SIDE).contiguous()]


def sparse_rows() -> list[Tensor]:
    """One number of twenty is not 0."""
    w = random_rows()[0]
    kept = torch.rand(w.shape, generator=torch.Generator().manual_seed(1)) >= 0.95
    return [w.mul_(kept)]


def threshold(w: Tensor, q: float) -> float:
    """Return a threshold at which about half of what matters is left: half the dual norm."""
    dual = 1.0 if q == math.inf else q / (q - 1)
    return 0.5 * float(torch.linalg.vector_norm(w.flatten(1), dual, 1).mean())


def reference(q: float, lam: float) -> Callable[[Tensor], Tensor]:
    def right(w: Tensor) -> Tensor:
        with torch.no_grad():
            return lelkern.prox_group_lasso(w.flatten(1), lam, dim=1, q=q).reshape(w.shape)

    return right


def l2_case(mode: str, dim: int = 1) -> Case:
    lam = 0.5 * math.sqrt(SIDE)
    compiled = torch.compile(composed.l2)
    peer_of_columns = [
        Way(
            PYPROXIMAL,
            pyproximal(lam),
            prepare=lambda weights: [w.t().contiguous() if dim == 1 else w for w in weights],
            undo=lambda found: [x.t() if dim == 1 else x for x in found],
        )
    ]
    if mode == NEW:
        ways = [
            Way(provider("lelkern"), each(lambda w: lelkern.prox_group_lasso(w, lam, dim=dim))),
            Way(provider("pytorch"), each(lambda w: composed.l2(w, lam, dim))),
            Way(provider("pytorch-compiled", compiled=True), each(lambda w: compiled(w, lam, dim))),
            spams("l1l2", lam, dim),
            *peer_of_columns,
        ]
    else:
        ways = [
            Way(provider("lelkern"), each_(lambda w: lelkern.prox_group_lasso_(w, lam, dim=dim))),
            Way(provider("pytorch"), each_(lambda w: composed.l2_(w, lam, dim))),
            Way(provider("torchao", peer=("torchao", "torchao")), torchao(lam, dim)),
        ]
    if mode == NEW and dim == 1:
        ways.append(Way(provider("proxtorch", peer=("proxtorch", "proxtorch")), proxtorch(lam)))
    name = "prox l1/l2 rows" if dim == 1 else "prox l1/l2 columns"
    if dim == 0:
        right = reference(2.0, lam)
        return Case(name, mode, random_rows, lambda w: right(w.t()).t(),
                    (*ways, *bytes_ways(mode)))  # fmt: skip
    return Case(name, mode, random_rows, reference(2.0, lam), (*ways, *bytes_ways(mode)))


def linf_case(name: str, weights: Callable[[], list[Tensor]]) -> Case:
    lam = threshold(weights()[0], math.inf)
    ways = (
        Way(
            provider("lelkern"),
            each_(lambda w: lelkern.prox_group_lasso_(w, lam, dim=1, q=math.inf)),
        ),
        Way(provider("pytorch"), each_(lambda w: w.copy_(composed.linf_by_newton(w, lam)))),
        Way(provider("pytorch-sort"), each_(lambda w: w.copy_(composed.linf_by_sorting(w, lam)))),
        Way(
            provider("pytorch-bisection"),
            each_(lambda w: w.copy_(composed.linf_by_bisection(w, lam))),
        ),
        # Equal numbers, which it adds up in float32.
        spams("l1linf", lam, 1, tolerance=1e-4),
        *bytes_ways(IN_PLACE),
    )
    return Case(f"prox l1/linf {name}", IN_PLACE, weights, reference(math.inf, lam), ways)


def power_case(q: float) -> Case:
    lam = threshold(random_rows()[0], q)
    ways = (
        Way(provider("lelkern"), each_(lambda w: lelkern.prox_group_lasso_(w, lam, dim=1, q=q))),
        Way(provider("pytorch"), each_(lambda w: w.copy_(composed.power(w, lam, q)))),
        Way(
            provider("lelkern-l2"),
            each_(lambda w: lelkern.prox_group_lasso_(w, 0.5 * math.sqrt(SIDE), dim=1)),
            exact=False,
        ),
        *bytes_ways(IN_PLACE),
    )
    return Case(f"prox l1/l{q:g} rows", IN_PLACE, random_rows, reference(q, lam), ways)


def filters_case() -> Case:
    lam = 0.1

    def right(w: Tensor) -> Tensor:
        return lelkern.prox_group_lasso(w, lam, dim=(1, 2, 3))

    ways = (
        Way(
            provider("lelkern"),
            lambda weights: lelkern.prox_group_lasso_(weights, lam, dim=(1, 2, 3)),
        ),
        Way(provider("pytorch"), each_(lambda w: composed.l2_(w.view(len(w), -1), lam, 1))),
        Way(provider("pytorch-foreach"), lambda weights: composed.l2_lists_(weights, lam)),
        Way(
            provider("torchao", peer=("torchao", "torchao")),
            lambda weights: torchao(lam, 1)([w.view(len(w), -1) for w in weights]),
        ),
        *bytes_ways(IN_PLACE),
    )
    return Case("prox filters resnet50", IN_PLACE, filters, right, ways)


def step_case() -> Case:
    lam, rate, momentum = 0.1, 0.01, 0.9
    generator = torch.Generator().manual_seed(1)
    grads = [torch.randn(w.shape, generator=generator) for w in filters()]
    scaled = rate / (1 - momentum) * lam
    sizes = [n for g in grads for n in (g[0].numel(), 1)]

    @functools.cache
    def on(device: torch.device) -> tuple[list[Tensor], list[Tensor]]:
        """Return gradients and thresholds there."""
        return [g.to(device) for g in grads], [torch.tensor(lam, device=device)] * len(grads)

    def halves(both: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return both[: len(grads)], both[len(grads) :]

    def fused(both: list[Tensor]) -> None:
        weights, buffers = halves(both)
        gradients, lams = on(weights[0].device)
        settings = (sizes, 2.0, rate, momentum, 0.0, 0.0, False, False)
        torch.ops.lelkern.prox_sgd_(weights, gradients, buffers, [], lams, [], [], *settings)

    def apart(prox: Call) -> Call:
        def call(both: list[Tensor]) -> None:
            weights, buffers = halves(both)
            torch._foreach_mul_(buffers, momentum)
            torch._foreach_add_(buffers, on(weights[0].device)[0])
            torch._foreach_add_(weights, buffers, alpha=-rate)
            prox(weights)

        return call

    def right(w: Tensor) -> Tensor:
        grad = next(g for g, v in zip(grads, filters(), strict=True) if torch.equal(v.double(), w))
        return lelkern.prox_group_lasso(w - rate * grad.double(), scaled, dim=(1, 2, 3))

    def with_buffers(name: str, call: Call) -> Way:
        return Way(
            provider(name),
            call,
            prepare=lambda weights: [*weights, *map(torch.zeros_like, weights)],
            undo=lambda both: both[: len(grads)],
        )

    ways = (
        with_buffers("lelkern", fused),
        with_buffers(
            "lelkern-apart",
            apart(lambda weights: lelkern.prox_group_lasso_(weights, scaled, dim=(1, 2, 3))),
        ),
        with_buffers(
            "pytorch-foreach",
            apart(each_(lambda w: composed.l2_(w.view(len(w), -1), scaled, 1))),
        ),
        *bytes_ways(STEP),
    )
    return Case("prox sgd resnet50", STEP, filters, right, ways)


def spams(regularizer: str, lam: float, dim: int, tolerance: float = 0.0) -> Way:
    """Return SPAMS's prox of groups of rows, of a matrix in Fortran's order, into a new one."""

    def fortran(weights: list[Tensor]) -> list[Tensor]:
        return [w.t().contiguous().t() if dim == 1 else w for w in weights]

    def call(weights: list[Tensor]) -> list[Tensor]:
        module = importlib.import_module("spams")
        found = []
        for w in weights:
            rows = w if dim == 1 else w.t()
            x = module.proximalFlat(rows.numpy(), lambda1=lam, regul=regularizer, numThreads=-1)
            found.append(torch.from_numpy(x) if dim == 1 else torch.from_numpy(x).t())
        return found

    return Way(SPAMS, call, prepare=fortran, tolerance=tolerance)


def pyproximal(lam: float) -> Call:
    def call(weights: list[Tensor]) -> list[Tensor]:
        L21 = importlib.import_module("pyproximal").L21
        return [
            torch.from_numpy(L21(ndim=len(w), sigma=lam).prox(w.numpy().ravel(), 1.0)).view(w.shape)
            for w in weights
        ]

    return call


def proxtorch(lam: float) -> Call:
    """Return proxtorch's prox of groups of rows, one after the other."""

    def call(weights: list[Tensor]) -> list[Tensor]:
        GroupLasso = importlib.import_module("proxtorch.operators.group_lasso").GroupLasso
        return [GroupLasso(lam, [1] * len(w)).prox(w, 1.0) for w in weights]

    return call


def torchao(lam: float, dim: int) -> Call:
    """Return torchao's map, which multiplies its threshold by the root of the size of a group."""

    def call(weights: list[Tensor]) -> None:
        module = importlib.import_module("torchao.prototype.pat.optim.group_lasso")
        for w in weights:
            own = lam / math.sqrt(w.shape[dim])
            module.ProxGroupLassoVectorized(own, dim).apply_(w, 1.0)

    return call


CASES: Mapping[str, Callable[[], Case]] = {
    "rows-new": lambda: l2_case(NEW),
    "rows-in-place": lambda: l2_case(IN_PLACE),
    "columns-new": lambda: l2_case(NEW, 0),
    "columns-in-place": lambda: l2_case(IN_PLACE, 0),
    "linf-random": lambda: linf_case("random", random_rows),
    "linf-heavy": lambda: linf_case("heavy", heavy_rows),
    "linf-constant": lambda: linf_case("constant", constant_rows),
    "linf-sparse": lambda: linf_case("sparse", sparse_rows),
    "l1.5": lambda: power_case(1.5),
    "l3": lambda: power_case(3.0),
    "filters": filters_case,
    "sgd": step_case,
}
PROVIDERS = {
    "rows-new": "lelkern pytorch pytorch-compiled spams pyproximal proxtorch bytes-new "
    "bytes-new-2MiB",
    "rows-in-place": "lelkern pytorch torchao bytes",
    "columns-new": "lelkern pytorch pytorch-compiled spams pyproximal bytes-new bytes-new-2MiB",
    "columns-in-place": "lelkern pytorch torchao bytes",
    "l1.5": "lelkern pytorch lelkern-l2 bytes",
    "l3": "lelkern pytorch lelkern-l2 bytes",
    "filters": "lelkern pytorch pytorch-foreach torchao bytes",
    "sgd": "lelkern lelkern-apart pytorch-foreach bytes",
    **{
        f"linf-{rows}": "lelkern pytorch pytorch-sort pytorch-bisection spams bytes"
        for rows in ("random", "heavy", "constant", "sparse")
    },
}


@pytest.mark.parametrize(
    ("name", "who"), [(name, who) for name in CASES for who in PROVIDERS[name].split()]
)
def test_time(report_time: Callable[..., None], device: torch.device, name: str, who: str) -> None:
    report(report_time, device, CASES[name], who)
