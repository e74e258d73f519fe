"""Statements that are tested, and what a claim comes to in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lelkern.ablation.judge.evidence import Evidence, Values
from lelkern.methods.metric import Metric


@dataclass(frozen=True)
class Statement:
    """One directed statement and the evidence for it.

    Attributes:
        text: what would be so, such as ``nonlinear beats linear``.
        difference: mean over the seeds; positive when it points the way of the statement.
        evidence: of the seeds.
        metric: how the difference is written.
        way: -1 if it is written the other way round: the metric falls if the statement holds.
    """

    text: str
    difference: float
    evidence: Evidence
    metric: Metric
    way: int = 1

    @property
    def effect(self) -> str:
        """The difference in the direction of the metric, as a person reads it: ``-3.1 points``.

        Of a metric that is better lower: ``3.1 points higher``, which no one takes for a gain.
        """
        change = self.way * self.difference
        if self.metric.better != "lower":
            return self.metric.difference(change)
        return f"{amount(self.metric, abs(change))} {'higher' if change > 0 else 'lower'}"

    @property
    def p_value(self) -> float:
        """One-sided p-value."""
        return self.evidence.p_value


@dataclass(frozen=True)
class Statements:
    """A claim as statements that can be tested.

    Attributes:
        test: name of the test and what it compares.
        needed: the claim holds if each of these does.
        against: the claim is wrong if any of these holds; the most telling first.
        partly: what else speaks for the claim, the most telling first; asked for only where
            something is against it.
        doubt: one of ``against`` that looks real on its own, and leaves the claim open even if
            Holm's correction for their number does not let it count.
        remark: a fact that belongs beside the comparisons.
        obstacle: why the claim is not shown even if each statement holds; empty if nothing is.
    """

    test: str
    needed: tuple[Statement, ...]
    against: tuple[Statement, ...]
    partly: Callable[[], tuple[Statement, ...]] = tuple
    doubt: Statement | None = None
    remark: str = ""
    obstacle: str = ""


def differences(
    texts: Sequence[str],
    better: "Values | Sequence[Values]",
    worse: "Values | Sequence[Values]",
    metric: Metric,
    *,
    above: float = 0.0,
    reverse: bool = False,
) -> tuple[Statement, ...]:
    """Return statements that "better" exceeds "worse", each by a paired one-sided t-test.

    Args:
        texts: of the statements.
        better: (statements, seeds) values in which higher is better.
        worse: (statements, seeds) the same seeds.
        metric: how differences are written.
        above: by how much it has to exceed.
        reverse: write worse - better, for statements that say that something worsens.
    """
    import numpy as np

    from lelkern.ablation.judge.paired import paired

    better, worse = np.asarray(better), np.asarray(worse)
    way = -1 if (metric.better == "lower") != reverse else 1
    means = (better - worse).mean(-1)
    return tuple(
        Statement(text, float(mean), evidence, metric, way)
        for text, mean, evidence in zip(texts, means, paired(better, worse, above), strict=True)
    )


def largest_first(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Sort statements by their difference; equal ones stay in their order."""
    return tuple(sorted(statements, key=lambda s: -s.difference))


def amount(metric: Metric, value: float) -> str:
    """Write the size of a difference: ``1.0 points``."""
    return metric.difference(value).removeprefix("+")
