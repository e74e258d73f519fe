"""Losses that follow from decoupled ones: with a margin, with hard negatives, with weights.

With the similarities s of a row, s+ to its positive and s_k to its negatives, its decoupled loss is
d(tau) = log sum_k exp(s_k / tau) - s+ / tau. The kernels know no other than this and its softplus,
the loss with the positive in the sum. All else is computed from it in PyTorch, with one number a
row, and for DCLW the similarity of each pair.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lelkern.ops._temperature import check_finite, check_positive, number_tensor
from lelkern.reference import contrastive

Number = float | Tensor | None
Run = Callable[[Tensor, bool, bool], tuple[Tensor, Tensor]]


class Variation(NamedTuple):
    """How a loss differs from the plain one; numbers without dimensions, or None."""

    decoupled: bool
    sigma: Tensor | None
    margin: Tensor | None
    hardness: Tensor | None

    @property
    def is_plain(self) -> bool:
        """Whether it does not differ."""
        return not self.decoupled and self.margin is None and self.hardness is None


def variation(
    like: Tensor, decoupled: bool, sigma: Number, margin: Number, hardness: Number
) -> Variation:
    """Return the variation of the loss, checked and on the device of ``like``."""
    if sigma is not None and not decoupled:
        raise ValueError(f"sigma must be None unless decoupled is True, got {sigma}")
    if margin is not None and decoupled:
        raise ValueError(
            "margin must be None where decoupled is True, since it adds the same to every loss; "
            f"got {margin}"
        )

    def number(name: str, value: Number, check: Callable[[str, float], None]) -> Tensor | None:
        if value is None:
            return None
        return number_tensor(name, value, like, check=partial(check, name))

    return Variation(
        decoupled,
        number("sigma", sigma, check_positive),
        number("margin", margin, check_finite),
        number("hardness", hardness, _check_not_negative),
    )


def varied(
    varied_by: Variation,
    run: Run,
    tau: Tensor,
    stats: bool,
    *,
    pairs: Callable[[], Tensor],
    negatives: Callable[[], Tensor],
) -> tuple[Tensor, Tensor]:
    """Return losses and statistics of rows.

    Args:
        varied_by: what was asked for.
        run: from the temperature, whether decoupled, and whether statistics are wanted, to losses
            and statistics.
        tau: the temperature.
        stats: whether statistics are wanted.
        pairs: to the similarity of each row and its positive, (rows,).
        negatives: to how many negatives each row has, (rows,).
    """
    if varied_by.is_plain:
        return run(tau, False, stats)
    (decoupled, sigma, margin, hardness) = varied_by
    if hardness is None:
        losses, statistics = run(tau, True, stats)
    else:
        losses = _with_hard_negatives(run, tau, hardness, negatives())
        with torch.no_grad():  # the statistics are those of the plain loss
            statistics = run(tau, False, True)[1] if stats else losses.new_empty(2, 0)
    tau = tau.to(losses.dtype)
    if margin is not None:
        losses = losses + margin / tau
    if not decoupled:
        return F.softplus(losses, threshold=40), statistics
    if sigma is not None:
        # A positive weighs w: -w s / tau = -s / tau + (1 - w) s / tau. The weight is a constant:
        # with its own gradient, larger than it from s = sigma on, pairs would be pushed apart.
        s = pairs()
        sigma = sigma.detach().where(sigma > 0, math.nan)
        losses = losses + (len(s) * (s.detach() / sigma).softmax(dim=0) - 1) * s / tau
    return losses.masked_fill(losses == -math.inf, 0), statistics  # of rows without negatives


def _with_hard_negatives(run: Run, tau: Tensor, hardness: Tensor, count: Tensor) -> Tensor:
    """Return decoupled losses in which negatives weigh exp(hardness s_k / tau), 1 on average.

    N sum_k exp((1 + b) s_k / tau) / sum_k exp(b s_k / tau) takes the place of the sum: its log less
    s+ / tau is log N + d(tau / (1 + b)) - d(tau / b), where s+ cancels but for once. Without
    hardness all weigh the same, as nearly they do with very little.
    """
    dtype = torch.promote_types(torch.promote_types(tau.dtype, hardness.dtype), torch.float32)
    tau, b = tau.to(dtype), hardness.to(dtype)
    b = torch.where(b == 0, 1e-18, b)
    hard, weights = (run(tau / times, True, False)[0] for times in (1 + b, b))
    # Of a row without negatives both are log 0, or nan.
    return torch.where(count == 0, hard, count.to(hard.dtype).log() + hard - weights)


def _check_not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name} must be >= 0, got {value}")
    check_finite(name, value)


def similarity_of_pairs(rows: Tensor, positives: Tensor, normalize: bool) -> Tensor:
    """Return the similarity of each row, (N, D), and its positive as the losses see it, (N,)."""
    units = (contrastive.rows(z, normalize)[0] for z in (rows, positives))
    return torch.mul(*units).sum(dim=1)


def count_of_others(ids: Tensor, others: Tensor) -> Tensor:
    """Return for each of ids, (N,), how many of others, (K,), differ from it: (N,)."""
    there = others.sort().values
    first, last = (torch.searchsorted(there, ids, right=right) for right in (False, True))
    return len(others) - (last - first)
