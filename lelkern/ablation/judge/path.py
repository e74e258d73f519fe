"""Values along an axis: whether they rise, and where they do not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from lelkern.ablation.judge.evidence import ALPHA, Values
from lelkern.ablation.judge.statement import Statement, differences, largest_first
from lelkern.methods.metric import Metric

SHARE = 0.1
"""A step back of less than this share of the whole range of means is no doubt about a trend."""


@dataclass(frozen=True)
class Path:
    """Values along an axis, with the sign by which they rise if the claim holds.

    Attributes:
        values: (seeds, rows, levels); rows are the levels of another axis, or there is one.
        key: what statements call the axis.
        levels: labels.
        rows: where each row lies, as words; empty where there is but one.
        up: what happens if the claim holds: ``k-NN improves``.
        down: the opposite: ``k-NN worsens``.
        metric: how differences are written.
        falls: whether ``up`` is written as a negative difference.
    """

    values: Values
    key: str
    levels: Sequence[str]
    rows: Sequence[str]
    up: str
    down: str
    metric: Metric
    falls: bool = False

    @property
    def mean(self) -> Values:
        """Mean over the rows, (seeds, levels)."""
        mean: Values = self.values.mean(axis=1)
        return mean

    @property
    def test(self) -> str:
        """Name of the test of :meth:`whole`."""
        if len(self.levels) > 2:
            return "Page's trend test"
        return "paired one-sided t-test of the two values"

    @property
    def blocks(self) -> str:
        """What is ranked within, or paired.

        Rows of one seed are no blocks of their own: they have initial weights and batches in
        common, and a chance that moves one moves the others.
        """
        return "seeds" + ", on the mean of the other axis" * (len(self.rows) > 1)

    def whole(self, rises: bool = True) -> Statement:
        """Return the statement that the values rise, or fall, from the first level to the last.

        With two levels there is no trend to rank, and a paired t-test compares them.
        """
        from lelkern.ablation.judge.page import page_trend

        text = (
            f"{self.up if rises else self.down} with {self.key} "
            f"({self.levels[0]} to {self.levels[-1]}){self._at_single_row()}"
        )
        ends = self.mean[:, [0, -1]].T if rises else self.mean[:, [-1, 0]].T
        (ends_differ,) = self._differences([text], ends[1:], ends[:1], rises)
        if len(self.levels) == 2:
            return ends_differ
        evidence = page_trend(self.mean if rises else -self.mean)
        return replace(ends_differ, evidence=evidence)

    def steps(
        self,
        rises: bool,
        pairs: Sequence[tuple[int, int]] | None = None,
        *,
        above: float = 0.0,
        suffix: str = "",
    ) -> tuple[Statement, ...]:
        """Return the statements that the values rise, or fall, from one level to a later one.

        Falls are looked for on the mean of the rows and in every row, rises on the mean alone.

        Args:
            rises: whether they rise.
            pairs: indices of levels; by default all pairs of an earlier and a later one.
            above: by how much they rise or fall.
            suffix: of the statements.
        """
        if pairs is None:
            pairs = list(combinations(range(len(self.levels)), 2))
        if not pairs:
            return ()
        verb = self.up if rises else self.down
        tracks = [(self.mean, " on average" if len(self.rows) > 1 else self._at_single_row())]
        if len(self.rows) > 1 and not rises:
            tracks += [(self.values[:, i], f" {row}") for i, row in enumerate(self.rows)]
        texts = [
            f"{verb} from {self.key} {self.levels[i]} to {self.levels[j]}{where}{suffix}"
            for _, where in tracks
            for i, j in pairs
        ]
        earlier, later = (
            [values[:, pair[end]] for values, _ in tracks for pair in pairs] for end in (0, 1)
        )
        better, worse = (later, earlier) if rises else (earlier, later)
        return largest_first(self._differences(texts, better, worse, rises, above))

    def doubt(self, falls: Sequence[Statement]) -> Statement | None:
        """Return the largest fall that looks real and matters, whatever a correction says of it.

        It is significant on its own, and at least a tenth of the distance between the best and the
        worst mean: with two or three seeds and many levels, no fall might be significant after
        correction for their number, however large it is.

        Args:
            falls: what :meth:`steps` found.
        """
        means = self.mean.mean(axis=0)
        span = SHARE * float(means.max() - means.min())
        found = [s for s in falls if s.p_value <= ALPHA and s.difference >= span]
        return found[0] if found else None

    def _differences(
        self,
        texts: Sequence[str],
        better: "Values | Sequence[Values]",
        worse: "Values | Sequence[Values]",
        rises: bool,
        above: float = 0.0,
    ) -> tuple[Statement, ...]:
        """Compare, written as later - earlier in the metric's own direction."""
        reverse = rises == self.falls
        return differences(texts, better, worse, self.metric, above=above, reverse=reverse)

    def _at_single_row(self) -> str:
        return f" {self.rows[0]}" if len(self.rows) == 1 and self.rows[0] else ""
