"""``beats``: one arm is better than another, where the slide says so."""

from typing import Literal

from lelkern.ablation.judge.claims.two_sided import TwoSided, beats
from lelkern.ablation.judge.sample import Sample
from lelkern.ablation.judge.statement import Statements, largest_first


class Beats(TwoSided):
    """``arm`` is better than ``over`` at each of the levels."""

    shape: Literal["beats"]

    def statements(self, sample: Sample) -> Statements:
        """Return that ``arm`` beats ``over`` in every pair, and the opposites."""
        pairs = self.resolve(sample.grid)
        several = "; all must be significant" if len(pairs) > 1 else ""
        return Statements(
            test=f"paired one-sided t-tests{several}" if several else "paired one-sided t-test",
            needed=beats(sample, pairs, left=True),
            against=largest_first(beats(sample, pairs, left=False)),
        )
