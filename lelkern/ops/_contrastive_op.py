"""The ops of a contrastive loss: one for the losses of rows and one for their gradients."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lelkern.ops._backend import library_path, serves
from lelkern.ops._contrastive import bfloat16_terms
from lelkern.ops._differentiable_op import DifferentiableOp, Skippable
from lelkern.ops._dtypes import computed_in
from lelkern.ops._transforms import only_autograd

KEPT_BYTES = 30 * 2**20
"""At most so much of what forward computed is kept for backward; the rest is computed again.

Reading a number takes a third of the time of computing it again; more would be a burden on memory.
"""

_TILE = 192  # rows of the kernels' tiles at their largest


class ContrastiveOp:
    """A loss of the family as a :class:`DifferentiableOp`.

    To the loss's own options it adds ``bf16_terms``: as the sum of how many bfloat16 numbers each
    number may be multiplied, 1 or 2; 0 if only as it is. The hints are ``stats``, whether
    statistics are wanted, ``with_slope``, whether the temperature is going to have a gradient, and
    ``kept``, how many numbers may be kept for backward. The outputs are losses (rows,),
    log-sum-exps (rows,) and the losses' derivatives by 1 / temperature, (rows,) or (0,), both in
    float64 from kernels, what is kept, (kept,), and statistics (2, rows) or (2, 0).

    Args:
        name: of the op.
        inputs: the tensors as the schema declares them.
        options: likewise, booleans.
        differentiable: the names of the inputs that have a gradient.
        losses: from inputs and options to the number of losses.
        reference: from inputs, options and stats to losses, log-sum-exps and statistics.
        reference_backward: from the gradient of the losses, inputs, and options to gradients.
        keys: the place of the input that is compared with the first, if it may need no gradient: of
            this one, or if it is None of the one before. Without, the first input is compared with
            itself.
    """

    def __init__(
        self,
        name: str,
        inputs: str,
        options: str,
        *,
        differentiable: Sequence[str],
        losses: Callable[[tuple[Any, ...], tuple[bool, ...]], int],
        reference: Callable[..., tuple[Tensor, Tensor, Tensor]],
        reference_backward: Callable[..., tuple[Tensor, ...]],
        keys: int | None = None,
    ) -> None:
        names = [declared.split()[-1] for declared in inputs.split(", ")]
        self._inputs, self._temperature = len(names), names.index("temperature")
        self._labelled = "labels" in names
        self._losses = losses
        self._reference = reference
        self._reference_backward = reference_backward
        self._keys = keys
        self._op = DifferentiableOp(
            name,
            inputs=inputs,
            differentiable=differentiable,
            options=f"{options}, int bf16_terms",
            hints="bool stats, bool with_slope, SymInt kept",
            outputs="Tensor loss, Tensor log_sum_exp, Tensor slope, Tensor tiles, "
            "Tensor statistics",
            saved=("loss", "log_sum_exp", "slope", "tiles"),
            reference=self._forward_reference,
            reference_backward=self._gradients,
            fake=self._fake,
            float32_under_autocast=True,
            skippable=None if keys is None else Skippable("keys_need_grad", self._key_place),
        )

    def __call__(
        self, inputs: tuple[Any, ...], options: tuple[bool, ...], stats: bool
    ) -> tuple[Tensor, Tensor]:
        """Return losses and statistics."""
        terms, kept = bfloat16_terms(inputs[0]), self._to_keep(inputs)
        # Of a batch of vmap, compiled or not, nobody knows here whether it requires a gradient.
        wanted = inputs[self._temperature].requires_grad or not only_autograd(inputs)
        with_slope = torch.is_grad_enabled() and wanted
        losses, *_, statistics = self._op(inputs, (*options, terms), (stats, with_slope, kept))
        return losses, statistics

    def _to_keep(self, inputs: tuple[Any, ...]) -> int:
        """Return the number of similarities that are worth keeping for backward.

        The kernels keep as many tiles as fit, so that this need be no more than an upper bound for
        the tiles of a small matrix. Those of a GPU keep how many positives rows have by label.
        """
        if self._labelled and inputs[0].device.type == "cuda":
            return self._losses(inputs, ()) if serves(inputs[0].device) else 0
        if self._keys is None:  # half of a square of tiles: of the stacked rows, if there are two
            rows = self._losses(inputs, ()) + _TILE
            area = rows * (rows + 3 * _TILE) // 2  # b blocks have b tiles and up to b (b + 1) / 2
        else:
            area = rectangle(inputs[0], inputs[self._key_place(inputs)])
        return worth_keeping(area, [inputs[i] for i in self._op.differentiable])

    def _key_place(self, inputs: tuple[Any, ...]) -> int:
        assert self._keys is not None
        return self._keys if inputs[self._keys] is not None else self._keys - 1

    def _forward_reference(self, *arguments: Any) -> tuple[Tensor, ...]:
        *given, _, stats, with_slope, kept = arguments
        losses, log_sum_exp, statistics = self._reference(*given, stats)
        saved = log_sum_exp.to(_sums_dtype(arguments[0]))
        # Backward's reference takes neither of the other two.
        slopes = saved.new_empty(len(losses) if with_slope else 0)
        return losses, saved, slopes, losses.new_empty(kept), statistics

    def _gradients(self, *arguments: Any) -> tuple[Tensor, ...]:
        *given, _ = arguments
        return self._reference_backward(*given)

    def _fake(self, *arguments: Any) -> tuple[Tensor, ...]:
        *options, _, stats, with_slope, kept = arguments[self._inputs :]
        inputs = arguments[: self._inputs]
        z, losses = inputs[0], self._losses(inputs, tuple(options))
        dtype = computed_in(z)
        return (
            z.new_empty(losses, dtype=dtype),
            z.new_empty(losses, dtype=_sums_dtype(z)),
            z.new_empty(losses if with_slope else 0, dtype=_sums_dtype(z)),
            z.new_empty(kept, dtype=dtype),
            z.new_empty((2, losses if stats else 0), dtype=dtype),
        )


def rectangle(rows: Tensor, columns: Tensor) -> int:
    """Return an upper bound on the numbers in the tiles of rows and columns."""
    return (rows.shape[0] + _TILE) * (columns.shape[0] + 16 * _TILE)


def worth_keeping(area: int, differentiable: Sequence[Tensor | None]) -> int:
    """Return the number of similarities, at most ``area``, that kernels may keep for backward.

    0 if there is no backward, or no kernel that keeps anything, as on a GPU.
    """
    tensors = [x for x in differentiable if x is not None]
    needed = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    if not needed or tensors[0].device.type != "cpu" or library_path() is None:
        return 0
    return min(area, KEPT_BYTES // computed_in(tensors[0]).itemsize)


def _sums_dtype(z: Tensor) -> torch.dtype:
    """Return the dtype of what is saved a row: kernels need float64, which not every device has."""
    return torch.float64 if serves(z.device) else computed_in(z)
