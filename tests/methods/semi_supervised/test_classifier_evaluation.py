import math
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from few_labels import few_labels, same, weights
from torch import nn

from lelkern.evaluate import calibration_error, negative_log_likelihood
from lelkern.methods.semi_supervised._evaluation import METRICS, Labeller, evaluate, predict
from lelkern.methods.semi_supervised._learner import Trained

FROM_VALIDATION = {"validation_accuracy", "temperature", "calibration_error_scaled"}
OF_PSEUDO_LABELS = {"pseudo_label_share", "pseudo_label_precision"}


class Colours(nn.Module):
    """Logits are the mean colours, so that class c is where channel c is brightest."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.norm = nn.BatchNorm1d(3)  # which would move if this were not evaluation

    def forward(self, images):
        self.norm(images.mean((2, 3)))
        return self.factor * images.mean((2, 3))


def judged(data, labeller=None, factor=20.0):
    return evaluate(Trained(Colours(factor), Colours(-1.0)), data, labeller)


def test_test_images_judge_the_network_and_its_average():
    data = few_labels()
    metrics = judged(data)
    assert {*metrics} == {*METRICS}
    colours = data.test_images.double().mean((2, 3)) / 255
    p = (20 * colours).softmax(dim=1)
    right = p.argmax(dim=1) == data.test_labels
    assert metrics["accuracy"] == pytest.approx(right.double().mean().item())
    assert metrics["accuracy_average"] == pytest.approx(
        (p.argmin(dim=1) == data.test_labels).double().mean().item()
    )
    # 1e-5: the network's logits are in float32.
    expected = {
        "calibration_error": calibration_error(p, data.test_labels),
        "overconfidence": (p.amax(dim=1).mean() - right.double().mean()).item(),
        "negative_log_likelihood": negative_log_likelihood(20 * colours, data.test_labels),
        "entropy": -(p * p.log()).sum(dim=1).mean().item(),
    }
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, abs=1e-5), name
    unknown = {name for name, value in metrics.items() if math.isnan(value)}
    assert unknown == FROM_VALIDATION | OF_PSEUDO_LABELS


def test_validation_images_choose_the_temperature_and_judge_pseudo_labels():
    data = few_labels()
    data = replace(
        data,
        val_images=data.test_images[:40],
        val_labels=data.test_labels[:40],
        test_images=data.test_images[40:],
        test_labels=data.test_labels[40:],
    )
    model = Colours(20.0)
    metrics = judged(data, Labeller(partial(predict, model), 0.5))
    logits = predict(model, data.val_images)
    p, y = logits.softmax(dim=1), data.val_labels
    assert metrics["validation_accuracy"] == (p.argmax(dim=1) == y).double().mean()
    confidence, label = p.max(dim=1)
    kept = confidence >= 0.5
    assert 0 < kept.sum() < 40
    assert metrics["pseudo_label_share"] == kept.double().mean()
    assert metrics["pseudo_label_precision"] == (label == y)[kept].double().mean()
    scaled = predict(model, data.test_images) / metrics["temperature"]
    assert metrics["calibration_error_scaled"] == pytest.approx(
        calibration_error(scaled.softmax(dim=1), data.test_labels)
    )
    # Logits that are k times as large want a temperature that is k times as high.
    larger = judged(data, factor=60.0)["temperature"]
    assert larger == pytest.approx(3 * metrics["temperature"], rel=1e-3)


def test_pseudo_labels_without_validation_images_and_without_any():
    data, model = few_labels(), Colours(20.0)
    every = judged(data, Labeller(partial(predict, model), 0.0))
    assert every["pseudo_label_share"] == 1
    assert every["pseudo_label_precision"] == every["accuracy"]
    none = judged(data, Labeller(partial(predict, Colours(0.0)), 0.9))
    assert none["pseudo_label_share"] == 0
    assert math.isnan(none["pseudo_label_precision"])


def test_networks_stay_as_they_are():
    model, average = Colours(2.0), Colours(1.0)
    before = [weights(model), weights(average)]
    evaluate(Trained(model, average), few_labels(), Labeller(partial(predict, model), 0.5))
    assert all(same(weights(m), b) for m, b in zip((model, average), before, strict=True))
    assert model.training


def test_predictions_are_of_images_between_0_and_1():
    white = torch.full((1, 3, 16, 16), 255, dtype=torch.uint8)
    assert torch.equal(predict(Colours(1.0), white), torch.ones(1, 3, dtype=torch.float64))
    assert F.softmax(predict(Colours(1.0), white), dim=1).dtype == torch.float64
