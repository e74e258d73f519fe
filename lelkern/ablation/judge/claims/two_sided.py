"""What claims about two arms, or about two metrics of one arm, have in common."""

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import EVERY, Grid, Levels, Pair


class Sides(Claim):
    """Two sides that are compared.

    A side is named by the label of an arm or a baseline, or by a level of an axis, which is then
    compared at each level of the other axis; ``width=16`` tells a level that two axes have.

    Attributes:
        arm: what the claim is for, one or several; by default every arm.
        over: what it is compared with, one or several; by default the same arm, of which
            ``over_metric`` is compared.
        over_metric: metric of ``over``; by default ``metric``.
    """

    arm: Levels | None = None
    over: Levels | None = None
    over_metric: str | None = None

    def metrics(self, default: str) -> tuple[str, ...]:
        """Return the names of the metrics it needs; ``default`` is the study's metric."""
        own = self.metric or default
        return (own,) if self.over_metric is None else tuple(dict.fromkeys((own, self.over_metric)))

    def check_over(self) -> None:
        """Refuse a claim that does not say what it compares with."""
        if self.over is None and self.over_metric is None:
            raise ValueError("over is missing, or over_metric to compare two metrics of an arm")


class TwoSided(Sides):
    """Two sides that are compared at some levels.

    Attributes:
        at: one or several levels of the other axis; by default every level.
    """

    at: Levels = EVERY

    def resolve(self, grid: Grid) -> tuple[Pair, ...]:
        """Return what is compared."""
        self.check_over()
        return grid.pairs(self.arm, self.over, self.at)
