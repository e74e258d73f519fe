"""What every shape of claim has in common."""

from abc import abstractmethod
from collections.abc import Sequence

from pydantic import Field

from lelkern.ablation.grid import Axis
from lelkern.ablation.judge.names import Grid
from lelkern.config import Config


class Claim(Config):
    """A sentence of the slide, as statements that data can support or contradict.

    Attributes:
        says: the sentence.
        metric: what it is about; by default the study's metric.
    """

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
