"""A study: one TOML file that says what is varied, how often, and what the slide claims.

The file is data, not code. Its arms are a grid: of one or two factors, or of named arms along one
factor or none. Every arm is a method with settings of its own, and all of them share seeds.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from lelkern.ablation.grid import ARM, Arm, Axis, cell_labels
from lelkern.ablation.judge.claims import AnyClaim
from lelkern.ablation.labels import format_value
from lelkern.ablation.layers import with_whole_lists
from lelkern.ablation.study.factor import Factor
from lelkern.ablation.study.plot import Plot
from lelkern.config import Config, ConfigError, dotted_keys, merge, nearest, nest, overlap
from lelkern.data.config import VARIED

VARIED_KEYS = frozenset(f"data.{key}" for key in VARIED)
"""What of the data arms may differ in: which labels they see, and how data are generated."""


EXPLORATORY = "exploratory: no claim was stated before the data were seen"
"""What a study without claims has in place of a verdict."""


class NamedArm(Config):
    """An arm with a name and, where it says so, a method and settings of its own.

    Attributes:
        label: its name in tables, plots and claims.
        method: name of the recipe; by default the study's.
        set: settings over those of the study's ``base``.
    """

    label: str
    method: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)


class Baseline(NamedArm):
    """What arms are compared with, outside the grid: it has no level of any factor.

    Attributes:
        seeds: how many of the study's seeds it runs; one is enough where nothing is random.
    """

    seeds: int | None = Field(default=None, ge=1)


class Quick(Config):
    """What ``--quick`` changes: fewer seeds, other base values, fewer values of a factor.

    Of a factor with ``pairs_of``, ``values`` keeps parts.

    Attributes:
        minutes: what it takes on two CPU cores.
    """

    seeds: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    base: dict[str, Any] = Field(default_factory=dict)
    values: dict[str, tuple[Any, ...]] = Field(default_factory=dict)


class Study(Config):
    """A whole study, as its TOML file states it.

    Attributes:
        title: heading of table and plot.
        method: name of the recipe of all arms that name none, or a ``.py`` file beside the study.
        metric: the metric that claims and plots are about, unless they name another.
        metrics: further metrics in the table.
        seeds: number of seeds; all arms share them.
        minutes: what the study takes on two CPU cores, as measured.
        base: settings over the methods' defaults, for every arm and baseline whose method has them.
        factor: what is varied; with ``arm`` at most one, without one or two.
        arm: named arms.
        baseline: what arms are compared with.
        claim: what the slide says, as statements that data can support or contradict; a study
            without one is exploratory.
        plot: what is drawn, one picture each.
        quick: the short form.
    """

    title: str
    method: str | None = None
    metric: str
    metrics: tuple[str, ...] = ()
    seeds: int = Field(default=3, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    base: dict[str, Any] = Field(default_factory=dict)
    factor: tuple[Factor, ...] = ()
    arm: tuple[NamedArm, ...] = ()
    baseline: tuple[Baseline, ...] = ()
    claim: tuple[Annotated[AnyClaim, Field(discriminator="shape")], ...] = ()
    plot: tuple[Plot, ...] = Field(min_length=1)
    quick: Quick = Quick()

    @field_validator("claim", "plot", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        """Take ``[plot]`` for ``[[plot]]`` where there is one."""
        return (value,) if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _grid_is_one(self) -> Self:
        axes = len(self.factor) + bool(self.arm)
        if not 1 <= axes <= 2:
            raise ValueError(
                "a study has one or two factors, or named arms and at most one factor, "
                f"got {len(self.factor)} factors" + (" and named arms" if self.arm else "")
            )
        if len(self.arm) == 1:
            raise ValueError("arm: needs at least two named arms")
        for kind, names in (
            ("factor", [factor.key for factor in self.factor]),
            ("arm", [arm.label for arm in self.arm]),
            ("baseline", [baseline.label for baseline in self.baseline]),
        ):
            if twice := _twice(names):
                raise ValueError(f"{kind} {twice!r} is there twice")
        taken = {name for axis in self.axes() for name in axis.names} | set(
            cell_labels(self.axes()).values()
        )
        for baseline in self.baseline:
            if baseline.label in taken:
                raise ValueError(f"baseline {baseline.label!r} is an arm's label as well")
        return self

    @model_validator(mode="after")
    def _factors_may_vary(self) -> Self:
        for factor in self.factor:
            _refuse_shared("factor", [factor.key])
        for arm in (*self.arm, *self.baseline):
            _refuse_shared(f"{arm.label!r} sets", dotted_keys(arm.set))
        keys = [factor.key for factor in self.factor]
        for one, other in itertools.combinations(keys, 2):
            if overlap(one, other):
                raise ValueError(f"factors {one!r} and {other!r}: one is part of the other")
        for arm in self.arm:
            for key, own in itertools.product(keys, dotted_keys(arm.set)):
                if overlap(key, own):
                    raise ValueError(f"arm {arm.label!r} sets {own!r}, and {key!r} is a factor")
        methods = any(factor.key == "method" for factor in self.factor)
        if methods and any(arm.method for arm in self.arm):
            raise ValueError("factor 'method': the named arms have methods of their own")
        unnamed = [a.label for a in (*self.arm, *self.baseline) if a.method is None]
        if self.method is None and not methods and (unnamed or not self.arm):
            raise ValueError("method: is missing" + (f" for {unnamed[0]!r}" if unnamed else ""))
        for key in self.quick.values:
            if key not in keys:
                raise ValueError(f"quick.values: unknown factor {key!r}; {nearest(key, keys)}")
        return self

    @model_validator(mode="after")
    def _claims_and_plots_fit(self) -> Self:
        axes = self.axes()
        baselines = [baseline.label for baseline in self.baseline]
        for i, claim in enumerate(self.claim):
            try:
                claim.check(axes, baselines)
            except ValueError as error:
                raise ValueError(f"claim.{i}: {error}") from None
        for i, plot in enumerate(self.plot):
            try:
                check_plot(plot, axes, self.factor)
            except ValueError as error:
                raise ValueError(f"plot.{i}: {error}") from None
        return self

    def check_published(self) -> None:
        """Raise ConfigError if a published figure is of no arm or level, which would not be drawn.

        For a study as its author wrote it: a shorter form may lack arms that have such figures.
        """
        axes = self.axes()
        for i, plot in enumerate(self.plot):
            places = plot.published.x if plot.published else ()
            x = next((axis for axis in axes if axis.key == plot.x_key([a.key for a in axes])), None)
            if plot.kind == "heatmap":
                known = [arm.label for arm in self.arms()]
            elif plot.kind != "metrics" and x is not None and not x.is_numeric:
                known = [*x.names]
            else:
                continue
            for place in map(format_value, places):
                if place not in known:
                    hint = nearest(place, known)
                    raise ConfigError(f"plot.{i}: published.x: unknown {place!r}; {hint}")

    @property
    def exploratory(self) -> bool:
        """Whether there is no claim that data could support."""
        return not self.claim

    def axes(self) -> tuple[Axis, ...]:
        """Return the axes of the grid: named arms first, then factors in their order."""
        names = tuple(arm.label for arm in self.arm)
        named = [Axis(ARM, "arm", names, names, "category")] if self.arm else []
        labels = [*(axis.label for axis in named), *(factor.label for factor in self.factor)]
        return (
            *named,
            *(
                Axis(
                    f.key,
                    f"{f.label} ({f.key})" if labels.count(f.label) > 1 else f.label,
                    f.levels(),
                    f.labels(),
                    f.scale,
                )
                for f in self.factor
            ),
        )

    def arms(self) -> tuple[Arm, ...]:
        """Return the cells of the grid, the last axis varying fastest."""
        axes = self.axes()
        return tuple(
            self._cell(label, place, {a.key: a.levels[i] for a, i in zip(axes, place, strict=True)})
            for place, label in cell_labels(axes).items()
        )

    def baseline_arms(self) -> tuple[Arm, ...]:
        """Return the baselines as arms without a place on the grid."""
        return tuple(
            Arm(b.label, (), b.method or self.method or "", b.set, {}) for b in self.baseline
        )

    def seeds_of(self, baseline: Baseline) -> int:
        """Return the number of seeds that a baseline runs: no more than the arms do."""
        return min(baseline.seeds or self.seeds, self.seeds)

    def quickened(self) -> "Study":
        """Return the study as ``--quick`` runs it.

        Raises:
            ConfigError: the short form is no valid study.
        """
        plain = self.model_dump()
        for full, factor in zip(self.factor, plain["factor"], strict=True):
            if factor["key"] in self.quick.values:
                factor.update(full.shortened(self.quick.values[factor["key"]]))
        plain["seeds"] = self.quick.seeds or self.seeds
        plain["minutes"] = self.quick.minutes
        plain["base"] = merge(self.base, with_whole_lists(self.quick.base, self.base, "quick.base"))
        return Study.parse({**plain, "quick": {}}, "quick")

    def without(self, labels: Sequence[str]) -> "Study":
        """Return the study without some of its baselines.

        Raises:
            ConfigError: the study has no such baseline, or a claim needs it.
        """
        known = [baseline.label for baseline in self.baseline]
        for label in labels:
            if label not in known:
                hint = nearest(label, known) if known else "the study has none"
                raise ConfigError(f"--without {label}: no such baseline; {hint}")
        plain = self.model_dump()
        plain["baseline"] = [b for b in plain["baseline"] if b["label"] not in labels]
        return Study.parse({**plain, "quick": {}}, f"--without {', '.join(labels)}")

    def _cell(self, label: str, place: tuple[int, ...], values: Mapping[str, Any]) -> Arm:
        named = self.arm[place[0]] if self.arm else None
        settings = dict(named.set) if named else {}
        method = (named.method if named else None) or self.method
        for key, value in values.items():
            if key == "method":
                method = value
            elif key != ARM:
                settings = merge(settings, nest(key, value))
        assert method is not None  # _factors_may_vary requires it
        return Arm(label, place, method, settings, values)


def check_plot(plot: Plot, axes: tuple[Axis, ...], factors: tuple[Factor, ...]) -> None:
    """Raise ValueError if a plot does not fit the axes of a study."""
    keys = [axis.key for axis in axes]
    if plot.lines is not None and plot.lines not in keys:
        raise ValueError(f"lines = {plot.lines!r} is no axis; {nearest(plot.lines, keys)}")
    if plot.lines is not None and plot.lines == plot.x:
        raise ValueError(f"x and lines must differ, got {plot.x!r} twice")
    if plot.panels is not None:
        if plot.panels not in keys:
            raise ValueError(f"panels = {plot.panels!r} is no axis; {nearest(plot.panels, keys)}")
        if plot.panels == plot.lines:
            raise ValueError(f"lines and panels must differ, got {plot.panels!r} twice")
        if plot.kind == "heatmap" or plot.x is None or plot.x in keys:
            raise ValueError(f"panels = {plot.panels!r} is for a curve, got x = {plot.x!r}")
    if plot.kind == "heatmap":
        pairs = len(axes) == 1 and any(factor.pairs_of for factor in factors)
        if not pairs and len(axes) != 2:
            raise ValueError("kind = 'heatmap' needs two axes, or one factor with pairs_of")
        return
    if plot.kind == "metrics":
        return
    key = plot.x_key(keys)
    if key is None:
        raise ValueError(f"lines = {plot.lines!r} leaves no axis for x")
    x = next((axis for axis in axes if axis.key == key), None)
    if (x is None and plot.published is not None) or (x is not None and x.is_numeric):
        for place in plot.published.x if plot.published else ():
            if isinstance(place, str) or not math.isfinite(place):
                raise ValueError(f"published.x must be numbers on a numeric axis, got {place!r}")


def _refuse_shared(who: str, keys: Iterable[str]) -> None:
    for key in keys:
        group = key.split(".")[0]
        if group == "runtime" or (group == "data" and key not in VARIED_KEYS):
            raise ValueError(f"{who} {key!r}: all arms share data and runtime")


def _twice(names: list[str]) -> str | None:
    return next((name for i, name in enumerate(names) if name in names[:i]), None)
