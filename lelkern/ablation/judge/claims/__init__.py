"""The shapes of claim: what a study can say that data support or contradict.

A shape is a file of this folder with a :class:`~lelkern.ablation.judge.claims.claim.Claim` whose
``shape`` is a ``Literal`` of its name. It is registered by its place in ``AnyClaim``; nothing else
has to know of it.
"""

from lelkern.ablation.judge.claims.beats import Beats
from lelkern.ablation.judge.claims.best import Best
from lelkern.ablation.judge.claims.crossing import Crossing
from lelkern.ablation.judge.claims.equivalence import EqualWithin, NotWorse
from lelkern.ablation.judge.claims.gap import Gap
from lelkern.ablation.judge.claims.interior_maximum import InteriorMaximum
from lelkern.ablation.judge.claims.ordered import Ordered
from lelkern.ablation.judge.claims.recovers import Recovers
from lelkern.ablation.judge.claims.saturates import Saturates
from lelkern.ablation.judge.claims.trend import Trend

AnyClaim = (
    InteriorMaximum
    | Trend
    | Ordered
    | Best
    | Beats
    | Crossing
    | Gap
    | EqualWithin
    | NotWorse
    | Recovers
    | Saturates
)
