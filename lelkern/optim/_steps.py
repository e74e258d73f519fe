"""How far, and in which metric, PyTorch's optimisers step: what a proximal step has to follow.

An optimiser that moves x by -(size / s) g for a gradient g that stays the same, with s for each
element or 1, has to be followed by the prox of size times the penalty in the metric s: then it
rests exactly where 0 is in g + the subdifferential of the penalty. All that is read is in the
groups of parameters and in the state that ``state_dict`` shows.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from lelkern.ops._dtypes import computed_in
from lelkern.ops._known import known_number
from lelkern.reference.precision import widened
from lelkern.reference.prox_sgd import effective_step

Number = float | Tensor


class Step(NamedTuple):
    """What a constant gradient leads to.

    Attributes:
        size: the step times what momentum makes of it.
        metric: s, of the parameter's shape, by which the gradient is divided; None if by nothing.
    """

    size: Number
    metric: Tensor | None


class Rule(NamedTuple):
    """What is known of an optimiser.

    Attributes:
        step: from the group of a parameter, its state, and the parameter, after a step, to that
            step.
        is_diagonal: whether its steps have a metric.
    """

    step: Callable[[Mapping[str, Any], Mapping[str, Any], Tensor], Step]
    is_diagonal: bool


def rule_of(optimizer: Optimizer) -> Rule | None:
    """Return the rule of an optimiser's steps; None where its ``step`` is none of PyTorch's."""
    return _RULES.get(inspect.unwrap(type(optimizer).step))


def _sgd(group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor) -> Step:
    momentum, dampening, nesterov = group["momentum"], group["dampening"], group["nesterov"]
    return Step(effective_step(group["lr"], momentum, dampening, nesterov), None)


def _adam(group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor) -> Step:
    squares = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    correction = 1 - group["betas"][1] ** _number(state["step"])
    return Step(group["lr"], _root(squares.to(computed_in(parameter)) / correction, group["eps"]))


def _rmsprop(group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor) -> Step:
    squares = state["square_avg"].to(computed_in(parameter))
    if group["centered"]:
        squares = squares - state["grad_avg"].to(squares.dtype).square()
    return Step(group["lr"] / (1 - group["momentum"]), _root(squares, group["eps"]))


def _adagrad(group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor) -> Step:
    decay = 1 + (_number(state["step"]) - 1) * group["lr_decay"]
    return Step(group["lr"] / decay, _root(state["sum"].to(computed_in(parameter)), group["eps"]))


def _root(squares: Tensor, eps: float) -> Tensor:
    return squares.sqrt() + eps


def _number(step: Number) -> Number:
    """Return a count as a number, or where one would have to wait for it as a wide tensor."""
    if not isinstance(step, Tensor):
        return step
    known = known_number(step)
    return widened(step) if known is None else known


_KNOWN: dict[type[Optimizer], Rule] = {
    SGD: Rule(_sgd, is_diagonal=False),
    Adam: Rule(_adam, is_diagonal=True),
    AdamW: Rule(_adam, is_diagonal=True),
    RMSprop: Rule(_rmsprop, is_diagonal=True),
    Adagrad: Rule(_adagrad, is_diagonal=True),
}
KNOWN = tuple(optimizer.__name__ for optimizer in _KNOWN)
"""The names of the optimisers of which something is known."""

# By the function that steps: subclasses that leave it as it is step likewise, others may not.
_RULES = {inspect.unwrap(optimizer.step): rule for optimizer, rule in _KNOWN.items()}
