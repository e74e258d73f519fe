"""Lists that come again are unpacked once: that must show in nothing but the time."""

import contextlib
import gc
import sys
import threading
import time
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


def planned(ema, params):
    """Update, and return the lists, for which there is a plan now."""
    lelkern.ema_update_(ema, params, 0.5)
    assert _ema_plan._plans[-1].is_of((*ema, *params))
    return ema, params


def update_and_check(ema, params, decay=0.75):
    before = [x.detach().clone() for x in ema]
    lelkern.ema_update_(ema, params, decay)
    for x, old, p in zip(ema, before, params, strict=True):
        check(x.detach(), old, p.detach(), decay)


def small_lists():
    ema = [normals(5), normals(3, 4).float(), normals(7).bfloat16()]
    return ema, [nn.Parameter(normals(*x.shape, seed=1)) for x in ema]


def test_each_pair_of_lists_has_its_plan():
    ema, params = planned(*small_lists())
    others = planned(*small_lists())
    for _ in range(3):
        update_and_check(ema, params)
        update_and_check(*others)
    assert len(_ema_plan._plans) == 2
    update_and_check(list(reversed(ema)), list(reversed(params)))
    update_and_check(ema[:2], params[:2])
    assert len(_ema_plan._plans) == 4


def test_the_same_tensors_may_be_divided_differently():
    ema, params = planned([normals(3), normals(3)], [normals(3), normals(3)])
    with pytest.raises(ValueError, match="must have the same length, got 1 and 3"):
        lelkern.ema_update_(ema[:1], [ema[1], *params], 0.5)


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


def test_another_dtype_at_the_same_address():
    ema, params = planned([normals(16)], [normals(16, seed=1).bfloat16()])
    params[0].data = params[0].data.view(torch.float16)
    update_and_check(ema, params)


def test_what_becomes_a_subclass_is_told_of_updates():
    class Told(torch.Tensor):
        functions = ()

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            cls.functions += (str(function),)
            return super().__torch_function__(function, types, args, kwargs or {})

    ema, params = planned([normals(4)], [normals(4, seed=1)])
    params[0].__class__ = Told
    lelkern.ema_update_(ema, params, 0.5)
    assert "lelkern.ema_update_" in Told.functions


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


def test_autograd_sees_no_update_that_is_refused():
    ema, params = planned([torch.ones(3), torch.ones(3)], [torch.zeros(3), torch.zeros(3)])
    x = torch.ones(3, requires_grad=True)
    loss = (ema[0] * x).sum()
    with pytest.raises(ValueError, match="must have the same length"):
        lelkern.ema_update_(ema, params[:1], 0.5)
    loss.backward()
    assert torch.equal(x.grad, ema[0])


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


def test_few_plans_are_kept():
    lists = [planned(*small_lists()) for _ in range(_ema_plan.MOST_PLANS + 2)]
    assert len(_ema_plan._plans) == _ema_plan.MOST_PLANS
    for ema, params in lists:
        update_and_check(ema, params)


def test_a_plan_keeps_no_tensor():
    ema, params = planned(*small_lists())
    gone = [weakref.ref(x) for x in (*ema, *params)]
    del ema, params
    gc.collect()
    assert [x() for x in gone] == [None] * len(gone)
    assert len(_ema_plan._plans) == 1


def test_other_tensors_in_the_places_of_those_that_are_gone():
    for i in range(200):
        n = i % 7
        x = torch.full((n,), 2.0)
        lelkern.ema_update_([x], [nn.Parameter(torch.zeros(n))], 0.5)
        assert torch.equal(x, torch.ones(n))


def test_tensors_may_be_swapped():
    ema, params = planned(*small_lists())
    for lists in (ema, params):
        torch.utils.swap_tensors(lists[0], type(lists[0])(normals(5, seed=5)))
        update_and_check(ema, params)


def test_a_view_of_the_negative():
    x = normals(4, seed=1)
    ema, params = planned([normals(4)], [x])
    update_and_check(ema, [x._neg_view()])
    with pytest.raises(RuntimeError, match="negation"):  # PyTorch's own word: it passes none on
        lelkern.ema_update_([ema[0]._neg_view()], params, 0.75)


def test_a_view_of_the_negative_in_the_place_of_one_that_is_gone():
    ema, x = [torch.zeros(4)], torch.ones(4)
    for _ in range(20):
        view = x.view(4)
        lelkern.ema_update_(ema, [view], 0.75)
        del view
        update_and_check(ema, [x._neg_view()])


def test_a_list_that_is_shorter_than_it_says():
    class First(list):
        def __iter__(self):
            return iter(self[:1])

    ema, params = planned([normals(5), normals(5)], [normals(5, seed=1), normals(5, seed=1)])
    lelkern.ema_update_(First(ema), First(params), 0)
    assert torch.equal(ema[0], params[0])
    assert not torch.equal(ema[1], params[1])


@pytest.mark.slow
def test_lists_may_change_in_another_thread():
    ema, params = planned(*small_lists())
    done = threading.Event()

    def change():
        while not done.is_set():
            for lists in (ema, params):
                lists.append(lists.pop())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            with contextlib.suppress(ValueError):  # of different lengths
                lelkern.ema_update_(ema, params, 0.75)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_an_update_that_fails_is_not_done_again(monkeypatch):
    class Failing:
        @staticmethod
        def lelkern_ema_plan_update(at, decay, seed):
            return 0

    ema, params = planned(*small_lists())
    before = [x.clone() for x in ema]
    monkeypatch.setattr(_ema_plan, "_library", Failing)
    with pytest.raises(MemoryError, match="too little memory"):
        lelkern.ema_update_(ema, params, 0.5)
    assert all(torch.equal(x, y) for x, y in zip(ema, before, strict=True))


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("wrong", [None, 1, "average"])
def test_no_tensor_where_there_was_one(wrong, place):
    ema, params = planned(*small_lists())
    for name, lists in (("ema", [*ema]), ("params", [*params])):
        lists[place] = wrong
        with pytest.raises(TypeError, match=rf"{name}\[{place}\] must be a tensor"):
            lelkern.ema_update_(*((lists, params) if name == "ema" else (ema, lists)), 0.5)


def test_what_a_plan_compares_is_found_where_python_has_it():
    assert _ema_plan._layout() is not None


def test_profilers_see_the_op():
    ema, params = planned(*small_lists())
    with torch.profiler.profile() as profile:
        update_and_check(ema, params)
    assert "lelkern::ema_update_" in {event.key for event in profile.key_averages()}
