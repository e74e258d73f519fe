"""The settings that semi-supervised recipes share, and the data that fit them."""

from pydantic import Field

from lelkern.augment import AugmentConfig, Color, Crop
from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.methods.images import check_batch, check_labels, check_square
from lelkern.models import ConvEncoderConfig, EncoderConfig
from lelkern.optim import OptimizerConfig


class ClassifierConfig(Config):
    """Everything that decides a run on labelled images besides the method, the data and the seed.

    Attributes:
        encoder: the network below the linear classifier.
        dropout: probability with which the classifier loses an input in training.
        augment: what every training image goes through each time that it is seen, in order.
            ``cutout`` is one of the augmentations.
        batch_size: labelled images a step. They come in random order, epoch after epoch, and where
            a batch has more than there are, several times.
        steps: optimiser steps; 0 leaves the network as it was drawn.
        optimizer: the optimiser, its learning rate and weight decay.
        ema: decay of the average of the network's weights over the steps, which is evaluated
            beside the network. It is an average over about 1 / (1 - ema) steps, which must be well
            below ``steps``.
    """

    encoder: EncoderConfig = ConvEncoderConfig()
    dropout: float = Field(default=0.0, ge=0, lt=1)
    augment: AugmentConfig = (
        Crop(min_scale=0.5),
        Color(brightness=0.4, contrast=0.4, hue=0.5, p=1.0, grey_p=0.5),
    )
    batch_size: int = Field(default=32, ge=2)
    steps: int = Field(default=600, ge=0)
    optimizer: OptimizerConfig = OptimizerConfig()
    ema: float = Field(default=0.97, ge=0, le=1)

    def of_last(self) -> "ClassifierConfig":
        """Return the settings of the network that is left, where networks follow each other."""
        return self


class SemiSupervisedConfig(ClassifierConfig):
    """The same with images without labels.

    Attributes:
        unlabelled_batch_size: images a step whose labels are not used. They are drawn from all
            training images, labelled ones among them, as in MixMatch's code.
    """

    unlabelled_batch_size: int = Field(default=32, ge=2)


def check_labelled(config: ClassifierConfig, data: ImageData) -> None:
    """Raise ValueError if a network could not be trained on the labelled images."""
    check_square(*data.train_images.shape[2:])
    check_labels(data)


def check_unlabelled(config: SemiSupervisedConfig, data: ImageData) -> None:
    """Raise ValueError if a recipe could not train on these images."""
    unlabeled = 0 if data.unlabeled_images is None else len(data.unlabeled_images)
    number = len(data.train_images) + unlabeled
    check_batch("unlabelled_batch_size", config.unlabelled_batch_size, number)
    check_labelled(config, data)
