"""``best``: one arm beats every other."""

from dataclasses import dataclass
from typing import Literal

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import Grid, Level


@dataclass(frozen=True)
class Contender:
    """What takes part in a comparison of all.

    Attributes:
        name: what statements call it.
        arms: labels of the arms whose mean it is.
    """

    name: str
    arms: tuple[str, ...]


class Best(Claim):
    """One arm beats every other, or one level of an axis every other level of it.

    Attributes:
        arm: label of the arm, or a level.
        of: for a level: that of the other axis at which it is so; by default on the mean of all.
    """

    shape: Literal["best"]
    arm: Level
    of: Level | None = None

    def resolve(self, grid: Grid) -> tuple[Contender, tuple[Contender, ...]]:
        """Return what has to win, and what it has to beat."""
        side = grid.side("arm", self.arm)
        if side.axis is None:
            if side.name in grid.baselines:
                raise ValueError(f"arm = {self.arm!r} is a baseline; use shape = 'beats'")
            if self.of is not None:
                raise ValueError(f"of = {self.of!r}: arm = {self.arm!r} is one arm, no level")
            all_ = [Contender(label, (label,)) for label in grid.labels.values()]
        else:
            track = grid.track(side.axis, self.of)
            order = grid.axes[side.axis].order
            all_ = [
                Contender(grid.level_name(side.axis, level), column)
                for level, column in zip(order, zip(*track.arms, strict=True), strict=True)
            ]
        winner = next(contender for contender in all_ if contender.name == side.name)
        return winner, tuple(contender for contender in all_ if contender != winner)
