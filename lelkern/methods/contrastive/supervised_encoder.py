"""Supervised learning of an encoder: what contrastive learning is compared with.

Encoder, augmentations and images a step are those of the contrastive recipes, and what is kept is
the representation h = f(x) again; but a linear classifier on h learns the labels along with f, by
cross-entropy. With all labels visible it is the supervised side of SimCLR's Figure 7 and Table 1.
"""

from collections.abc import Mapping

from lelkern.data import ImageData
from lelkern.evaluate import extract, knn, linear_probe
from lelkern.methods.contrastive._config import EncoderTraining
from lelkern.methods.contrastive._evaluation import CLASSIFIERS
from lelkern.methods.images import labelled_images
from lelkern.methods.method import Blueprint, Method, Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.semi_supervised import supervised
from lelkern.methods.semi_supervised._classifier import Classifier
from lelkern.methods.semi_supervised._config import check_labelled
from lelkern.methods.semi_supervised._evaluation import accuracy
from lelkern.methods.semi_supervised._learner import build as build_classifier
from lelkern.methods.training import Losses
from lelkern.runtime import Progress, RuntimeConfig, silent

METRICS: Mapping[str, Metric] = {
    **CLASSIFIERS,
    "accuracy": percentage("accuracy of its own classifier"),
    "parameters": Metric("encoder parameters", digits=0),
    "final_loss": Metric("final loss", better="lower", unit="nats"),
}


class SupervisedEncoderConfig(EncoderTraining):
    """Everything that decides a supervised run besides the images and the seed.

    A batch has one view of each of its images, half of what a contrastive one has, and an epoch is
    of the labelled images. One goes on in the middle of a batch, which may have more images than
    there are, and some of them several times.
    """


def train(
    config: SupervisedEncoderConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Classifier:
    """Learn an encoder and a linear classifier from the images whose labels are visible.

    As :func:`lelkern.methods.semi_supervised.supervised.train`, which says what it takes. With one
    seed it starts from the same encoder as a contrastive recipe.
    """
    labelled = int((data.train_labels >= 0).sum())
    return supervised.train(_recipe(config, labelled), data, seed, runtime, progress).model


def _recipe(config: SupervisedEncoderConfig, images: int = 0) -> supervised.SupervisedConfig:
    """Return the same as the supervised recipe has it, for so many labelled images."""
    return supervised.SupervisedConfig(
        encoder=config.encoder,
        augment=config.augment,
        batch_size=config.batch_size,
        steps=config.steps_on(images),
        optimizer=config.scaled_optimizer(),
    )


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
    test_h, logits = extract([model.encoder, model.linear], data.test_images)
    arguments = (train_h, train_y, test_h, data.test_labels)
    metrics = {
        "linear_probe": linear_probe(*arguments),
        "knn": knn(*arguments),
        "accuracy": accuracy(logits, data.test_labels),
        "parameters": float(sum(p.numel() for p in model.encoder.parameters())),
        "final_loss": losses.final(),
    }
    return Outcome(metrics, models={"model": model})


def check(config: SupervisedEncoderConfig, data: ImageData) -> None:
    """Raise ValueError if no network could be trained on the labelled images."""
    check_labelled(_recipe(config), data)


def build(config: SupervisedEncoderConfig, blueprint: Blueprint) -> Classifier:
    """Make a network of the form of one that a run trained."""
    return build_classifier(_recipe(config), blueprint)


METHOD = Method(
    config=SupervisedEncoderConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check,
    build=build,
)
