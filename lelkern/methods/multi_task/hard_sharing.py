"""Hard parameter sharing: one encoder for all tasks, and a linear head for each.

Caruana, "Multitask Learning", Machine Learning 28, 1997. What one task teaches the encoder is there
for the others, where it helps and where it is in their way. Losses are added, or weighted by what
the tasks' uncertainty says (Kendall, Gal & Cipolla 2018; see ``_task_weights.py``).
"""

import torch
import torch.nn.functional as F

from lelkern.data import ImageTaskData
from lelkern.methods.method import Blueprint, Method, Outcome
from lelkern.methods.multi_task._classifier import Classifier
from lelkern.methods.multi_task._deep_config import DeepConfig, check_tasks, training_labels
from lelkern.methods.multi_task._deep_evaluation import CURVES, METRICS, evaluate
from lelkern.methods.multi_task._task_batches import task_batches
from lelkern.methods.multi_task._task_weights import TaskWeights, Weighting
from lelkern.methods.training import seeded
from lelkern.optim import Optimisation
from lelkern.runtime import Progress, RuntimeConfig, silent


class HardSharingConfig(DeepConfig):
    """Everything that decides a run with one encoder besides the data and the seed.

    Attributes:
        weighting: of the tasks' losses: ``equal``, or by their learned ``uncertainty``.
    """

    weighting: Weighting = "equal"


def train(
    config: HardSharingConfig,
    data: ImageTaskData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> tuple[Classifier, TaskWeights]:
    """Learn one network for all tasks.

    Args:
        config: the recipe.
        data: square images, with visible labels of at least two classes of each task.
        seed: decides initial weights and batches; torch's global generator is left as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the loss in nats.

    Returns:
        The network, whose logits are those of all tasks side by side, and what the losses counted.

    Raises:
        ValueError: the images are not square, or a task has labels of fewer than two classes.
    """
    check_tasks(config, data)
    runtime = (runtime or RuntimeConfig()).resolve()
    device = runtime.device
    images, labels = data.train_images.to(device), training_labels(config, data).to(device)
    sizes = [len(classes) for classes in data.task_classes]
    with seeded(seed):
        network = Classifier(config.encoder, sum(sizes), runtime)
        network = network.to(device).to(memory_format=torch.channels_last)
        weights = TaskWeights(config.weighting, len(sizes)).to(device)
        optimisation = Optimisation(config.optimizer, [network, weights], config.steps, progress)
        for x, y in task_batches(images, labels, config.batch_size, config.steps):
            heads = network(x).split(sizes, dim=1)  # of each task (N, C_t)
            losses = [
                F.cross_entropy(logits, label, ignore_index=-1)
                for logits, label in zip(heads, y.T, strict=True)
            ]
            optimisation.step(weights(torch.stack(losses)))
    return network, weights


def build(config: HardSharingConfig, blueprint: Blueprint) -> Classifier:
    """Make a network of the form of one that was trained."""
    outputs = sum(map(len, blueprint.form.classes))
    return Classifier(config.encoder, outputs, blueprint.runtime)


def run(
    config: HardSharingConfig,
    data: ImageTaskData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on the labelled images, then evaluate."""
    network, weights = train(config, data, seed, runtime, progress)
    return evaluate(network, data, weights.curve())


METHOD = Method(
    config=HardSharingConfig,
    data=ImageTaskData,
    metrics=METRICS,
    run=run,
    curves=CURVES,
    check=check_tasks,
    build=build,
)
