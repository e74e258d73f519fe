"""No representation at all: pixels, the baseline that every learned representation has to beat."""

from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.evaluate import knn, linear_probe
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive._evaluation import CLASSIFIERS
from lelkern.methods.images import check_labels, labelled_images
from lelkern.methods.method import Method, Outcome
from lelkern.runtime import Progress, RuntimeConfig


class RawPixelsConfig(Config):
    """Nothing to configure."""


def run(
    config: RawPixelsConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Fit the classifiers to the pixels of the labelled training images, and test them."""
    train_images, train_y = labelled_images(data)
    train_x, test_x = (to_unit(x).flatten(1) for x in (train_images, data.test_images))
    arguments = (train_x, train_y, test_x, data.test_labels)
    return Outcome({"linear_probe": linear_probe(*arguments), "knn": knn(*arguments)})


def check(config: RawPixelsConfig, data: ImageData) -> None:
    """Raise ValueError if no classifier can be fitted to what is labelled."""
    check_labels(data)


METHOD = Method(config=RawPixelsConfig, data=ImageData, metrics=CLASSIFIERS, run=run, check=check)
