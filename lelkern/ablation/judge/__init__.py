"""What the results of a study say about the claims of its slide."""

from lelkern.ablation.judge.outlook import MoreSeeds
from lelkern.ablation.judge.verdict import Comparison, Verdict, judge

__all__ = ["Comparison", "MoreSeeds", "Verdict", "judge"]
