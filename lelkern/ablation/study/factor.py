"""A factor: one configuration key that a study varies, and the values it takes."""

import itertools
from collections.abc import Sequence
from typing import Any, Self

from pydantic import model_validator

from lelkern.ablation.grid import Scale
from lelkern.ablation.labels import distinct_labels
from lelkern.config import Config, ConfigError


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
        names: labels of the values, if they are not to be written as they are.
        scale: how a numeric axis is drawn; ``log-complement``: by the logarithm of 1 - value, for
            momenta and other shares near 1.
    """

    key: str
    label: str
    values: tuple[Any, ...] = ()
    pairs_of: tuple[str | dict[str, Any], ...] = ()
    names: tuple[str, ...] = ()
    scale: Scale = "category"

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if bool(self.values) == bool(self.pairs_of):
            raise ValueError(f"factor {self.key!r} needs either 'values' or 'pairs_of'")
        levels = self.levels()
        if self.names and len(self.names) != len(levels):
            raise ValueError(
                f"factor {self.key!r} has {len(levels)} values but {len(self.names)} names"
            )
        labels = self.labels()
        if len(set(labels)) < len(labels):
            raise ValueError(f"factor {self.key!r} has a value twice")
        if len(levels) < 2:
            raise ValueError(f"factor {self.key!r} needs at least two values")
        if self.scale != "category" and not all(_is_number(level) for level in levels):
            raise ValueError(f"factor {self.key!r} has scale {self.scale!r} but not only numbers")
        if self.scale == "log" and not all(level > 0 for level in levels):
            raise ValueError(f"factor {self.key!r} has scale 'log' but not only values > 0")
        if self.scale == "log-complement" and not all(level < 1 for level in levels):
            raise ValueError(
                f"factor {self.key!r} has scale 'log-complement' but not only values < 1"
            )
        return self

    def levels(self) -> tuple[Any, ...]:
        """Return every value this factor takes."""
        if self.values:
            return self.values
        alone = ((part,) for part in self.pairs_of)
        return (*alone, *itertools.combinations(self.pairs_of, 2))

    def labels(self) -> tuple[str, ...]:
        """Return the label of every value."""
        return self.names or tuple(distinct_labels(self.levels()))

    def names_of(self, kept: Sequence[Any]) -> tuple[str, ...]:
        """Return the names of some of the values; nothing if the factor has no names.

        Raises:
            ConfigError: the factor has names, and one of these is not among its values.
        """
        if not self.names:
            return ()
        levels = self.levels()
        for value in kept:
            if value not in levels:
                raise ConfigError(
                    f"factor {self.key!r} has names, and {value!r} is none of its values"
                )
        return tuple(self.names[levels.index(value)] for value in kept)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
