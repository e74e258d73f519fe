"""Noisy Student: a student learns under noise what its teacher says without.

Xie, Luong, Hovy & Le, "Self-training with Noisy Student improves ImageNet classification", CVPR
2020, Algorithm 1:

1. a teacher is trained on the labelled images, with noise;
2. it labels the unlabelled images, without noise;
3. a student of equal or larger size is trained from scratch on both, with noise;
4. the student becomes the teacher of the next one.

Noise is ``augment`` and ``dropout``. The paper also leaves out labels of little confidence, and
balances the classes; here every image counts once.
"""

from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lelkern.augment import Augment
from lelkern.data import ImageData
from lelkern.evaluate import extract
from lelkern.evaluate.checks import check_features
from lelkern.evaluate.features import to_unit
from lelkern.methods.images import training_images
from lelkern.methods.method import Method, Outcome
from lelkern.methods.semi_supervised._config import SemiSupervisedConfig, check_unlabelled
from lelkern.methods.semi_supervised._evaluation import METRICS, Labeller, outcome
from lelkern.methods.semi_supervised._frozen_statistics import frozen_statistics
from lelkern.methods.semi_supervised._learner import Learner, Trained, build
from lelkern.methods.semi_supervised.supervised import fit
from lelkern.methods.training import after, seeded
from lelkern.models import EncoderConfig
from lelkern.runtime import Progress, RuntimeConfig, silent


class NoisyStudentConfig(SemiSupervisedConfig):
    """Everything that decides a run of Noisy Student besides the data and the seed.

    ``steps`` are those of each network, ``encoder`` is the first teacher's.

    Attributes:
        student: the encoder of all students, with at least as many parameters as ``encoder``; none
            for ``encoder`` itself.
        labels: ``soft``: the teacher's probabilities, or ``hard``: its most likely class.
        iterations: how many students follow each other.
        noise_student: train students with augmentations and dropout.
        noise_teacher: let teachers label with augmentations and dropout too, which the paper finds
            to be worse.
    """

    dropout: float = Field(default=0.2, ge=0, lt=1)
    student: EncoderConfig | None = None
    labels: Literal["soft", "hard"] = "soft"
    iterations: int = Field(default=2, ge=1)
    noise_student: bool = True
    noise_teacher: bool = False

    def of_last(self) -> "NoisyStudentConfig":
        """Return the settings of the last student."""
        return self.of_student()

    def of_student(self) -> "NoisyStudentConfig":
        """Return the settings by which a student is trained."""
        update: dict[str, object] = {"encoder": self.student or self.encoder}
        if not self.noise_student:
            update |= {"augment": (), "dropout": 0.0}
        return self.model_copy(update=update)


class NoisyStudent(NamedTuple):
    """What Noisy Student leaves: the last student, and its teacher."""

    student: Trained
    teacher: Trained


def teacher_logits(config: NoisyStudentConfig, teacher: Trained, images: Tensor) -> Tensor:
    """Return a teacher's logits of images (M, 3, H, W), uint8: (M, C), in float32 on the CPU.

    Without noise it sees them as they are, in evaluation mode.

    Raises:
        NotFiniteError: a logit is NaN or infinite.
    """
    model = teacher.model
    if config.noise_teacher:
        augment = Augment(config.augment, images.shape[-1])
        device = next(model.parameters()).device
        with torch.no_grad(), frozen_statistics(model):
            views = (augment(to_unit(part.to(device))) for part in images.split(512))
            logits = torch.cat([model(view).cpu() for view in views])
    else:
        (logits,) = extract([model], images)
    check_features("logits", logits)
    return logits


def teacher_labels(config: NoisyStudentConfig, teacher: Trained, images: Tensor) -> Tensor:
    """Return the labels that a teacher gives to images (M, 3, H, W), uint8: (M, C), on the CPU.

    Raises:
        NotFiniteError: a logit is NaN or infinite.
    """
    logits = teacher_logits(config, teacher, images)
    if config.labels == "hard":
        return F.one_hot(logits.argmax(dim=1), logits.shape[1]).float()
    return logits.softmax(dim=1)


def teach(
    config: NoisyStudentConfig,
    data: ImageData,
    labels: Tensor,
    runtime: RuntimeConfig | None,
    progress: Progress,
) -> Trained:
    r"""Train a student from scratch on labelled images and on those that a teacher labelled.

    .. math:: L = \frac1N \sum_n \ell(y_n, f(x_n)) + \frac1B \sum_b \ell(\tilde y_b, f(u_b))

    with the cross-entropy l, each mean over the images of its own kind (step 3 of Algorithm 1).

    Args:
        config: by which the student is trained.
        data: the images.
        labels: the teacher's, (M, C), of all training images.
        runtime: device and precision; None for what suits the machine.
        progress: called after each step.
    """
    learner = Learner(config, data, runtime, progress)
    for batch in learner.batches():
        images = learner.augment(torch.cat([batch.x, batch.u]))
        logits, logits_u = learner.model(images).split([len(batch.x), len(batch.u)])
        given = labels[batch.ids.cpu()].to(logits.device)
        learner.step(F.cross_entropy(logits, batch.y) + F.cross_entropy(logits_u, given))
    return learner.trained()


def train(
    config: NoisyStudentConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> NoisyStudent:
    """Learn a classifier by Algorithm 1 of Xie et al. 2020.

    Args:
        config: the recipe.
        data: with visible labels of at least two classes, and square images.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done by all networks and the
            loss.

    Returns:
        The last student, and its teacher.

    Raises:
        ValueError: the images are not square, fewer than two classes have visible labels, there
            are too few images for an unlabelled batch, or the student is smaller.
    """
    check(config, data)
    images = training_images(data)
    with seeded(seed):
        student = fit(config, data, runtime, progress)  # the first teacher
        for iteration in range(1, config.iterations + 1):
            teacher = student
            labels = teacher_labels(config, teacher, images)
            onward = after(iteration * config.steps, progress)
            student = teach(config.of_student(), data, labels, runtime, onward)
    return NoisyStudent(student, teacher)


def run(
    config: NoisyStudentConfig,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train teacher and students, then evaluate the last student; pseudo-labels are all taken."""
    student, teacher = train(config, data, seed, runtime, progress)
    with seeded(seed):  # a teacher with noise draws some
        labeller = Labeller(partial(teacher_logits, config, teacher), threshold=0)
        return outcome(student, data, labeller)


def check(config: NoisyStudentConfig, data: ImageData) -> None:
    """Raise ValueError if networks could not be trained on the images, or students are smaller."""
    check_unlabelled(config, data)
    if config.student is not None:
        teacher, student = size(config.encoder), size(config.student)
        if student < teacher:
            raise ValueError(
                f"student must have at least the {teacher:,} parameters of encoder, got {student:,}"
            )


def size(encoder: EncoderConfig) -> int:
    """Return the number of parameters of an encoder, without making it."""
    with torch.device("meta"):
        return sum(p.numel() for p in encoder.build().parameters())


METHOD = Method(
    config=NoisyStudentConfig, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
