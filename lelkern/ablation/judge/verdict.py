"""Whether the data of a study support its claim."""

from collections.abc import Sequence
from dataclasses import replace

from lelkern.ablation import claims
from lelkern.ablation.comparison import Claim, Comparison, Verdict, decide
from lelkern.ablation.metrics import METRICS
from lelkern.ablation.statistics import Blocks, Row, common_blocks
from lelkern.ablation.study import Study

__all__ = ["Comparison", "Verdict", "verdict"]


def verdict(study: Study, rows: Sequence[Row]) -> Verdict:
    """Test a study's claim at the 5 % level, pairing arms by seed.

    A claim is about higher values unless lower values of its metric are better. Only seeds that
    every arm finished with a finite value count; what is left out is said in the reason.

    Args:
        study: as it was run; its arms are those that are compared.
        rows: finished trials.

    Returns:
        The outcome with its reason; the same for the same rows in any order.
    """
    arms = [arm.label for arm in study.arms()]
    blocks = common_blocks(rows, arms, study.metric)
    untestable = _untestable(study, blocks)
    if untestable:
        reason = f"{untestable} {_gaps(blocks)}".strip()
        return Verdict("inconclusive", reason, "none", None, ())
    found = decide(_claim(study, blocks), METRICS[study.metric], len(blocks.seeds))
    return replace(found, reason=f"{found.reason} {_gaps(blocks)}".strip())


def _untestable(study: Study, blocks: Blocks) -> str:
    if study.expect.shape == "interior-maximum" and len(blocks.arms) < 3:
        return "There is no value between the two ends."
    if len(blocks.seeds) < 2:
        have = "No seed" if not blocks.seeds else "Only 1 seed"
        return f"{have} has a result in every arm; a test needs at least 2."
    return ""


def _claim(study: Study, blocks: Blocks) -> Claim:
    metric = METRICS[study.metric]
    values = -blocks.values if metric.better == "lower" else blocks.values
    match study.expect.shape:
        case "interior-maximum":
            return claims.interior_maximum(blocks.arms, values, study.factor[0])
        case "increasing":
            return claims.increasing(values, study.factor, metric)
        case "ordered":
            return claims.ordered(blocks.arms, values)
        case "best":
            assert study.expect.arm is not None  # Expectation requires it
            return claims.best(blocks.arms, values, study.expect.arm)


def _gaps(blocks: Blocks, most: int = 4) -> str:
    if not blocks.gaps:
        return ""
    more = [f"{len(blocks.gaps) - most} more arms"] if len(blocks.gaps) > most else []
    return f"Missing: {'; '.join([*blocks.gaps[:most], *more])}."
