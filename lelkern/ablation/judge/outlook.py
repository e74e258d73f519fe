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
    """How many more seeds would settle a claim with a probability of 80 %: show or contradict it.

    Attributes:
        estimate: if mean and standard deviation are as observed.
        low: with the lower end of the 80 % interval of the standard deviation.
        high: with its upper end; None for more than 100.
    """

    estimate: int
    low: int
    high: int | None


def look_ahead(
    open_: Sequence[Statement],
    seeds: int,
    level: float = ALPHA,
    against: Sequence[Statement] = (),
) -> tuple[MoreSeeds | None, str]:
    """Return the further seeds that the weakest open statement needs, and a sentence on them.

    Where the means say that an open statement is not so, they are those that would contradict the
    claim instead.

    Args:
        open_: needed statements that are not shown, at least one.
        seeds: how many there are now, at least 2.
        level: at which they are tested.
        against: statements of which each contradicts the claim, tested at that level together.
    """
    contrary = [s for s in open_ if s.evidence.beyond <= 0]
    if contrary:
        worst = max(contrary, key=lambda s: s.p_value)
        doubt = (
            f"On average it is not so that {worst.text} ({worst.effect}): more seeds would not "
            "show it if that stays"
        )
        found = [(_more(s.evidence, seeds, level / len(against)), s.text) for s in against]
        more, text = min(found, key=lambda pair: _estimate(pair[0]), default=(None, ""))
        if more is None:
            return None, f"{doubt}."
        return more, f"{doubt}, and {_written(more)} would show that {text}."
    more = max((_more(s.evidence, seeds, level) for s in open_), key=_estimate)
    if more is None:
        return None, (
            f"More than {MOST} more seeds would be needed to settle it if the difference is as "
            "observed."
        )
    text = _written(more)
    return more, f"{text[0].upper()}{text[1:]} would settle it if the difference is as observed."


def _more(evidence: Evidence, seeds: int, level: float) -> MoreSeeds | None:
    """Return the further seeds that evidence needs; None if more than can be asked for."""
    if evidence.beyond <= 0:
        return None
    estimate = _needed(evidence, seeds, 1.0, level)
    low, high = (_needed(evidence, seeds, spread, level) for spread in _spreads(seeds))
    return None if estimate is None or low is None else MoreSeeds(estimate, low, high)


def _estimate(more: MoreSeeds | None) -> float:
    return math.inf if more is None else more.estimate


def _written(more: MoreSeeds) -> str:
    """Write a number of seeds: ``about 3 more seeds (1 to 9)``."""
    to = f"more than {MOST}" if more.high is None else str(more.high)
    s = "s" * (more.estimate != 1)
    return f"about {more.estimate} more seed{s} ({more.low} to {to})"


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
