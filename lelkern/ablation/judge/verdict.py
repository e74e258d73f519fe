"""Whether the data of a study support its claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lelkern.ablation.judge.claims.claim import Claim
from lelkern.ablation.judge.evidence import ALPHA, holm
from lelkern.ablation.judge.names import Grid
from lelkern.ablation.judge.outlook import MoreSeeds, look_ahead
from lelkern.ablation.judge.sample import Sample
from lelkern.ablation.judge.seeds import common_seeds, diverged_seeds
from lelkern.ablation.judge.statement import Statement, Statements
from lelkern.ablation.results import Results, Row
from lelkern.methods.metric import Metric

if TYPE_CHECKING:
    from lelkern.ablation.study import Study

Outcome = Literal["supported", "not supported", "inconclusive"]


@dataclass(frozen=True)
class Comparison:
    """One directed statement and the evidence for it.

    Attributes:
        statement: what would be so, such as ``nonlinear beats linear``.
        difference: mean over the seeds; positive when it points the way of the statement.
        effect: the same as a person reads it, with its unit and the sign of the metric.
        p_value: one-sided; how often noise alone would look at least this convincing.
        p_adjusted: the same after Holm's correction for the number of statements beside it.
    """

    statement: str
    difference: float
    effect: str
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class Verdict:
    """Whether the data support a claim.

    Attributes:
        says: the claim, as the slide has it.
        shape: its shape.
        outcome: ``inconclusive`` means that the data show neither the claim nor its opposite.
        reason: a sentence with the numbers that decided.
        test: name of the test and what it compares.
        p_value: of the claim; where the outcome is ``not supported``, that of what contradicts it
            most, after Holm's correction; None where nothing could be tested.
        comparisons: the statements that the claim needs.
        contradictions: what the data show against it.
        outlook: what more seeds would do, where the outcome is ``inconclusive``; else empty.
        more_seeds: how many would settle it; None where that cannot be said.
    """

    says: str
    shape: str
    outcome: Outcome
    reason: str
    test: str
    p_value: float | None
    comparisons: tuple[Comparison, ...] = ()
    contradictions: tuple[Comparison, ...] = ()
    outlook: str = ""
    more_seeds: MoreSeeds | None = None


def judge(study: "Study", results: Results, metrics: Mapping[str, Metric]) -> tuple[Verdict, ...]:
    """Test the claims of a study at the 5 % level, pairing arms by seed.

    A claim is about higher values unless lower values of its metric are better. Only seeds count
    that every arm of the claim finished with a finite value; what is left out is said in the
    reason. A baseline that ran one seed counts as a constant. No claim is supported where an arm
    of it diverged with some seeds, since the others may be those on which it does well.

    Args:
        study: as it was run.
        results: finished trials.
        metrics: what the methods of the study report.

    Returns:
        One verdict a claim; the same for the same rows in any order.

    Raises:
        ValueError: a claim is about a metric that is not reported, or two rows have the same arm
            and seed.
    """
    grid = Grid(study.axes(), [baseline.label for baseline in study.baseline])
    rows: dict[str, list[Row]] = {}
    for row in (*results.arms, *results.baselines):
        rows.setdefault(row.arm, []).append(row)
    planned = {b.label: study.seeds_of(b) for b in study.baseline}
    return tuple(
        _judge_one(claim, grid, study.metric, rows, planned, study.seeds, metrics)
        for claim in study.claim
    )


def _judge_one(
    claim: Claim,
    grid: Grid,
    default: str,
    rows: Mapping[str, Sequence[Row]],
    planned: Mapping[str, int],
    seeds: int,
    metrics: Mapping[str, Metric],
) -> Verdict:
    claim.check_metrics(metrics, default)
    names = claim.metrics(default)
    comparisons = claim.comparisons(grid, default)
    cells = list(dict.fromkeys(cell for cells in comparisons for cell in cells))
    once = {label for label, count in planned.items() if count == 1 < seeds}
    constants = [arm for arm in dict.fromkeys(arm for arm, _ in cells) if arm in once]
    common, values, gaps = common_seeds(rows, cells, constants, planned)
    way = -1 if metrics[names[0]].better == "lower" else 1
    sample = Sample(
        grid=grid,
        metric=metrics[names[0]],
        over_metric=metrics[names[-1]],
        name=names[0],
        over_name=names[-1],
        seeds=common,
        values={cell: way * value for cell, value in values.items()},
    )
    missing = _missing(gaps)
    untestable = [
        " and ".join(dict.fromkeys(arm for arm, _ in cells))
        for cells in comparisons
        if all(arm in constants for arm, _ in cells)
    ]
    diverged = {
        arm: gone
        for arm in dict.fromkeys(arm for arm, _ in cells)
        if (gone := diverged_seeds(rows, arm))
    }
    never = [arm for arm, gone in diverged.items() if len(gone) == len(rows[arm])]
    obstacle = ""
    outlook = "How many more seeds would settle it cannot be said from fewer than 2."
    if untestable:
        obstacle = f"{untestable[0]} ran one seed, which cannot be tested."
        outlook = (
            f"More seeds of {untestable[0]} would settle it; how many cannot be said from one."
        )
    elif len(common) < 2:
        have = "No seed" if not common else "Only 1 seed"
        obstacle = f"{have} has a result in every arm; a test needs at least 2."
        if never:
            diverge = "diverge" if len(never) > 1 else "diverges"
            outlook = f"More seeds would not settle it while {_and(never)} {diverge} with each."
    if obstacle:
        return Verdict(
            says=claim.says,
            shape=claim.shape,
            outcome="inconclusive",
            reason=f"{obstacle} {missing}".strip(),
            test="none",
            p_value=None,
            outlook=outlook,
        )
    statements = claim.statements(sample)
    if diverged and not statements.obstacle:
        statements = replace(
            statements, obstacle=f"{_and(list(diverged))} diverged with other seeds"
        )
    return decide(claim, statements, len(common), constants, missing)


def decide(
    claim: Claim,
    statements: Statements,
    seeds: int,
    constants: Sequence[str] = (),
    missing: str = "",
) -> Verdict:
    """Judge a claim at the 5 % level.

    The claim needs *every* statement, so its p-value is the largest of theirs (intersection-union
    test: Berger 1982, "Multiparameter Hypothesis Testing and Acceptance Sampling",
    Technometrics 24). It is contradicted by *any* statement of the other kind, so there p-values
    are Holm's, and so are those of single statements that are said to be shown.

    Args:
        claim: what is judged.
        statements: what it comes to.
        seeds: how many there are, at least 2.
        constants: arms that ran one seed.
        missing: a sentence on what is missing; may be empty.
    """
    needed, against = _compared(statements.needed), _compared(statements.against)
    p_needed = max(c.p_value for _, c in needed)
    contrary = [pair for pair in against if pair[1].p_adjusted <= ALPHA]
    remark = f"; {statements.remark}" if statements.remark else ""
    outlook, more = "", None
    outcome: Outcome = "inconclusive"
    p_value = p_needed
    if contrary:
        outcome, p_value = "not supported", min(c.p_adjusted for _, c in contrary)
        shown = _shown(_compared(statements.partly()) or needed)
        although = f", although {_listed(shown, 1)}" if shown else ""
        reason = f"Over {seeds} seeds, {_listed(contrary, 1)}, against the claim{although}{remark}."
    elif p_needed > ALPHA:
        shown = _shown(needed)
        open_ = [pair for pair in needed if pair not in shown]
        but = f"; they do show that {_least_certain(shown)}" if shown else ""
        reason = f"{seeds} seeds do not show that {_least_certain(open_)}{but}{remark}."
        unshown = [s for s, c in needed if c.p_value > ALPHA]
        more, outlook = look_ahead(unshown, seeds, against=statements.against)
    elif statements.doubt is not None:
        doubt = next(pair for pair in against if pair[0] is statements.doubt)
        reason = (
            f"Over {seeds} seeds, {_least_certain(needed, raw=True)}, but {_listed([doubt], 1)} "
            f"leaves it open{remark}."
        )
        more, outlook = look_ahead([doubt[0]], seeds, ALPHA / len(against))
    elif statements.obstacle:
        reason = (
            f"Over {seeds} seeds, {_least_certain(needed, raw=True)}, but {statements.obstacle}."
        )
        outlook = (
            "How many more seeds would settle it cannot be said: each statement is shown, "
            f"but {statements.obstacle}."
        )
    else:
        outcome = "supported"
        reason = f"Over {seeds} seeds, {_least_certain(needed, raw=True)}{remark}."
    return Verdict(
        says=claim.says,
        shape=claim.shape,
        outcome=outcome,
        reason=f"{reason} {missing}".strip(),
        test=_test(statements, constants),
        p_value=p_value,
        comparisons=tuple(c for _, c in needed),
        contradictions=tuple(c for _, c in contrary),
        outlook=outlook,
        more_seeds=more,
    )


Compared = tuple[Statement, Comparison]


def _compared(statements: Sequence[Statement]) -> list[Compared]:
    adjusted = holm([s.p_value for s in statements])
    return [
        (s, Comparison(s.text, s.difference, s.effect, s.p_value, p))
        for s, p in zip(statements, adjusted, strict=True)
    ]


def _shown(pairs: Sequence[Compared]) -> list[Compared]:
    return [pair for pair in pairs if pair[1].p_adjusted <= ALPHA]


def _test(statements: Statements, constants: Sequence[str]) -> str:
    parts = [statements.test]
    if len(statements.against) > 1:
        parts.append(f"Holm's correction over {len(statements.against)} contradictions")
    if constants:
        ran = "ran one seed and counts as a constant"
        parts.append(f"{' and '.join(constants)} {ran}")
    return "; ".join(parts)


def _least_certain(pairs: Sequence[Compared], most: int = 3, raw: bool = False) -> str:
    """Write comparisons, the least certain first if there are too many for a sentence."""
    if len(pairs) > most:
        pairs = sorted(pairs, key=lambda pair: -pair[1].p_value)
    return _listed(pairs, most, raw)


def _listed(pairs: Sequence[Compared], most: int, raw: bool = False) -> str:
    """Write the first comparisons and the number of the others.

    Args:
        pairs: statements with their p-values.
        most: how many are written out.
        raw: give p-values as they are, for statements of which each has to hold.
    """
    parts = [f"{s.text} ({s.effect}, {_p_text(c, raw)})" for s, c in pairs[:most]]
    if len(pairs) > most:
        parts.append(f"{len(pairs) - most} more")
    return " and ".join([", ".join(parts[:-1])] * (len(parts) > 1) + parts[-1:])


def _p_text(comparison: Comparison, raw: bool) -> str:
    """Write a p-value: Holm's, unless the uncorrected one is too large already."""
    p = comparison.p_value
    corrected = not raw and p <= ALPHA and comparison.p_adjusted > p
    if corrected:
        p = comparison.p_adjusted
    text = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return f"{text} after Holm's correction" if corrected and p > ALPHA else text


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)


def _missing(gaps: Sequence[str], most: int = 4) -> str:
    if not gaps:
        return ""
    more = [f"{len(gaps) - most} more arms"] if len(gaps) > most else []
    return f"Missing: {'; '.join([*gaps[:most], *more])}."
