"""Functions with gradients as pairs of ops, of which the second computes the gradient."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lelkern.ops._define import as_tuple, cast_to_float32_under_autocast, define
from lelkern.ops._transforms import (
    below_autograd,
    differentiated_by_tracing,
    in_float32_under_autocast,
    only_autograd,
)


class Skippable(NamedTuple):
    """A gradient that kernels need not compute if nobody asks for it.

    Attributes:
        flag: what backward's schema calls the boolean that asks for it.
        place: from the inputs to which of them the gradient is of.
    """

    flag: str
    place: Callable[[tuple[Any, ...]], int]


class DifferentiableOp:
    """A function of tensors as ``lelkern::name``, and its gradient as ``lelkern::name_backward``.

    The first takes inputs, options and hints and returns the outputs, of which the first has a
    gradient and the others have none. The second takes the gradient of the first output, inputs,
    options, the flag of what is skippable if anything is, and those outputs that are saved; it
    returns the gradients of the differentiable inputs, each of its input's shape and dtype. That of
    an input that is None, is not floating point, or is skipped, has no rows: it is empty, and
    otherwise of the shape and dtype of the first differentiable input that has a gradient.

    Both have a reference on every device, a fake function, a rule for vmap, which takes one element
    after the other, and a gradient: the second's is that of its reference. Compiled kernels
    override references on their device.

    Args:
        name: of the op.
        inputs: the tensors as the schema declares them, ``"Tensor x, Tensor? ids"``.
        differentiable: the names of those that have a gradient.
        options: what both ops take besides, ``"bool normalize, int terms"``.
        hints: what only the first takes: it changes what else is returned, but no gradient.
        outputs: as the schema declares them, one or several tensors.
        saved: the names of the outputs that the second takes, in their order.
        reference: the first op in plain PyTorch, with its arguments. No output may share memory
            with another one or with an input.
        reference_backward: from the gradient of the first output, inputs, and options to the
            gradients of the differentiable inputs, in plain PyTorch, and differentiable itself. It
            may return None for an input that is None or not floating point.
        fake: from the arguments of the first op to empty tensors like its outputs.
        float32_under_autocast: run in float32 there, as PyTorch's losses do.
        skippable: the gradient that may be left out, if there is one.

    Raises:
        ValueError: differentiable or saved has a name that is not declared.
    """

    def __init__(
        self,
        name: str,
        *,
        inputs: str,
        differentiable: Sequence[str],
        options: str = "",
        hints: str = "",
        outputs: str = "Tensor output",
        saved: Sequence[str] = (),
        reference: Callable[..., Any],
        reference_backward: Callable[..., Any],
        fake: Callable[..., Any],
        float32_under_autocast: bool = False,
        skippable: Skippable | None = None,
    ) -> None:
        self.name = name
        input_names, output_names = _names(inputs), _names(outputs)
        self.differentiable = _places("differentiable", differentiable, input_names)
        """The places of the inputs that have a gradient."""
        self._saved = _places("saved", saved, output_names)
        self._inputs = len(input_names)
        self._options = len(_names(options))
        self._hints = len(_names(hints))
        self._reference = reference
        self._reference_backward = reference_backward
        self._float32_under_autocast = float32_under_autocast
        self._skippable = skippable
        define(
            name,
            f"({_declared(inputs, options, hints)}) -> ({outputs})",
            reference=reference,
            fake=fake,
            setup_context=self._setup_context,
            backward=self._backward,
        )
        self._op: Callable[..., Any] = getattr(torch.ops.lelkern, name)
        flag = f"bool {skippable.flag}" if skippable is not None else ""
        results = ", ".join(f"Tensor {output_names[i]}" for i in self._saved)
        gradients = ", ".join(f"Tensor grad_{input_names[i]}" for i in self.differentiable)
        define(
            f"{name}_backward",
            f"({_declared('Tensor grad', inputs, options, flag, results)}) -> ({gradients})",
            reference=self._backward_of_reference,
            fake=self._backward_fake,
            setup_context=self._backward_setup_context,
            backward=self._double_backward,
        )
        if float32_under_autocast:
            cast_to_float32_under_autocast(name)

    def __call__(
        self, inputs: tuple[Any, ...], options: tuple[Any, ...] = (), hints: tuple[Any, ...] = ()
    ) -> Any:
        """Return the outputs, the first differentiable in whatever way is asked for."""
        if only_autograd(inputs):
            if torch.is_grad_enabled() and any(map(_requires_grad, inputs)):
                return self._op(*inputs, *options, *hints)
            with below_autograd():
                return self._op(*inputs, *options, *hints)
        if not differentiated_by_tracing(*inputs):
            return self._op(*inputs, *options, *hints)

        def reference(*inputs: Any) -> Any:
            return self._reference(*inputs, *options, *hints)

        if self._float32_under_autocast:
            return in_float32_under_autocast(reference, *inputs)
        return reference(*inputs)

    def without_gradient(
        self, inputs: tuple[Any, ...], options: tuple[Any, ...] = (), hints: tuple[Any, ...] = ()
    ) -> Any:
        """Return the outputs, of which none has a gradient, whatever the inputs have."""
        if only_autograd(inputs):
            with below_autograd():
                return self._op(*inputs, *options, *hints)
        return self(tuple(None if x is None else x.detach() for x in inputs), options, hints)

    def _split(self, arguments: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return inputs and what follows them."""
        return tuple(arguments[: self._inputs]), tuple(arguments[self._inputs :])

    def _setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        tensors, others = self._split(inputs)
        outputs = as_tuple(output)
        ctx.options = others[: self._options]
        ctx.mark_non_differentiable(*outputs[1:])
        ctx.set_materialize_grads(False)  # zeros as large as the outputs, in every backward
        ctx.save_for_backward(*tensors, *(outputs[i] for i in self._saved))

    def _backward(self, ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        found: dict[int, Tensor] = {}
        if grad is not None:  # otherwise what depends on the output has no gradient itself
            inputs, results = self._split(ctx.saved_tensors)
            flag: tuple[bool, ...] = ()
            if self._skippable is not None:
                flag = (ctx.needs_input_grad[self._skippable.place(inputs)],)
            op = getattr(torch.ops.lelkern, f"{self.name}_backward")
            grads = as_tuple(op(grad, *inputs, *ctx.options, *flag, *results))
            found = dict(zip(self.differentiable, grads, strict=True))
        return tuple(
            found.get(i) if ctx.needs_input_grad[i] else None
            for i in range(self._inputs + self._options + self._hints)
        )

    def _is_skipped(self, place: int, inputs: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
        """Whether there is no gradient of an input; ``others``: options and flag."""
        if not _is_floating(inputs[place]):
            return True
        return (
            self._skippable is not None
            and not others[self._options]
            and place == self._skippable.place(inputs)
        )

    def _gradients(self, grad: Tensor, arguments: Sequence[Any]) -> tuple[Tensor, ...]:
        """Call the reference of backward with inputs, options and flag."""
        inputs, others = self._split(arguments)
        options = others[: self._options]
        grads = as_tuple(self._reference_backward(grad, *inputs, *options))
        return tuple(
            self._no_gradient(inputs) if self._is_skipped(place, inputs, others) else g
            for place, g in zip(self.differentiable, grads, strict=True)
        )

    def _no_gradient(self, inputs: tuple[Any, ...]) -> Tensor:
        first: Tensor = next(inputs[i] for i in self.differentiable if _is_floating(inputs[i]))
        return first.new_empty((0, *first.shape[1:]))

    def _without_results(self, arguments: Sequence[Any]) -> Sequence[Any]:
        """Return backward's arguments up to what forward returned."""
        return arguments[: len(arguments) - len(self._saved)]

    def _backward_of_reference(self, grad: Tensor, *arguments: Any) -> Any:
        return _as_output(self._gradients(grad, self._without_results(arguments)))

    def _backward_fake(self, grad: Tensor, *arguments: Any) -> Any:
        inputs, others = self._split(self._without_results(arguments))
        return _as_output(
            tuple(
                self._no_gradient(inputs)
                if self._is_skipped(place, inputs, others)
                else inputs[place].new_empty(inputs[place].shape)
                for place in self.differentiable
            )
        )

    def _backward_setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        grad, *arguments = self._without_results(inputs)
        tensors, ctx.others = self._split(arguments)
        ctx.save_for_backward(grad, *tensors)

    def _double_backward(self, ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Differentiate the reference: what forward saved is a function of its inputs there."""
        saved = list(ctx.saved_tensors)
        places = [0] + [1 + i for i in self.differentiable if _is_floating(saved[1 + i])]

        def gradients(*varied: Tensor) -> tuple[Tensor, ...]:
            for place, tensor in zip(places, varied, strict=True):
                saved[place] = tensor
            return self._gradients(saved[0], (*saved[1:], *ctx.others))

        varied = torch.func.vjp(gradients, *(saved[place] for place in places))[1](grads)
        found = dict(zip(places, varied, strict=True))
        return tuple(found.get(i) for i in range(len(saved) + len(ctx.others) + len(self._saved)))


def _is_floating(x: Tensor | None) -> bool:
    return x is not None and x.is_floating_point()


def _requires_grad(x: Tensor | None) -> bool:
    return x is not None and x.requires_grad


def _names(declared: str) -> list[str]:
    return [argument.split()[-1] for argument in declared.split(", ") if argument]


def _declared(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _places(what: str, names: Sequence[str], declared: list[str]) -> list[int]:
    unknown = [name for name in names if name not in declared]
    if unknown:
        raise ValueError(f"{what} must be among {declared}, got {unknown}")
    return [i for i, name in enumerate(declared) if name in names]


def _as_output(outputs: tuple[Tensor, ...]) -> Any:
    """Return the result of an op: one tensor, or several."""
    return outputs[0] if len(outputs) == 1 else outputs
