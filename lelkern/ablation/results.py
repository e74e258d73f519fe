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
    """

    arm: str
    seed: int
    metrics: Mapping[str, float]
    curves: Mapping[str, Points] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """The finished trials of a study.

    Attributes:
        arms: rows of the arms.
        baselines: rows of the baselines.
    """

    arms: Sequence[Row]
    baselines: Sequence[Row] = ()
