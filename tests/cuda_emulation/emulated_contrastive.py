"""The contrastive losses by the emulated CUDA kernels, called as the reference is."""

from pathlib import Path
from typing import NamedTuple

import emulation
import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("contrastive_kernels.cpp")


class Case(NamedTuple):
    """A loss and its inputs; which one, what is given decides.

    Attributes:
        rows: one matrix or, for NT-Xent, two.
        columns: what they are compared with, unless it is themselves: keys, or a queue.
        given: the positive of each row, if it is no column.
        options: ids, negative_ids or labels, and whether both directions count.
    """

    rows: list[Tensor]
    columns: Tensor | None = None
    given: Tensor | None = None
    ids: Tensor | None = None
    negative_ids: Tensor | None = None
    labels: Tensor | None = None
    both: bool = False
    normalize: bool = True
    decoupled: bool = False

    @property
    def losses(self) -> int:
        columns = 0 if self.columns is None or not self.both else len(self.columns)
        return sum(map(len, self.rows)) + columns


class Forward(NamedTuple):
    """What forward leaves; slope, stats and counts are None where they were not asked for."""

    losses: Tensor
    log_sum_exp: Tensor
    slope: Tensor | None
    stats: Tensor | None
    counts: Tensor | None = None


class Backward(NamedTuple):
    """Gradients of the rows, of the columns, of the given positives, of the temperature."""

    rows: list[Tensor]
    columns: Tensor | None
    given: Tensor | None
    temperature: Tensor


def module() -> emulation.Module:
    return emulation.load(SOURCE)


def launches() -> int:
    """Return how many kernels were launched since the last call."""
    return module().take_launches()


def _arguments(case: Case, temperature: Tensor, terms: int, multiprocessors: int) -> list[object]:
    """Return the parameters that all four functions of the module begin with."""
    first, *others = case.rows
    column_ids = case.negative_ids if case.given is not None else case.ids
    return [
        first,
        others[0] if others else None,
        case.columns,
        case.given,
        case.ids,
        column_ids if case.columns is not None else None,
        case.labels,
        case.both,
        temperature,
        case.normalize,
        case.decoupled,
        terms,
        multiprocessors,
    ]


def _nan(size: int) -> Tensor:
    """Return so many bytes, an even number, that are NaN or a large whole number in every type."""
    return torch.full((size // 2,), 0x7FFF, dtype=torch.int16).view(torch.uint8)


def forward(
    case: Case,
    temperature: Tensor,
    terms: int,
    *,
    multiprocessors: int = 2,
    losses_alone: bool = False,
) -> Forward:
    arguments = _arguments(case, temperature, terms, multiprocessors)
    dtype = torch.float64 if case.rows[0].dtype == torch.float64 else torch.float32
    out = Forward(
        torch.full((case.losses,), torch.nan, dtype=dtype),
        torch.full((case.losses,), torch.nan, dtype=torch.float64),
        torch.full((case.losses,), torch.nan, dtype=torch.float64),
        torch.full((2, case.losses), torch.nan, dtype=dtype),
    )
    if case.labels is not None:
        out = out._replace(counts=torch.full((case.losses,), -1, dtype=torch.int32))
    if losses_alone:
        out = out._replace(slope=None, stats=None, counts=None)
    kernels = module()
    workspace = _nan(kernels.forward_workspace(*arguments))
    assert kernels.forward(*arguments, *out, workspace) == 0
    return out


def backward(
    case: Case,
    temperature: Tensor,
    terms: int,
    grad: Tensor,
    saved: Forward,
    *,
    column_gradients: bool = True,
    multiprocessors: int = 2,
) -> Backward:
    arguments = _arguments(case, temperature, terms, multiprocessors)
    wants_columns = column_gradients and case.columns is not None

    def like(z: Tensor | None) -> Tensor | None:
        return None if z is None else torch.full(z.shape, torch.nan, dtype=z.dtype)

    rows = [torch.full(z.shape, torch.nan, dtype=z.dtype) for z in case.rows]
    columns = like(case.columns) if wants_columns else None
    given = like(case.given)
    to_temperature = torch.full_like(temperature, torch.nan)
    kernels = module()
    size = kernels.backward_workspace(*arguments, wants_columns)
    status = kernels.backward(
        *arguments,
        grad,
        saved.losses,
        saved.log_sum_exp,
        saved.slope,
        saved.counts,
        rows[0],
        rows[1] if len(rows) > 1 else None,
        columns,
        given,
        to_temperature,
        _nan(size),
    )
    assert status == 0
    return Backward(rows, columns, given, to_temperature)
