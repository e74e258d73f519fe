"""No representation at all: the baseline that every learned one has to beat."""

from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.evaluate import knn, linear_probe
from lelkern.runtime import Progress, RuntimeConfig


class RawPixelsConfig(Config):
    """Nothing to configure."""


def run(
    config: RawPixelsConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> dict[str, float]:
    """Fit the linear probe and kNN to the pixels of the training images; test on the others."""
    train_x, test_x = (x.flatten(1).float() / 255 for x in (data.train_images, data.test_images))
    arguments = (train_x, data.train_labels, test_x, data.test_labels)
    return {"linear_probe": linear_probe(*arguments), "knn": knn(*arguments)}
