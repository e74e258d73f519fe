"""What a study measured: one row a finished trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Points = Sequence[tuple[float, float]]
"""A curve: x and y of its points, in the order of x."""


@dataclass(frozen=True)
class Row:
    """One finished trial.

    Attributes:
        arm: label of the arm or baseline (see :class:`lelkern.ablation.study.Arm`).
        seed: seed of the trial; arms with the same seed are compared in pairs.
        metrics: name to value; NaN where the trial has none.
        curves: name to points.
        diverged_at: the step at which the trial diverged, which then has no values; else None.
        seconds: how long it took; None where that is unknown.
        trial: identity of the trial; empty where it has none.
    """

    arm: str
    seed: int
    metrics: Mapping[str, float]
    curves: Mapping[str, Points] = field(default_factory=dict)
    diverged_at: int | None = None
    seconds: float | None = None
    trial: str = ""


@dataclass(frozen=True)
class Results:
    """The finished trials of a study.

    Attributes:
        arms: rows of the arms.
        baselines: rows of the baselines.
    """

    arms: Sequence[Row]
    baselines: Sequence[Row] = ()

    def diverged(self) -> dict[str, dict[int, int]]:
        """Return arm to seed to the step at which the trial diverged, of the trials that did."""
        found: dict[str, dict[int, int]] = {}
        for row in (*self.arms, *self.baselines):
            if row.diverged_at is not None:
                found.setdefault(row.arm, {})[row.seed] = row.diverged_at
        return found


def in_words(steps: Mapping[int, int]) -> str:
    """Write when trials diverged, given their steps by seed: ``2 seeds at steps 7 to 31``."""
    first, last = min(steps.values()), max(steps.values())
    when = f"step {first}" if first == last else f"steps {first} to {last}"
    return f"{len(steps)} seed{'s' * (len(steps) > 1)} at {when}"
