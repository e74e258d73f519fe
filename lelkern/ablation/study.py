"""A study: one TOML file that says what is varied, how often, and what the slide claims.

The file is data, not code. It names a method, a base configuration, one or two factors with
their values, the number of seeds, the metrics to show, the published curve with its source, and
the shape that the claim predicts. :func:`Study.arms` is the grid of configurations to compare.
"""

import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from lelkern.config import Config, ConfigError, merge, nearest, nest, overlap


class Factor(Config):
    """What a study varies: a dotted configuration key and the values it takes.

    Attributes:
        key: dotted key of the method's configuration, such as ``encoder.width``.
        label: how plots and tables name it, with its unit.
        values: the values, in the order in which they are shown.
        pairs_of: instead of ``values``: parts (names, or tables with a ``name``) of which each
            alone and each pair is a value.
        scale: how a numeric axis is drawn; ``log-complement``: by the logarithm of 1 - value, for
            momenta and other shares near 1.
    """

    key: str
    label: str
    values: tuple[Any, ...] = ()
    pairs_of: tuple[str | dict[str, Any], ...] = ()
    scale: Literal["log-complement", "log", "linear", "category"] = "category"

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if bool(self.values) == bool(self.pairs_of):
            raise ValueError(f"factor {self.key!r} needs either 'values' or 'pairs_of'")
        levels = [format_value(level) for level in self.levels()]
        if len(set(levels)) < len(levels):
            raise ValueError(f"factor {self.key!r} has a value twice")
        if len(levels) < 2:
            raise ValueError(f"factor {self.key!r} needs at least two values")
        if self.scale != "category" and not all(isinstance(v, int | float) for v in self.levels()):
            raise ValueError(f"factor {self.key!r} has scale {self.scale!r} but not only numbers")
        if self.scale == "log" and not all(level > 0 for level in self.levels()):
            raise ValueError(f"factor {self.key!r} has scale 'log' but not only values > 0")
        if self.scale == "log-complement" and not all(level < 1 for level in self.levels()):
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


class Expectation(Config):
    """The shape of the result that the slide's claim predicts, and thereby its test.

    Attributes:
        shape: ``interior-maximum``: some inner value beats both ends. ``increasing``: the metric
            rises with every factor. ``ordered``: each value beats the one before it. ``best``:
            the arm named ``arm`` beats every other.
        arm: label of the winning arm, for ``best``.
    """

    shape: Literal["interior-maximum", "increasing", "ordered", "best"]
    arm: str | None = None

    @model_validator(mode="after")
    def _names_its_arm(self) -> Self:
        if (self.shape == "best") != (self.arm is not None):
            raise ValueError("'arm' goes with shape = \"best\", and is needed there")
        return self


class Published(Config):
    """Figures that the authors of the method published for the same question.

    Attributes:
        source: paper, table or figure.
        label: name of the published quantity, with its unit.
        x: positions: numbers, or labels of this study's arms.
        y: one value a position.
        note: what differs from the setting of the study.
    """

    source: str
    label: str
    x: tuple[float | str, ...]
    y: tuple[float, ...]
    note: str = ""

    @model_validator(mode="after")
    def _one_y_per_x(self) -> Self:
        if len(self.x) != len(self.y):
            raise ValueError(f"published x has {len(self.x)} entries but y has {len(self.y)}")
        return self


class Quick(Config):
    """What ``--quick`` changes: fewer seeds, other base values, fewer values of a factor."""

    seeds: int | None = Field(default=None, ge=1)
    base: dict[str, Any] = Field(default_factory=dict)
    values: dict[str, tuple[Any, ...]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """One combination of factor values.

    Attributes:
        label: ``"0.1"``, ``"crop+color"`` or ``"width=16, depth=2"``.
        values: dotted key to value, one entry a factor.
    """

    label: str
    values: Mapping[str, Any]


class Study(Config):
    """A whole study, as its TOML file states it.

    Attributes:
        title: heading of table and plot.
        claim: what the slide says, in a sentence that data can support or contradict.
        method: name of the training recipe (see :data:`lelkern.methods.METHODS`).
        metric: the metric the claim is about.
        metrics: further metrics in the table.
        plot: ``line`` over one numeric factor, ``category`` points, ``heatmap`` of pairs, or
            ``parameters``: one line per value of the second factor over the encoder's size.
        seeds: number of seeds; all arms share them.
        base: overrides of the method's default configuration.
        factor: one or two factors; the arms are their product.
    """

    title: str
    claim: str
    method: str
    metric: str
    metrics: tuple[str, ...] = ()
    plot: Literal["line", "category", "heatmap", "parameters"]
    seeds: int = Field(default=3, ge=1)
    base: dict[str, Any] = Field(default_factory=dict)
    factor: tuple[Factor, ...] = Field(min_length=1, max_length=2)
    expect: Expectation
    published: Published | None = None
    quick: Quick = Quick()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        factors = {
            "line": len(self.factor) == 1 and self.factor[0].scale != "category",
            "category": len(self.factor) == 1,
            "heatmap": len(self.factor) == 1 and bool(self.factor[0].pairs_of),
            "parameters": len(self.factor) == 2,
        }
        if not factors[self.plot]:
            raise ValueError(f"plot = {self.plot!r} does not fit the factors")
        numeric = all(factor.scale != "category" for factor in self.factor)
        if self.expect.shape == "increasing" and not numeric:
            raise ValueError("expect.shape = 'increasing' needs numeric factors")
        if self.expect.shape == "interior-maximum" and self.plot != "line":
            raise ValueError("expect.shape = 'interior-maximum' needs plot = 'line'")
        labels = [arm.label for arm in self.arms()]
        if self.expect.arm is not None and self.expect.arm not in labels:
            raise ValueError(
                f"expect.arm = {self.expect.arm!r} is no arm; {nearest(self.expect.arm, labels)}"
            )
        keys = [factor.key for factor in self.factor]
        for key in keys:
            if key.split(".")[0] in ("data", "runtime"):
                raise ValueError(f"factor {key!r}: all arms share data and runtime")
        if len(set(keys)) < len(keys):
            raise ValueError(f"factor {keys[0]!r} is there twice")
        for one, other in itertools.combinations(keys, 2):
            if overlap(one, other):
                raise ValueError(f"factors {one!r} and {other!r}: one is part of the other")
        if self.published is not None and self.plot in ("line", "parameters"):
            for x in self.published.x:
                if isinstance(x, str):
                    raise ValueError(
                        f"published.x must be numbers for plot = {self.plot!r}, got {x!r}"
                    )
        for key in self.quick.values:
            if key not in keys:
                raise ValueError(f"quick.values: unknown factor {key!r}; {nearest(key, keys)}")
        return self

    def arms(self) -> tuple[Arm, ...]:
        """Return the product of all factor values, the last factor varying fastest."""
        combinations = itertools.product(*(factor.levels() for factor in self.factor))
        return tuple(Arm(self._label(values), self._by_key(values)) for values in combinations)

    def quickened(self) -> "Study":
        """Return the study as ``--quick`` runs it.

        Raises:
            ConfigError: the short form is no valid study.
        """
        plain = self.model_dump()
        for factor in plain["factor"]:
            if factor["key"] in self.quick.values:
                factor.update(values=self.quick.values[factor["key"]], pairs_of=())
        plain["seeds"] = self.quick.seeds or self.seeds
        plain["base"] = merge(self.base, self.quick.base)
        return Study.parse({**plain, "quick": {}}, "quick")

    def arm_config(self, arm: Arm) -> dict[str, Any]:
        """Return the base configuration with this arm's values put in."""
        return merge(self.base, *(nest(key, value) for key, value in arm.values.items()))

    def _label(self, values: Sequence[Any]) -> str:
        if len(values) == 1:
            return format_value(values[0])
        names = (factor.key.rsplit(".", 1)[-1] for factor in self.factor)
        return ", ".join(f"{name}={format_value(v)}" for name, v in zip(names, values, strict=True))

    def _by_key(self, values: Sequence[Any]) -> dict[str, Any]:
        return {factor.key: value for factor, value in zip(self.factor, values, strict=True)}


def format_value(value: Any) -> str:
    """Write a factor value as a label: ``0.1``, ``nonlinear``, ``crop+color``."""
    if isinstance(value, list | tuple):
        return "+".join(format_value(part) for part in value)
    if isinstance(value, Mapping):
        return str(value["name"]) if "name" in value else json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def studies_folder() -> Path:
    """Return the folder of the shipped studies, in an installed wheel or a source tree."""
    package = Path(str(resources.files("lelkern")))
    installed = package / "studies"
    return installed if installed.is_dir() else package.parent / "ablations"


def shipped_studies() -> dict[str, Path]:
    """Return the shipped studies: name to file, sorted by name."""
    return {path.stem: path for path in sorted(studies_folder().glob("*.toml"))}


def load_study(name_or_file: str) -> Study:
    """Read a shipped study by name, or any study from its ``.toml`` file.

    Raises:
        ConfigError: no such study or file, not TOML, or not a valid study.
    """
    shipped = shipped_studies()
    path = shipped.get(name_or_file) or Path(name_or_file)
    if path.suffix != ".toml":
        raise ConfigError(f"no study {name_or_file!r}; {nearest(name_or_file, shipped)}")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    study = Study.parse(data, str(path))
    try:
        study.quickened()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return study
