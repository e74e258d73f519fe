"""Lists of tensors on the CPU that are updated again and again are unpacked once.

PyTorch takes 0.15 µs to hand one tensor of a list to an op, which for 160 small tensors is several
times as long as to update them, and more than 1 µs where an update of a large model has just swept
all caches. So what an op found out about the last few pairs of lists is kept, though none of their
tensors is: in every update each one's memory, shape, strides, dtype and dispatch keys are compared
with what they were, and where one has changed the lists are unpacked again.
"""

import ctypes
import functools
import weakref
from typing import NamedTuple

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack

from lelkern.ops._backend import library_path

MOST_PLANS = 4

_PLAIN = {Tensor, torch.nn.Parameter}
_IMPL_BYTES = 192  # of what an at::Tensor points to, on 64 bits: beyond is other memory


class _Layout(NamedTuple):
    """Where in memory to see what a tensor is.

    Attributes:
        type_at: bytes from the start of its Python object to the pointer to its type.
        tensor_at: and to its ``at::Tensor``.
        keys_at: from where that points to, to the dispatch keys, one of which says that a view is
            the negative of what is in memory.
    """

    type_at: int
    tensor_at: int
    keys_at: int


class _Plan:
    """What the kernels know about two lists."""

    def __init__(self, ema: tuple[Tensor, ...], params: tuple[Tensor, ...]) -> None:
        self.lengths = len(ema), len(params)
        self._at = torch.ops.lelkern.ema_plan(ema, params)
        release = _library().lelkern_ema_plan_release
        weakref.finalize(self, release, ctypes.c_void_p(self._at)).atexit = False

    def remember(self, tensors: tuple[Tensor, ...], layout: _Layout) -> bool:
        """Note what the tensors are, and return whether their memory is what was unpacked."""
        return bool(_under_lock().lelkern_ema_plan_remember(self._at, tensors, *layout))

    def is_of(self, tensors: tuple[Tensor, ...]) -> bool:
        """Whether these are the tensors of the plan and have not changed but for their values."""
        return bool(_under_lock().lelkern_ema_plan_is_of(self._at, tensors))

    def update(self, decay: float, seed: Tensor | None) -> None:
        """Update the averages."""
        number = None if seed is None else ctypes.byref(ctypes.c_uint64(int(seed)))
        if not _library().lelkern_ema_plan_update(self._at, decay, number):
            # Not to be tried again: some averages may have been updated.
            raise MemoryError("there is too little memory to update averages")


_plans: list[_Plan] = []  # the latest last


def update_as_planned(
    ema: tuple[Tensor, ...], params: tuple[Tensor, ...], decay: float, seed: Tensor | None
) -> bool:
    """Update averages by a plan, an old one or a new one, and return whether that was possible.

    It is not where something watches which ops are called, on other devices than the CPU, and for
    subclasses of tensors: all these are for the op.

    Raises:
        RuntimeError: where ``ema_update_`` would.
    """
    if (
        ema[0].device.type != "cpu"
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._autograd._profiler_enabled()
        or peek_interpreter_stack() is not None
        or (layout := _layout()) is None
        or (plan := _plan_of(ema, params, layout)) is None
    ):
        return False
    # Before the update: after that of a large model nothing of a tensor is left in the caches.
    torch.autograd.graph.increment_version(ema)
    plan.update(decay, seed)
    return True


def _plan_of(ema: tuple[Tensor, ...], params: tuple[Tensor, ...], layout: _Layout) -> _Plan | None:
    tensors, lengths = ema + params, (len(ema), len(params))
    for plan in reversed(_plans):
        if plan.lengths == lengths and plan.is_of(tensors):
            return plan
    if not _PLAIN.issuperset(map(type, tensors)):
        return None
    plan = _Plan(ema, params)
    if not plan.remember(tensors, layout):
        return None
    _plans.append(plan)
    del _plans[:-MOST_PLANS]
    return plan


@functools.cache
def _layout() -> _Layout | None:
    """Look where it is; None where that is not to be seen, or there are no kernels."""
    if library_path("cpu") is None:
        return None
    found = set()
    for tensor in (torch.empty(0), torch.nn.Parameter(torch.empty(0)), torch.empty(1)._neg_view()):
        size = ctypes.sizeof(ctypes.c_size_t)
        words = (ctypes.c_size_t * (Tensor.__basicsize__ // size)).from_address(id(tensor))
        places = [[size * i for i, word in enumerate(words) if word == wanted]
                  for wanted in (id(type(tensor)), tensor._cdata)]  # fmt: skip
        if [len(place) for place in places] != [1, 1]:
            return None
        keys = torch._C._dispatch_keys(tensor).raw_repr()
        offsets = range(0, _IMPL_BYTES, ctypes.sizeof(ctypes.c_uint64))
        at = next((at for at in offsets if _word(tensor._cdata + at) == keys), None)
        if at is None:
            return None
        found.add(_Layout(places[0][0], places[1][0], at))
    return found.pop() if len(found) == 1 else None


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path("cpu")))
    library.lelkern_ema_plan_update.argtypes = (ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p)
    library.lelkern_ema_plan_release.argtypes = (ctypes.c_void_p,)
    library.lelkern_ema_plan_release.restype = None
    return library


@functools.cache
def _under_lock() -> ctypes.PyDLL:
    """Return the functions that look at Python's objects, and so hold its lock."""
    library = ctypes.PyDLL(str(library_path("cpu")))
    size = ctypes.c_ssize_t
    library.lelkern_ema_plan_remember.argtypes = (ctypes.c_void_p, ctypes.py_object, *3 * [size])
    library.lelkern_ema_plan_is_of.argtypes = (ctypes.c_void_p, ctypes.py_object)
    return library
