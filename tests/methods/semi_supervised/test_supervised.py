from dataclasses import replace

import pytest
import torch
from few_labels import FLOAT32, few_labels, recorded, same, small, weights

from lelkern.methods.semi_supervised import supervised
from lelkern.methods.semi_supervised._learner import Learner
from lelkern.methods.semi_supervised.supervised import SupervisedConfig, train
from lelkern.methods.training import seeded
from lelkern.ops import sample_mixup_lambda
from lelkern.runtime import silent


def by_hand(config, data):
    """The losses with MixUp: cross-entropies with both labels, in the shares of both images."""
    losses = []
    with seeded(0):
        learner = Learner(config, data, FLOAT32, silent)
        for batch in learner.labelled_batches():
            x = learner.augment(batch.x)
            lam = sample_mixup_lambda(len(x), config.mixup, fold=False)
            other = torch.randperm(len(x))
            share = lam[:, None, None, None]
            log_p = learner.model(share * x + (1 - share) * x[other]).log_softmax(dim=1)
            own, partner = (log_p[torch.arange(len(x)), y] for y in (batch.y, batch.y[other]))
            loss = -(lam * own + (1 - lam) * partner).mean()
            losses.append(loss.item())
            learner.step(loss)
    return losses


@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_mixup_takes_labels_in_the_shares_of_their_images(alpha):
    config = small(SupervisedConfig, mixup=alpha)
    _, losses = recorded(train, config, few_labels())
    # As in test_algorithms.py.
    assert losses == pytest.approx(by_hand(config, few_labels()), rel=1e-3)


def test_without_mixup_it_is_the_cross_entropy_of_the_labels_alone():
    data, losses = few_labels(), []
    with seeded(0):
        learner = Learner(small(SupervisedConfig), data, FLOAT32, silent)
        for batch in learner.labelled_batches():
            log_p = learner.model(learner.augment(batch.x)).log_softmax(dim=1)
            loss = -log_p[torch.arange(len(batch.y)), batch.y].mean()
            losses.append(loss.item())
            learner.step(loss)
    trained, given = recorded(train, small(SupervisedConfig), data)
    assert given == pytest.approx(losses, rel=1e-3)
    fewer = supervised.train(small(SupervisedConfig), _without_hidden(data), 0, FLOAT32)
    assert same(weights(trained.model), weights(fewer.model))


def _without_hidden(data):
    return replace(data, train_images=data.train_images[:6], train_labels=data.train_labels[:6])
