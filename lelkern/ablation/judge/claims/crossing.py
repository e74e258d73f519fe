"""``crossing``: which of two arms is better depends on the level."""

from typing import Literal

from lelkern.ablation.judge.claims.two_sided import Sides, beats
from lelkern.ablation.judge.names import Grid, Levels, Pair
from lelkern.ablation.judge.sample import Cell, Sample
from lelkern.ablation.judge.statement import Statements, largest_first


class Crossing(Sides):
    """``arm`` beats ``over`` at some levels, and ``over`` beats ``arm`` at others.

    Attributes:
        wins_at: one or several levels of the other axis at which ``arm`` is better.
        loses_at: one or several at which ``over`` is.
    """

    shape: Literal["crossing"]
    wins_at: Levels
    loses_at: Levels

    def resolve(self, grid: Grid) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
        """Return the pairs to compare where ``arm`` wins, and those where it loses."""
        self.check_over()
        wins = grid.pairs(self.arm, self.over, self.wins_at, "wins_at")
        loses = grid.pairs(self.arm, self.over, self.loses_at, "loses_at")
        both = [pair for pair in wins if pair in loses]
        if both:
            raise ValueError(
                f"loses_at = {self.loses_at!r} has a level in common with "
                f"wins_at = {self.wins_at!r}"
            )
        return wins, loses

    def comparisons(self, grid: Grid, default: str) -> list[tuple[Cell, ...]]:
        """Return the two cells of every pair (see ``Claim``)."""
        return [self.cells(pair, default) for pairs in self.resolve(grid) for pair in pairs]

    def statements(self, sample: Sample) -> Statements:
        """Return who wins where, and the opposites."""
        wins, loses = self.resolve(sample.grid)
        return Statements(
            test="paired one-sided t-tests where each side wins; all must be significant",
            needed=(*beats(sample, wins, left=True), *beats(sample, loses, left=False)),
            against=largest_first(
                (*beats(sample, wins, left=False), *beats(sample, loses, left=True))
            ),
        )
