"""What a plot of a study shows."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from lelkern.config import Config


class Published(Config):
    """Figures that the authors of the method published for the same question.

    Attributes:
        source: paper, table or figure.
        label: name of the published quantity, with its unit.
        x: positions: numbers, or labels of the levels along the plot's x.
        y: one value a position.
        note: what differs from the setting of the study.
        same_unit: whether values are drawn on the plot's own axis, in the unit of its labels,
            instead of one at the right.
    """

    source: str
    label: str
    x: tuple[float | str, ...]
    y: tuple[float, ...]
    note: str = ""
    same_unit: bool = False

    @model_validator(mode="after")
    def _one_y_per_x(self) -> Self:
        if len(self.x) != len(self.y):
            raise ValueError(f"published x has {len(self.x)} entries but y has {len(self.y)}")
        return self


class Plot(Config):
    """One plot of a study.

    Attributes:
        kind: ``line``: means joined by a line. ``points``: means beside each other. ``heatmap``: a
            matrix of means, of a factor's pairs or of two axes. ``metrics``: several metrics beside
            each other, in a panel for every arm and every baseline.
        x: what lies along it: an axis (``arm`` or a factor's key), a metric (each arm at the mean
            of its own values), or a curve; by default the last axis.
        y: the metric; by default the study's. A curve has its own.
        lines: the axis with one line a level; by default the other axis, if there are two.
        panels: of a curve, the axis with one panel a level; by default there is one panel, with the
            mean of what no line tells apart.
        series: of kind ``metrics``, by the label of each series, what it has at every one of
            ``names``: metrics of one unit.
        names: of kind ``metrics``, what lies along x; the places of ``published`` as well.
        scale: of a metric or a curve along x; an axis has its own.
        y_scale: of what lies along y, of kinds ``line`` and ``points``.
        band: draw intervals as a band instead of bars; a curve always has a band.
        baseline_intervals: draw the 95 % interval of every baseline as a bar at the right end of
            its line, of kinds ``line`` and ``points`` where x is no curve.
        reference: levels of ``y`` to draw as lines, by label.
        published: the authors' figures, by default on an axis of their own.
    """

    kind: Literal["line", "points", "heatmap", "metrics"] = "line"
    x: str | None = None
    y: str | None = None
    lines: str | None = None
    panels: str | None = None
    series: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    names: tuple[str, ...] = ()
    scale: Literal["linear", "log"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"
    band: bool = False
    baseline_intervals: bool = False
    reference: dict[str, float] = Field(default_factory=dict)
    published: Published | None = None

    @model_validator(mode="after")
    def _y_has_a_scale(self) -> Self:
        if self.y_scale != "linear" and self.kind not in ("line", "points"):
            raise ValueError(f"y_scale is for kind = 'line' and 'points', got kind = {self.kind!r}")
        return self

    @model_validator(mode="after")
    def _baseline_intervals_have_a_place(self) -> Self:
        if not self.baseline_intervals:
            return self
        if self.kind not in ("line", "points"):
            raise ValueError(
                f"baseline_intervals is for kind = 'line' and 'points', got kind = {self.kind!r}"
            )
        if self.published is not None and not self.published.same_unit:
            raise ValueError(
                "baseline_intervals = true needs published.same_unit = true: the axis of the "
                "published figures is where the intervals would be"
            )
        return self

    @model_validator(mode="after")
    def _series_are_those_of_metrics(self) -> Self:
        if self.kind != "metrics":
            for key in ("series", "names"):
                if getattr(self, key):
                    raise ValueError(f"{key} is for kind = 'metrics', got kind = {self.kind!r}")
            return self
        if not self.series or not self.names:
            raise ValueError("kind = 'metrics' needs series, and names of what lies along x")
        for key in ("x", "y", "lines", "panels"):
            if (value := getattr(self, key)) is not None:
                raise ValueError(f"{key} = {value!r} means nothing for kind = 'metrics'")
        for label, metrics in self.series.items():
            if len(metrics) != len(self.names):
                raise ValueError(
                    f"series {label!r} has {len(metrics)} metrics but there are "
                    f"{len(self.names)} names"
                )
        if self.published is not None:
            for place in self.published.x:
                if place not in self.names:
                    raise ValueError(f"published.x must be among names, got {place!r}")
            if not self.published.same_unit:
                raise ValueError("published of kind = 'metrics' must have same_unit = true")
        return self

    def x_key(self, axes: Sequence[str]) -> str | None:
        """Return the key along x: the plot's own, or the last axis that ``lines`` leaves.

        Args:
            axes: keys of the study's axes.

        Returns:
            A name, or None if there is no such axis.
        """
        left = [key for key in axes if key != self.lines]
        return self.x or (left[-1] if left else None)
