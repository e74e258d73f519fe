"""Recipes in which a network is trained after another one: self-training and Noisy Student."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from few_labels import FLOAT32, Replay, few_labels, recorded, same, small, weights
from tiny_data import unlabelled

from lelkern.methods.semi_supervised import noisy_student, self_training, supervised
from lelkern.methods.semi_supervised._classifier import Classifier
from lelkern.methods.semi_supervised._evaluation import predict
from lelkern.methods.semi_supervised._learner import Trained
from lelkern.methods.semi_supervised.noisy_student import NoisyStudentConfig, teacher_labels
from lelkern.methods.semi_supervised.self_training import SelfTrainingConfig, add_confident
from lelkern.methods.semi_supervised.supervised import SupervisedConfig
from lelkern.methods.training import seeded
from lelkern.models import ConvEncoderConfig
from lelkern.nn import ModelEMA
from lelkern.runtime import silent


def teacher(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    model = Classifier(ConvEncoderConfig(width=4, depth=1), dropout, 3, FLOAT32)
    with torch.no_grad():
        model.linear.weight.mul_(3)  # so that it is sure of some
    return Trained(model, ModelEMA(model))


# --- self-training --------------------------------------------------------------------------


def test_confident_predictions_for_hidden_labels_are_added_and_labels_stay():
    data, judge = few_labels(), teacher()
    p = predict(judge.model, data.train_images).softmax(dim=1)
    threshold = float(p[6:].amax(dim=1).median())  # half of the hidden ones
    grown = add_confident(data, judge, threshold).train_labels
    assert torch.equal(grown[:6], data.train_labels[:6])
    for label, row in zip(grown[6:], p[6:], strict=True):
        assert label == (row.argmax() if row.max() >= threshold else -1)
    assert 0 < int((grown[6:] < 0).sum()) < 24
    # A label that was given stays, whatever later teachers think.
    later = add_confident(data.with_labels(grown), teacher(seed=1), 0.0).train_labels
    assert torch.equal(later[grown >= 0], grown[grown >= 0])
    assert (later >= 0).all()


def test_stages_train_networks_from_scratch_on_what_there_is():
    config = small(SelfTrainingConfig, stages=2, threshold=0.0, steps=3)
    result, losses = recorded(self_training.train, config, few_labels())
    assert len(losses) == 9
    assert (result.data.train_labels >= 0).all()
    # The first network is that of supervised learning; none is continued from another.
    config = small(SelfTrainingConfig, stages=1, steps=3)
    result, losses = recorded(self_training.train, config, few_labels())
    plain, plain_losses = recorded(supervised.train, small(SupervisedConfig, steps=3), few_labels())
    assert same(weights(result.teacher.model), weights(plain.model))
    assert losses[:3] == plain_losses
    untrained = recorded(self_training.train, small(SelfTrainingConfig, steps=0), few_labels())[0]
    assert not same(weights(untrained.teacher.model), weights(untrained.trained.model))


def test_images_that_never_had_a_label_are_labelled_too():
    data = unlabelled(few_labels())
    assert data.unlabeled_images is not None
    config = small(SelfTrainingConfig, stages=1, threshold=0.0, steps=1)
    result, _ = recorded(self_training.train, config, data)
    assert torch.equal(result.data.train_images, few_labels().train_images)
    assert (result.data.train_labels >= 0).all()


# --- Noisy Student --------------------------------------------------------------------------


def test_teachers_label_images_as_they_are():
    config, judge = small(NoisyStudentConfig), teacher(dropout=0.5)
    images = few_labels().train_images
    before = weights(judge.model)
    judge.model.eval()
    with torch.no_grad():
        p = judge.model(images.float() / 255).softmax(dim=1)
    judge.model.train()
    soft = teacher_labels(config, judge, images)
    assert torch.allclose(soft, p, atol=1e-6)
    hard = teacher_labels(config.model_copy(update={"labels": "hard"}), judge, images)
    assert torch.equal(hard, F.one_hot(p.argmax(dim=1), 3).float())
    noisy = config.model_copy(update={"noise_teacher": True})
    with seeded(0):
        one, other = (teacher_labels(noisy, judge, images) for _ in range(2))
    assert not torch.equal(one, other)  # dropout and augmentations of their own
    assert same(weights(judge.model), before)


def test_labels_are_judged_as_the_teacher_gives_them(monkeypatch):
    data = few_labels()

    def says(config, teacher, images):
        assert config.noise_teacher
        right = F.one_hot(data.test_labels, 3).float()
        return right if len(images) == len(right) else torch.rand(len(images), 3)

    monkeypatch.setattr(noisy_student, "teacher_logits", says)
    config = small(NoisyStudentConfig, steps=1, iterations=1, noise_teacher=True)
    state = torch.get_rng_state()
    metrics = noisy_student.run(config, data, 0, FLOAT32, silent).metrics
    assert metrics["pseudo_label_precision"] == 1
    assert torch.equal(torch.get_rng_state(), state)


def student_loss(run, x, y, u, ids, done):
    """Each kind of images counts by its own mean."""
    logits, logits_u = run.split(x, u)
    supervised = -logits.log_softmax(1)[torch.arange(len(y)), y].mean()
    return supervised - (run.config_labels[ids] * logits_u.log_softmax(1)).sum() / len(u)


def test_a_student_learns_from_both_kinds_of_images():
    data, config = few_labels(), small(NoisyStudentConfig, dropout=0.2)
    labels = torch.rand(30, 3).softmax(dim=1)
    losses = []
    with seeded(0):
        noisy_student.teach(config, data, labels, FLOAT32, lambda step, loss: losses.append(loss))

    class Given(Replay):
        config_labels = labels

    # As in test_algorithms.py.
    assert losses == pytest.approx(Given(config, data, student_loss).losses, rel=1e-3)


def test_students_follow_each_other_from_scratch():
    config = small(NoisyStudentConfig, steps=2, iterations=2, student={"width": 5, "depth": 1})
    result, losses = recorded(noisy_student.train, config, few_labels())
    assert len(losses) == 6
    assert result.student.model.encoder.features == result.teacher.model.encoder.features == 20
    first = recorded(noisy_student.train, small(NoisyStudentConfig, iterations=1), few_labels())[0]
    plain = recorded(supervised.train, small(SupervisedConfig, dropout=0.2), few_labels())[0]
    assert same(weights(first.teacher.model), weights(plain.model))
    none = small(NoisyStudentConfig, iterations=1, steps=0)
    start = recorded(noisy_student.train, none, few_labels())[0]
    assert not same(weights(start.student.model), weights(start.teacher.model))


def test_noise_of_students_is_augmentation_and_dropout():
    config = small(NoisyStudentConfig, dropout=0.3)
    assert config.of_student() == config
    quiet = small(NoisyStudentConfig, dropout=0.3, noise_student=False).of_student()
    assert (quiet.augment, quiet.dropout) == ((), 0.0)
    assert quiet.encoder == config.encoder


def test_a_student_is_no_smaller_than_its_teacher():
    data = few_labels()
    noisy_student.check(small(NoisyStudentConfig, student={"width": 4, "depth": 1}), data)
    message = "^student must have at least the 1,604 parameters of encoder, got 933"
    with pytest.raises(ValueError, match=message):
        noisy_student.check(small(NoisyStudentConfig, student={"width": 3, "depth": 1}), data)


def test_the_data_are_left_as_they_are():
    data = few_labels()
    copy = replace(data, train_labels=data.train_labels.clone())
    recorded(self_training.train, small(SelfTrainingConfig, stages=1, threshold=0.0), data)
    assert torch.equal(data.train_labels, copy.train_labels)
