"""Small lists of tensors on the CPU that are updated again and again are unpacked once.

PyTorch takes 0.15 µs to hand one tensor of a list to an op, which for 160 small tensors is several
times as long as to update them. So of the last few pairs of lists that came twice the tensors are
kept, 32 MiB of them at most: what holds them looks at each one's memory, shape, strides and dtype
in every update, and gives way to the op where one has changed.
"""

import ctypes
import functools
import operator
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack

from lelkern.ops._backend import library_path

MOST_PLANS = 4
MOST_BYTES = 8 * 2**20  # of a plan: beyond, handing over tensors is a small part of an update

_PLAIN = {Tensor, torch.nn.Parameter}


class _Plan:
    """Two lists, and what the kernels know about them."""

    def __init__(self, ema: Sequence[Tensor], params: Sequence[Tensor]) -> None:
        self.ema, self.params = tuple(ema), tuple(params)
        self._at = torch.ops.lelkern.ema_plan(list(ema), list(params))
        release = _library().lelkern_ema_plan_release
        weakref.finalize(self, release, ctypes.c_void_p(self._at)).atexit = False

    def is_of(self, ema: Sequence[Tensor], params: Sequence[Tensor]) -> bool:
        """Whether the lists hold the same tensors."""
        return (
            len(self.ema) == len(ema)
            and len(self.params) == len(params)
            and all(map(operator.is_, self.ema, ema))
            and all(map(operator.is_, self.params, params))
        )

    def update(self, decay: float, seed: Tensor | None) -> bool:
        """Update the averages, unless a tensor is not what it was when the plan was made."""
        number = None if seed is None else ctypes.byref(ctypes.c_uint64(int(seed)))
        return bool(_library().lelkern_ema_plan_update(self._at, decay, number))


_plans: list[_Plan] = []  # the latest last
_seen: list[int] = []  # the identities of the latest tensors that have no plan


def update_as_planned(
    ema: Sequence[Tensor], params: Sequence[Tensor], decay: float, seed: Tensor | None
) -> bool:
    """Update averages if there is a plan for these lists, and return whether there is."""
    if (
        not _plans
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or peek_interpreter_stack() is not None
    ):
        return False
    for plan in reversed(_plans):
        if plan.is_of(ema, params):
            if plan.update(decay, seed):
                return True
            _plans[:] = [other for other in _plans if other is not plan]
            return False
    return False


def plan_if_worthwhile(ema: Sequence[Tensor], params: Sequence[Tensor]) -> None:
    """Make a plan for lists that have been updated, if they are small and came twice in a row."""
    global _seen
    if ema[0].device.type != "cpu" or library_path("cpu") is None:
        return
    total = 0
    for tensor in (*ema, *params):
        if type(tensor) not in _PLAIN:
            return
        total += tensor.untyped_storage().nbytes()
        if total > MOST_BYTES:
            return
    identities = [*map(id, ema), *map(id, params)]
    if identities != _seen:
        _seen = identities
        return
    _seen = []
    _plans.append(_Plan(ema, params))
    del _plans[:-MOST_PLANS]


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path("cpu")))
    library.lelkern_ema_plan_update.argtypes = (ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p)
    library.lelkern_ema_plan_release.argtypes = (ctypes.c_void_p,)
    library.lelkern_ema_plan_release.restype = None
    return library
