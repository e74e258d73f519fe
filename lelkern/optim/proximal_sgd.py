"""SGD with the proximal step that belongs to its momentum, both in one pass over the parameters."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lelkern.number import number_or_tensor
from lelkern.ops._groups import CSRGroups
from lelkern.ops._known import known_number
from lelkern.ops.prox_sgd import prox_sgd_
from lelkern.optim._penalty import (
    Number,
    check_penalty,
    check_settings,
    completed,
    named,
    penalty_of,
    penalty_settings,
)
from lelkern.reference.prox_sgd import effective_step


class ProximalSGD(Optimizer):
    r"""SGD, with momentum or without, which minimises a loss f and a sparsity penalty.

    With the gradient g of f (its negative with ``maximize``), plus weight_decay x, it takes the
    step of :class:`torch.optim.SGD`, and the prox with the threshold of the *effective* step

    .. math::

        b \leftarrow \mu b + (1 - \tau) g, \qquad
        x \leftarrow \operatorname{prox}_{\eta k \lambda \Omega}(x - \eta b), \qquad
        k = \frac{1 - \tau}{1 - \mu}

    with learning rate eta, momentum mu and dampening tau; with ``nesterov`` along g + mu b and
    k = 1 + mu (1 - tau) / (1 - mu), without momentum along g and k = 1. Momentum lengthens a step
    along a gradient that stays the same by k. So x rests where 0 is in the gradient of f plus the
    subdifferential of lambda Omega: at the minimum of f + weight_decay / 2 ||x||^2 + lambda Omega,
    whatever momentum and learning rate are. (A threshold of eta lambda would put lambda / k in the
    place of lambda.)
    Many numbers become exactly 0.

    Momentum begins with one gradient and has all of its length after some 1 / (1 - mu) steps; until
    then the penalty has the upper hand, and what begins near 0 may stay there for as long.

    Parameters with a penalty over groups, with l1 or without any are moved by one launch for each
    group of parameters, which reads and writes everything once; ``"nuclear"`` takes its singular
    values after it. What float16 and bfloat16 parameters become is rounded once.

    Keys of parameter groups::

        ProximalSGD(
            [
                {"params": filters, "dim": (1, 2, 3)},
                {"params": heads, "groups": (64, -1), "lam": 1e-3},
                {"params": biases, "prox": None},
            ],
            lr=0.1, momentum=0.9, prox="group_lasso", lam=1e-4, dim=1, weights="sqrt_size",
        )

    What a group does not say it takes from the arguments, as far as its penalty has a use for it.
    A state of :class:`torch.optim.SGD` can be loaded, which leaves the penalties as they are.

    Args:
        params: parameters, or groups of them.
        lr: learning rate >= 0.
        momentum: mu in [0, 1).
        dampening: tau in [0, 1).
        weight_decay: factor >= 0 of 1/2 ||x||^2 in the objective.
        nesterov: Nesterov's momentum, for which dampening has to be 0.
        maximize: maximise f instead, less the penalties.
        prox: the penalty: ``"l1"``, ``"group_lasso"``, ``"sparse_group_lasso"``, ``"nuclear"`` or
            None.
        lam: lambda >= 0, a number or a tensor with one element, or for groups one for each; of the
            group norms in the sparse group lasso.
        lam1: the factor of the l1 norm in the sparse group lasso.
        dim: the dimensions that the norm of a group is taken over; or
        groups: the shape of a block, or :class:`lelkern.CSRGroups`.
        weights: of the groups: None, ``"sqrt_size"`` or a tensor.
        q: the norm of a group, > 1; ``math.inf`` is one.

    Raises:
        TypeError: a factor is not floating point, or a parameter is not, is not dense, or is
            a DTensor or another tensor that wraps others.
        ValueError: an argument is out of its range, or arguments do not go together.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        prox: str | None = None,
        lam: Number = 0.0,
        lam1: Number = 0.0,
        dim: int | tuple[int, ...] | None = None,
        groups: tuple[int, ...] | CSRGroups | None = None,
        weights: str | Tensor | None = None,
        q: float = 2.0,
    ) -> None:
        self._settings = penalty_settings(prox, lam, lam1, dim, groups, weights, q)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with keys as the constructor's arguments.

        Raises:
            TypeError: as the constructor does.
            ValueError: likewise; the group has not been added then.
        """
        super().add_param_group(completed(param_group, self._settings))
        group, name = self.param_groups[-1], f"group {len(self.param_groups) - 1}"
        try:
            check_penalty(group, name)
            with named(name):
                _check_step(group)
        except (TypeError, ValueError):
            self.param_groups.pop()
            raise

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state; the penalties only if it has any."""
        before = [{key: group[key] for key in self._settings} for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, penalty in zip(self.param_groups, before, strict=True):
            group.update({key: value for key, value in penalty.items() if key not in group})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the parameters that have a gradient, and return what ``closure`` does.

        Args:
            closure: computes the loss and its gradients anew.

        Returns:
            The loss, None without a closure.
        """
        for i, group in enumerate(self.param_groups):
            check_settings(group, f"group {i}")
            with named(f"group {i}"):
                _check_step(group)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step(group)
        return loss

    def _step(self, group: dict[str, Any]) -> None:
        penalty = penalty_of(group)
        parameters = [p for p in group["params"] if p.grad is not None]
        settings = {key: group[key] for key in ("momentum", "dampening", "nesterov")}
        lr = group["lr"]
        if not torch.compiler.is_compiling():  # where a tensor's value is an input of the graph
            lr = float(lr)
        for alike, first in self._launches(group, parameters):
            if first:
                for parameter in alike:
                    self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            prox_sgd_(
                penalty.lists(alike),
                [_gradient(parameter, group["maximize"]) for parameter in alike],
                [self.state[p]["momentum_buffer"] for p in alike] if group["momentum"] else [],
                penalty.q,
                lr=lr,
                weight_decay=group["weight_decay"],
                first=first,
                **settings,
            )
        if penalty.prox == "nuclear":
            penalty.apply_(parameters, [effective_step(lr, **settings)] * len(parameters))

    def _launches(
        self, group: dict[str, Any], parameters: Sequence[Tensor]
    ) -> Iterator[tuple[list[Tensor], bool]]:
        """Yield parameters that one launch can move, and whether they begin their momentum."""
        alike: dict[tuple[torch.device, bool], list[Tensor]] = {}
        for parameter in parameters:
            first = group["momentum"] != 0 and self.state[parameter].get("momentum_buffer") is None
            alike.setdefault((parameter.device, first), []).append(parameter)
        for (_, first), those in alike.items():
            yield those, first

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_settings": self._settings}


def _gradient(parameter: Tensor, negated: bool) -> Tensor:
    """Return the gradient of f, dense."""
    gradient = parameter.grad
    assert gradient is not None
    if gradient.layout != torch.strided:
        gradient = gradient.to_dense()
    return -gradient if negated else gradient


def _check_step(group: dict[str, Any]) -> None:
    """Raise TypeError or ValueError for what says how SGD steps, if it is out of range."""
    lr = number_or_tensor("lr", group["lr"])
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise ValueError(f"lr must have one element, got {tuple(lr.shape)}")
        known = known_number(lr)
    else:
        known = lr
    if known is not None and not 0 <= known < math.inf:
        raise ValueError(f"lr must be >= 0 and finite, got {known}")
    for key in ("momentum", "dampening"):
        if not 0 <= group[key] < 1:
            raise ValueError(f"{key} must be in [0, 1), got {group[key]}")
    if not 0 <= group["weight_decay"] < math.inf:
        raise ValueError(f"weight_decay must be >= 0 and finite, got {group['weight_decay']}")
    if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
        raise ValueError(
            f"nesterov must go with momentum and without dampening, "
            f"got momentum = {group['momentum']} and dampening = {group['dampening']}"
        )
