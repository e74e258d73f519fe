"""``crossing``: which of two arms is better depends on the level."""

from typing import Literal

from lelkern.ablation.judge.claims.two_sided import Sides
from lelkern.ablation.judge.names import Grid, Levels, Pair


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
        """Return what is compared where ``arm`` wins and where it loses."""
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
