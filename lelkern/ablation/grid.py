"""The grid of a study: its axes, and the arms as its cells."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lelkern.ablation.labels import short_keys
from lelkern.config import nearest

Scale = Literal["log-complement", "log", "linear", "category"]

ARM = "arm"
"""Key of the axis of named arms."""


@dataclass(frozen=True)
class Axis:
    """One direction of a study's grid: its named arms, or a factor.

    Attributes:
        key: ``arm`` for named arms, else the factor's dotted key.
        label: how plots and tables name it, with its unit.
        levels: the values along it; for named arms their labels.
        names: label of every level.
        scale: how it is drawn; ``category`` for named arms.
    """

    key: str
    label: str
    levels: tuple[Any, ...]
    names: tuple[str, ...]
    scale: Scale

    @property
    def is_numeric(self) -> bool:
        """Whether its levels are numbers on a scale."""
        return self.scale != "category"

    @property
    def order(self) -> list[int]:
        """Indices of the levels: from the smallest if they are numbers, else as they stand."""
        indices = list(range(len(self.levels)))
        return sorted(indices, key=lambda i: float(self.levels[i])) if self.is_numeric else indices

    def find(self, level: Any) -> int:
        """Return the index of a level, given as its value or its label.

        Raises:
            ValueError: there is no such level.
        """
        for i, (value, name) in enumerate(zip(self.levels, self.names, strict=True)):
            if name == level or (value == level and isinstance(value, bool) == _is_bool(level)):
                return i
        raise ValueError(f"{level!r} is no value of {self.key}; {nearest(str(level), self.names)}")


def _is_bool(level: Any) -> bool:
    return isinstance(level, bool)


@dataclass(frozen=True)
class Arm:
    """One cell of the grid.

    Attributes:
        label: ``"0.1"``, ``"crop+color"``, ``"width=16, depth=2"`` or ``"mixmatch, labels=4"``.
        place: its index along every axis.
        method: name of the recipe.
        settings: nested settings of its own, over those that all arms share.
        values: axis key to level.
    """

    label: str
    place: tuple[int, ...]
    method: str
    settings: Mapping[str, Any]
    values: Mapping[str, Any]


def cell_labels(axes: Sequence[Axis]) -> dict[tuple[int, ...], str]:
    """Return the label of every cell by its place, the last axis varying fastest."""
    names = [
        None if axis.key == ARM else name for axis, name in zip(axes, _names(axes), strict=True)
    ]
    labels = {}
    for place in itertools.product(*(range(len(axis.levels)) for axis in axes)):
        parts = [axis.names[i] for axis, i in zip(axes, place, strict=True)]
        if len(axes) > 1:
            parts = [
                part if name is None else f"{name}={part}"
                for name, part in zip(names, parts, strict=True)
            ]
        labels[place] = ", ".join(parts)
    return labels


def _names(axes: Sequence[Axis]) -> list[str]:
    return short_keys([axis.key for axis in axes])
