"""What every semi-supervised recipe trains, and the images that it is trained on."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lelkern.augment import Augment
from lelkern.data import ImageData
from lelkern.evaluate.features import to_unit
from lelkern.methods.images import labelled_images, training_images
from lelkern.methods.method import Blueprint
from lelkern.methods.semi_supervised._classifier import Classifier
from lelkern.methods.semi_supervised._config import ClassifierConfig, SemiSupervisedConfig
from lelkern.methods.training import batches, unbroken_batches
from lelkern.nn import ModelEMA
from lelkern.optim import Optimisation
from lelkern.runtime import Progress, RuntimeConfig


class Labelled(NamedTuple):
    """A batch of labelled images, as they are.

    Attributes:
        x: images (N, 3, H, W), float in [0, 1].
        y: their labels (N,), int64.
        done: share of all steps that were done before.
    """

    x: Tensor
    y: Tensor
    done: float


class Batch(NamedTuple):
    """A batch of labelled images and of unlabelled ones, as they are.

    Attributes:
        x: labelled images (N, 3, H, W), float in [0, 1].
        y: their labels (N,), int64.
        u: unlabelled images (B, 3, H, W), all different.
        ids: which of the unlabelled images they are, (B,) int64.
        done: share of all steps that were done before.
    """

    x: Tensor
    y: Tensor
    u: Tensor
    ids: Tensor
    done: float


class Trained(NamedTuple):
    """What a recipe leaves: a network, and the average of its weights over the steps."""

    model: Classifier
    average: ModelEMA

    def models(self) -> dict[str, nn.Module]:
        """Return the models that are kept, by name."""
        return {"model": self.model, "average": self.average.module}


def build(config: ClassifierConfig, blueprint: Blueprint) -> Classifier:
    """Make a network of the form of one that a recipe trained, or of its average."""
    last, (classes, *_) = config.of_last(), blueprint.form.classes
    return Classifier(last.encoder, last.dropout, len(classes), blueprint.runtime)


class Learner:
    """A network with the average of its weights, and the steps of its optimiser.

    Random numbers come from PyTorch's global generator, those of the network's weights first, so
    that all recipes with one seed start from the same network.

    Args:
        config: of the recipe.
        data: images, at least one of them with a visible label.
        runtime: device and precision; None for what suits the machine.
        progress: called after each step with the number of steps done and the loss.

    Attributes:
        model: the network.
        average: the average of its weights. BatchNorm's running statistics are averaged likewise.
        augment: t(x), drawn anew for every image.
        unlabelled: number of training images, all of which may be learned from without labels.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        data: ImageData,
        runtime: RuntimeConfig | None,
        progress: Progress,
    ) -> None:
        runtime = (runtime or RuntimeConfig()).resolve()
        self._config = config
        device = runtime.device
        self._x, self._y = (part.to(device) for part in labelled_images(data))
        self._images = training_images(data).to(device)
        self.unlabelled = len(self._images)
        model = Classifier(config.encoder, config.dropout, len(data.classes), runtime)
        self.model = model.to(device).to(memory_format=torch.channels_last)
        decay = partial(average_decay, most=config.ema)
        self.average = ModelEMA(self.model, decay, buffers="average")
        self.augment = Augment(config.augment, data.train_images.shape[-1])
        self._optimisation = Optimisation(config.optimizer, [self.model], config.steps, progress)

    def labelled_batches(self) -> Iterator[Labelled]:
        """Yield a batch of labelled images for every step."""
        steps = self._config.steps
        chosen = unbroken_batches(len(self._x), self._config.batch_size, steps)
        for step, i in enumerate(chosen):
            yield Labelled(to_unit(self._x[i]), self._y[i], step / steps)

    def batches(self) -> Iterator[Batch]:
        """Yield a batch of labelled and of unlabelled images for every step."""
        assert isinstance(self._config, SemiSupervisedConfig)
        size, steps = self._config.unlabelled_batch_size, self._config.steps
        others = batches(self.unlabelled, size, steps)
        for labelled, ids in zip(self.labelled_batches(), others, strict=True):
            u = to_unit(self._images[ids])
            yield Batch(labelled.x, labelled.y, u, ids.to(u.device), labelled.done)

    def step(self, loss: Tensor) -> None:
        """Move the network against the gradient of the loss, and the average after it."""
        self._optimisation.step(loss)
        self.average.update(self.model)

    def trained(self) -> Trained:
        """Return the network and its average."""
        return Trained(self.model, self.average)


def average_decay(step: int, most: float) -> float:
    """Return the decay of update ``step``, from 0: at first the plain mean of all weights so far.

    As in the code of Tarvainen & Valpola 2017: min(1 - 1 / (step + 1), most).
    """
    return min(1 - 1 / (step + 1), most)
