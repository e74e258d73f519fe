"""SimCLR: learn to tell which two of 2N augmented views come from one image.

Chen, Kornblith, Norouzi & Hinton, "A Simple Framework for Contrastive Learning of Visual
Representations", ICML 2020. An encoder f and a projection head g learn without labels: for a batch
of N images, h = f(t(x)), z = g(h), and the loss is NT-Xent over the 2N rows of z. The
representation that is kept is h.
"""

import torch
from torch import Tensor

from lelkern.augment import Augment
from lelkern.data import ImageData
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive._config import ContrastiveConfig, check, check_training_images
from lelkern.methods.contrastive._evaluation import METRICS, evaluate
from lelkern.methods.contrastive._projector import Projector, build
from lelkern.methods.images import training_images
from lelkern.methods.method import Method, Outcome
from lelkern.methods.training import Losses, batches, seeded
from lelkern.ops import nt_xent
from lelkern.optim import Optimisation
from lelkern.runtime import Progress, RuntimeConfig, silent


class SimCLRConfig(ContrastiveConfig):
    """Everything that decides a SimCLR run besides the images and the seed.

    The loss sees two views of each of the ``batch_size`` images.
    """


def train(
    config: SimCLRConfig,
    images: Tensor,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Projector:
    """Learn an encoder from images without labels, by Algorithm 1.

    Args:
        config: the recipe.
        images: (M, 3, H, W), uint8, square; M at least ``config.batch_size``.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Returns:
        The encoder f and the head g.

    Raises:
        ValueError: the images are not uint8 or not square, or too few for a batch.
    """
    check_training_images(config, images)
    runtime = (runtime or RuntimeConfig()).resolve()
    images = images.to(runtime.device)
    with seeded(seed):
        model = Projector(config, runtime)  # g(f(.))
        model = model.to(runtime.device).to(memory_format=torch.channels_last)
        augment = Augment(config.augment, images.shape[-1])  # t, drawn anew for every view
        optimisation = Optimisation(config.optimizer, [model], config.steps, progress)
        for batch in batches(len(images), config.batch_size, config.steps):
            x = to_unit(images[batch])  # (N, 3, H, W)
            views = augment(torch.cat([x, x]))  # (2N, 3, H, W): t(x) and t'(x)
            z1, z2 = model(views).chunk(2)  # (N, out) each
            loss = nt_xent(z1, z2, config.temperature)  # equation 1, the mean over all 2N rows
            optimisation.step(loss)
    return model


def run(
    config: SimCLRConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Train on all training images, then evaluate the frozen encoder."""
    losses = Losses(progress)
    model = train(config, training_images(data), seed, runtime, losses)
    metrics = evaluate(model.encoder, model.head, config.augment, config.temperature, data, seed)
    models = {"model": model}
    return Outcome({**metrics, "final_loss": losses.final()}, models=models)


METHOD = Method(
    config=SimCLRConfig, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
