import math

import pytest
import torch
import torch.nn.functional as F

from lelkern.evaluate import (
    calibration_error,
    fit_temperature,
    negative_log_likelihood,
    overconfidence,
)


def two_classes(confidences, right):
    """Probabilities whose class 0 has these confidences, and labels that make it right or not."""
    p = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([p, 1 - p], dim=1), torch.tensor([0 if r else 1 for r in right])


def test_three_samples_by_hand():
    # Intervals of 1/4: 0.6 and 0.7 share (1/2, 3/4], of which one is right; 0.9 is alone.
    p, y = two_classes([0.6, 0.7, 0.9], [True, False, True])
    by_hand = 2 / 3 * abs(1 / 2 - 0.65) + 1 / 3 * abs(1 - 0.9)
    assert calibration_error(p, y, bins=4) == pytest.approx(by_hand)
    assert overconfidence(p, y) == pytest.approx((0.6 + 0.7 + 0.9) / 3 - 2 / 3)


def test_a_confidence_of_exactly_1_is_in_the_last_bin():
    # With 0.95, of which it compensates for the error there; alone it would be an error of its own.
    p, y = two_classes([1.0, 0.95], [False, True])
    assert calibration_error(p, y, bins=10) == pytest.approx(0.95 / 2)
    assert calibration_error(*two_classes([1.0], [False])) == 1
    assert calibration_error(*two_classes([1.0], [True])) == 0


def test_the_end_of_an_interval_belongs_to_it():
    # 0.75 is the end of the interval of 0.6, and 0.8 begins the next.
    p, y = two_classes([0.6, 0.75, 0.8], [True, False, True])
    assert calibration_error(p, y, bins=4) == pytest.approx((0.35 + 0.2) / 3)


def test_one_bin_is_the_absolute_overconfidence_and_more_are_no_less():
    generator = torch.Generator().manual_seed(0)
    p = torch.randn(200, 5, generator=generator).softmax(dim=1)
    y = torch.randint(5, (200,), generator=generator)
    one = calibration_error(p, y, bins=1)
    assert one == pytest.approx(abs(overconfidence(p, y)))
    assert one <= calibration_error(p, y, bins=15) + 1e-12


def test_samples_that_are_right_as_often_as_they_say_are_calibrated():
    generator = torch.Generator().manual_seed(0)
    n = 100_000
    confidences = torch.rand(n, generator=generator, dtype=torch.float64) / 2 + 0.5
    right = torch.rand(n, generator=generator, dtype=torch.float64) < confidences
    p, y = torch.stack([confidences, 1 - confidences], dim=1), (~right).long()
    # In 8 of 15 bins the sum of n_b Bernoulli variables minus their means: at most half of
    # sqrt(n_b) each, 5 standard errors of it in all.
    assert calibration_error(p, y) < 5 * 0.5 * math.sqrt(8 * n) / n
    assert calibration_error(p, 1 - y) > 0.4


@pytest.mark.parametrize("temperature", [0.2, 1.0, 7.0])
def test_the_temperature_of_scaled_logits_is_found(temperature):
    """Labels drawn from softmax(z) are calibrated at z: z T is too sure, or too modest, by T."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(5000, 4, generator=generator, dtype=torch.float64)
    y = torch.multinomial(z.softmax(dim=1), 1, generator=generator)[:, 0]
    own = fit_temperature(z, y)
    assert own == pytest.approx(1, abs=0.1)  # 1 / sqrt(Fisher information) is 0.02 here
    assert fit_temperature(temperature * z, y) == pytest.approx(temperature * own, rel=1e-9)

    def loss(t):
        return negative_log_likelihood(z / t, y)

    assert loss(own) < min(loss(1.01 * own), loss(0.99 * own))
    assert torch.equal((z / own).argmax(dim=1), z.argmax(dim=1))


def test_temperatures_without_a_best_one_end_at_the_bounds():
    z, y = torch.eye(3), torch.arange(3)
    assert fit_temperature(z, y) == pytest.approx(1e-3)
    assert fit_temperature(-z, y) == pytest.approx(1e3)


def test_the_likelihood_is_that_of_the_true_class():
    z = torch.tensor([[1.0, 2.0, 4.0], [200.0, 0.0, -200.0]])
    expected = [-F.log_softmax(z[0].double(), 0)[1], torch.tensor(400.0)]
    assert negative_log_likelihood(z, torch.tensor([1, 2])) == pytest.approx(sum(expected) / 2)


@pytest.mark.parametrize("metric", [calibration_error, overconfidence])
@pytest.mark.parametrize("value", [-0.5, 1.5])
def test_numbers_that_are_no_probabilities(metric, value):
    p = torch.tensor([[0.5, value]])
    with pytest.raises(ValueError, match=rf"^probabilities must be in \[0, 1\], got {value}"):
        metric(p, torch.tensor([0]))


@pytest.mark.parametrize(
    "metric", [calibration_error, overconfidence, fit_temperature, negative_log_likelihood]
)
def test_a_label_that_is_no_class(metric):
    with pytest.raises(ValueError, match=r"^labels must be below the number of classes, 2, got 2"):
        metric(torch.tensor([[0.5, 0.5]]), torch.tensor([2]))
