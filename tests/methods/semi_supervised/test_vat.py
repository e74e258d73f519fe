import pytest
import torch
from few_labels import few_labels, recorded, same, small, weights
from torch import nn

from lelkern.methods.semi_supervised._classifier import Classifier
from lelkern.methods.semi_supervised._frozen_statistics import frozen_statistics
from lelkern.methods.semi_supervised.vat import (
    VATConfig,
    adversarial_change,
    divergence,
    train,
    unit,
)
from lelkern.methods.training import seeded
from lelkern.models import ConvEncoderConfig
from lelkern.runtime import RuntimeConfig


class Linear(nn.Module):
    """softmax(W x): KL at r is r'W'(diag p - pp')W r / 2 to second order."""

    def __init__(self, classes, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(classes, 3 * 4 * 4, generator=generator) / 7)

    def forward(self, images, *, full_precision=False):
        return images.flatten(1) @ self.weight.T


IMAGES = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def change(model, images=IMAGES, **settings):
    with seeded(0):
        return adversarial_change(model, images, 0, VATConfig(**settings)).flatten(1)


def cosines(a, b):
    return nn.functional.cosine_similarity(a.double(), b.double(), dim=-1).abs()


def test_between_two_classes_it_is_the_difference_of_their_weights():
    """The Hessian is p (1 - p) (w1 - w2)(w1 - w2)', of rank one: one iteration is exact."""
    model = Linear(2)
    direction = model.weight[0] - model.weight[1]
    # The rounding of p in float32 is 1e-4 of its change over xi = 1e-3.
    assert (1 - cosines(change(model), direction)).max() < 1e-3


def test_more_iterations_reach_the_dominant_eigenvector():
    model = Linear(4)
    W = model.weight.detach().double()
    for image, r in zip(IMAGES, change(model, iterations=60), strict=True):
        p = (W @ image.double().flatten()).softmax(0)
        hessian = W.T @ (torch.diag(p) - torch.outer(p, p)) @ W
        assert cosines(r, torch.linalg.eigh(hessian).eigenvectors[:, -1]) > 0.999
    few = change(model, iterations=1)
    assert cosines(few, change(model, iterations=60)).min() < 0.99  # one does not


def test_no_iteration_leaves_a_random_direction_of_the_same_norm():
    model = Linear(3)
    for iterations in (0, 1, 2):
        norms = change(model, epsilon=2.5, iterations=iterations).norm(dim=1)
        assert torch.allclose(norms, torch.tensor(2.5), rtol=1e-5)
    drawn = change(model, epsilon=2.0, iterations=0)
    assert cosines(drawn[0], drawn[1]) < 0.6  # 4 standard deviations of 48 dimensions
    with seeded(0):
        assert torch.equal(drawn, 2 * unit(torch.randn(IMAGES.shape)).flatten(1))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_direction_is_not_that_of_rounding(precision):
    """Of a network with BatchNorm and dropout, against the exact product with the Hessian."""
    torch.manual_seed(0)
    runtime = RuntimeConfig(device="cpu", precision=precision)
    model = Classifier(ConvEncoderConfig(width=4, depth=1), 0.3, 3, runtime)
    images = torch.rand(6, 3, 16, 16)
    with frozen_statistics(model):
        r = change(model, images)
        with seeded(0):
            d = unit(torch.randn(images.shape)).double()
        model.double()

        def log_q(change):
            with seeded(0):
                h = model.encoder(images.double() + change)
                return model.linear(model.dropout(h)).log_softmax(1)

        p = log_q(torch.zeros_like(d)).detach().exp()

        def gradient(at):
            return torch.autograd.grad(-(p * log_q(at)).sum(), at, create_graph=True)[0]

        zero = torch.zeros_like(d).requires_grad_()
        (exact,) = torch.autograd.grad(gradient(zero), zero, d)
    assert cosines(r, exact.flatten(1)).min() > 0.99


def test_a_vanishing_gradient_keeps_its_direction_and_0_stays_0():
    d = torch.tensor([[3e-30, 4e-30], [0.0, 0.0], [3.0, 4.0]])
    expected = torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.6, 0.8]])
    assert torch.allclose(unit(d), expected)


def test_the_divergence_is_that_of_the_prediction_from_the_changed_one():
    """KL(p || q), not KL(q || p), and the prediction for the image itself is given."""
    z, changed = torch.randn(2, 4, 3, dtype=torch.float64).requires_grad_().unbind()
    p, q = z.softmax(1), changed.softmax(1)
    value = divergence(z, changed)
    assert value.item() == pytest.approx((p * (p / q).log()).sum(1).mean().item())
    assert value.item() != pytest.approx((q * (q / p).log()).sum(1).mean().item(), rel=1e-3)
    given, learned = torch.autograd.grad(value, (z, changed), allow_unused=True)
    assert given is None
    assert torch.allclose(learned, ((q - p) / 4).detach())


def test_no_change_is_no_loss_with_dropout_too():
    """Both passes lose the same inputs; else the loss would be there without any change."""
    changes = {"dropout": 0.5, "steps": 3}
    plain, losses = recorded(train, small(VATConfig, weight=0.0, **changes), few_labels())
    _, same_losses = recorded(train, small(VATConfig, epsilon=0.0, **changes), few_labels())
    assert losses == pytest.approx(same_losses, rel=1e-6)
    vat_, others = recorded(train, small(VATConfig, **changes), few_labels())
    assert others[0] > losses[0]
    assert not same(weights(plain.model), weights(vat_.model))


def test_running_statistics_are_those_of_images_as_they_are():
    """However images are changed, after one step BatchNorm remembers the same."""
    statistics = []
    for change in (0.0, 100.0):
        trained, _ = recorded(train, small(VATConfig, epsilon=change, steps=1), few_labels())
        found = weights(trained.model.encoder)
        statistics.append({name: x for name, x in found.items() if "running" in name})
        assert found["layers.1.num_batches_tracked"] == 1
    assert same(*statistics)
