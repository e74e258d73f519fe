"""``beats``: one arm is better than another, where the slide says so."""

from typing import Literal

from lelkern.ablation.judge.claims.two_sided import TwoSided


class Beats(TwoSided):
    """``arm`` is better than ``over`` at each of the levels."""

    shape: Literal["beats"]
