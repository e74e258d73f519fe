"""Penalties as groups of parameters declare them: the keys, their checks, and their prox."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from lelkern.number import number_or_tensor
from lelkern.ops import prox_group_lasso_, prox_l1_, prox_nuclear_, prox_sparse_group_lasso_
from lelkern.ops._dtypes import check_floating
from lelkern.ops._groups import CSRGroups
from lelkern.ops._known import known_ends
from lelkern.ops._prox import (
    Lists,
    check_q,
    elementwise_lists,
    group_lists,
    group_threshold,
    layout_of,
    threshold,
)
from lelkern.ops._prox_lists import prox_metric_

Number = float | Tensor

# So that what torch.save writes of an optimiser can be loaded with weights_only=True.
torch.serialization.add_safe_globals([CSRGroups])


@dataclass(frozen=True)
class Penalty:
    """A penalty of the parameters of a group; its fields are keys of the group.

    Attributes:
        prox: which penalty: a key of :data:`_USES`.
        lam: its factor in the objective; of the group norms in the sparse group lasso.
        lam1: the factor of the l1 norm in the sparse group lasso.
        dim: the dimensions that the norm of a group is taken over; or
        groups: the shape of a block, or any groups; see :func:`lelkern.prox_group_lasso`.
        weights: of the groups.
        q: the norm of a group.
    """

    prox: str | None = None
    lam: Number = 0.0
    lam1: Number = 0.0
    dim: int | tuple[int, ...] | None = None
    groups: tuple[int, ...] | CSRGroups | None = None
    weights: str | Tensor | None = None
    q: float = 2.0

    @property
    def is_grouped(self) -> bool:
        """Whether it is over groups of elements."""
        return "dim" in _USES[self.prox]

    @property
    def form(self) -> tuple[object, ...]:
        """What decides which parameters it fits: two with the same form fit the same ones."""
        given = (self.lam, self.lam1, self.weights)
        shapes = tuple(x.shape if isinstance(x, Tensor) else None for x in given)
        weights = None if isinstance(self.weights, Tensor) else self.weights
        return self.prox, self.dim, self.groups, weights, shapes

    def lists(self, parameters: Sequence[Tensor], sizes: Sequence[Number] | None = None) -> Lists:
        """Return parameters, on one device, as the ops over lists take them.

        ``sizes``: what the factors of each are multiplied by.
        """
        if not self.is_grouped:
            factor = self.lam if self.prox == "l1" else 0.0
            return elementwise_lists(parameters, _times(sizes, factor))
        lam1 = _times(sizes, self.lam1) if self.prox == "sparse_group_lasso" else None
        lam = ("lam", _times(sizes, self.lam))
        return group_lists("params", parameters, lam=lam, lam1=lam1, **self._grouping())

    def apply_(self, parameters: Sequence[Tensor], sizes: Sequence[Number]) -> None:
        """Replace parameters, all at once, by their prox of the penalty times each one's size."""
        lam = _times(sizes, self.lam)
        if self.prox == "l1":
            prox_l1_(parameters, lam)
        elif self.prox == "group_lasso":
            prox_group_lasso_(parameters, lam, **self._grouping(), q=self.q)
        elif self.prox == "sparse_group_lasso":
            lam1 = _times(sizes, self.lam1)
            prox_sparse_group_lasso_(parameters, lam1, lam, **self._grouping(), q=self.q)
        elif self.prox == "nuclear":
            prox_nuclear_(parameters, lam)

    def apply_in_metric_(
        self, parameters: Sequence[Tensor], metrics: Sequence[Tensor], sizes: Sequence[Number]
    ) -> None:
        """Replace parameters by their prox of the penalty times sizes in diagonal metrics."""
        prox_metric_("params", self.lists(parameters, sizes), metrics)

    def _grouping(self) -> dict[str, Any]:
        return {"dim": self.dim, "groups": self.groups, "weights": self.weights}


def _times(sizes: Sequence[Number] | None, lam: Number) -> Any:
    """Return a factor for each of several sizes, or as it is without them."""
    return lam if sizes is None else [size * lam for size in sizes]


_GROUPING = ("dim", "groups", "weights", "q")
_USES: dict[str | None, tuple[str, ...]] = {
    None: (),
    "l1": ("lam",),
    "group_lasso": ("lam", *_GROUPING),
    "sparse_group_lasso": ("lam", "lam1", *_GROUPING),
    "nuclear": ("lam",),
}
"""The penalties, and the keys that say something about each."""

_DEFAULTS = {field.name: field.default for field in fields(Penalty)}


def penalty_of(group: Mapping[str, Any]) -> Penalty:
    """Return the penalty of a group of parameters that has all keys."""
    return Penalty(**{key: group[key] for key in _DEFAULTS})


def penalty_settings(
    prox: str | None,
    lam: Number,
    lam1: Number,
    dim: int | tuple[int, ...] | None,
    groups: tuple[int, ...] | CSRGroups | None,
    weights: str | Tensor | None,
    q: float,
) -> dict[str, Any]:
    """Return the arguments of an optimiser as keys for its groups.

    Raises TypeError or ValueError, as :func:`check_settings`, unless they go together.
    """
    penalty = Penalty(prox, lam, lam1, dim, groups, weights, q)
    _check_settings(penalty)
    return {key: getattr(penalty, key) for key in _DEFAULTS}


def completed(group: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group of parameters with settings for the keys that it lacks.

    As far as its penalty has a use for them; a group that says dim takes no groups, and the other
    way round.
    """
    used = {"prox", *_USES.get(group.get("prox", settings["prox"]), ())}
    if "dim" in group or "groups" in group:
        used -= {"dim", "groups"}
    taken = {
        key: value if key in used or key not in _DEFAULTS else _DEFAULTS[key]
        for key, value in settings.items()
    }
    return {**taken, **group}


def check_settings(group: Mapping[str, Any], name: str) -> None:
    """Raise unless the keys of a group of parameters go together.

    Raises:
        TypeError: one is of another type; the error begins with ``name``.
        ValueError: one is out of its range, or says something that the penalty has no use for.
    """
    with named(name):
        _check_settings(penalty_of(group))


def check_penalty(group: Mapping[str, Any], name: str) -> None:
    """Raise unless the keys of a group go together, and fit its parameters.

    Raises:
        TypeError: a key is of another type, or a parameter is not dense and floating point, or
            wraps other tensors; the error begins with ``name``.
        ValueError: a key is out of its range, says something that the penalty has no use for, or
            does not fit a parameter.
    """
    with named(name):
        penalty = penalty_of(group)
        _check_settings(penalty)
        for i, parameter in enumerate(group["params"]):
            _check_parameter(penalty, parameter, f"params[{i}]")


@contextmanager
def named(name: str) -> Iterator[None]:
    """Begin the messages of TypeError and ValueError with a name."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def _check_settings(penalty: Penalty) -> None:
    if penalty.prox not in _USES:
        valid = ", ".join(repr(prox) for prox in _USES if prox is not None)
        raise ValueError(f"prox must be None or one of {valid}, got {penalty.prox!r}")
    for key in ("lam", "lam1"):
        _check_factor(key, getattr(penalty, key))
    check_q(penalty.q)
    for key, default in _DEFAULTS.items():
        value = getattr(penalty, key)
        is_default = not isinstance(value, Tensor) and value == default
        # lam may be given for all groups, also for those without a penalty.
        if key in ("prox", "lam") or key in _USES[penalty.prox] or is_default:
            continue
        users = " or ".join(repr(prox) for prox, keys in _USES.items() if key in keys)
        raise ValueError(f"{key} must go with prox = {users}, got {value} with {penalty.prox!r}")


def _check_factor(key: str, value: object) -> None:
    value = number_or_tensor(key, value)
    if isinstance(value, Tensor):
        check_floating(key, value)
    ends = known_ends(value) if isinstance(value, Tensor) else (value, value)
    if ends is not None and not (ends[0] >= 0 and ends[1] < math.inf):
        raise ValueError(f"{key} must be >= 0 and finite, got {value}")


def _check_parameter(penalty: Penalty, parameter: Tensor, name: str) -> None:
    check_floating(name, parameter)
    if parameter.layout != torch.strided:
        raise TypeError(f"{name} must be dense, got {parameter.layout}")
    # The ops take memory. Of a DTensor each process has a part, and a group may lie in several.
    if hasattr(parameter, "__tensor_flatten__"):
        wrapper = type(parameter).__name__
        raise TypeError(f"{name} must have memory of its own, got {wrapper}, which wraps tensors")
    if penalty.prox == "nuclear" and parameter.dim() < 2:
        raise ValueError(f"{name} must have two dimensions, got {tuple(parameter.shape)}")
    if penalty.is_grouped:
        layout = layout_of(name, parameter, penalty.dim, penalty.groups)
        group_threshold("lam", penalty.lam, parameter, layout, penalty.weights)
        threshold("lam1", penalty.lam1, parameter, (layout.number,))
