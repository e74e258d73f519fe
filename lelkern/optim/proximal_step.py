"""A proximal step behind the step of any optimiser of PyTorch."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from lelkern.ops._groups import CSRGroups
from lelkern.optim._penalty import (
    Number,
    Penalty,
    check_penalty,
    check_settings,
    completed,
    penalty_of,
    penalty_settings,
)
from lelkern.optim._steps import KNOWN, Rule, rule_of

Metric = Literal["optimizer", "euclidean"]


class ProximalStep:
    r"""A hook that follows every step of an optimiser with the prox of a penalty.

    With it the optimiser minimises the declared objective

    .. math:: f(x) + \lambda\,\Omega(x)

    for the loss f that it is given the gradients of, with exact zeros. Keys of its groups of
    parameters declare the penalty, and those not given there are taken from the arguments here::

        optimizer = torch.optim.AdamW([
            {"params": filters, "prox": "group_lasso", "dim": (1, 2, 3), "lam": 1e-3},
            {"params": others},
        ])
        ProximalStep(optimizer)

    **Which step is followed.** x rests where x = prox(x - step), so the prox has to belong to the
    step. Momentum lengthens a step along a gradient g that stays the same to eta k g, and adaptive
    optimisers divide it by a scale s for each element. What follows is therefore

    .. math:: \operatorname{argmin}_x \tfrac12 \sum_i s_i (x_i - v_i)^2 + \eta k \lambda\,\Omega(x)

    with the learning rate eta, where v is what the optimiser made of x, and

    - SGD: s = 1, k = (1 - dampening) / (1 - momentum); with Nesterov's momentum
      1 + momentum (1 - dampening) / (1 - momentum); without momentum 1;
    - Adam and AdamW: s = sqrt(v_hat) + eps, with the second moment corrected for its bias, or the
      maximum of AMSGrad; k = 1;
    - RMSprop: s = sqrt(square_avg - grad_avg^2) + eps, without grad_avg unless it is centred;
      k = 1 / (1 - momentum);
    - Adagrad: s = sqrt(sum) + eps, and the learning rate after its decay; k = 1.

    A prox with the threshold eta lambda after any of these but plain SGD minimises something else:
    after momentum lambda (1 - momentum) takes the place of lambda, and after Adam nearly nothing of
    the penalty is left.

    ``weight_decay`` that an optimiser adds to the gradient adds weight_decay / 2 ||x||^2 to f.
    AdamW's, which is decoupled, adds weight_decay / 2 sum_i s_i x_i^2 with s where it comes to
    rest: a ridge in the metric of the optimiser, not a function that could be stated beforehand.

    In a metric other than the Euclidean one the prox is known for ``"l1"``, and with q = 2 for
    ``"group_lasso"`` and ``"sparse_group_lasso"`` (``lelkern.ops.prox_metric``).

    **metric="euclidean"** takes the prox with s = 1 in its stead, after any optimiser, with the
    threshold eta k lambda (k = 1 if the optimiser is none of the above). After SGD that is the
    same.
    After an adaptive optimiser it is a heuristic, common in code: with l1 it minimises f(x) plus
    lambda times the sum of s_i abs(x_i), where s_i falls with the gradients so that the penalty
    fades, and with groups it rests at the minimum of no function at all, unless s is the same
    within a group.

    A parameter whose gradient is None is left alone, as by the optimiser; a learning rate of 0
    moves nothing. Where ``torch.amp.GradScaler`` skips a step, the prox is skipped, too. PyTorch
    does not copy or pickle hooks with an optimiser: a copy needs another ``ProximalStep``.

    Args:
        optimizer: to be followed, of :mod:`torch.optim`.
        prox: ``"l1"``, ``"group_lasso"``, ``"sparse_group_lasso"``, ``"nuclear"`` or None.
        lam: lambda >= 0, a number or a tensor as :func:`lelkern.prox_group_lasso` takes it (it is
            the factor in the objective; it is multiplied with the step here); of the group norms in
            the sparse group lasso.
        lam1: the factor of the l1 norm in the sparse group lasso.
        dim: the dimensions that the norm of a group is taken over; or
        groups: the shape of a block, or :class:`lelkern.CSRGroups`.
        weights: of the groups: None, ``"sqrt_size"`` or a tensor.
        q: the norm of a group, > 1.
        metric: ``"optimizer"``, that of the step, or ``"euclidean"``.

    Raises:
        TypeError: a factor is not floating point, or a parameter with a penalty is not, is not
            dense, or is a DTensor or another tensor that wraps others.
        ValueError: settings of a group are out of their range or do not go together; or the steps
            of the optimiser, or the prox in its metric, are not known, and metric is not
            ``"euclidean"``. For groups that are added later or changed this is raised by
            ``optimizer.step()``, before it changes anything.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        prox: str | None = None,
        lam: Number = 0.0,
        lam1: Number = 0.0,
        dim: int | tuple[int, ...] | None = None,
        groups: tuple[int, ...] | CSRGroups | None = None,
        weights: str | Tensor | None = None,
        q: float = 2.0,
        metric: Metric = "optimizer",
    ) -> None:
        self._settings = {
            **penalty_settings(prox, lam, lam1, dim, groups, weights, q),
            "metric": metric,
        }
        self._kept: list[dict[str, Any]] = []
        self._fitting: dict[int, tuple[object, ...]] = {}
        self._check(optimizer, first=True)
        self._handles = (
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
            optimizer.register_load_state_dict_pre_hook(self._keep),
            optimizer.register_load_state_dict_post_hook(self._restore),
        )

    def remove(self) -> None:
        """Let the optimiser step alone again; its groups keep their keys."""
        for handle in self._handles:
            handle.remove()

    def _check(self, optimizer: Optimizer, *, first: bool = False) -> None:
        """Complete groups that lack keys, and raise unless all of them can be followed.

        Parameters are looked at the first time, and where keys are new or ask for something else.
        """
        rule = rule_of(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            name = f"group {i}"
            # Only our keys are looked at: in what torch.compile traces, groups have others.
            is_complete = all(key in group for key in self._settings)
            complete = group if is_complete else completed(group, self._settings)
            form = penalty_of(complete).form
            fits = is_complete and not first and self._fitting.get(i) == form
            if fits or complete["prox"] is None:
                check_settings(complete, name)
            else:
                check_penalty(complete, name)
                self._fitting[i] = form
            _check_metric(complete, rule, f"{name}: {type(optimizer).__name__}")
            if not is_complete:
                group.update(complete)

    def _before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._check(optimizer)

    @torch.no_grad()
    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        rule = rule_of(optimizer)
        # A fused optimiser is called by GradScaler also where it is to skip the step itself.
        found_inf = getattr(optimizer, "found_inf", None)
        taken = 1.0 if found_inf is None else 1.0 - found_inf.reshape(())
        for group in optimizer.param_groups:
            penalty = penalty_of(group)
            parameters = [p for p in group["params"] if p.grad is not None]
            if penalty.prox is None or not parameters:
                continue
            if rule is None:
                _apply_(penalty, parameters, [group["lr"] * taken] * len(parameters))
                continue
            states = [optimizer.state[p] for p in parameters]
            sizes = [rule.size(group, state) * taken for state in states]
            if group["metric"] == "euclidean" or rule.metric is None:
                _apply_(penalty, parameters, sizes)
                continue
            for start, end in _batches(parameters):
                some = slice(start, end)
                metrics = [
                    rule.metric(group, state, p)
                    for state, p in zip(states[some], parameters[some], strict=True)
                ]
                penalty.apply_in_metric_(parameters[some], metrics, sizes[some])

    def _keep(self, optimizer: Optimizer, state_dict: Any) -> None:
        """Remember the keys that the state of an optimiser without a proximal step has not."""
        self._kept = [
            {key: group[key] for key in self._settings if key in group}
            for group in optimizer.param_groups
        ]

    def _restore(self, optimizer: Optimizer) -> None:
        for group, kept in zip(optimizer.param_groups, self._kept, strict=True):
            group.update({key: value for key, value in kept.items() if key not in group})
        self._kept = []


def _apply_(penalty: Penalty, parameters: list[Tensor], sizes: list[Number]) -> None:
    """Apply the prox times each parameter's size, to those of a device at once."""
    alike: dict[torch.device, list[tuple[Tensor, Number]]] = {}
    for parameter, size in zip(parameters, sizes, strict=True):
        alike.setdefault(parameter.device, []).append((parameter, size))
    for those in alike.values():
        penalty.apply_([parameter for parameter, _ in those], [size for _, size in those])


def _batches(parameters: Sequence[Tensor]) -> Iterator[tuple[int, int]]:
    """Cut a list into parts of one device, whose metrics are in memory at once.

    They have 2^18 numbers at most, but for a single parameter: memory of that size is used again,
    where more would come from the system at every step.
    """
    start = numbers = 0
    for i, parameter in enumerate(parameters):
        full = numbers + parameter.numel() > 1 << 18
        if i > start and (full or parameter.device != parameters[start].device):
            yield start, i
            start, numbers = i, 0
        numbers += parameter.numel()
    yield start, len(parameters)


def _check_metric(group: dict[str, Any], rule: Rule | None, name: str) -> None:
    """Raise unless it is known how an optimiser steps, and the prox that belongs to it is."""
    penalty, metric = penalty_of(group), group["metric"]
    if metric not in ("optimizer", "euclidean"):
        raise ValueError(f"metric must be 'optimizer' or 'euclidean', got {metric!r}")
    if penalty.prox is None:
        return
    if group.get("differentiable", False):
        raise ValueError(f"{name} must not be differentiable")
    if not 0 <= group.get("momentum", 0.0) < 1:
        raise ValueError(f"momentum must be in [0, 1), got {group['momentum']}")
    if metric == "euclidean":
        if "lr" not in group:
            raise ValueError(f"{name} must have the key lr")
        return
    if rule is None:
        raise ValueError(
            f"{name} is no optimiser whose steps are known ({', '.join(KNOWN)}); "
            f"metric = 'euclidean' takes the prox with threshold lr lam, a heuristic"
        )
    if rule.metric is not None and (penalty.prox == "nuclear" or penalty.q != 2):
        what = "prox = 'nuclear'" if penalty.prox == "nuclear" else f"q = {penalty.q}"
        raise ValueError(
            f"{name} has a metric in which the prox for {what} is not known; "
            f"metric = 'euclidean' takes another, a heuristic"
        )
