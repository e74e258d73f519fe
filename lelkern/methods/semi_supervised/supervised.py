"""Supervised learning from the labelled images alone: what images without labels must beat.

With all labels visible it is the ceiling. The regularisers of the chapter are settings: MixUp
(Zhang, Cisse, Dauphin & Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018), CutOut
(``augment = [..., "cutout"]``), dropout and weight decay.
"""

import torch.nn.functional as F
from pydantic import Field

from lelkern.data import ImageData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._config import ClassifierConfig, check_labelled
from lelkern.methods.semi_supervised._evaluation import METRICS, outcome
from lelkern.methods.semi_supervised._learner import Learner, Trained, build
from lelkern.methods.training import seeded
from lelkern.ops import mixup, sample_mixup_lambda
from lelkern.runtime import Progress, RuntimeConfig, silent


class SupervisedConfig(ClassifierConfig):
    """Everything that decides a supervised run besides the data and the seed.

    Attributes:
        mixup: alpha of MixUp, whose lambda is Beta(alpha, alpha), drawn for every image; 0 for
            none.
    """

    mixup: float = Field(default=0.0, ge=0)


def fit(
    config: ClassifierConfig,
    data: ImageData,
    runtime: RuntimeConfig | None,
    progress: Progress,
    alpha: float = 0.0,
) -> Trained:
    """Train as :func:`train` does, with what comes next from PyTorch's global generator."""
    learner = Learner(config, data, runtime, progress)
    for batch in learner.labelled_batches():
        x, y = learner.augment(batch.x), batch.y
        if alpha:
            lam = sample_mixup_lambda(len(x), alpha, fold=False, device=x.device)
            x, y = mixup(x, y, lam, num_classes=len(data.classes))
        learner.step(F.cross_entropy(learner.model(x), y))
    return learner.trained()


def train(
    config: SupervisedConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> Trained:
    """Learn a classifier from the images whose labels are visible.

    Args:
        config: the recipe.
        data: with visible labels of at least two classes, and square images.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Returns:
        The network and the average of its weights.

    Raises:
        ValueError: the images are not square, or fewer than two classes have visible labels.
    """
    check_labelled(config, data)
    with seeded(seed):
        return fit(config, data, runtime, progress, config.mixup)


def run(
    config: SupervisedConfig, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Train on the labelled images, then evaluate."""
    return outcome(train(config, data, seed, runtime, progress), data)


METHOD = Method(
    config=SupervisedConfig,
    data=ImageData,
    metrics=METRICS,
    run=run,
    check=check_labelled,
    build=build,
)
