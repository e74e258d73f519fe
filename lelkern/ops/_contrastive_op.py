"""How a contrastive loss becomes a pair of ops, one for the losses and one for their gradients."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lelkern.ops._backend import library_path
from lelkern.ops._contrastive import bfloat16_terms, computed_in
from lelkern.ops._define import cast_to_float32_under_autocast, define
from lelkern.ops._transforms import differentiated_by_tracing, in_float32_under_autocast

KEPT_BYTES = 30 * 2**20
"""At most so much of what forward computed is kept for backward; the rest is computed again.

Reading a number takes a third of the time of computing it again; more would be a burden on memory.
"""

_TILE = 192  # rows of the kernels' tiles at their largest


class ContrastiveOp:
    """A loss of the family as ``lelkern::name`` and ``lelkern::name_backward``.

    The first takes the loss's inputs and options, and then

    - ``bf16_terms``: as the sum of how many bfloat16 numbers each may be multiplied, 1 or 2; 0 if
      only as it is;
    - ``stats``: whether statistics are wanted;
    - ``kept``: how many numbers may be kept for backward.

    It returns losses (rows,), log-sum-exps (rows,) in float64, what it kept, (kept,), and
    statistics (2, rows) or (2, 0). The second takes the gradient of the losses, the inputs, the
    options, ``bf16_terms``, ``keys_need_grad`` if it is asked for, and the first three results,
    and returns the gradients of the inputs that are not whole numbers.

    Args:
        name: of the op.
        inputs: the tensors as the schema declares them. Whole numbers are called ids or labels.
        options: likewise, booleans.
        losses: from inputs and options to the number of losses.
        reference: from inputs, options and stats to losses, log-sum-exps and statistics.
        reference_backward: from the gradient of the losses, inputs, and options to gradients.
        keys: the input that is compared with the first, if it may need no gradient: one of them, or
            if it is None the one before. Without, the first input is compared with itself.
    """

    def __init__(
        self,
        name: str,
        inputs: str,
        options: str,
        *,
        losses: Callable[[tuple[Any, ...], tuple[bool, ...]], int],
        reference: Callable[..., tuple[Tensor, Tensor, Tensor]],
        reference_backward: Callable[..., tuple[Tensor, ...]],
        keys: int | None = None,
    ) -> None:
        self.name = name
        self._names = [declared.split()[-1] for declared in inputs.split(", ")]
        self._options = len(options.split(", "))
        self._losses = losses
        self._reference = reference
        self._reference_backward = reference_backward
        self._keys = keys
        self._differentiable = [
            i for i, name in enumerate(self._names) if not name.endswith(("ids", "labels"))
        ]
        given = f"{inputs}, {options}, int bf16_terms"
        define(
            name,
            f"({given}, bool stats, SymInt kept)"
            " -> (Tensor loss, Tensor log_sum_exp, Tensor tiles, Tensor statistics)",
            reference=self._forward_reference,
            fake=self._fake,
            setup_context=self._setup_context,
            backward=self._backward,
        )
        gradients = ", ".join(f"Tensor grad_{self._names[i]}" for i in self._differentiable)
        needs = ", bool keys_need_grad" if keys is not None else ""
        define(
            f"{name}_backward",
            f"(Tensor grad, {given}{needs}, Tensor loss, Tensor log_sum_exp, Tensor tiles)"
            f" -> ({gradients})",
            reference=self._backward_of_reference,
            fake=self._backward_fake,
            setup_context=self._backward_setup_context,
            backward=self._double_backward,
        )
        cast_to_float32_under_autocast(name)

    def __call__(
        self, inputs: tuple[Any, ...], options: tuple[bool, ...], stats: bool
    ) -> tuple[Tensor, Tensor]:
        """Return losses and statistics, differentiable in whatever way is asked for."""
        if differentiated_by_tracing(*(x for x in inputs if x is not None)):
            losses, _, statistics = in_float32_under_autocast(
                lambda *cast: self._reference(*cast, *options, stats), *inputs
            )
            return losses, statistics
        op = getattr(torch.ops.lelkern, self.name)
        terms = bfloat16_terms(inputs[0])
        losses, _, _, statistics = op(*inputs, *options, terms, stats, self._to_keep(inputs))
        return losses, statistics

    def _to_keep(self, inputs: tuple[Any, ...]) -> int:
        """Return how many numbers are worth keeping for backward.

        The kernels keep as many tiles as fit, so that this need be no more than an upper bound for
        the tiles of a small matrix.
        """
        rows = inputs[0].shape[0] + _TILE
        differentiable = torch.is_grad_enabled() and any(
            inputs[i] is not None and inputs[i].requires_grad for i in self._differentiable
        )
        if not differentiable or inputs[0].device.type != "cpu" or library_path() is None:
            return 0
        if self._keys is None:  # half of a square of tiles: of the stacked rows, if there are two
            rows = self._losses(inputs, ()) + _TILE
            area = rows * (rows + 3 * _TILE) // 2  # b blocks have b tiles and up to b (b + 1) / 2
        else:
            area = rows * (inputs[self._key_index(inputs)].shape[0] + 16 * _TILE)
        most = KEPT_BYTES // computed_in(inputs[0]).itemsize
        return min(area, most)

    def _key_index(self, inputs: tuple[Any, ...]) -> int:
        assert self._keys is not None
        return self._keys if inputs[self._keys] is not None else self._keys - 1

    def _split(self, arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return inputs and what follows them."""
        return arguments[: len(self._names)], arguments[len(self._names) :]

    def _forward_reference(self, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs, (*options, _, stats, kept) = self._split(arguments)
        losses, log_sum_exp, statistics = self._reference(*inputs, *options, stats)
        return losses, log_sum_exp, losses.new_empty(kept), statistics

    def _fake(self, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs, (*options, _, stats, kept) = self._split(arguments)
        z, losses = inputs[0], self._losses(inputs, tuple(options))
        dtype = computed_in(z)
        return (
            z.new_empty(losses, dtype=dtype),
            z.new_empty(losses, dtype=torch.float64),
            z.new_empty(kept, dtype=dtype),
            z.new_empty((2, losses if stats else 0), dtype=dtype),
        )

    def _setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        tensors, ctx.options = self._split(inputs)
        losses, *others = output
        ctx.mark_non_differentiable(*others)
        ctx.set_materialize_grads(False)  # zeros as large as the tiles, in every backward
        ctx.save_for_backward(*tensors, losses, *others[:2])

    def _backward(self, ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        if grad is None:  # what depends on the losses has no gradient itself
            return (None,) * (len(self._names) + len(ctx.options))
        inputs, results = self._split(ctx.saved_tensors)
        *options, _, _ = ctx.options
        if self._keys is not None:
            options.append(ctx.needs_input_grad[self._key_index(inputs)])
        op = getattr(torch.ops.lelkern, f"{self.name}_backward")
        grads = op(grad, *inputs, *options, *results)
        found = dict(zip(self._differentiable, grads, strict=True))
        return tuple(
            found[i] if i in found and ctx.needs_input_grad[i] else None
            for i in range(len(inputs) + len(ctx.options))
        )

    def _gradients(self, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """Call the reference of backward with the op's arguments up to what forward returned."""
        grad, *rest = arguments
        inputs, options = self._split(tuple(rest))
        grads = self._reference_backward(grad, *inputs, *options[: self._options])
        if self._keys is None or options[-1]:
            return grads
        unneeded = self._differentiable.index(self._key_index(inputs))
        return tuple(g[:0] if i == unneeded else g for i, g in enumerate(grads))

    def _backward_of_reference(self, *arguments: Any) -> tuple[Tensor, ...]:
        return self._gradients(arguments[:-3])

    def _backward_fake(self, *arguments: Any) -> tuple[Tensor, ...]:
        inputs, options = self._split(arguments[1:-3])
        grads = []
        for i in self._differentiable:
            z = inputs[i]
            unneeded = self._keys is not None and not options[-1] and i == self._key_index(inputs)
            if z is None or unneeded:
                grads.append(inputs[0].new_empty((0, inputs[0].shape[1])))
            else:
                grads.append(z.new_empty(z.shape))
        return tuple(grads)

    def _backward_setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        grad, *rest = inputs[:-3]
        tensors, ctx.options = self._split(tuple(rest))
        ctx.save_for_backward(grad, *tensors)

    def _double_backward(self, ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Differentiate the reference: what forward saved is a function of its inputs there."""
        saved = list(ctx.saved_tensors)
        places = [0] + [1 + i for i in self._differentiable if saved[1 + i] is not None]

        def gradients(*varied: Tensor) -> tuple[Tensor, ...]:
            for place, tensor in zip(places, varied, strict=True):
                saved[place] = tensor
            return self._gradients((*saved, *ctx.options))

        varied = torch.func.vjp(gradients, *(saved[place] for place in places))[1](grads)
        found = dict(zip(places, varied, strict=True))
        return tuple(found.get(i) for i in range(len(saved) + len(ctx.options) + 3))
