"""Separate networks: an encoder and a head for each task, which share nothing.

What sharing has to beat. The networks see the same images as one that is shared would, and those
only whose label of their own task is visible.
"""

import torch
import torch.nn.functional as F

from lelkern.data import ImageTaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._classifier import Classifier
from lelkern.methods.multi_task._deep_config import DeepConfig, check_tasks, training_labels
from lelkern.methods.multi_task._deep_evaluation import CURVES, METRICS, evaluate
from lelkern.methods.multi_task._task_batches import task_batches
from lelkern.methods.multi_task._task_networks import TaskNetworks, build, known
from lelkern.methods.training import seeded
from lelkern.optim import Optimisation
from lelkern.runtime import Progress, RuntimeConfig, silent


class SeparateNetworksConfig(DeepConfig):
    """Everything that decides a run with a network for each task besides the data and the seed."""


def train(
    config: SeparateNetworksConfig,
    data: ImageTaskData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> TaskNetworks:
    """Learn a network for each task.

    Args:
        config: the recipe.
        data: square images, with visible labels of at least two classes of each task.
        seed: decides initial weights and batches; torch's global generator is left as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done and the sum of the losses.

    Returns:
        The networks.

    Raises:
        ValueError: the images are not square, or a task has labels of fewer than two classes.
    """
    check_tasks(config, data)
    runtime = (runtime or RuntimeConfig()).resolve()
    device = runtime.device
    images, labels = data.train_images.to(device), training_labels(config, data).to(device)
    with seeded(seed):
        networks = [Classifier(config.encoder, len(c), runtime) for c in data.task_classes]
        together = TaskNetworks(networks).to(device).to(memory_format=torch.channels_last)
        optimisation = Optimisation(config.optimizer, [together], config.steps, progress)
        for x, y in task_batches(images, labels, config.batch_size, config.steps):
            losses = [
                F.cross_entropy(*known(network, x, label))
                for network, label in zip(networks, y.T, strict=True)
            ]
            optimisation.step(torch.stack(losses).sum())
    return together


def run(
    config: SeparateNetworksConfig,
    data: ImageTaskData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on the labelled images, then evaluate."""
    networks = train(config, data, seed, runtime, progress)
    weights = [(float(task), 1.0) for task in range(1, len(data.tasks) + 1)]
    return evaluate(networks, data, weights)


METHOD = Method(
    config=SeparateNetworksConfig,
    data=ImageTaskData,
    metrics=METRICS,
    run=run,
    curves=CURVES,
    check=check_tasks,
    build=build,
)
