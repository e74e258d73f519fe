"""A step of Adam and a group lasso in its metric: lelkern against a composition and Adam alone.

    pytest benchmarks/bench_proximal_adam.py --benchmark-group-by=group --csv

The providers are measured in turn, in place, on the 53 convolutions of a ResNet-50, whose filters
are the groups. With the same gradients at every step Adam's moments, corrected for their bias, stay
what they are, and so does what is right. ``lelkern-euclidean`` has the usual prox, which minimises
something else.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Literal

import pytest
import torch
from torch import Tensor

import lelkern
import prox_compositions as composed
import timing
from lelkern.ops.prox_metric import prox_group_lasso_metric
from mixing import provider
from prox_cases import STEP, Call, Case, Way, bytes_ways, filters, report

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

RATE, EPS = 1e-3, 1e-8
LAM = 300.0
"""At which some of the filters vanish, in either metric, and others do not."""
DIM = (1, 2, 3)


@functools.cache
def gradients(device: torch.device) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(w.shape, generator=generator).to(device) for w in filters()]


class Steps:
    """The steps of an optimiser that is built when weights first come."""

    def __init__(self, build: Callable[[list[Tensor]], Call]) -> None:
        self.build = build
        self.step: Call | None = None

    def __call__(self, weights: list[Tensor]) -> None:
        if self.step is None:
            for w, grad in zip(weights, gradients(weights[0].device), strict=True):
                w.grad = grad
            self.step = self.build(weights)
        self.step(weights)


def proximal(metric: Literal["optimizer", "euclidean"]) -> Steps:
    def build(weights: list[Tensor]) -> Call:
        optimizer = lelkern.optim.ProximalAdam(
            weights,
            lr=RATE,
            eps=EPS,
            prox="group_lasso",
            lam=LAM,
            dim=DIM,
            metric=metric,
            foreach=True,
        )
        return lambda weights: optimizer.step()

    return Steps(build)


def adam(prox: Callable[[Tensor, Tensor], None] | None, fused: bool = False) -> Steps:
    """Return Adam, and what is done after it with the weights and their metric."""

    def build(weights: list[Tensor]) -> Call:
        optimizer = torch.optim.Adam(weights, lr=RATE, eps=EPS, foreach=not fused, fused=fused)

        def call(weights: list[Tensor]) -> None:
            optimizer.step()
            if prox is None:
                return
            for w in weights:
                state = optimizer.state[w]
                corrected = state["exp_avg_sq"] / (1 - 0.999 ** float(state["step"]))
                rows = w.view(len(w), -1)
                prox(rows, corrected.sqrt_().add_(EPS).view_as(rows))

        return call

    return Steps(build)


def in_metric(w: Tensor, d: Tensor) -> None:
    w.copy_(composed.metric(w, d, RATE * LAM))


def step_case() -> Case:
    given = filters()

    def right(w: Tensor) -> Tensor:
        both = zip(gradients(torch.device("cpu")), given, strict=True)
        grad = next(g for g, v in both if torch.equal(v.double(), w)).double()
        metric = grad.abs() + EPS
        return prox_group_lasso_metric(w - RATE * grad / metric, metric, RATE * LAM, dim=DIM)

    compiled = torch.compile(composed.metric)

    def in_metric_compiled(w: Tensor, d: Tensor) -> None:
        w.copy_(compiled(w, d, RATE * LAM))

    ways = (
        Way(provider("lelkern"), proximal("optimizer")),
        Way(provider("pytorch"), adam(in_metric)),
        Way(provider("pytorch-compiled", compiled=True), adam(in_metric_compiled)),
        Way(provider("lelkern-euclidean"), proximal("euclidean"), exact=False),
        Way(provider("adam"), adam(None), exact=False),
        Way(provider("adam-fused"), adam(None, fused=True), exact=False),
        *bytes_ways(STEP),
    )
    return Case("prox adam resnet50", STEP, lambda: given, right, ways)


CASES: Mapping[str, Callable[[], Case]] = {"adam": step_case}
PROVIDERS = {"adam": "lelkern pytorch pytorch-compiled lelkern-euclidean adam adam-fused bytes"}


@pytest.mark.parametrize(
    ("name", "who"), [(name, who) for name in CASES for who in PROVIDERS[name].split()]
)
def test_time(report_time: Callable[..., None], device: torch.device, name: str, who: str) -> None:
    report(report_time, device, CASES[name], who)
