"""SimCLR v2: pre-train without labels, fine-tune on the few there are, then distil.

Chen, Kornblith, Swersky, Norouzi & Hinton, "Big Self-Supervised Models are Strong Semi-Supervised
Learners", NeurIPS 2020:

1. a large encoder f and a head g of three layers learn from all images by SimCLR, without labels;
2. f and the first layer of g, under a new linear classifier, are fine-tuned on the labelled images;
3. a smaller network, or one of the same size, learns from scratch what that teacher says of all
   images: no labels.

The paper's encoders are ResNets up to 152 layers deep and three times as wide, with selective
kernels, and it adds MoCo's queue. Its code augments by crops and flips alone after step 1; here
``augment`` is of all steps, which a smaller set of images has more need of.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from lelkern.augment import Augment
from lelkern.config import Config
from lelkern.data import ImageData
from lelkern.evaluate import extract, knn, linear_probe
from lelkern.evaluate.features import to_unit
from lelkern.methods.contrastive import simclr
from lelkern.methods.contrastive._config import check as check_pretraining
from lelkern.methods.contrastive._evaluation import CLASSIFIERS
from lelkern.methods.contrastive._projector import Projector
from lelkern.methods.images import check_batch, labelled_images, training_images
from lelkern.methods.method import Blueprint, Method, Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.semi_supervised._evaluation import accuracy, predict
from lelkern.methods.training import Losses, after, batches, seeded, unbroken_batches
from lelkern.models import Encoder, EncoderConfig, HeadConfig, ProjectionHead
from lelkern.optim import Optimisation, OptimizerConfig
from lelkern.runtime import Progress, RuntimeConfig, silent


class FineTuneConfig(Config):
    """How the pre-trained network is fine-tuned on the labelled images.

    Attributes:
        batch_size: labelled images a step. They come in random order, epoch after epoch, and where
            a batch has more than there are, several times.
        steps: optimiser steps; 0 leaves the pre-trained network under a classifier as it was drawn.
        optimizer: the optimiser and its learning rate, the same for all layers.
    """

    batch_size: int = Field(default=32, ge=2)
    steps: int = Field(default=300, ge=0)
    optimizer: OptimizerConfig = OptimizerConfig(lr=0.01)


class DistilConfig(Config):
    """How a student is trained, if there is one.

    Attributes:
        temperature: tau, by which the logits of teacher and student are divided. The lower, the
            harder the teacher's labels.
        batch_size: images a step, without labels.
        steps: optimiser steps; 0 leaves the student as it was drawn.
        optimizer: the optimiser and its learning rate.
    """

    temperature: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=64, ge=2)
    steps: int = Field(default=240, ge=0)
    optimizer: OptimizerConfig = OptimizerConfig(lr=0.01)


class SimCLRv2Config(simclr.SimCLRConfig):
    """Everything that decides a SimCLR v2 run besides the data and the seed.

    What ``fine_tune`` and ``distil`` do not say is of the pre-training; ``augment`` is of all
    steps.

    Attributes:
        head: the network g, by default of three layers.
        fine_tune_from: hidden layers of the head that are kept for fine-tuning, each with its
            ReLU: 0 for none, so that the classifier sees h, 1 as in the paper, at most those there
            are.
        fine_tune: the second step.
        student: the encoder of a student that is distilled from the fine-tuned network: equal to
            ``encoder`` for self-distillation, or a smaller one. None for no third step.
        distil: the third step.
    """

    head: HeadConfig = HeadConfig(depth=2)
    fine_tune_from: int = Field(default=1, ge=0)
    fine_tune: FineTuneConfig = FineTuneConfig()
    student: EncoderConfig | None = None
    distil: DistilConfig = DistilConfig()

    @model_validator(mode="after")
    def _statistics_are_of_whole_batches(self) -> Self:
        if self.batch_norm.parts > 1:
            raise ValueError(
                "batch_norm.parts must be 1: fine-tuning has batches of its own, "
                f"got {self.batch_norm.parts}"
            )
        return self

    @model_validator(mode="after")
    def _layers_are_there(self) -> Self:
        hidden = self.head.depth if self.head.kind == "nonlinear" else 0
        if self.fine_tune_from > hidden:
            raise ValueError(
                f"fine_tune_from must be at most {hidden}, the number of hidden layers of head, "
                f"got {self.fine_tune_from}"
            )
        return self


class TaskNetwork(nn.Module):
    r"""A classifier over an encoder and some layers of its head: f^task.

    .. math:: f^{task}(x) = W^{task} \, g_k(f(x))

    with the first k hidden layers :math:`g_k` of the head; k = 0 is the usual classifier. The
    weights of ``linear`` are drawn from PyTorch's global generator.

    Args:
        encoder: f.
        layers: g_k.
        features: what ``layers`` give.
        classes: C.
        runtime: the precision of the encoder.
    """

    def __init__(
        self,
        encoder: Encoder,
        layers: nn.Sequential,
        features: int,
        classes: int,
        runtime: RuntimeConfig,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = layers
        self.linear = nn.Linear(features, classes)
        self.runtime = runtime

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W), float in [0, 1], to logits (N, C), float32."""
        with self.runtime.autocast(images.device.type):
            h = self.encoder(images)
        return self.linear(self.layers(h.float()))


def hidden_layers(head: ProjectionHead, number: int) -> nn.Sequential:
    """Return the first hidden layers of a head, the modules themselves, up to the ReLU of each.

    Args:
        head: nonlinear, with at least as many hidden layers.
        number: of the layers; 0 gives the identity.
    """
    ends = [0, *(i for i, layer in enumerate(head, start=1) if isinstance(layer, nn.ReLU))]
    return nn.Sequential(*list(head)[: ends[number]])


def task_network(config: SimCLRv2Config, projector: Projector, classes: int) -> TaskNetwork:
    """Put a new classifier over a pre-trained network, of which the rest of the head is dropped."""
    layers = hidden_layers(projector.head, config.fine_tune_from)
    features = config.head.width if config.fine_tune_from else projector.encoder.features
    return TaskNetwork(projector.encoder, layers, features, classes, projector.runtime)


def new_student(encoder: EncoderConfig, classes: int, runtime: RuntimeConfig) -> TaskNetwork:
    """Make a student: an encoder under a classifier, with freshly drawn weights."""
    drawn = encoder.build()
    return TaskNetwork(drawn, nn.Sequential(), drawn.features, classes, runtime)


def fine_tune(
    config: SimCLRv2Config,
    pretrained: Projector,
    data: ImageData,
    progress: Progress = silent,
) -> TaskNetwork:
    """Train a copy of a pre-trained network on the labelled images, all its layers (Section 2).

    Random numbers come from PyTorch's global generator.

    Args:
        config: the recipe.
        pretrained: what step 1 gave, which stays as it is.
        data: with visible labels of at least two classes.
        progress: called after each step with the number of steps done and the loss in nats.

    Returns:
        The network, on the device of the pre-trained one.
    """
    model = task_network(config, deepcopy(pretrained), len(data.classes)).train()
    device = next(pretrained.parameters()).device
    model = model.to(device)
    x, y = (part.to(device) for part in labelled_images(data))
    augment = Augment(config.augment, x.shape[-1])
    own = config.fine_tune
    optimisation = Optimisation(own.optimizer, [model], own.steps, progress)
    for i in unbroken_batches(len(x), own.batch_size, own.steps):
        logits = model(augment(to_unit(x[i])))
        optimisation.step(F.cross_entropy(logits, y[i]))
    return model


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    r"""Return the cross-entropy between a teacher's probabilities and its student's, a scalar.

    .. math:: -\frac1N \sum_n \sum_y P^T(y|x_n; \tau) \log P^S(y|x_n; \tau), \qquad
              P(y|x; \tau) = \frac{\exp(f(x)[y] / \tau)}{\sum_{y'} \exp(f(x)[y'] / \tau)}

    Source: Chen et al. 2020 (SimCLR v2), equation 2, which sums over images instead.

    Args:
        student: logits (N, C), floating point.
        teacher: logits (N, C), to which no gradient goes.
        temperature: tau.

    Returns:
        A scalar, in nats.
    """
    return F.cross_entropy(student / temperature, (teacher.detach() / temperature).softmax(dim=1))


def distil(
    config: SimCLRv2Config,
    teacher: TaskNetwork,
    images: Tensor,
    progress: Progress = silent,
) -> TaskNetwork:
    """Train ``config.student`` from scratch on what a teacher says of images (equation 2).

    Both see the same view of an image, the teacher in evaluation mode. Random numbers come from
    PyTorch's global generator, those of the student's weights first.

    Args:
        config: the recipe, with a student.
        teacher: the fine-tuned network, whose weights and statistics stay as they are.
        images: (M, 3, H, W), uint8, square; M at least ``config.distil.batch_size``.
        progress: called after each step with the number of steps done and the loss in nats.

    Returns:
        The student, on the device of its teacher.

    Raises:
        ValueError: there is no student, or there are too few images for a batch.
    """
    if config.student is None:
        raise ValueError("student must be an encoder to distil into, got none")
    own = config.distil
    check_batch("distil.batch_size", own.batch_size, len(images))
    device = next(teacher.parameters()).device
    student = new_student(config.student, teacher.linear.out_features, teacher.runtime)
    student = student.to(device).to(memory_format=torch.channels_last)
    teacher = deepcopy(teacher).eval()  # a copy, so that the teacher stays in its mode
    augment = Augment(config.augment, images.shape[-1])
    optimisation = Optimisation(own.optimizer, [student], own.steps, progress)
    images = images.to(device)
    for batch in batches(len(images), own.batch_size, own.steps):
        views = augment(to_unit(images[batch]))
        with torch.no_grad():
            said = teacher(views)
        optimisation.step(distillation_loss(student(views), said, own.temperature))
    return student


class SimCLRv2(NamedTuple):
    """What the three steps leave.

    Attributes:
        pretrained: encoder and head after step 1.
        fine_tuned: the classifier after step 2.
        student: the classifier after step 3, or None.
    """

    pretrained: Projector
    fine_tuned: TaskNetwork
    student: TaskNetwork | None

    @property
    def last(self) -> TaskNetwork:
        """The classifier that is left: the student, or where there is none the fine-tuned one."""
        return self.fine_tuned if self.student is None else self.student

    def models(self) -> dict[str, nn.Module]:
        """Return the models that are kept, by name."""
        teacher = {} if self.student is None else {"teacher": self.fine_tuned}
        return {"model": self.last, **teacher, "pretrained": self.pretrained}


def train(
    config: SimCLRv2Config,
    data: ImageData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> SimCLRv2:
    """Learn a classifier from all images and few labels, by Section 2 of the paper.

    Args:
        config: the recipe.
        data: with visible labels of at least two classes, and square images.
        seed: decides initial weights, batches and augmentations; torch's global generator is left
            as it was found. Step 1 has the same random numbers as a SimCLR run with this seed.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done altogether and the loss in
            nats.

    Returns:
        The networks of all steps.

    Raises:
        ValueError: the images are not square, fewer than two classes have visible labels, or
            there are too few images for a batch.
    """
    check(config, data)
    images = training_images(data)
    pretrained = simclr.train(config, images, seed, runtime, progress)
    done = config.steps_on(len(images))
    with seeded(seed):
        fine_tuned = fine_tune(config, pretrained, data, after(done, progress))
        done += config.fine_tune.steps
        student = None
        if config.student is not None:
            student = distil(config, fine_tuned, images, after(done, progress))
    return SimCLRv2(pretrained, fine_tuned, student)


METRICS: Mapping[str, Metric] = {
    "accuracy": percentage("accuracy"),
    "teacher_accuracy": percentage("accuracy of the fine-tuned network"),
    **CLASSIFIERS,
    "parameters": Metric("encoder parameters", digits=0),
    "final_loss": Metric("final loss", better="lower", unit="nats"),
}
"""``accuracy`` and ``parameters`` are of the network that is left, ``teacher_accuracy`` is of the
fine-tuned one, which is the same network where there is no student; linear probe and k-NN are of
the pre-trained encoder, from the labelled images, and ``final_loss`` is of the last step."""


def evaluate(trained: SimCLRv2, data: ImageData) -> dict[str, float]:
    """Judge all networks on the test images; they stay as they are.

    Args:
        trained: the networks.
        data: with visible labels of at least two classes.

    Returns:
        :data:`METRICS` by name but for the loss, none of them NaN.

    Raises:
        NotFiniteError: what a network gives is NaN or infinite.
    """
    train_x, train_y = labelled_images(data)
    encoder = [trained.pretrained.encoder]
    (train_h,), (test_h,) = extract(encoder, train_x), extract(encoder, data.test_images)
    images, labels = data.test_images, data.test_labels
    last = teacher = accuracy(predict(trained.fine_tuned, images), labels)
    if trained.student is not None:
        last = accuracy(predict(trained.student, images), labels)
    return {
        "accuracy": last,
        "teacher_accuracy": teacher,
        "linear_probe": linear_probe(train_h, train_y, test_h, data.test_labels),
        "knn": knn(train_h, train_y, test_h, data.test_labels),
        "parameters": float(sum(p.numel() for p in trained.last.encoder.parameters())),
    }


def run(
    config: SimCLRv2Config, data: ImageData, seed: int, runtime: RuntimeConfig, progress: Progress
) -> Outcome:
    """Go through the steps, then evaluate what each gave."""
    before = config.steps_on(len(training_images(data)))
    before += 0 if config.student is None else config.fine_tune.steps
    last = Losses(silent)  # each step has a loss of another kind

    def report(step: int, loss: float | None) -> None:
        if step > before:
            last(step, loss)
        progress(step, loss)

    trained = train(config, data, seed, runtime, report)
    metrics = {**evaluate(trained, data), "final_loss": last.final()}
    return Outcome(metrics, models=trained.models())


def check(config: SimCLRv2Config, data: ImageData) -> None:
    """Raise ValueError if a network could not be pre-trained, fine-tuned or distilled on these."""
    check_pretraining(config, data)
    if config.student is not None:
        check_batch("distil.batch_size", config.distil.batch_size, len(training_images(data)))


def build(config: SimCLRv2Config, blueprint: Blueprint) -> nn.Module:
    """Make a network of the form of one of a run: ``model``, ``teacher`` or ``pretrained``."""
    classes, *_ = blueprint.form.classes
    if blueprint.name == "model" and config.student is not None:
        return new_student(config.student, len(classes), blueprint.runtime)
    projector = Projector(config, blueprint.runtime)
    if blueprint.name == "pretrained":
        return projector
    return task_network(config, projector, len(classes))


METHOD = Method(
    config=SimCLRv2Config, data=ImageData, metrics=METRICS, run=run, check=check, build=build
)
