"""Proximal operators and projections by the emulated CUDA kernels, called as their ops are."""

from collections.abc import Sequence
from pathlib import Path

import emulation
import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("prox_kernels.cpp")
PROJECTIONS = Path(__file__).with_name("projection_kernels.cpp")
ELEMENTS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
PAGE = 4096  # where tensors of lists begin


def module() -> emulation.Module:
    return emulation.load(SOURCE)


def projections() -> emulation.Module:
    return emulation.load(PROJECTIONS)


def computed_in(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def prox_l1(w: Tensor, lam: Tensor) -> Tensor:
    """Do what lelkern.reference.prox_l1.prox_l1 does."""
    to = torch.full_like(w, torch.nan)
    _succeed(module().soften(w, lam, to))
    return to


def prox_l1_backward(grad: Tensor, w: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Do what lelkern.reference.prox_l1.prox_l1_backward does."""
    to, of_lam = torch.full_like(w, torch.nan), torch.full_like(lam, torch.nan)
    room = _room(module(), lam, module().soften_blocks(w, lam))
    _succeed(module().soften_backward(grad, w, lam, to, of_lam, room))
    return to, of_lam


def prox_group(
    w: Tensor,
    lam1: Tensor | None,
    lam: Tensor,
    group_ptr: Tensor | None,
    group_indices: Tensor | None,
    q: float,
    *,
    by: int = 0,
) -> tuple[Tensor, Tensor]:
    """Do what lelkern.reference.prox_group.prox_group does, with w `by` numbers off a boundary."""
    to = w.clone() if group_ptr is not None else torch.full_like(w, torch.nan)
    roots = torch.full((_groups(w, group_ptr),), torch.nan, dtype=computed_in(w))
    given = emulation.misaligned(w, by * w.element_size()) if by else w
    _succeed(module().shrink(given, lam1, lam, group_ptr, group_indices, q, to, roots))
    return to, roots


def prox_group_backward(
    grad: Tensor,
    w: Tensor,
    lam1: Tensor | None,
    lam: Tensor,
    group_ptr: Tensor | None,
    group_indices: Tensor | None,
    q: float,
    root: Tensor,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Do what lelkern.reference.prox_group.prox_group_backward does, given the roots."""
    to = grad.clone() if group_ptr is not None else torch.full_like(grad, torch.nan)
    count = _groups(w, group_ptr)
    found = []
    for threshold in (lam1, lam):
        gradient = None if threshold is None else torch.full_like(threshold, torch.nan)
        found += [gradient, _room(module(), threshold, count)]
    given = grad, w, lam1, lam, group_ptr, group_indices, q, root
    _succeed(module().shrink_backward(*given, to, *found))
    assert found[2] is not None
    return to, found[0], found[2]


def prox_group_(
    w: Sequence[Tensor],
    lam1: Sequence[Tensor],
    lam: Sequence[Tensor],
    group_ptr: Sequence[Tensor],
    group_indices: Sequence[Tensor],
    sizes: Sequence[int],
    q: float,
    scale: float | Tensor,
    *,
    large_parameters: bool = True,
) -> None:
    """Do what the op lelkern::prox_group_ does."""
    lists = _Lists(w, [], [], lam1, lam, group_ptr, group_indices, sizes)
    lists.run(q, scale, None, large_parameters)


def prox_sgd_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    buffers: Sequence[Tensor],
    lam1: Sequence[Tensor],
    lam: Sequence[Tensor],
    group_ptr: Sequence[Tensor],
    group_indices: Sequence[Tensor],
    sizes: Sequence[int],
    q: float,
    step: Sequence[float],
    scale: float,
) -> None:
    """Do what the op lelkern::prox_sgd_ does.

    Args:
        step: rate, momentum, dampening, weight decay, nesterov, first.
        scale: the effective step.
    """
    lists = _Lists(params, grads, buffers, lam1, lam, group_ptr, group_indices, sizes)
    lists.run(q, scale, torch.tensor(step, dtype=torch.float64), True)


def prox_metric_(
    w: Sequence[Tensor],
    metric: Sequence[Tensor],
    lam1: Sequence[Tensor],
    lam: Sequence[Tensor],
    group_ptr: Sequence[Tensor],
    group_indices: Sequence[Tensor],
    sizes: Sequence[int],
    *,
    large_parameters: bool = True,
) -> None:
    """Do what the op lelkern::prox_metric_ does."""
    lists = _Lists(w, metric, [], lam1, lam, group_ptr, group_indices, sizes)
    lists.run(2.0, 1.0, None, large_parameters, in_metric=True)


def project_simplex(x: Tensor, radius: Tensor, l1: bool) -> tuple[Tensor, Tensor]:
    """Do what lelkern.reference.project_simplex.project_simplex does."""
    to = torch.full_like(x, torch.nan)
    theta = torch.full(x.shape[:1], torch.nan, dtype=computed_in(x))
    _succeed(projections().project_rows(x, radius, l1, to, theta))
    return to, theta


def project_simplex_backward(
    grad: Tensor, radius: Tensor, l1: bool, y: Tensor, theta: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and radius, given that of y and what forward returned."""
    to, of_radius = torch.full_like(y, torch.nan), torch.full_like(radius, torch.nan)
    room = _room(projections(), radius, len(y))
    _succeed(projections().project_rows_backward(grad, l1, y, theta, to, of_radius, room))
    return to, of_radius


def project_l1inf(x: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Do what lelkern.reference.project_l1inf.project_l1inf does."""
    to = torch.full_like(x, torch.nan)
    levels = torch.full(x.shape[:2], torch.nan, dtype=computed_in(x))
    _succeed(projections().project_balls(x, radius, to, levels))
    return to, levels


def project_l1inf_backward(
    grad: Tensor, x: Tensor, radius: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor]:
    """Do what lelkern.reference.project_l1inf.project_l1inf_backward does, given the levels."""
    to, of_radius = torch.full_like(x, torch.nan), torch.full_like(radius, torch.nan)
    room = _room(projections(), radius, len(x))
    _succeed(projections().project_balls_backward(grad, x, levels, to, of_radius, room))
    return to, of_radius


class _Lists:
    """Lists whose tensors are copied into one piece of memory, and back: what a kernel writes
    beside them is noticed."""

    def __init__(
        self,
        w: Sequence[Tensor],
        beside: Sequence[Tensor],
        buffers: Sequence[Tensor],
        lam1: Sequence[Tensor],
        lam: Sequence[Tensor],
        group_ptr: Sequence[Tensor],
        group_indices: Sequence[Tensor],
        sizes: Sequence[int],
    ) -> None:
        self.written = [*w, *buffers]
        self.places: dict[int, tuple[Tensor, int]] = {}
        self.size = 0
        self.listed = 0
        self.rows = []
        remaining = iter(zip(group_ptr, group_indices, strict=True))
        for i, x in enumerate(w):
            size, inner = sizes[2 * i : 2 * i + 2]
            ptr, indices = (None, None) if size or inner else next(remaining)
            if ptr is not None:
                size, self.listed = len(ptr) - 1, self.listed + x.numel()
            own = [x, *((t[i] if t else None) for t in (beside, buffers, lam1, lam)), ptr, indices]
            each = [int(bool(t) and t[i].dim() > 0) for t in (lam1, lam)]
            kind = [ELEMENTS.index(x.dtype), x.numel(), size, inner]
            entries = 0 if indices is None else len(indices)
            self.rows.append([*map(self._place, own), *kind, entries, *each])

    def run(
        self,
        q: float,
        scale: float | Tensor,
        step: Tensor | None,
        large_parameters: bool,
        *,
        in_metric: bool = False,
    ) -> None:
        memory = torch.full((self.size + PAGE,), 255, dtype=torch.uint8)
        for tensor, at in self.places.values():
            memory[at : at + _bytes(tensor).numel()] = _bytes(tensor)
        before = memory.clone()
        tensor = scale if isinstance(scale, Tensor) else None
        listed = torch.zeros(max(self.listed, 1), dtype=torch.uint8)
        rows = torch.tensor(self.rows, dtype=torch.int64).flatten()
        number = 0.0 if tensor is not None else float(scale)
        status = module().lists(
            memory, rows, len(self.rows), q, number, tensor, step, listed, self.listed,
            in_metric, large_parameters,
        )  # fmt: skip
        _succeed(status)
        for written in self.written:
            if written.numel() == 0:
                continue
            _, at = self.places[written.data_ptr()]
            own = slice(at, at + _bytes(written).numel())
            written.copy_(memory[own].view(written.dtype).view(written.shape))
            memory[own] = before[own]
        assert torch.equal(memory, before), "memory beside the tensors has changed"

    def _place(self, tensor: Tensor | None) -> int:
        if tensor is None:
            return -1
        if tensor.numel() == 0:
            return 0
        if tensor.data_ptr() not in self.places:
            # As far from a boundary as it is, so that views begin at odd places here as well.
            off = tensor.storage_offset() * tensor.element_size()
            at = -(-self.size // PAGE) * PAGE + off % PAGE
            self.places[tensor.data_ptr()] = tensor, at
            self.size = at + tensor.numel() * tensor.element_size()
        return self.places[tensor.data_ptr()][1]


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _groups(w: Tensor, ptr: Tensor | None) -> int:
    return w.shape[0] * w.shape[2] if ptr is None else len(ptr) - 1


def _room(of: emulation.Module, thresholds: Tensor | None, count: int) -> Tensor | None:
    if thresholds is None or thresholds.dim() > 0:
        return None
    return torch.full((count + of.sums_room(),), torch.nan, dtype=torch.float64)


def _succeed(status: int) -> None:
    assert status == 0
