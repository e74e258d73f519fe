"""Every recipe with one network against its equation, written out, from the same random numbers."""

import math

import pytest
import torch
from few_labels import Replay, few_labels, recorded, same, small, weights

from lelkern.methods.semi_supervised import (
    entropy_minimisation,
    mean_teacher,
    mixmatch,
    pi_model,
    pseudo_label,
    temporal_ensembling,
)


def cross_entropy(logits, y):
    """The mean of -log p of the labels (N,), or of distributions (N, C)."""
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    if y.ndim == 2:
        return -(y * p.log()).sum(1).mean()
    return -p[torch.arange(len(y)), y].log().mean()


def brier(p, q):
    """The mean squared difference over images and classes."""
    return ((p - q) ** 2).sum() / (len(p) * p.shape[1])


def sigmoid(done, ramp):
    return math.exp(-5 * (1 - min(1, done / ramp)) ** 2)


def entropy_loss(run, x, y, u, ids, done):
    logits, logits_u = run.split(x, u)
    p = logits_u.softmax(1)
    weight = run.config.weight * min(1, done / run.config.ramp)
    return cross_entropy(logits, y) - weight * (p * p.log()).sum() / len(u)


def pi_loss(run, x, y, u, ids, done):
    logits = run.model(run.augment(torch.cat([x, u, u])))
    one, two = logits[len(x) :].softmax(1).split(len(u))
    weight = run.config.weight * sigmoid(done, run.config.ramp)
    return cross_entropy(logits[: len(x)], y) + weight * brier(one, two)


def mean_teacher_loss(run, x, y, u, ids, done):
    with torch.no_grad():
        target = run.without_statistics(run.average, run.augment(u)).softmax(1)
    logits, logits_u = run.split(x, u)
    weight = run.config.weight * sigmoid(done, run.config.ramp)
    return cross_entropy(logits, y) + weight * brier(logits_u.softmax(1), target)


def temporal_loss(run, x, y, u, ids, done):
    memory = run.__dict__.setdefault("memory", {})  # of an image: Z and t
    logits, logits_u = run.split(x, u)
    z, alpha = logits_u.softmax(1), run.config.alpha
    total = 0.0
    for row, image in zip(z, ids.tolist(), strict=True):
        average, t = memory.get(image, (torch.zeros(len(row)), 0))
        if t:
            total = total + ((row - average / (1 - alpha**t)) ** 2).sum()
        memory[image] = (alpha * average + (1 - alpha) * row.detach(), t + 1)
    weight = run.config.weight * sigmoid(done, run.config.ramp)
    return cross_entropy(logits, y) + weight * total / z.numel()


def pseudo_label_loss(run, x, y, u, ids, done):
    logits, logits_u = run.split(x, u)
    return cross_entropy(logits, y) + alpha(run, done) * hard_labels(run, logits_u)


def alpha(run, done):
    start, end = run.config.ramp_start, run.config.ramp_end
    return run.config.weight * min(1, max(0, (done - start) / (end - start)))


def hard_labels(run, logits_u):
    total = 0.0
    for row in logits_u:
        p = row.softmax(0)
        if p.max() >= run.config.threshold:
            total = total - p[int(p.argmax())].log()
    return total / len(logits_u)


def mixmatch_loss(run, x, y, u, ids, done):
    config = run.config
    x = run.augment(x)
    views = run.augment(torch.cat([u] * config.views))
    guesser = run.model if config.guesses == "network" else run.average
    with torch.no_grad():
        p = run.without_statistics(guesser, views).softmax(1)
        q = sum(p.split(len(u))) / config.views
        q = q ** (1 / config.temperature)
        q = q / q.sum(1, keepdim=True)
    n, images = len(x), torch.cat([x, views])
    targets = torch.cat([torch.eye(run.classes)[y], *[q] * config.views])
    lam, perm = mixmatch.draw_mixing(config, n, len(views))
    mixed, labels = [], []
    for i, share in enumerate(lam.tolist()):
        mixed.append(share * images[i] + (1 - share) * images[perm[i]])
        labels.append(share * targets[i] + (1 - share) * targets[perm[i]])
    mixed, labels = torch.stack(mixed), torch.stack(labels)
    logits = run.model(mixed)
    weight = config.weight * min(1, done / config.ramp)
    unlabelled = brier(logits[n:].softmax(1), labels[n:])
    return cross_entropy(logits[:n], labels[:n]) + weight * unlabelled


NOISE = {"dropout": 0.3}
CASES = {
    "entropy": (entropy_minimisation, "EntropyMinimisationConfig", entropy_loss, NOISE),
    "pi": (pi_model, "PiModelConfig", pi_loss, {"weight": 3.0} | NOISE),
    "mean-teacher": (mean_teacher, "MeanTeacherConfig", mean_teacher_loss, {"weight": 3.0}),
    "temporal": (temporal_ensembling, "TemporalEnsemblingConfig", temporal_loss, NOISE),
    "pseudo-label": (pseudo_label, "PseudoLabelConfig", pseudo_label_loss, NOISE),
    "pseudo-label-threshold": (
        pseudo_label,
        "PseudoLabelConfig",
        pseudo_label_loss,
        {"threshold": 0.4, "weight": 2.0, "ramp_start": 0.0, "ramp_end": 0.5},
    ),
    "mixmatch": (mixmatch, "MixMatchConfig", mixmatch_loss, {}),
    "mixmatch-1-view-unmixed": (
        mixmatch,
        "MixMatchConfig",
        mixmatch_loss,
        {"views": 1, "mix": "none", "ramp": 0.2, "weight": 25.0},
    ),
    "mixmatch-3-views-average": (
        mixmatch,
        "MixMatchConfig",
        mixmatch_loss,
        {"views": 3, "mix": "separate", "guesses": "average", "temperature": 1.0},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_its_equation(case):
    module, name, loss, changes = CASES[case]
    config, data = small(getattr(module, name), **changes), few_labels()
    trained, losses = recorded(module.train, config, data)
    by_hand = Replay(config, data, loss)
    # float32 with sums in another order: a few units in the last place, which BatchNorm over 9
    # images and 8 steps with momentum magnify.
    assert losses == pytest.approx(by_hand.losses, rel=1e-3)
    for mine, theirs in ((trained.model, by_hand.model), (trained.average.module, by_hand.average)):
        for (key, value), other in zip(
            mine.state_dict().items(), theirs.state_dict().values(), strict=True
        ):
            assert torch.allclose(value, other, rtol=1e-2, atol=1e-4), key


@pytest.mark.parametrize("case", CASES)
def test_images_without_labels_move_the_network(case):
    """A consistency loss that is 0, or has no gradient, leaves plain supervised learning."""
    module, name, _, changes = CASES[case]
    kind, data = getattr(module, name), few_labels()
    with_them, _ = recorded(module.train, small(kind, **changes), data)
    without, _ = recorded(module.train, small(kind, **{**changes, "weight": 0.0}), data)
    assert not same(weights(with_them.model), weights(without.model))
    # Of no other weight than the learner's: no gradient ever reaches the average.
    assert all(p.grad is None for p in with_them.average.parameters())
