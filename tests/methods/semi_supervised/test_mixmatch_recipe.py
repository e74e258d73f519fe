import pytest
import torch
from few_labels import FLOAT32, few_labels, recorded, same, small, weights

from lelkern.augment import Augment
from lelkern.methods.semi_supervised.mixmatch import (
    MixMatchConfig,
    draw_mixing,
    guess,
    guessed,
    losses,
    run,
    train,
)
from lelkern.methods.training import seeded
from lelkern.ops import sharpen
from lelkern.runtime import silent

N, OTHERS = 6, 10


def draw(mix, alpha=0.75, seed=0):
    with seeded(seed):
        return draw_mixing(MixMatchConfig(mix=mix, alpha=alpha), N, OTHERS)


@pytest.mark.parametrize("mix", ["all", "separate", "labelled", "unlabelled", "none"])
def test_what_is_mixed_with_what(mix):
    lam, perm = draw(mix)
    assert lam.min() >= 0.5
    assert perm.sort().values.tolist() == list(range(N + OTHERS))
    apart = ((perm < N) == (torch.arange(N + OTHERS) < N)).all()
    assert bool(apart) == (mix != "all")
    # A row of its own lambda; 1 leaves a row alone, whoever its partner is.
    alone = lam == 1
    assert bool(alone[:N].all()) == (mix in ("unlabelled", "none"))
    assert bool(alone[N:].all()) == (mix in ("labelled", "none"))
    if mix == "all":
        assert len(lam.unique()) == N + OTHERS


def test_guesses_have_no_gradient_and_leave_no_trace():
    config, data = small(MixMatchConfig, steps=1), few_labels()
    model = recorded(train, config, data)[0].model
    before, views = weights(model), torch.rand(3, 2, 3, 16, 16)
    logits = guess(model, views)
    assert logits.shape == (3, 2, 3)
    assert not logits.requires_grad
    assert same(weights(model), before)
    assert torch.equal(logits[2, 1], model(views.flatten(0, 1))[5])


@pytest.mark.parametrize("guesses", ["network", "average"])
def test_share_and_precision_are_those_of_the_guesses(guesses):
    config, data = small(MixMatchConfig, guesses=guesses, views=3), few_labels()
    trained = train(config, data, 7, FLOAT32)
    guesser = trained.model if guesses == "network" else trained.average.module
    augment = Augment(config.augment, 16)
    with seeded(7), torch.no_grad():
        views = [augment(data.test_images / 255) for _ in range(3)]
        p = torch.stack([guesser.eval()(view).softmax(dim=1) for view in views]).mean(dim=0)
    metrics = run(config, data, 7, FLOAT32, silent).metrics
    assert metrics["pseudo_label_share"] == 1
    right = (p.argmax(dim=1) == data.test_labels).double().mean()
    assert metrics["pseudo_label_precision"] == right
    # Sharpened they still are distributions, and of the same classes.
    sharp = guessed(config, trained, 7, data.test_images).exp()
    torch.testing.assert_close(sharp, sharpen(p.double(), config.temperature), rtol=1e-4, atol=1e-9)


def test_the_losses_take_the_rows_that_are_theirs():
    """Two labelled rows among five, in any order; the squared error is over C = 3 classes too."""
    logits, labelled = torch.randn(5, 3), torch.tensor([False, True, False, False, True])
    targets = torch.rand(5, 3).softmax(dim=1)
    supervised, unlabelled = losses(logits, targets, labelled)
    p = logits.softmax(dim=1)
    by_hand = [-(targets[i] * p[i].log()).sum() for i in (1, 4)]
    assert supervised.item() == pytest.approx(sum(by_hand).item() / 2, rel=1e-6)
    by_hand = [((targets[i] - p[i]) ** 2).sum() / 3 for i in (0, 2, 3)]
    assert unlabelled.item() == pytest.approx(sum(by_hand).item() / 3, rel=1e-6)
