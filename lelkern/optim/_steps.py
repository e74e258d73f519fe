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
Settings = Mapping[str, Any]


class Rule(NamedTuple):
    """What is known of an optimiser, from the group of a parameter and its state after a step.

    Attributes:
        size: the step that a constant gradient leads to, times what momentum makes of it.
        metric: s, a new tensor of the parameter's shape and of the dtype that it is computed in, by
            which the gradient is divided; None if by nothing.
    """

    size: Callable[[Settings, Settings], Number]
    metric: Callable[[Settings, Settings, Tensor], Tensor] | None


def rule_of(optimizer: Optimizer) -> Rule | None:
    """Return the rule of an optimiser's steps; None where its ``step`` is none of PyTorch's."""
    return _RULES.get(inspect.unwrap(type(optimizer).step))


def _sgd_size(group: Settings, state: Settings) -> Number:
    momentum, dampening, nesterov = group["momentum"], group["dampening"], group["nesterov"]
    return effective_step(group["lr"], momentum, dampening, nesterov)


def _adam_size(group: Settings, state: Settings) -> Number:
    return group["lr"]


def _adam_metric(group: Settings, state: Settings, parameter: Tensor) -> Tensor:
    squares = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    correction = 1 - group["betas"][1] ** _number(state["step"])
    corrected = squares.to(computed_in(parameter)) / correction
    return corrected.sqrt_().add_(group["eps"])


def _rmsprop_size(group: Settings, state: Settings) -> Number:
    return group["lr"] / (1 - group["momentum"])


def _rmsprop_metric(group: Settings, state: Settings, parameter: Tensor) -> Tensor:
    squares = state["square_avg"].to(computed_in(parameter))
    if group["centered"]:
        squares = squares - state["grad_avg"].to(squares.dtype).square()
    return squares.sqrt().add_(group["eps"])


def _adagrad_size(group: Settings, state: Settings) -> Number:
    return group["lr"] / (1 + (_number(state["step"]) - 1) * group["lr_decay"])


def _adagrad_metric(group: Settings, state: Settings, parameter: Tensor) -> Tensor:
    return state["sum"].to(computed_in(parameter)).sqrt().add_(group["eps"])


def _number(step: Number) -> Number:
    """Return a count as a number, or where one would have to wait for it as a wide tensor."""
    if not isinstance(step, Tensor):
        return step
    known = known_number(step)
    return widened(step) if known is None else known


_KNOWN: dict[type[Optimizer], Rule] = {
    SGD: Rule(_sgd_size, None),
    Adam: Rule(_adam_size, _adam_metric),
    AdamW: Rule(_adam_size, _adam_metric),
    RMSprop: Rule(_rmsprop_size, _rmsprop_metric),
    Adagrad: Rule(_adagrad_size, _adagrad_metric),
}
KNOWN = tuple(optimizer.__name__ for optimizer in _KNOWN)
"""The names of the optimisers of which something is known."""

# By the function that steps: subclasses that leave it as it is step likewise, others may not.
_RULES = {inspect.unwrap(optimizer.step): rule for optimizer, rule in _KNOWN.items()}
