"""``equal-within`` and ``not-worse``: what a stated margin makes of a difference."""

from dataclasses import replace
from typing import Literal

from pydantic import Field

from lelkern.ablation.judge.claims.two_sided import TwoSided, beats, names, sides
from lelkern.ablation.judge.evidence import Both
from lelkern.ablation.judge.sample import Sample
from lelkern.ablation.judge.statement import (
    Statements,
    amount,
    differences,
    largest_first,
)


class EqualWithin(TwoSided):
    """``arm`` and ``over`` differ by less than a margin, at each of the levels.

    Two one-sided tests, that the difference is above -margin and below margin, both of which have
    to be significant. Source: Schuirmann (1987), "A Comparison of the Two One-Sided Tests
    Procedure and the Power Approach", Journal of Pharmacokinetics and Biopharmaceutics 15.

    Attributes:
        margin: the smallest difference that matters, in the units of the metric: 0.01 is one
            point of accuracy. State it before you see the results.
    """

    shape: Literal["equal-within"]
    margin: float = Field(gt=0)

    def statements(self, sample: Sample) -> Statements:
        """Return that the sides are within the margin in every pair, and that either is beyond."""
        pairs = self.resolve(sample.grid)
        left, right = sides(sample, pairs)
        size = amount(sample.metric, self.margin)
        texts = []
        for pair in pairs:
            one, other, where = names(sample, pair)
            texts.append(f"{one} is within {size} of {other}{where}")
        above = differences(texts, left, right, sample.metric, above=-self.margin)
        below = differences(texts, right, left, sample.metric, above=-self.margin)
        beyond = f" by more than {size}"
        return Statements(
            test=f"two one-sided paired t-tests against a margin of {size}; both must be "
            "significant" + (" in every comparison" if len(pairs) > 1 else ""),
            needed=tuple(
                replace(a, evidence=Both(a.evidence, b.evidence))
                for a, b in zip(above, below, strict=True)
            ),
            against=largest_first(
                (
                    *beats(sample, pairs, left=True, above=self.margin, suffix=beyond),
                    *beats(sample, pairs, left=False, above=self.margin, suffix=beyond),
                )
            ),
        )


class NotWorse(TwoSided):
    """``arm`` is worse than ``over`` by less than a margin, at each of the levels.

    Attributes:
        margin: as of :class:`EqualWithin`.
    """

    shape: Literal["not-worse"]
    margin: float = Field(gt=0)

    def statements(self, sample: Sample) -> Statements:
        """Return that ``arm`` is above ``over`` less the margin, and the opposites."""
        pairs = self.resolve(sample.grid)
        left, right = sides(sample, pairs)
        size = amount(sample.metric, self.margin)
        texts = []
        for pair in pairs:
            one, other, where = names(sample, pair)
            texts.append(f"{one} is less than {size} worse than {other}{where}")
        return Statements(
            test=f"paired one-sided t-test against a margin of {size}"
            + (" in every comparison; all must be significant" if len(pairs) > 1 else ""),
            needed=differences(texts, left, right, sample.metric, above=-self.margin),
            against=largest_first(
                beats(sample, pairs, left=False, above=self.margin, suffix=f" by more than {size}")
            ),
        )
