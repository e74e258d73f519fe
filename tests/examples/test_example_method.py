"""What is particular to the example; tests/methods/test_every_method.py says the rest."""

from pathlib import Path

import numpy as np
import pytest

from lelkern.data import DataConfig, DataSource, visible_labels
from lelkern.methods import get
from lelkern.runtime import RuntimeConfig


@pytest.fixture
def method():
    return get(str(Path(__file__).with_name("method.py")))


def outcome_of(method, per_class, **settings):
    source = DataSource(DataConfig(name="wine", labels_per_class=per_class))
    whole = source.load()
    data = whole.with_labels(visible_labels(whole.labels(), source.config, seed=0))
    config = method.config.parse(settings, "test")
    method.check(config, data)
    outcome = method.run(config, data, 0, RuntimeConfig(), lambda step, loss: None)
    method.confirm(outcome)
    return outcome


def test_the_curve_ends_with_all_labels_and_the_accuracy_that_is_reported(method):
    outcome = outcome_of(method, per_class=8, fits=4)
    labels, accuracies = np.transpose(outcome.curves["labels"])
    assert labels.tolist() == [6, 12, 18, 24]
    assert accuracies[-1] == outcome.metrics["accuracy"]
    assert 0.5 < outcome.metrics["accuracy"] <= 1
    assert 1 / 3 <= outcome.metrics["confidence"] <= 1


def test_there_may_be_more_fits_than_labels(method):
    outcome = outcome_of(method, per_class=1, fits=10)
    assert outcome.curves["labels"][-1][0] == 3


def test_a_weaker_penalty_makes_it_surer(method):
    weak, strong = (outcome_of(method, per_class=8, C=C) for C in (100.0, 0.01))
    assert weak.metrics["confidence"] > strong.metrics["confidence"]
