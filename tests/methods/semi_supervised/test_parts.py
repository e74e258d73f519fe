"""What semi-supervised recipes are put together from."""

import math

import pytest
import torch
from few_labels import FLOAT32, few_labels, same, small, weights
from torch import nn

from lelkern.methods.semi_supervised._classifier import Classifier
from lelkern.methods.semi_supervised._frozen_statistics import frozen_statistics
from lelkern.methods.semi_supervised._learner import Learner, average_decay
from lelkern.methods.semi_supervised._prediction_averages import PredictionAverages
from lelkern.methods.semi_supervised._ramp import linear_ramp, sigmoid_ramp
from lelkern.methods.semi_supervised.entropy_minimisation import EntropyMinimisationConfig, entropy
from lelkern.methods.semi_supervised.mixmatch import MixMatchConfig
from lelkern.methods.semi_supervised.supervised import SupervisedConfig
from lelkern.methods.training import seeded
from lelkern.models import ConvEncoderConfig
from lelkern.runtime import RuntimeConfig, silent

# --- frozen statistics ----------------------------------------------------------------------


@pytest.fixture
def norms():
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False))


def test_frozen_statistics_change_nothing_that_is_computed_and_remember_nothing(norms):
    x = torch.randn(5, 3)
    before = weights(norms)
    with frozen_statistics(norms):
        frozen = norms(x)
    assert same(weights(norms), before)
    assert torch.equal(norms(x), frozen)
    assert not same(weights(norms), before)  # and afterwards they follow again
    assert [norm.track_running_stats for norm in norms] == [True, False]


def test_statistics_thaw_whatever_happens(norms):
    with pytest.raises(ZeroDivisionError), frozen_statistics(norms):
        raise ZeroDivisionError
    assert [norm.track_running_stats for norm in norms] == [True, False]


# --- ramps ----------------------------------------------------------------------------------


def test_ramps():
    assert [linear_ramp(t, 0.25, 0.75) for t in (0, 0.25, 0.375, 0.75, 1)] == [0, 0, 0.25, 1, 1]
    assert [linear_ramp(t, 0.5, 0.5) for t in (0.49, 0.5)] == [0, 1]
    assert [linear_ramp(t, 0, 0) for t in (0, 0.5)] == [1, 1]
    assert sigmoid_ramp(0, 0.5) == pytest.approx(math.exp(-5))
    assert sigmoid_ramp(0.25, 0.5) == pytest.approx(math.exp(-1.25))
    assert [sigmoid_ramp(t, 0.5) for t in (0.5, 0.9)] == [1, 1]
    assert sigmoid_ramp(0, 0) == 1


def test_the_average_begins_as_the_mean_of_all_weights():
    """d = 0, 1/2, 2/3 keep x1, (x1 + x2) / 2, (x1 + x2 + x3) / 3, until the limit is reached."""
    average = 7.0
    for step, x in enumerate([2.0, 4.0, 9.0]):
        d = average_decay(step, 0.9)
        average = d * average + (1 - d) * x
    assert average == pytest.approx(5)
    assert average_decay(100, 0.9) == 0.9


# --- averages of predictions ----------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.6, 0.99])
def test_the_average_of_equal_predictions_is_the_prediction_to_the_bit(alpha):
    averages, z = PredictionAverages(3, 4, alpha, "cpu"), torch.rand(1, 4).softmax(dim=1)
    for _ in range(50):
        averages.update(torch.tensor([1]), z)
        targets, known = averages.targets(torch.tensor([1]))
        assert torch.equal(targets, z)
        assert known.all()


def test_each_image_counts_its_own_predictions():
    """Image 0 is predicted in every epoch, image 1 in every other, image 2 never."""
    averages, alpha = PredictionAverages(3, 2, 0.6, "cpu"), 0.6
    Z, t = torch.zeros(3, 2), [0, 0, 0]
    for epoch in range(7):
        index = torch.tensor([1, 0] if epoch % 2 else [0])
        predictions = torch.rand(len(index), 2)
        averages.update(index, predictions)
        for i, z in zip(index.tolist(), predictions, strict=True):
            Z[i], t[i] = alpha * Z[i] + (1 - alpha) * z, t[i] + 1
    targets, known = averages.targets(torch.arange(3))
    assert known.flatten().tolist() == [True, True, False]
    for i in (0, 1):
        assert torch.allclose(targets[i], Z[i] / (1 - alpha ** t[i]), rtol=1e-6)


# --- entropy --------------------------------------------------------------------------------


def test_the_gradient_of_the_entropy_goes_through_both_factors():
    z = torch.randn(1, 5, dtype=torch.float64, requires_grad=True)
    value = entropy(z)
    p = z.detach().softmax(dim=1)
    assert value.item() == pytest.approx(float(torch.special.entr(p).sum()))
    value.backward()
    assert torch.allclose(z.grad, -p * (p.log() + value.detach()))
    assert entropy(torch.tensor([[1000.0, 0.0]])) == 0  # and no nan of 0 log 0


# --- the network ----------------------------------------------------------------------------


def test_full_precision_is_that_of_float32_whatever_the_run_has():
    torch.manual_seed(0)
    bfloat16 = RuntimeConfig(device="cpu", precision="bfloat16")
    rough = Classifier(ConvEncoderConfig(width=4, depth=1), 0.0, 3, bfloat16)
    exact = Classifier(ConvEncoderConfig(width=4, depth=1), 0.0, 3, FLOAT32)
    exact.load_state_dict(rough.state_dict())
    x = torch.rand(4, 3, 16, 16)
    assert torch.equal(rough(x, full_precision=True), exact(x))
    assert not torch.equal(rough(x), exact(x))
    assert rough(x).dtype == torch.float32


def test_all_recipes_start_from_one_network_and_see_the_labels_that_are_visible():
    starts, data = [], few_labels()
    for kind in (SupervisedConfig, MixMatchConfig, EntropyMinimisationConfig):
        with seeded(3):
            learner = Learner(small(kind), data, FLOAT32, silent)
            starts.append(weights(learner.model))
            batches = list(learner.labelled_batches())
        visible = (data.train_images[:6].float() / 255, data.train_labels[:6])
        for x, y, _ in batches:
            for image, label in zip(x, y, strict=True):
                where = [torch.equal(image, other) for other in visible[0]].index(True)
                assert label == visible[1][where]
        assert [batch.done for batch in batches] == [step / 8 for step in range(8)]
    assert same(starts[0], starts[1])
    assert same(starts[0], starts[2])


def test_unlabelled_batches_say_which_images_they_have():
    data = few_labels()
    with seeded(0):
        batches = list(Learner(small(MixMatchConfig), data, FLOAT32, silent).batches())
    assert len(batches) == 8
    for batch in batches:
        assert torch.equal(batch.u, data.train_images[batch.ids].float() / 255)
        assert len(batch.ids.unique()) == 5
    epoch = torch.cat([batch.ids for batch in batches[:6]])
    assert len(epoch.unique()) == 30  # all of them, labelled ones too
