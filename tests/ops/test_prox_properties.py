"""What holds of every proximal operator and projection, for any numbers.

x = prox(v) if and only if v - x is a subgradient of the penalty at x, and x is the projection of v
if and only if v - x is normal to the set at x. For a norm R, its dual R* and a set C that means

    R*(v - x) <= t  and  <v - x, x> = t R(x);   x in C  and  <v - x, x> = max over C of <v - x, .>

In a metric d the subgradient is d (v - x).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prox_samples import INF, conjugate, norms, off
from torch import Tensor

import lelkern
from lelkern.ops.prox_metric import prox_group_lasso_metric, prox_l1_metric

SHAPE = (3, 4)
METRIC = torch.linspace(0.2, 5, math.prod(SHAPE), dtype=torch.float64).reshape(SHAPE)


class Operator(NamedTuple):
    """An operator of v (3, 4) and a threshold or a radius t.

    Attributes:
        call: the operator.
        beyond: of x, the subgradient and t: what must not be above 0.
        work: of the same: what <subgradient, x> must be.
        metric: d.
    """

    call: Callable[[Tensor, float], Tensor]
    beyond: Callable[[Tensor, Tensor, float], Tensor]
    work: Callable[[Tensor, Tensor, float], Tensor]
    metric: Tensor = torch.ones(SHAPE, dtype=torch.float64)


def group_lasso(q: float, call: Callable[[Tensor, float], Tensor], **more: Tensor) -> Operator:
    return Operator(
        call,
        lambda x, slope, t: norms(slope, conjugate(q)) - t,
        lambda x, slope, t: t * norms(x, q).sum(),
        **more,
    )


def soft(x: Tensor, t: float) -> Tensor:
    return x - x.clamp(-t, t)


OPERATORS = {
    "l1": Operator(
        lelkern.prox_l1,
        lambda x, slope, t: slope.abs() - t,
        lambda x, slope, t: t * x.abs().sum(),
    ),
    "l1 in a metric": Operator(
        lambda v, t: prox_l1_metric(v, METRIC, t),
        lambda x, slope, t: slope.abs() - t,
        lambda x, slope, t: t * x.abs().sum(),
        METRIC,
    ),
    **{
        f"group lasso, q = {q}": group_lasso(
            q, lambda v, t, q=q: lelkern.prox_group_lasso(v, t, dim=1, q=q)
        )
        for q in (2.0, INF, 1.5, 4.0)
    },
    "group lasso in a metric": group_lasso(
        2.0, lambda v, t: prox_group_lasso_metric(v, METRIC, t, dim=1), metric=METRIC
    ),
    "sparse group lasso": Operator(
        lambda v, t: lelkern.prox_sparse_group_lasso(v, t / 3, t, dim=1),
        lambda x, slope, t: norms(soft(slope, t / 3), 2.0) - t,
        lambda x, slope, t: t / 3 * x.abs().sum() + t * norms(x, 2.0).sum(),
    ),
    "nuclear norm": Operator(
        lelkern.prox_nuclear,
        lambda x, slope, t: torch.linalg.svdvals(slope) - t,
        lambda x, slope, t: t * torch.linalg.svdvals(x).sum(),
    ),
    "simplex": Operator(
        lelkern.project_simplex,
        lambda x, slope, t: torch.cat([-x.flatten(), (x.sum(1) - t).abs()]),
        lambda x, slope, t: t * slope.amax(1).sum(),
    ),
    "l1 ball": Operator(
        lelkern.project_l1_ball,
        lambda x, slope, t: x.abs().sum(1) - t,
        lambda x, slope, t: t * slope.abs().amax(1).sum(),
    ),
    "l1,inf ball": Operator(
        lelkern.project_l1inf_ball,
        lambda x, slope, t: x.abs().amax(1).sum() - t,
        lambda x, slope, t: t * slope.abs().sum(1).amax(),
    ),
}

numbers = st.one_of(st.floats(-10, 10, width=32), st.sampled_from([0.0, 1.0, -1.0, 1e-30]))
points = st.lists(numbers, min_size=12, max_size=12).map(
    lambda values: torch.tensor(values, dtype=torch.float64).reshape(SHAPE)
)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
@settings(max_examples=40, deadline=None)
@given(v=points, w=points, t=st.one_of(st.floats(1e-3, 12), st.sampled_from([0.5, 1.0, 1e-12])))
def test_of_any_point(operator, v, w, t):
    x, y = operator.call(v, t), operator.call(w, t)
    slope = operator.metric * (v - x)
    size = max(float(v.norm()), float(w.norm()), t)
    bound = 8 * off(torch.float64, v.numel()) * size  # numbers of the size of v, rounded as it is
    assert (operator.beyond(x, slope, t) <= 5 * bound).all()  # d is up to 5
    work = float((slope * x).sum())
    assert work == pytest.approx(float(operator.work(x, slope, t)), abs=12 * bound * size)
    # Firmly non-expansive: no two points come out farther apart than they went in, by far.
    moved, apart = x - y, v - w
    assert (operator.metric * moved * (apart - moved)).sum() >= -24 * bound * size


@pytest.mark.parametrize("name", ["simplex", "l1 ball", "l1,inf ball"])
@settings(max_examples=40, deadline=None)
@given(v=points, t=st.floats(1e-3, 12))
def test_projecting_again_moves_nothing(name, v, t):
    x = OPERATORS[name].call(v, t)
    bound = off(torch.float64, v.numel()) * max(float(v.norm()), t)  # x is rounded as v is
    assert (OPERATORS[name].call(x, t) - x).abs().amax() <= bound
