"""How many more seeds would settle what is open."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lelkern.ablation.judge.evidence import ALPHA, Evidence
from lelkern.ablation.judge.statement import Statement

POWER = 0.8
INTERVAL = 0.8
MOST = 100
"""More seeds than this are not worth a number."""


@dataclass(frozen=True)
class MoreSeeds:
    """How many more seeds would show a claim with a probability of 80 %.

    Attributes:
        estimate: if mean and standard deviation are as observed.
        low: with the lower end of the 80 % interval of the standard deviation.
        high: with its upper end; None for more than 100.
    """

    estimate: int
    low: int
    high: int | None


def look_ahead(
    open_: Sequence[Statement], seeds: int, level: float = ALPHA
) -> tuple[MoreSeeds | None, str]:
    """Return the further seeds that the weakest open statement needs, and a sentence on them.

    Args:
        open_: needed statements that are not shown, at least one.
        seeds: how many there are now, at least 2.
        level: at which they are tested.
    """
    contrary = [s for s in open_ if s.evidence.beyond <= 0]
    if contrary:
        worst = max(contrary, key=lambda s: s.p_value)
        return None, (
            f"On average it is not so that {worst.text} ({worst.effect}): more seeds would not "
            "show it if that stays."
        )
    estimates = [_needed(s.evidence, seeds, 1.0, level) for s in open_]
    hardest = max(range(len(open_)), key=lambda i: estimates[i] or math.inf)
    estimate = estimates[hardest]
    low, high = (
        _needed(open_[hardest].evidence, seeds, spread, level) for spread in _spreads(seeds)
    )
    if estimate is None or low is None:
        return None, (
            f"More than {MOST} more seeds would be needed to settle it if the difference is as "
            "observed."
        )
    to = f"more than {MOST}" if high is None else str(high)
    s = "s" * (estimate != 1)
    return MoreSeeds(estimate, low, high), (
        f"About {estimate} more seed{s} ({low} to {to}) would settle it if the difference is as "
        "observed."
    )


def _needed(evidence: Evidence, seeds: int, spread: float, level: float) -> int | None:
    """Return the number of further seeds for the power; None if more than can be asked for."""
    more = np.arange(1, MOST + 1)
    enough = evidence.power((seeds + more).astype(np.float64), spread, level) >= POWER
    return int(more[enough.argmax()]) if enough.any() else None


def _spreads(seeds: int) -> tuple[float, float]:
    r"""Return the ends of the interval of :math:`\sigma / s`, from that of chi-square."""
    from scipy import special

    tail = (1 - INTERVAL) / 2
    degrees = seeds - 1
    low, high = (degrees / special.chdtri(degrees, p) for p in (tail, 1 - tail))
    return math.sqrt(low), math.sqrt(high)
