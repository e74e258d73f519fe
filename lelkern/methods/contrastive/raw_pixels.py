"""No representation at all: pixels, the baseline that every learned representation has to beat.

No network is trained, so there is no model to keep.
"""

from pydantic import Field
from torch import Tensor

from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.data.resize import resize_and_crop
from lelkern.evaluate import knn, linear_probe
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive._evaluation import CLASSIFIERS
from lelkern.methods.images import check_labels, labelled_images
from lelkern.methods.method import Method, Outcome
from lelkern.runtime import Progress, RuntimeConfig


class RawPixelsConfig(Config):
    """What the classifiers see.

    Attributes:
        side: larger images are brought to so many pixels a side, by their short side and cut to a
            square. It bounds what the baseline costs: memory is 12 bytes for each of the
            3 side^2 numbers of an image, and the time of the linear probe grows with them, too.
    """

    side: int = Field(default=32, ge=1)


def run(
    config: RawPixelsConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Fit the classifiers to the pixels of the labelled training images, and test them.

    A step is an iteration of the linear probe, which takes nearly all of the time.
    """
    train_images, train_y = labelled_images(data)
    train_x, test_x = (
        to_unit(_at_most(config.side, images)).flatten(1)
        for images in (train_images, data.test_images)
    )
    arguments = (train_x, train_y, test_x, data.test_labels)
    probe = linear_probe(*arguments, progress=lambda iteration: progress(iteration, None))
    return Outcome({"linear_probe": probe, "knn": knn(*arguments)})


def _at_most(side: int, images: Tensor) -> Tensor:
    return images if min(images.shape[2:]) <= side else resize_and_crop(images, side)


def check(config: RawPixelsConfig, data: ImageData) -> None:
    """Raise ValueError if no classifier can be fitted to what is labelled."""
    check_labels(data)


METHOD = Method(config=RawPixelsConfig, data=ImageData, metrics=CLASSIFIERS, run=run, check=check)
