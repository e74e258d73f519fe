"""The paired t-test: whether one side is better than the other."""

import math
from dataclasses import dataclass

import numpy as np

from lelkern.ablation.judge.evidence import Values


@dataclass(frozen=True)
class Paired:
    r"""A paired one-sided t-test of "the mean difference is above a threshold".

    .. math:: t = \frac{\bar d - \delta}{s_d / \sqrt n}, \qquad n - 1 \text{ degrees of freedom}

    Pairing removes what a seed does to both arms, and the test is exact for normal differences
    whatever the variances of the two arms. Its power is that of the noncentral t distribution with
    :math:`(\bar d - \delta) \sqrt n / s_d`. Source: Student (1908), Biometrika 6.

    If all differences are equal, t is undefined. Accuracies are multiples of one test image, so
    that this happens by chance; then only their sign is used: p = 2^-n, or 1 if they are not
    above the threshold (the sign test).

    Attributes:
        beyond: mean difference, less the threshold.
        std: standard deviation of the differences; 0 if all are equal.
        p_value: one-sided.
    """

    beyond: float
    std: float
    p_value: float

    def power(self, seeds: Values, spread: float, level: float) -> Values:
        """Return the power with other numbers of seeds (see :class:`Evidence`)."""
        from scipy import special

        if self.std == 0:
            return np.where((self.beyond > 0) & (0.5**seeds <= level), 1.0, 0.0)
        critical = special.stdtrit(seeds - 1, 1 - level)
        shift = self.beyond / (self.std * spread) * np.sqrt(seeds)
        return np.asarray(1 - special.nctdtr(seeds - 1, shift, critical))


def paired(better: Values, worse: Values, above: float = 0.0) -> list[Paired]:
    """Test "the mean of better - worse is above a threshold", for several pairs at once.

    Args:
        better: (pairs, n) one value a seed, n >= 2.
        worse: (pairs, n) the same seeds.
        above: the threshold.
    """
    from scipy import special

    n = better.shape[-1]
    d = better - worse - above
    scale = np.maximum(np.abs(better).max(-1), np.abs(worse).max(-1))
    rounding = 1e-12 * np.maximum(scale, abs(above))
    mean = d.sum(-1) / n
    std = np.sqrt(((d - mean[:, None]) ** 2).sum(-1) / (n - 1))
    equal = d.max(-1) - d.min(-1) <= rounding
    t = mean / np.where(equal, 1.0, std / math.sqrt(n))
    sign_test = np.where(mean > rounding, 0.5**n, 1.0)
    p = np.where(equal, sign_test, special.stdtr(n - 1, -t))
    return [
        Paired(float(m), float(s), float(q))
        for m, s, q in zip(mean, np.where(equal, 0.0, std), p, strict=True)
    ]
