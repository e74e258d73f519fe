"""Paired comparisons, and what a set of them says about a claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lelkern.ablation.metrics import Metric

ALPHA = 0.05

Outcome = Literal["supported", "not supported", "inconclusive"]


@dataclass(frozen=True)
class Comparison:
    """One directed statement and the evidence for it.

    Attributes:
        statement: what would be so, such as ``nonlinear beats linear``.
        difference: mean over the seeds; positive when it points the way of the statement.
        p_value: one-sided; how often noise alone would look at least this convincing.
    """

    statement: str
    difference: float
    p_value: float


@dataclass(frozen=True)
class Claim:
    """A claim as statements that can be tested.

    Attributes:
        test: name of the test and what it compares.
        needed: the claim holds if each of these does.
        against: the claim is wrong if any of these holds.
        remark: a fact that belongs beside the comparisons.
        obstacle: why the claim is not shown even if each statement holds; empty if nothing is.
    """

    test: str
    needed: tuple[Comparison, ...]
    against: tuple[Comparison, ...]
    remark: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether the data support a study's claim.

    Attributes:
        outcome: ``inconclusive`` means that the data show neither the claim nor its opposite.
        reason: a sentence with the numbers that decided.
        test: name of the test and what it compares.
        p_value: of the opposite where the outcome is ``not supported``, else of the claim; None
            where nothing could be tested.
        comparisons: the statements that the claim needs.
    """

    outcome: Outcome
    reason: str
    test: str
    p_value: float | None
    comparisons: tuple[Comparison, ...]


def paired_p(better: NDArray[np.float64], worse: NDArray[np.float64]) -> float:
    r"""Return the one-sided p-value for "the mean of better - worse is above 0".

    .. math:: t = \frac{\bar d}{s_d / \sqrt n}, \qquad d_i = b_i - w_i, \qquad n - 1
              \text{ degrees of freedom}

    Pairing removes what a seed does to both arms, and the test is exact for normal differences
    whatever the variances of the two arms. Source: Student (1908), Biometrika 6.

    If all differences are equal, t is undefined. Accuracies are multiples of one test image, so
    that this happens by chance; then only their sign is used: p = 2^-n, or 1 if they are not
    above 0 (the sign test).

    Args:
        better: (n,) one value a seed, n >= 2.
        worse: (n,) the same seeds.
    """
    d = better - worse
    rounding = 1e-12 * max(np.abs(better).max(), np.abs(worse).max())
    if np.ptp(d) <= rounding:
        return float(0.5 ** len(d)) if d.mean() > rounding else 1.0
    t = d.mean() / (d.std(ddof=1) / np.sqrt(len(d)))
    return float(stats.t.sf(t, len(d) - 1))


def beats(
    names: tuple[str, str], better: NDArray[np.float64], worse: NDArray[np.float64]
) -> Comparison:
    """Compare two arms, seed by seed; ``names`` are those of ``better`` and ``worse``."""
    statement = f"{names[0]} beats {names[1]}"
    return Comparison(statement, float((better - worse).mean()), paired_p(better, worse))


def decide(claim: Claim, metric: Metric, seeds: int) -> Verdict:
    """Judge a claim at the 5 % level.

    The claim needs *every* statement, so its p-value is the largest of theirs (intersection-union
    test: Berger 1982, "Multiparameter Hypothesis Testing and Acceptance Sampling",
    Technometrics 24). It is contradicted by *any* statement of the other kind, so there the
    smallest counts, times their number (first step of Holm 1979, "A Simple Sequentially Rejective
    Multiple Test Procedure").
    """
    p_needed = max(c.p_value for c in claim.needed)
    p_against = min(1.0, len(claim.against) * min(c.p_value for c in claim.against))
    remark = f"; {claim.remark}" if claim.remark else ""
    if p_against <= ALPHA:
        strongest = _listed(metric, sorted(claim.against, key=_p_value)[:1])
        reason = f"Over {seeds} seeds, {strongest}, against the claim{remark}."
        return Verdict("not supported", reason, claim.test, p_against, claim.needed)
    if p_needed > ALPHA:
        open_ = [c for c in claim.needed if c.p_value > ALPHA]
        shown = [c for c in claim.needed if c.p_value <= ALPHA]
        but = f"; they do show that {_listed(metric, shown)}" if shown else ""
        reason = f"{seeds} seeds do not show that {_listed(metric, open_)}{but}{remark}."
    elif claim.obstacle:
        reason = f"Over {seeds} seeds, {_listed(metric, claim.needed)}, but {claim.obstacle}."
    else:
        reason = f"Over {seeds} seeds, {_listed(metric, claim.needed)}{remark}."
        return Verdict("supported", reason, claim.test, p_needed, claim.needed)
    return Verdict("inconclusive", reason, claim.test, p_needed, claim.needed)


def _listed(metric: Metric, comparisons: Sequence[Comparison], most: int = 3) -> str:
    """Write comparisons, the least certain first if there are too many for a sentence."""
    shown = list(comparisons)
    if len(shown) > most:
        shown = sorted(shown, key=_p_value, reverse=True)[:most]
    parts = [
        f"{c.statement} ({metric.difference(c.difference)}, {_p_text(c.p_value)})" for c in shown
    ]
    if len(comparisons) > most:
        parts.append(f"{len(comparisons) - most} more")
    return " and ".join([", ".join(parts[:-1])] * (len(parts) > 1) + parts[-1:])


def _p_value(comparison: Comparison) -> float:
    return comparison.p_value


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
