"""Studies whose truth is known, and results drawn from it."""

import dataclasses
from unittest import mock

import numpy as np

from lelkern.ablation.judge import verdict as verdict_module
from lelkern.ablation.judge.names import Grid
from lelkern.ablation.judge.sample import Sample
from lelkern.ablation.judge.verdict import decide, judge
from lelkern.ablation.results import Results, Row
from lelkern.ablation.study import Study
from lelkern.methods.metric import Metric

METRICS = {
    "accuracy": Metric("accuracy", "higher", "%", 1),
    "teacher": Metric("teacher", "higher", "%", 1),
    "loss": Metric("loss", "lower", "nats", 3),
    "entropy": Metric("entropy", unit="nats", digits=2),
}


def factor(values, key="part.alpha", scale="linear"):
    return {"key": key, "label": key, "values": values, "scale": scale}


def make(*claims, factors=(), arms=(), baselines=(), seeds=3, metric="accuracy"):
    """Build a study; baselines are labels, or (label, seeds)."""
    named = [(b, None) if isinstance(b, str) else b for b in baselines]
    return Study.parse(
        {
            "title": "t",
            "method": "m",
            "metric": metric,
            "seeds": seeds,
            "factor": list(factors),
            "arm": [{"label": label} for label in arms],
            "baseline": [{"label": b} | ({"seeds": n} if n else {}) for b, n in named],
            "claim": [{"says": "So it is.", **claim} for claim in claims],
            "plot": [{}],
        },
        "test",
    )


def rows_of(labels, values, metric="accuracy", **others):
    """Rows of a (seeds, labels) table; further metrics are tables of their own."""
    return [
        Row(label, seed, {metric: float(value), **more})
        for seed, line in enumerate(np.asarray(values, dtype=float))
        for i, (label, value) in enumerate(zip(labels, line, strict=True))
        for more in [{name: float(np.asarray(table)[seed, i]) for name, table in others.items()}]
    ]


def results(study, values, baselines=None, **others):
    """Results of a (seeds, arms) table, and of one list of values a baseline."""
    labels = [arm.label for arm in study.arms()]
    return Results(
        rows_of(labels, values, study.metric, **others),
        [
            Row(label, seed, {study.metric: float(value)})
            for label, own in (baselines or {}).items()
            for seed, value in enumerate(own)
        ],
    )


def verdicts(study, values, baselines=None, **others):
    return judge(study, results(study, values, baselines, **others), METRICS)


def verdict(study, values, baselines=None, **others):
    (found,) = verdicts(study, values, baselines, **others)
    return found


def noisy(means, std, seeds=3, rng=0):
    """(seeds, arms) around means, with a part of a seed's own that all arms share."""
    generator = np.random.default_rng(rng)
    means, shared = np.asarray(means), 0.02 * generator.standard_normal((seeds, 1))
    return means + shared + std * generator.standard_normal((seeds, len(means)))


def rates(study, means, std, repetitions, seeds=3, baselines=None):
    """Return how often each outcome comes out, over draws around the means of the arms.

    What does not change from draw to draw, such as what names stand for, is done once, and how many
    more seeds would settle a draw is not asked.

    Args:
        study: with one claim.
        means: of its arms.
        std: of the noise: a number, or one an arm.
        repetitions: number of draws.
        seeds: of a draw.
        baselines: label to its constant.
    """
    (claim,) = study.claim
    grid = Grid(study.axes(), [baseline.label for baseline in study.baseline])
    labels = [arm.label for arm in study.arms()]
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((repetitions, seeds, len(labels)))
    shared = 0.02 * generator.standard_normal((repetitions, seeds, 1))
    draws = np.asarray(means, dtype=float) + shared + std * noise
    if METRICS[study.metric].better == "lower":
        draws = -draws
    sample = Sample(
        grid=grid,
        metric=METRICS[study.metric],
        over_metric=METRICS[study.metric],
        name=study.metric,
        over_name=study.metric,
        seeds=tuple(range(seeds)),
        values={},
    )
    fixed = {(b, study.metric): np.full(seeds, value) for b, value in (baselines or {}).items()}
    found = []
    with mock.patch.object(verdict_module, "look_ahead", return_value=(None, "")):
        for draw in draws:
            values = {(arm, study.metric): draw[:, i] for i, arm in enumerate(labels)} | fixed
            drawn = dataclasses.replace(sample, values=values)
            found.append(decide(claim, claim.statements(drawn), seeds).outcome)
    return {o: found.count(o) / repetitions for o in ("supported", "not supported")}
