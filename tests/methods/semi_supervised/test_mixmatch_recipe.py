import pytest
import torch
from few_labels import few_labels, recorded, same, small, weights

from lelkern.methods.semi_supervised.mixmatch import (
    MixMatchConfig,
    draw_mixing,
    guess,
    losses,
    train,
)
from lelkern.methods.training import seeded

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
