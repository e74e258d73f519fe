"""What every shape of claim has in common."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from pydantic import Field

from lelkern.ablation.grid import Axis
from lelkern.ablation.judge.names import Grid, Track
from lelkern.ablation.judge.sample import Cell, Sample
from lelkern.ablation.judge.statement import Statements
from lelkern.config import Config, nearest
from lelkern.methods.metric import Metric


class Claim(Config):
    """A sentence of the slide, as statements that data can support or contradict.

    Attributes:
        shape: what kind of statement it is.
        says: the sentence.
        metric: what it is about; by default the study's metric.
    """

    shape: str
    says: str = Field(min_length=1)
    metric: str | None = None

    def check(self, axes: Sequence[Axis], baselines: Sequence[str]) -> None:
        """Refuse a claim that does not fit the axes and baselines of a study.

        Raises:
            ValueError: a field names what is not there, or the shape needs another grid.
        """
        self.resolve(Grid(axes, baselines))

    @abstractmethod
    def resolve(self, grid: Grid) -> object:
        """Return the arms that its names stand for.

        Raises:
            ValueError: a field names what is not there, or the shape needs another grid.
        """

    def metrics(self, default: str) -> tuple[str, ...]:
        """Return the names of the metrics it needs; ``default`` is the study's metric."""
        return (self.metric or default,)

    def check_metrics(self, metrics: Mapping[str, Metric], default: str) -> None:
        """Refuse a claim about metrics that are not reported, or that do not compare.

        Args:
            metrics: what the methods of the study report.
            default: the study's metric.

        Raises:
            ValueError: a metric is unknown, or of two one is better higher and the other lower.
        """
        names = self.metrics(default)
        for name in names:
            if name not in metrics:
                raise ValueError(f"unknown metric {name!r}; {nearest(name, metrics)}")
        better = [metrics[name].better for name in names]
        if len(set(better)) > 1:
            raise ValueError(
                f"over_metric = {names[1]!r} does not compare with {names[0]!r}: better is "
                f"{better[1]} of the one and {better[0]} of the other"
            )

    @abstractmethod
    def comparisons(self, grid: Grid, default: str) -> list[tuple[Cell, ...]]:
        """Return the cells that are needed: those of one comparison together.

        Args:
            grid: of the study.
            default: the study's metric.
        """

    def parts(self, cells: tuple[Cell, ...]) -> list[tuple[Cell, ...]]:
        """Return the parts of one comparison, of which one at least must compare what differs."""
        return [cells]

    @abstractmethod
    def statements(self, sample: Sample) -> Statements:
        """Return the claim as statements about the measured values of its cells."""


class Along(Claim):
    """A claim about the arms along one axis or several, without baselines."""

    @abstractmethod
    def tracks(self, grid: Grid) -> tuple[Track, ...]:
        """Return the arms along each axis."""

    def comparisons(self, grid: Grid, default: str) -> list[tuple[Cell, ...]]:
        """Return the cells of every track (see :class:`Claim`)."""
        name = self.metric or default
        return [
            tuple((arm, name) for row in track.arms for arm in row) for track in self.tracks(grid)
        ]
