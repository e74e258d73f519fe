"""Parameters that wrap other tensors, such as those of models that are spread over devices."""

from functools import partial

import pytest
import torch
from torch.nn import Parameter
from torch.optim import SGD, AdamW

from lelkern.optim import ProximalAdam, ProximalSGD, ProximalStep

REFUSED = r"group 0: params\[1\] must have memory of its own, got DTensor, which wraps tensors"
OPTIMISERS = {
    "sgd": ProximalSGD,
    "adam": partial(ProximalAdam, metric="euclidean"),
    "step": lambda params, lr, **settings: ProximalStep(SGD(params, lr=lr), **settings),
}


def sharded(mesh, seed=0):
    """A parameter of which each device has some rows."""
    from torch.distributed.tensor import Shard, distribute_tensor

    w = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
    return Parameter(distribute_tensor(w, mesh, [Shard(0)]))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_they_are_refused_where_they_have_a_penalty(mesh, optimiser):
    params = [Parameter(torch.ones(4, 3)), sharded(mesh)]
    for settings in ({"prox": "l1"}, {"prox": "group_lasso", "dim": 1}, {"prox": "nuclear"}):
        with pytest.raises(TypeError, match=REFUSED):
            OPTIMISERS[optimiser](params, lr=0.1, lam=0.1, **settings)


def test_groups_that_come_later_are_refused_before_anything_moves(mesh):
    w, first = sharded(mesh), Parameter(torch.ones(2))
    fused = ProximalSGD([first], lr=0.1, prox="l1", lam=0.1)
    later = {"params": [Parameter(torch.ones(2)), w]}
    with pytest.raises(TypeError, match=REFUSED.replace("group 0", "group 1")):
        fused.add_param_group(later)
    assert len(fused.param_groups) == 1
    followed = AdamW([first], lr=0.1)
    ProximalStep(followed, prox="l1", lam=0.1)
    followed.add_param_group(later)
    first.grad, before = torch.ones(2), first.detach().clone()
    with pytest.raises(TypeError, match=REFUSED.replace("group 0", "group 1")):
        followed.step()
    assert torch.equal(first, before)


def test_without_a_penalty_the_optimiser_steps_as_it_does_alone(mesh):
    """Beside parameters that have one; ProximalSGD steps itself, and so takes none of them."""
    with pytest.raises(TypeError, match=REFUSED.replace(r"\[1\]", r"\[0\]")):
        ProximalSGD([sharded(mesh)], lr=0.1)
    results = []
    for follow in (True, False):
        w, head = sharded(mesh), Parameter(torch.ones(2))
        groups = [{"params": [w], "prox": None}, {"params": [head]}]
        optimizer = AdamW(groups, lr=0.1)
        if follow:
            ProximalStep(optimizer, prox="l1", lam=10.0)
        for seed in (1, 2):
            w.grad, head.grad = sharded(mesh, seed).detach(), torch.ones(2)
            optimizer.step()
        assert bool((head == 0).all()) == follow
        results.append(w.detach().full_tensor())
    assert torch.equal(*results)
