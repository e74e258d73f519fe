"""``gap-shrinks`` and ``gap-grows``: a difference between arms falls or grows along a factor."""

from typing import Literal

from lelkern.ablation.judge.claims.two_sided import Sides
from lelkern.ablation.judge.names import Grid, Series


class Gap(Sides):
    """The advantage of ``arm`` over ``over`` falls, or grows, along a factor: an interaction.

    Attributes:
        along: the factor; it need not be named if it is all that varies, or the other axis is
            that of which ``arm`` and ``over`` are levels.
    """

    shape: Literal["gap-shrinks", "gap-grows"]
    along: str | None = None

    def resolve(self, grid: Grid) -> tuple[Series, ...]:
        """Return what is compared along the factor."""
        self.check_over()
        key = self.along
        if key is None and len(grid.axes) > 1:
            key = self._other_axis(grid)
        return grid.series(self.arm, self.over, grid.only_axis("along", key))

    def _other_axis(self, grid: Grid) -> str | None:
        names = [
            name
            for names in (self.arm, self.over)
            if names is not None
            for name in (names if isinstance(names, tuple) else (names,))
        ]
        fields = "arm" if self.arm is not None else "over"
        taken = {grid.side(fields, name).axis for name in names} - {None}
        free = [axis.key for i, axis in enumerate(grid.axes) if i not in taken]
        return free[0] if len(free) == 1 else None
