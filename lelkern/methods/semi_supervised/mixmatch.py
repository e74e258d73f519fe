"""MixMatch: guess labels from several views, sharpen them, and mix all images with each other.

Berthelot, Carlini, Goodfellow, Papernot, Oliver & Raffel, "MixMatch: A Holistic Approach to
Semi-Supervised Learning", NeurIPS 2019. The mean prediction for K views of an unlabelled image is
sharpened and becomes the label of all of them; then every image is mixed, and its label likewise,
with another one of all images (Algorithm 1, :func:`lelkern.mixmatch`).
"""

from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lelkern.augment import Augment
from lelkern.data import ImageData
from lelkern.evaluate import extract
from lelkern.evaluate.features import to_unit
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._config import SemiSupervisedConfig, check_unlabelled
from lelkern.methods.semi_supervised._evaluation import METRICS, Labeller, outcome
from lelkern.methods.semi_supervised._frozen_statistics import frozen_statistics
from lelkern.methods.semi_supervised._learner import Learner, Trained, build
from lelkern.methods.semi_supervised._ramp import linear_ramp
from lelkern.methods.training import seeded
from lelkern.ops import guess_labels, mixmatch, sample_mixup_lambda
from lelkern.runtime import Progress, RuntimeConfig, silent


class MixMatchConfig(SemiSupervisedConfig):
    """Everything that decides a MixMatch run besides the data and the seed.

    Attributes:
        views: K, augmentations of each unlabelled image.
        temperature: T, by which guesses are sharpened; 1 leaves them as they are.
        alpha: of MixUp's Beta(alpha, alpha); 0.75 in the paper, of which short runs bear less.
        mix: what MixUp mixes: ``all`` images with each other, as the method does; ``separate``:
            labelled images with labelled ones, unlabelled with unlabelled ones; ``labelled`` or
            ``unlabelled``: only these, among themselves; or ``none``.
        guesses: who guesses: the ``network``, as in the method, or its ``average``.
        weight: lambda_U, of the loss of unlabelled images at the end of the ramp.
        ramp: share of all steps over which it rises from 0 in a straight line.
    """

    views: int = Field(default=2, ge=1)
    temperature: float = Field(default=0.5, gt=0)
    alpha: float = Field(default=0.25, gt=0)
    mix: Literal["all", "separate", "labelled", "unlabelled", "none"] = "all"
    guesses: Literal["network", "average"] = "network"
    weight: float = Field(default=75.0, ge=0)
    ramp: float = Field(default=1.0, ge=0, le=1)


class Mixing(NamedTuple):
    """How the rows of X and U are mixed, N + K B of them.

    Attributes:
        lam: lambda', which multiplies the row itself, (N + K B,).
        perm: the row that each is mixed with, (N + K B,) int64.
    """

    lam: Tensor
    perm: Tensor


def draw_mixing(config: MixMatchConfig, labelled: int, unlabelled: int) -> Mixing:
    """Draw lambda' = max(lambda, 1 - lambda) for every row, and a permutation, on the CPU."""
    lam = sample_mixup_lambda(labelled + unlabelled, config.alpha)
    if config.mix == "all":
        return Mixing(lam, torch.randperm(labelled + unlabelled))
    if config.mix in ("unlabelled", "none"):
        lam[:labelled] = 1
    if config.mix in ("labelled", "none"):
        lam[labelled:] = 1
    perm = torch.cat([torch.randperm(labelled), labelled + torch.randperm(unlabelled)])
    return Mixing(lam, perm)


@torch.no_grad()
def guess(model: nn.Module, views: Tensor) -> Tensor:
    """Return the logits of views (K, B, 3, H, W), (K, B, C), without gradient.

    The network is in training mode, and BatchNorm remembers nothing of these views.
    """
    with frozen_statistics(model):
        return model(views.flatten(0, 1)).unflatten(0, views.shape[:2])


def guessed(config: MixMatchConfig, trained: Trained, seed: int, images: Tensor) -> Tensor:
    """Return the logarithms of guesses for images (N, 3, H, W) uint8: (N, C) float64, on the CPU.

    As in training, of K views each, but for BatchNorm, which is in evaluation mode.
    """
    guesser = trained.model if config.guesses == "network" else trained.average
    augment = Augment(config.augment, images.shape[-1])
    with seeded(seed):
        views = [
            extract([guesser], images, preprocess=lambda batch: augment(to_unit(batch)))[0]
            for _ in range(config.views)
        ]
    return guess_labels(torch.stack(views).double(), config.temperature).log()


def losses(logits: Tensor, targets: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return L_X and L_U, two scalars (equations 3 and 4).

    .. math:: L_X = \frac1N \sum_{x, p \in X'} H(p, p_\theta(x)), \qquad
              L_U = \frac{1}{C \, K B} \sum_{u, q \in U'} \lVert q - p_\theta(u) \rVert^2

    Args:
        logits: (N + K B, C) of all mixed images.
        targets: their mixed labels, (N + K B, C).
        labelled: which of them belong to X', (N + K B,) bool.
    """
    supervised = F.cross_entropy(logits[labelled], targets[labelled])
    unlabelled = F.mse_loss(logits[~labelled].softmax(dim=1), targets[~labelled])
    return supervised, unlabelled


def train(
    config: MixMatchConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Trained:
    r"""Learn a classifier by MixMatch: L = L_X + lambda_U(t) L_U (equation 5).

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
        guesser = learner.model if config.guesses == "network" else learner.average
        for batch in learner.batches():
            x = learner.augment(batch.x)  # (N, 3, H, W)
            u = learner.augment(batch.u.repeat(config.views, 1, 1, 1))  # K views of each
            u = u.unflatten(0, (config.views, len(batch.u)))  # (K, B, 3, H, W)
            lam, perm = draw_mixing(config, len(x), u.shape[0] * u.shape[1])
            mixed = mixmatch(
                x,
                batch.y,
                u,
                guess(guesser, u),
                temperature=config.temperature,
                lam=lam.to(x.device),
                perm=perm.to(x.device),
                num_classes=len(data.classes),
            )
            # One pass, so that BatchNorm sees labelled and unlabelled images together.
            logits = learner.model(mixed.images)
            supervised, unlabelled = losses(logits, mixed.targets, mixed.labelled)
            weight = config.weight * linear_ramp(batch.done, 0, config.ramp)
            learner.step(supervised + weight * unlabelled)
    return learner.trained()


def run(
    config: MixMatchConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Train on all training images, then evaluate."""
    trained = train(config, data, seed, runtime, progress)
    return outcome(trained, data, Labeller(partial(guessed, config, trained, seed), threshold=0))


METHOD = Method(
    config=MixMatchConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check_unlabelled,
    build=build,
)
