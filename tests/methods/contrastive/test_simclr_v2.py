"""SimCLR v2: what each of its three steps learns from, and what it leaves alone."""

import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from small_runs import FLOAT32, SMALL, same
from tiny_data import hidden, tiny_images, unlabelled
from torch import nn

from lelkern.augment import Augment
from lelkern.config import ConfigError
from lelkern.data import DataForm
from lelkern.evaluate import knn, linear_probe
from lelkern.methods.contrastive import simclr, simclr_v2
from lelkern.methods.contrastive.simclr_v2 import (
    SimCLRv2Config,
    distil,
    distillation_loss,
    fine_tune,
    hidden_layers,
    train,
)
from lelkern.methods.method import Blueprint
from lelkern.methods.training import batches, seeded, unbroken_batches
from lelkern.models import HeadConfig, ProjectionHead

SGD = {"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "warmup": 0.0, "schedule": "constant"}
STUDENT = {"width": 2, "depth": 1}


def small(**changes):
    known = SMALL | {
        "head": {"depth": 2, "width": 16, "out": 8},
        "batch_size": 8,
        "steps": 2,
        "fine_tune": {"batch_size": 4, "steps": 3, "optimizer": SGD},
        "distil": {"batch_size": 6, "steps": 3, "temperature": 0.5, "optimizer": SGD},
    }
    return SimCLRv2Config.parse(known | changes, "test")


def few_labels():
    """30 images of three classes, 6 of which show their label."""
    return hidden(tiny_images(), visible=0.2)


def digest(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def ignore(step, loss):
    pass


@pytest.fixture(scope="module")
def data():
    return few_labels()


@pytest.fixture(scope="module")
def pretrained(data):
    return simclr.train(small(), data.train_images, 0, FLOAT32)


@pytest.fixture(scope="module")
def teacher(data, pretrained):
    with seeded(1):
        return fine_tune(small(), pretrained, data)


# --- fine-tuning ------------------------------------------------------------------------------


def test_the_first_hidden_layers_of_the_head_are_kept():
    torch.manual_seed(0)
    head, h = ProjectionHead(HeadConfig(depth=2, width=5, out=3), 7), torch.randn(4, 7)
    first, second = (m for m in head if isinstance(m, nn.Linear) and m.bias is not None)
    after_first = (h @ first.weight.T + first.bias).clamp(min=0)
    after_second = (after_first @ second.weight.T + second.bias).clamp(min=0)
    for number, expected in enumerate([h, after_first, after_second]):
        kept = hidden_layers(head, number)
        assert torch.allclose(kept(h.clone()), expected, atol=1e-6)
        assert {id(p) for p in kept.parameters()} <= {id(p) for p in head.parameters()}


@pytest.mark.parametrize(("number", "features"), [(0, 16), (1, 12), (2, 12)])
def test_the_classifier_stands_on_the_layer_that_was_asked_for(data, number, features):
    head = {"depth": 2, "width": 12}
    config = small(fine_tune_from=number, head=head, fine_tune={"steps": 0}, steps=1)
    pretrained = simclr.train(config, data.train_images, 0, FLOAT32)
    with seeded(0):
        model = fine_tune(config, pretrained, data)
    assert model.linear.in_features == features
    assert same(digest(model.encoder), digest(pretrained.encoder))
    assert same(digest(model.layers), digest(hidden_layers(pretrained.head, number)))


def test_fine_tuning_moves_all_layers_against_the_cross_entropy_of_visible_labels(data, pretrained):
    config, losses = small(), []
    before = digest(pretrained)
    with seeded(3):
        model = fine_tune(config, pretrained, data, lambda step, loss: losses.append(loss))
    assert same(digest(pretrained), before)
    start = {"encoder": pretrained.encoder, "layers": hidden_layers(pretrained.head, 1)}
    for part, was in start.items():
        for (name, old), new in zip(
            was.named_parameters(), getattr(model, part).parameters(), strict=True
        ):
            assert not torch.equal(old, new), (part, name)

    # The same in plain PyTorch from the same random numbers.
    with seeded(3):
        by_hand = simclr_v2.task_network(config, deepcopy(pretrained), 3).train()
        sgd = torch.optim.SGD(by_hand.parameters(), 0.1, momentum=0.9, nesterov=True)
        augment, expected = Augment(config.augment, 16), []
        for i in unbroken_batches(6, 4, 3):  # of the six images with labels
            p = by_hand(augment(data.train_images[i].float() / 255)).double().softmax(dim=1)
            loss = -p[torch.arange(4), data.train_labels[i]].log().mean()
            expected.append(loss.item())
            sgd.zero_grad()
            loss.backward()
            sgd.step()
    # float32 with sums in another order, which BatchNorm magnifies from step to step.
    assert losses == pytest.approx(expected, rel=1e-4)


# --- distillation -----------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 1.0, 4.0])
def test_the_distillation_loss_is_equation_2(temperature):
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 5, 3, dtype=torch.float64, generator=generator)

    def p(logits):
        exponentials = [math.exp(logit / temperature) for logit in logits.tolist()]
        return [e / sum(exponentials) for e in exponentials]

    expected = -sum(
        pt * math.log(ps)
        for s, t in zip(student, teacher, strict=True)
        for ps, pt in zip(p(s), p(t), strict=True)
    ) / len(student)
    student.requires_grad_()
    teacher.requires_grad_()
    loss = distillation_loss(student, teacher, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    assert teacher.grad is None
    # The gradient of the cross-entropy of two softmaxes is their difference, here over N tau.
    gradient = [
        [(ps - pt) / temperature / 5 for ps, pt in zip(p(s), p(t), strict=True)]
        for s, t in zip(student.detach(), teacher.detach(), strict=True)
    ]
    assert torch.allclose(student.grad, torch.tensor(gradient, dtype=torch.float64), atol=1e-12)


def test_a_teacher_that_is_sure_gives_labels():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    one_hot = 1e4 * F.one_hot(torch.tensor([0, 1, 2, 0])).float()
    hard = distillation_loss(logits, one_hot, 1.0)
    assert hard.item() == pytest.approx(F.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).item())


def test_a_student_learns_what_its_teacher_says_of_the_same_views(data, teacher):
    config, losses = small(student=STUDENT), []
    with seeded(5):
        student = distil(config, teacher, data.train_images, lambda step, loss: losses.append(loss))
    assert student.encoder.features == 8

    with seeded(5):
        by_hand = simclr_v2.new_student(config.student, 3, FLOAT32)
        by_hand = by_hand.to(memory_format=torch.channels_last)
        sgd = torch.optim.SGD(by_hand.parameters(), 0.1, momentum=0.9, nesterov=True)
        augment, expected = Augment(config.augment, 16), []
        teacher.eval()
        for i in batches(30, 6, 3):  # of all images
            views = augment(data.train_images[i].float() / 255)
            with torch.no_grad():
                said = (teacher(views) / 0.5).softmax(dim=1)
            loss = -(said * (by_hand(views) / 0.5).log_softmax(dim=1)).sum(dim=1).mean()
            expected.append(loss.item())
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        teacher.train()
    assert losses == pytest.approx(expected, rel=1e-4)  # as above
    assert all(
        torch.allclose(new, old, rtol=1e-3, atol=1e-5)
        for new, old in zip(student.parameters(), by_hand.parameters(), strict=True)
    )


@pytest.mark.parametrize("training", [True, False])
def test_a_teacher_stays_as_it_is(data, teacher, training):
    teacher.train(training)
    before = digest(teacher)
    with seeded(0):
        distil(small(student=STUDENT), teacher, data.train_images)
    assert same(digest(teacher), before)
    assert all(module.training == training for module in teacher.modules())
    teacher.train()


def test_there_must_be_a_student_and_enough_images(data, teacher):
    with pytest.raises(ValueError, match="student must be an encoder to distil into, got none"):
        distil(small(), teacher, data.train_images)
    message = "distil.batch_size must be at most the number of training images, 5, got 6"
    with pytest.raises(ValueError, match=message):
        distil(small(student=STUDENT), teacher, data.train_images[:5])


# --- all steps --------------------------------------------------------------------------------


def test_the_seed_decides_everything_and_step_1_is_simclr(data):
    config, steps = small(student=STUDENT), []
    torch.manual_seed(7)
    one = train(config, data, 0, FLOAT32, lambda step, loss: steps.append(step))
    torch.manual_seed(8)
    two = train(config, data, 0, FLOAT32)
    other = train(config, data, 1, FLOAT32)
    assert steps == list(range(1, 9))
    assert same(digest(one.pretrained), digest(simclr.train(config, data.train_images, 0, FLOAT32)))
    for a, b, c in zip(one, two, other, strict=True):
        assert same(digest(a), digest(b))
        assert not same(digest(a), digest(c))
    with seeded(1):  # which decides the later steps as well
        again = fine_tune(config, other.pretrained, data)
        assert same(digest(again), digest(other.fine_tuned))
        assert same(digest(distil(config, again, data.train_images)), digest(other.student))
    alone = train(small(), data, 0, FLOAT32)
    assert alone.student is None
    assert same(digest(alone.fine_tuned), digest(one.fine_tuned))  # arms with one teacher
    # A student is drawn anew, not as its teacher was.
    none = {"steps": 0, "batch_size": 6}
    twin = small(student=SMALL["encoder"], steps=0, fine_tune=none, distil=none)
    drawn = train(twin, data, 0, FLOAT32)
    assert not same(digest(drawn.student.encoder), digest(drawn.fine_tuned.encoder))


def test_hidden_labels_are_not_read_by_any_step(data):
    config = small(student=STUDENT)
    one, two = (
        simclr_v2.run(config, some, 0, FLOAT32, ignore).metrics for some in (data, unlabelled(data))
    )
    assert one == two


def test_metrics_are_of_the_networks_that_they_name(data, monkeypatch):
    def share(model):
        with torch.no_grad():
            guess = model.eval()(data.test_images.float() / 255).argmax(dim=1)
        return float((guess == data.test_labels).double().mean())

    losses = []
    config = small(
        student=STUDENT,
        fine_tune={"steps": 20, "batch_size": 4, "optimizer": SGD},
        distil={"steps": 1, "batch_size": 6, "optimizer": SGD},
    )
    outcome = simclr_v2.run(config, data, 0, FLOAT32, lambda step, loss: losses.append(loss))
    assert outcome.models.keys() == {"model", "teacher", "pretrained"}
    assert outcome.metrics["accuracy"] == share(outcome.models["model"])
    assert outcome.metrics["teacher_accuracy"] == share(outcome.models["teacher"])
    # Both may be right equally often; which of them is asked is seen by its layers.
    monkeypatch.setattr(simclr_v2, "predict", lambda model, _: len(model.layers))
    monkeypatch.setattr(simclr_v2, "accuracy", lambda layers, _: float(layers))
    trained = simclr_v2.train(config, data, 0, FLOAT32)
    metrics = simclr_v2.evaluate(trained, data)
    assert metrics["accuracy"] == 0 < metrics["teacher_accuracy"]
    monkeypatch.undo()
    assert outcome.metrics["parameters"] == sum(
        p.numel() for p in config.student.build().parameters()
    )
    assert outcome.metrics["final_loss"] == losses[-1]  # of the last step alone
    encoder = outcome.models["pretrained"].encoder.eval()
    with torch.no_grad():
        train_h, test_h = (
            encoder(images.float() / 255) for images in (data.train_images[:6], data.test_images)
        )
    for metric, classify in (("linear_probe", linear_probe), ("knn", knn)):
        assert outcome.metrics[metric] == classify(
            train_h, data.train_labels[:6], test_h, data.test_labels
        )

    losses.clear()
    outcome = simclr_v2.run(small(), data, 0, FLOAT32, lambda step, loss: losses.append(loss))
    assert outcome.models.keys() == {"model", "pretrained"}
    assert outcome.metrics["accuracy"] == outcome.metrics["teacher_accuracy"]
    assert outcome.metrics["accuracy"] == share(outcome.models["model"])
    assert outcome.metrics["parameters"] == sum(
        p.numel() for p in config.encoder.build().parameters()
    )
    assert outcome.metrics["final_loss"] == losses[-1]  # of the last step alone


@pytest.mark.parametrize("number", [0, 2])
def test_models_are_built_in_the_form_that_was_trained(data, number):
    config = small(student=STUDENT, fine_tune_from=number)
    models = simclr_v2.run(config, data, 0, FLOAT32, ignore).models
    images, form = data.test_images.float() / 255, data.form()
    assert isinstance(form, DataForm)
    for name, model in models.items():
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        built = simclr_v2.build(config, Blueprint(name, form, FLOAT32, shapes)).eval()
        built.load_state_dict(model.state_dict())
        with torch.no_grad():
            assert torch.allclose(built(images), model.eval()(images), atol=1e-5), name


# --- settings ---------------------------------------------------------------------------------


def test_fine_tuning_starts_from_a_layer_that_is_there():
    assert SimCLRv2Config().head.depth == 2
    for head, most in (
        ({"depth": 2}, 2),
        ({"depth": 1}, 1),
        ({"kind": "linear"}, 0),
        ({"kind": "none"}, 0),
    ):
        assert small(head=head, fine_tune_from=most).fine_tune_from == most
        message = f"^test: fine_tune_from must be at most {most}, .* of head, got {most + 1}"
        with pytest.raises(ConfigError, match=message):
            small(head=head, fine_tune_from=most + 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": STUDENT, "distil": {"batch_size": 31}}, "distil.batch_size .* 30, got 31"),
        ({"batch_size": 31}, "^batch_size must be .* 30, got 31"),
    ],
)
def test_check_names_the_batch_that_is_too_large(data, changes, message):
    with pytest.raises(ValueError, match=message):
        simclr_v2.check(small(**changes), data)
    with pytest.raises(ValueError, match=message):
        train(small(**changes), data, 0)


def test_what_there_is_no_student_for_needs_no_images(data):
    simclr_v2.check(small(distil={"batch_size": 31}), data)
    simclr_v2.check(small(fine_tune={"batch_size": 31}), data)  # labelled ones come again


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distil": {"temperature": 0.0}}, "distil.temperature: .* greater than 0"),
        ({"fine_tune": {"batch_size": 1}}, "fine_tune.batch_size: .* than or equal to 2"),
        ({"fine_tune_from": -1}, "fine_tune_from: .* than or equal to 0"),
        ({"student": {"widht": 4}}, "unknown key 'widht'; did you mean 'width'"),
    ],
)
def test_settings_out_of_range_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        small(**changes)
