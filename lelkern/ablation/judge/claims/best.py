"""``best``: one arm beats every other."""

from dataclasses import dataclass
from typing import Literal

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.names import Grid, Level, Levels
from lelkern.ablation.judge.sample import Cell, Sample
from lelkern.ablation.judge.statement import Statements, differences, largest_first


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
        apart_from: one or several others that it need not beat.
    """

    shape: Literal["best"]
    arm: Level
    of: Level | None = None
    apart_from: Levels = ()

    def resolve(self, grid: Grid) -> tuple[Contender, tuple[Contender, ...]]:
        """Return the contender that has to win, and those that it has to beat."""
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
        passed = self.apart_from if isinstance(self.apart_from, tuple) else (self.apart_from,)
        left_out = {grid.side("apart_from", name).name for name in passed}
        for name in left_out:
            if name == winner.name or name not in [contender.name for contender in all_]:
                raise ValueError(
                    f"apart_from = {name!r} is nothing that {winner.name!r} has to beat"
                )
        others = tuple(c for c in all_ if c != winner and c.name not in left_out)
        if not others:
            raise ValueError(f"apart_from = {self.apart_from!r} leaves nothing to beat")
        return winner, others

    def comparisons(self, grid: Grid, default: str) -> list[tuple[Cell, ...]]:
        """Return the cells of the winner and of each other (see ``Claim``)."""
        winner, others = self.resolve(grid)
        name = self.metric or default
        return [tuple((arm, name) for arm in (*winner.arms, *other.arms)) for other in others]

    def statements(self, sample: Sample) -> Statements:
        """Return that the winner beats each other, and that each other beats it."""
        winner, others = self.resolve(sample.grid)
        wins = [sample.arms(winner.arms).mean(axis=0)] * len(others)
        rest = [sample.arms(other.arms).mean(axis=0) for other in others]
        names = [other.name for other in others]
        return Statements(
            test=f"paired one-sided t-tests of {winner.name} against each other "
            f"{'arm' if len(winner.arms) == 1 else 'level'}; all must be significant",
            needed=differences(
                [f"{winner.name} beats {name}" for name in names], wins, rest, sample.metric
            ),
            against=largest_first(
                differences(
                    [f"{name} beats {winner.name}" for name in names], rest, wins, sample.metric
                )
            ),
        )
