import dataclasses
import math

import numpy as np
import pytest
import torch

from lelkern.config import Config
from lelkern.methods import Curve, Method, Metric, Outcome, percentage

ACCURACY = percentage("accuracy")
LABELS = Metric("labels bought", digits=0)
METHOD = Method(
    config=Config,
    data=object,
    metrics={"accuracy": ACCURACY, "loss_at_end": Metric("loss", "lower", "nats", 2)},
    run=lambda config, data, seed, runtime, progress: Outcome({}),
    curves={"bought": Curve(LABELS, ACCURACY)},
)
GOOD = Outcome({"accuracy": 0.5, "loss_at_end": math.nan}, {"bought": [(10, 0.3), (20.0, 0.5)]})


def test_an_outcome_has_what_was_declared():
    METHOD.confirm(GOOD)
    METHOD.confirm(dataclasses.replace(GOOD, curves={"bought": []}))
    METHOD.confirm(dataclasses.replace(GOOD, metrics={"accuracy": np.float64(1), "loss_at_end": 2}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"metrics": {"accuracy": 0.5}},
            r"metrics .* missing: \['loss_at_end'\], undeclared: \[\]",
        ),
        ({"metrics": {**GOOD.metrics, "knn": 1.0}}, r"missing: \[\], undeclared: \['knn'\]"),
        ({"metrics": {**GOOD.metrics, "accuracy": "1"}}, "'accuracy' must be a number, got '1'"),
        ({"metrics": {**GOOD.metrics, "accuracy": True}}, "'accuracy' must be a number, got True"),
        ({"metrics": {**GOOD.metrics, "accuracy": torch.ones(())}}, "'accuracy' must be a number"),
        ({"curves": {}}, r"curves .* missing: \['bought'\]"),
        ({"curves": {"bought": [(1, 2, 3)]}}, r"'bought' must be pairs .* got \(1, 2, 3\)"),
        ({"curves": {"bought": [(1, math.nan)]}}, r"'bought' must be pairs .* got \(1, nan\)"),
    ],
)
def test_another_outcome_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        METHOD.confirm(dataclasses.replace(GOOD, **change))


def test_a_method_reports_something_and_leaves_the_loss_to_the_engine():
    with pytest.raises(ValueError, match="at least one metric"):
        dataclasses.replace(METHOD, metrics={})
    with pytest.raises(ValueError, match="must not hold 'loss'"):
        dataclasses.replace(METHOD, curves={"loss": Curve(LABELS, ACCURACY)})


def test_metrics_are_written_in_their_units():
    loss = METHOD.metrics["loss_at_end"]
    assert (ACCURACY.format(0.9312), ACCURACY.difference(-0.02)) == ("93.1 %", "-2.0 points")
    assert (ACCURACY.axis_label, ACCURACY.shown(0.5)) == ("accuracy (%)", 50)
    assert (loss.format(1.239), loss.difference(0.5)) == ("1.24 nats", "+0.50 nats")
    assert LABELS.format(1234567) == "1,234,567"
    assert LABELS.axis_label == "labels bought"
    assert [m.better for m in (ACCURACY, loss, LABELS)] == ["higher", "lower", "neither"]
