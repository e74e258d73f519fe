"""What claims about two arms, or about two metrics of one arm, have in common."""

from collections.abc import Sequence

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.evidence import Values
from lelkern.ablation.judge.names import EVERY, Grid, Levels, Pair
from lelkern.ablation.judge.sample import Cell, Sample
from lelkern.ablation.judge.statement import Statement, differences


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

    def cells(self, pair: Pair, default: str) -> tuple[Cell, Cell]:
        """Return the two cells that a pair compares."""
        own = self.metric or default
        return (pair.left, own), (pair.right, self.over_metric or own)


class TwoSided(Sides):
    """Two sides that are compared at some levels.

    Attributes:
        at: one or several levels of the other axis; by default every level.
    """

    at: Levels = EVERY

    def resolve(self, grid: Grid) -> tuple[Pair, ...]:
        """Return the pairs to compare."""
        self.check_over()
        return grid.pairs(self.arm, self.over, self.at)

    def comparisons(self, grid: Grid, default: str) -> list[tuple[Cell, ...]]:
        """Return the two cells of every pair (see ``Claim``)."""
        return [self.cells(pair, default) for pair in self.resolve(grid)]


def sides(sample: Sample, pairs: Sequence[Pair]) -> tuple[Values, Values]:
    """Return the values of both sides of every pair, (pairs, seeds)."""
    return sample.arms([pair.left for pair in pairs]), sample.over([pair.right for pair in pairs])


def names(sample: Sample, pair: Pair) -> tuple[str, str, str]:
    """Return the names of both sides in statements, and where they are compared.

    Where two metrics are compared, sides are called by the metric.
    """
    left, right = pair.names
    where = f" {pair.where}" if pair.where else ""
    if sample.over_name == sample.name:
        return left, right, where
    own, other = sample.metric.label, sample.over_metric.label
    if left == right:
        return own, other, f" of {left}{where}"
    return f"{own} of {left}", f"{other} of {right}", where


def beats(
    sample: Sample, pairs: Sequence[Pair], *, left: bool, above: float = 0.0, suffix: str = ""
) -> tuple[Statement, ...]:
    """Return that one side beats the other, for every pair.

    Args:
        sample: what was measured.
        pairs: what is compared.
        left: whether it is the left side that wins.
        above: by how much it has to win.
        suffix: of the statements.
    """
    texts = []
    for pair in pairs:
        one, other, where = names(sample, pair)
        winner, loser = (one, other) if left else (other, one)
        texts.append(f"{winner} beats {loser}{where}{suffix}")
    one_values, other_values = sides(sample, pairs)
    better, worse = (one_values, other_values) if left else (other_values, one_values)
    return differences(texts, better, worse, sample.metric, above=above)
