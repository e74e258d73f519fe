"""What one plot shows: a study's results, seen along the plot's x and lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lelkern.ablation.grid import Axis
from lelkern.ablation.judge.statistics import measured
from lelkern.ablation.plot.look import Words
from lelkern.ablation.results import Results, Row
from lelkern.ablation.study import Plot, Study
from lelkern.methods.metric import Curve, Metric


@dataclass(frozen=True)
class Picture:
    """A plot with everything that it is drawn from.

    Attributes:
        study: as it was run.
        plot: one of the study's.
        results: finished trials.
        metrics: what the trials report, by name.
        curves: likewise.
        remarks: by a baseline's label, what comes after it: what it ran with where arms differ.
        words: what things are called.
    """

    study: Study
    plot: Plot
    results: Results
    metrics: Mapping[str, Metric]
    curves: Mapping[str, Curve]
    remarks: Mapping[str, str] = field(default_factory=dict)
    words: Words = field(default_factory=lambda: Words({}))

    @property
    def y(self) -> str:
        """Name of the metric that is drawn, or that a curve's arms are counted by."""
        return self.plot.y or self.study.metric

    @property
    def metric(self) -> Metric:
        """The metric that is drawn."""
        return self.metrics[self.y]

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the study's grid."""
        return self.study.axes()

    @cached_property
    def x_axis(self) -> Axis | None:
        """The axis along x; None where a metric or a curve lies there."""
        key = self.plot.x_key([axis.key for axis in self.axes])
        return next((axis for axis in self.axes if axis.key == key), None)

    @property
    def x_metric(self) -> Metric | None:
        """The metric along x, if one lies there."""
        if self.x_axis is not None or self.plot.x is None:
            return None
        return self.metrics.get(self.plot.x)

    @property
    def curve(self) -> Curve | None:
        """The curve that is drawn, if it is one."""
        if self.x_axis is not None or self.x_metric is not None or self.plot.x is None:
            return None
        return self.curves[self.plot.x]

    @property
    def has_bands(self) -> bool:
        """Whether intervals are drawn as bands."""
        return self.plot.band or self.curve is not None

    @cached_property
    def lines_axis(self) -> Axis | None:
        """The axis with one line a level; None where there is one line in all."""
        if self.plot.lines is not None:
            return next(axis for axis in self.axes if axis.key == self.plot.lines)
        if self.x_axis is None:
            if self.plot.panels is not None:
                return next((axis for axis in self.axes if axis.key != self.plot.panels), None)
            return self.axes[0] if len(self.axes) == 2 or self.curve is not None else None
        return next((axis for axis in self.axes if axis.key != self.x_axis.key), None)

    def lines(self) -> list[tuple[str | None, list[str]]]:
        """Return every line: its label, None where it is the only one, and its arms' labels.

        Arms stand in the order of their levels, from the smallest where these are numbers.
        """
        axis = self.lines_axis
        arms = self.study.arms()
        if axis is None:
            return [(None, [arms[i].label for i in self.axes[0].order])]
        at = self.axes.index(axis)
        along = [other for other in self.axes if other is not axis]
        lines: list[tuple[str | None, list[str]]] = []
        for level, name in enumerate(axis.names):
            of_line = [arm for arm in arms if arm.place[at] == level]
            ordered = [of_line[i] for i in along[0].order] if along else of_line
            label = name if axis.key == "arm" else f"{axis.label} {name}"
            lines.append((self.words.find(label), [arm.label for arm in ordered]))
        return lines

    def panels(self) -> list[tuple[str, list[tuple[str | None, list[str]]]]]:
        """Return every panel: its title, empty where it is the only one, and its lines."""
        axis = next((axis for axis in self.axes if axis.key == self.plot.panels), None)
        if axis is None:
            return [("", self.lines())]
        at = self.axes.index(axis)
        level_of = {arm.label: arm.place[at] for arm in self.study.arms()}
        return [
            (
                self.words.find(f"{axis.label} {axis.names[i]}"),
                [
                    (label, [arm for arm in arms if level_of[arm] == i])
                    for label, arms in self.lines()
                ],
            )
            for i in axis.order
        ]

    def values(self, arm: str) -> list[float]:
        """Return the values of the metric that is drawn, one a seed."""
        return list(self._measured.get(arm, {}).values())

    def baselines(self) -> dict[str, Sequence[float]]:
        """Return the values of every baseline that has the metric, by its label."""
        found = measured(self.results.baselines, self.y)
        labels = [baseline.label for baseline in self.study.baseline]
        return {label: list(found[label].values()) for label in labels if label in found}

    def baseline_label(self, label: str) -> str:
        """Return the label of a baseline, with remarks: ``random encoder at width=16, 1 seed``."""
        return self.words.find(label) + self.remarks.get(label, "")

    def rows(self, arm: str) -> list[Row]:
        """Return the finished trials of an arm or a baseline."""
        return [r for r in (*self.results.arms, *self.results.baselines) if r.arm == arm]

    @cached_property
    def diverged(self) -> dict[str, dict[int, int]]:
        """Arm or baseline to seed to the step at which its training diverged."""
        return self.results.diverged()

    def seed_counts(self) -> set[int]:
        """Return the numbers of seeds that arms have; empty where none has any."""
        return {len(values) for values in self._measured.values()}

    @cached_property
    def _measured(self) -> dict[str, dict[int, float]]:
        return measured(self.results.arms, self.y)
