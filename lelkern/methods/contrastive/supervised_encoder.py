"""Supervised learning of an encoder: what contrastive learning is compared with.

Encoder, augmentations and batches are those of the contrastive recipes, and what is kept is the
representation h = f(x) again; but a linear classifier on h learns the labels along with f, by
cross-entropy. With all labels visible it is the supervised side of SimCLR's Figure 7 and Table 1.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lelkern.augment import Augment
from lelkern.data import ImageData
from lelkern.evaluate import extract, knn, linear_probe
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive._config import EncoderTraining
from lelkern.methods.contrastive._evaluation import CLASSIFIERS
from lelkern.methods.images import check_labels, check_square, labelled_images
from lelkern.methods.method import Blueprint, Method, Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.training import Losses, seeded, unbroken_batches
from lelkern.optim import Optimisation
from lelkern.runtime import Progress, RuntimeConfig, silent

METRICS: Mapping[str, Metric] = {
    **CLASSIFIERS,
    "accuracy": percentage("accuracy of its own classifier"),
    "parameters": Metric("encoder parameters", digits=0),
    "final_loss": Metric("final loss", better="lower", unit="nats"),
}


class SupervisedEncoderConfig(EncoderTraining):
    """Everything that decides a supervised run besides the images and the seed.

    A batch has one view of each of its images, half of what a contrastive one has.
    """


class SupervisedEncoder(nn.Module):
    """An encoder f followed by a linear classifier.

    Weights are drawn from PyTorch's global generator, those of f first, so that with one seed it
    starts from the same f as a contrastive recipe.
    """

    def __init__(
        self, config: SupervisedEncoderConfig, classes: int, runtime: RuntimeConfig
    ) -> None:
        super().__init__()
        self.encoder = config.encoder.build()
        self.classifier = nn.Linear(self.encoder.features, classes)
        self.runtime = runtime

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W), float in [0, 1], to logits (N, C), float32."""
        with self.runtime.autocast(images.device.type):
            h = self.encoder(images)
        return self.classifier(h.float())


def train(
    config: SupervisedEncoderConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> SupervisedEncoder:
    """Learn an encoder and a classifier from the images whose labels are visible.

    Args:
        config: the recipe.
        data: with visible labels of at least two classes, and square images.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Raises:
        ValueError: the images are not square, or fewer than two classes have visible labels.
    """
    check(config, data)
    runtime = (runtime or RuntimeConfig()).resolve()
    images, labels = (part.to(runtime.device) for part in labelled_images(data))
    with seeded(seed):
        model = SupervisedEncoder(config, len(data.classes), runtime)
        model = model.to(runtime.device).to(memory_format=torch.channels_last)
        augment = Augment(config.augment, images.shape[-1])
        optimisation = Optimisation(config.optimizer, [model], config.steps, progress)
        for batch in unbroken_batches(len(images), config.batch_size, config.steps):
            x = augment(to_unit(images[batch]))  # (N, 3, H, W)
            optimisation.step(F.cross_entropy(model(x), labels[batch]))
    return model


def run(
    config: SupervisedEncoderConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on the labelled images, then evaluate the frozen encoder, and the classifier."""
    losses = Losses(progress)
    model = train(config, data, seed, runtime, losses)
    train_x, train_y = labelled_images(data)
    (train_h,) = extract([model.encoder], train_x)
    test_h, logits = extract([model.encoder, model.classifier], data.test_images)
    arguments = (train_h, train_y, test_h, data.test_labels)
    metrics = {
        "linear_probe": linear_probe(*arguments),
        "knn": knn(*arguments),
        "accuracy": float((logits.argmax(dim=1) == data.test_labels).float().mean()),
        "parameters": float(sum(p.numel() for p in model.encoder.parameters())),
        "final_loss": losses.final(),
    }
    return Outcome(metrics, models={"model": model})


def check(config: SupervisedEncoderConfig, data: ImageData) -> None:
    """Raise ValueError if no network could be trained on the labelled images."""
    check_square(*data.train_images.shape[2:])
    check_labels(data)


def build(config: SupervisedEncoderConfig, blueprint: Blueprint) -> SupervisedEncoder:
    """Make a network of the form of one that a run trained."""
    return SupervisedEncoder(config, len(blueprint.form.classes[0]), blueprint.runtime)


METHOD = Method(
    config=SupervisedEncoderConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check,
    build=build,
)
