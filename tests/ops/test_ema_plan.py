"""Lists that come again are unpacked once: that must show in nothing but the time."""

import gc
import weakref

import pytest
import torch
from ema_samples import check, compiled, normals
from torch import nn

import lelkern
from lelkern.ops import _ema_plan

pytestmark = pytest.mark.skipif(not compiled("cpu"), reason="only the kernels have plans")


@pytest.fixture(autouse=True)
def no_plans():
    _ema_plan._plans.clear()
    _ema_plan._seen.clear()


def planned(ema, params):
    """Update until there is a plan, and return the lists."""
    for _ in range(2):
        lelkern.ema_update_(ema, params, 0.5)
    assert _ema_plan._plans[-1].is_of(ema, params)
    return ema, params


def update_and_check(ema, params, decay=0.75):
    before = [x.detach().clone() for x in ema]
    lelkern.ema_update_(ema, params, decay)
    for x, old, p in zip(ema, before, params, strict=True):
        check(x.detach(), old, p.detach(), decay)


def small_lists():
    ema = [normals(5), normals(3, 4).float(), normals(7).bfloat16()]
    return ema, [nn.Parameter(normals(*x.shape, seed=1)) for x in ema]


def test_plans_are_made_of_what_comes_twice_in_a_row():
    ema, params = small_lists()
    others = small_lists()
    for _ in range(3):
        lelkern.ema_update_(ema, params, 0.5)
        lelkern.ema_update_(*others, 0.5)
    assert not _ema_plan._plans
    planned(ema, params)
    update_and_check(ema, params)
    update_and_check(list(reversed(ema)), list(reversed(params)))
    update_and_check(ema[:2], params[:2])
    assert len(_ema_plan._plans) == 1


def test_a_plan_gives_the_same_bits():
    ema, params = planned(*small_lists())
    copies = [x.clone() for x in ema]
    for stochastic in (False, True):
        torch.manual_seed(1)
        lelkern.ema_update_(ema, params, 0.9, stochastic_rounding=stochastic)
        torch.manual_seed(1)
        lelkern.ema_update_(copies, params, 0.9, stochastic_rounding=stochastic)
        assert all(torch.equal(x, y) for x, y in zip(ema, copies, strict=True))


def moved(x):
    x.data = x.data.clone()


def of_another_dtype(x):
    x.data = x.data.half()


def transposed(x):
    x.data = x.data.t()


def in_inverse_order(x):
    storage = torch.zeros(100, dtype=x.dtype)
    x.data = storage[:12].view(4, 3).t()


@pytest.mark.parametrize("of_averages", [True, False])
@pytest.mark.parametrize("change", [moved, of_another_dtype, in_inverse_order])
def test_a_tensor_that_is_not_what_it_was(change, of_averages):
    ema, params = planned(*small_lists())
    change((ema if of_averages else params)[1])
    update_and_check(ema, params)
    planned(ema, params)
    update_and_check(ema, params)


def test_other_strides_at_the_same_address():
    ema, params = planned([normals(4, 4)], [normals(4, 4, seed=1)])
    transposed(params[0])
    update_and_check(ema, params)


def test_another_shape_at_the_same_address():
    ema, params = planned([normals(4, 4)], [normals(4, 4, seed=1)])
    params[0].data = params[0].data.view(16)
    with pytest.raises(ValueError, match=r"params\[0\] must have the shape of ema\[0\]"):
        lelkern.ema_update_(ema, params, 0.75)
    ema[0].data = ema[0].data.view(16)
    update_and_check(ema, params)


def test_a_lazy_clone_keeps_its_values():
    ema, params = planned([normals(4, 4)], [normals(4, 4, seed=1)])
    clone, values = torch._lazy_clone(ema[0]), ema[0].clone()
    update_and_check(ema, params)
    assert torch.equal(clone, values)


def test_lists_may_change_in_place():
    ema, params = planned(*small_lists())
    params[0] = normals(5, seed=2)
    ema.append(normals(2))
    params.append(normals(2, seed=3))
    update_and_check(ema, params)


def test_autograd_sees_planned_updates():
    ema, params = planned([torch.ones(3)], [torch.zeros(3)])
    x = torch.ones(3, requires_grad=True)
    loss = (ema[0] * x).sum()
    lelkern.ema_update_(ema, params, 0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_wrong_momentum_is_refused_with_a_plan():
    ema, params = planned(*small_lists())
    with pytest.raises(ValueError, match="decay must be in"):
        lelkern.ema_update_(ema, params, 1.5)


def test_what_watches_ops_sees_them_in_spite_of_a_plan():
    from torch.utils._python_dispatch import TorchDispatchMode

    class Seen(TorchDispatchMode):
        ops = ()

        def __torch_dispatch__(self, op, types, args=(), kwargs=None):
            self.ops += (str(op),)
            return op(*args, **(kwargs or {}))

    ema, params = planned(*small_lists())
    with Seen() as seen:
        update_and_check(ema, params)
    assert "lelkern.ema_update_.default" in seen.ops


def test_few_and_only_small_lists_are_kept():
    for _ in range(_ema_plan.MOST_PLANS + 2):
        planned(*small_lists())
    assert len(_ema_plan._plans) == _ema_plan.MOST_PLANS
    large = torch.zeros(_ema_plan.MOST_BYTES // 4 + 1)
    view = large[:10]  # small, but it would keep all of it
    for ema in (large, view):
        for _ in range(3):
            lelkern.ema_update_([ema], [torch.ones_like(ema)], 0.5)
        assert not _ema_plan._plans[-1].is_of([ema], [ema])


def test_tensors_are_freed_with_their_plan():
    ema, params = planned(*small_lists())
    gone = weakref.ref(params[0])
    del ema, params
    _ema_plan._plans.clear()
    gc.collect()
    assert gone() is None
