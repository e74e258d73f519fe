"""Virtual adversarial training: predict the same where a small change would change it most.

Miyato, Maeda, Koyama & Ishii, "Virtual Adversarial Training: A Regularization Method for Supervised
and Semi-Supervised Learning", IEEE TPAMI 2018. For each image, labelled or not, the direction is
sought in which the prediction changes fastest, by the power method; the network then learns to
predict there what it predicts for the image itself.
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lelkern.data import ImageData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._classifier import Classifier
from lelkern.methods.semi_supervised._config import SemiSupervisedConfig, check_unlabelled
from lelkern.methods.semi_supervised._evaluation import METRICS, outcome
from lelkern.methods.semi_supervised._frozen_statistics import frozen_statistics
from lelkern.methods.semi_supervised._learner import Learner, Trained, build
from lelkern.methods.training import seeded
from lelkern.runtime import Progress, RuntimeConfig, silent


class VATConfig(SemiSupervisedConfig):
    """Everything that decides a run of VAT besides the data and the seed.

    Attributes:
        epsilon: L2 norm of the change of an image, whose values are in [0, 1].
        iterations: K of the power method; 0 leaves a random direction.
        xi: L2 norm of the change of which the power method takes the gradient. Much smaller ones
            drown in float32's rounding, and larger ones leave the neighbourhood: with 1e-6, the
            authors' value, the direction is mostly noise.
        weight: alpha, of the virtual adversarial loss.
    """

    epsilon: float = Field(default=1.0, ge=0)
    iterations: int = Field(default=1, ge=0)
    xi: float = Field(default=1e-3, gt=0)
    weight: float = Field(default=1.0, ge=0)


def unit(d: Tensor) -> Tensor:
    """Return each sample of d (N, ...) at norm 1, however small it is; 0 stays 0."""
    flat = d.flatten(1)
    largest = flat.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(d.dtype).tiny)
    return F.normalize(flat / largest, dim=1).view_as(d)


def adversarial_change(model: Classifier, images: Tensor, noise: int, config: VATConfig) -> Tensor:
    r"""Return r_vadv, the change of each image that changes its prediction most, (N, 3, H, W).

    .. math:: r = \epsilon \, g / \lVert g \rVert, \qquad
              g = \left. \nabla_r \, \mathrm{KL}(p(\cdot \mid x) \,\Vert\, p(\cdot \mid x + r))
                  \right|_{r = \xi d}

    (Algorithm 1), from a random d, repeated with d = g / ‖g‖. KL and its gradient are 0 at r = 0,
    so the gradient at xi d is xi times the Hessian times d, and it is a difference of nearly equal
    numbers: it is computed in float32, whatever the run's precision.

    Args:
        model: the network, in training mode.
        images: x (N, 3, H, W), float in [0, 1].
        noise: seed of dropout, so that both predictions lose the same inputs.
        config: of the recipe.
    """
    # Drawn on the CPU, so that a seed gives the same directions on every device.
    d = unit(torch.randn(images.shape).to(images))
    if config.iterations:
        with torch.no_grad(), seeded(noise):
            p = model(images, full_precision=True).softmax(dim=1)
    for _ in range(config.iterations):
        r = (config.xi * d).requires_grad_()
        with seeded(noise):
            log_q = model(images + r, full_precision=True).log_softmax(dim=1)
        kl = -(p * log_q).sum()  # but for the entropy of p, which r does not change
        (g,) = torch.autograd.grad(kl, r)
        d = unit(g)
    return config.epsilon * d


def divergence(logits: Tensor, changed: Tensor) -> Tensor:
    """Return the mean of KL(p || q) over images, a scalar, p without gradient.

    Args:
        logits: of the images as they are, which give p, (N, C).
        changed: of the images with their change, which give q, (N, C).
    """
    log_p, log_q = logits.detach().log_softmax(dim=1), changed.log_softmax(dim=1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def train(
    config: VATConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Trained:
    r"""Learn a classifier that is smooth around all images.

    .. math:: L = \frac1N \sum_n -\log p(y_n \mid x_n) + \alpha \, \frac{1}{N + B} \sum_x
              \mathrm{KL}(p(\cdot \mid x) \,\Vert\, p(\cdot \mid x + r_{\mathrm{vadv}}))

    where x runs over the labelled and the unlabelled images of a batch, and p(. | x) on the left of
    KL has no gradient. Changed images pass without a trace in BatchNorm's running statistics.

    Args:
        config: the recipe.
        data: with visible labels of at least two classes, and square images.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss.

    Returns:
        The network and the average of its weights.

    Raises:
        ValueError: the images are not square, fewer than two classes have visible labels, or there
            are too few images for an unlabelled batch.
    """
    check_unlabelled(config, data)
    with seeded(seed):
        learner = Learner(config, data, runtime, progress)
        model = learner.model
        for batch in learner.batches():
            images = learner.augment(torch.cat([batch.x, batch.u]))
            noise = int(torch.randint(2**31, ()))
            with seeded(noise):
                logits = model(images)
            with frozen_statistics(model):
                r = adversarial_change(model, images, noise, config)
                with seeded(noise):
                    changed = model(images + r)
            smoothness = divergence(logits, changed)
            supervised = F.cross_entropy(logits[: len(batch.x)], batch.y)
            learner.step(supervised + config.weight * smoothness)
    return learner.trained()


def run(
    config: VATConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Train on all training images, then evaluate."""
    return outcome(train(config, data, seed, runtime, progress), data)


METHOD = Method(
    config=VATConfig, data=ImageData, metrics=METRICS, run=run, check=check_unlabelled, build=build
)
