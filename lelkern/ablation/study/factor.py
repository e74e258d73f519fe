"""A factor: one configuration key that a study varies, and the values it takes."""

import itertools
from collections.abc import Sequence
from typing import Any, Self, TypeVar

from pydantic import model_validator

from lelkern.ablation.grid import Scale
from lelkern.ablation.labels import distinct_labels, format_value
from lelkern.config import Config, ConfigError, nearest

T = TypeVar("T")


class Factor(Config):
    """What a study varies: a dotted configuration key and the values it takes.

    Attributes:
        key: dotted key of the method's configuration, such as ``encoder.width``; ``method``; or
            of the data what arms may differ in, such as ``data.labels_per_class``
            (:data:`lelkern.data.config.VARIED`).
        label: how plots and tables name it, with its unit.
        values: the values, in the order in which they are shown.
        pairs_of: instead of ``values``: parts (names, or tables with a ``name``) of which each
            alone and each pair is a value.
        ordered: whether each pair is two values, one for either order.
        names: labels of the values, or of the parts of ``pairs_of``, if they are not to be
            written as they are.
        scale: how a numeric axis is drawn; ``log``, where 0 has a place to the left;
            ``log-complement``: by the logarithm of 1 - value, for momenta and other shares near 1.
    """

    key: str
    label: str
    values: tuple[Any, ...] = ()
    pairs_of: tuple[str | dict[str, Any], ...] = ()
    ordered: bool = False
    names: tuple[str, ...] = ()
    scale: Scale = "category"

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if bool(self.values) == bool(self.pairs_of):
            raise ValueError(f"factor {self.key!r} needs either 'values' or 'pairs_of'")
        if self.ordered and not self.pairs_of:
            raise ValueError(f"factor {self.key!r} has ordered = true but no 'pairs_of'")
        levels = self.levels()
        if self.names and len(self.names) not in (len(levels), len(self.pairs_of)):
            parts = f"{len(self.pairs_of)} parts and " if self.pairs_of else ""
            raise ValueError(
                f"factor {self.key!r} has {parts}{len(levels)} values but {len(self.names)} names"
            )
        labels = self.labels()
        for i, label in enumerate(labels):
            if label in labels[:i]:
                raise ValueError(f"factor {self.key!r} has the value {label!r} twice")
        if len(levels) < 2:
            raise ValueError(f"factor {self.key!r} needs at least two values")
        if self.scale != "category" and not all(_is_number(level) for level in levels):
            raise ValueError(f"factor {self.key!r} has scale {self.scale!r} but not only numbers")
        if self.scale == "log" and not all(level >= 0 for level in levels):
            raise ValueError(f"factor {self.key!r} has scale 'log' but not only values >= 0")
        if self.scale == "log-complement" and not all(level <= 1 for level in levels):
            raise ValueError(
                f"factor {self.key!r} has scale 'log-complement' but not only values <= 1"
            )
        return self

    def levels(self) -> tuple[Any, ...]:
        """Return every value this factor takes."""
        if self.values:
            return self.values
        return self._alone_and_paired(self.pairs_of)

    def labels(self) -> tuple[str, ...]:
        """Return the label of every value."""
        if self.names and len(self.names) != len(self.pairs_of):
            return self.names
        if not self.pairs_of:
            return tuple(distinct_labels(self.values))
        return tuple("+".join(parts) for parts in self._alone_and_paired(self.part_labels()))

    def part_labels(self) -> tuple[str, ...]:
        """Return the label of every part of ``pairs_of``."""
        if self.names and len(self.names) == len(self.pairs_of):
            return self.names
        return tuple(distinct_labels(self.pairs_of))

    def _alone_and_paired(self, parts: Sequence[T]) -> tuple[tuple[T, ...], ...]:
        pairs = itertools.permutations if self.ordered else itertools.combinations
        return (*((part,) for part in parts), *pairs(parts, 2))

    def shortened(self, kept: Sequence[Any]) -> dict[str, Any]:
        """Return the fields in which the short form of a study differs, which keeps some values.

        Of a factor with ``pairs_of`` parts may be kept, given as they are or by their labels.

        Raises:
            ConfigError: the factor has names or parts, and one of the values is not among them.
        """
        labels = self.part_labels()
        if not any(part in labels or part in self.pairs_of for part in kept):
            whole = {"values": tuple(kept), "names": self.names_of(kept)}
            return whole | {"pairs_of": (), "ordered": False}
        places = []
        for part in kept:
            if part not in labels and part not in self.pairs_of:
                hint = nearest(format_value(part), labels)
                raise ConfigError(f"factor {self.key!r}: {part!r} is none of its parts; {hint}")
            places.append((labels if part in labels else self.pairs_of).index(part))
        parts = tuple(self.pairs_of[place] for place in places)
        if self.names and len(self.names) != len(self.pairs_of):
            names = self.names_of(self._alone_and_paired(parts))
        else:
            names = tuple(labels[place] for place in places)
        return {"pairs_of": parts, "names": names}

    def names_of(self, kept: Sequence[Any]) -> tuple[str, ...]:
        """Return the labels of some values, so that the short form of a study has the same.

        Returns:
            Nothing if one of them is none of the factor's, which has no names.

        Raises:
            ConfigError: the factor has names, and one of these is not among its values.
        """
        levels, labels = self.levels(), self.labels()
        for value in kept:
            if value not in levels:
                if not self.names:
                    return ()
                raise ConfigError(
                    f"factor {self.key!r} has names, and {value!r} is none of its values"
                )
        return tuple(labels[levels.index(value)] for value in kept)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
