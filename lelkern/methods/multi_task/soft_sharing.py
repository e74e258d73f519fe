"""Soft parameter sharing: an encoder for each task, and a penalty on how far they lie apart.

Duong, Cohn, Bird & Cook, "Low Resource Dependency Parsing: Cross-lingual Parameter Sharing in a
Neural Network Parser", ACL 2015, with the distance of Evgeniou & Pontil, "Regularized Multi-Task
Learning", KDD 2004: that of every task from the mean of all.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lelkern.data import ImageTaskData
from lelkern.methods.method import Method, Outcome
from lelkern.methods.multi_task._classifier import Classifier
from lelkern.methods.multi_task._deep_config import DeepConfig, check_tasks, training_labels
from lelkern.methods.multi_task._deep_evaluation import CURVES, METRICS, evaluate
from lelkern.methods.multi_task._task_batches import task_batches
from lelkern.methods.multi_task._task_networks import TaskNetworks, build, known
from lelkern.methods.multi_task._task_weights import TaskWeights, Weighting
from lelkern.methods.training import seeded
from lelkern.optim import Optimisation
from lelkern.runtime import Progress, RuntimeConfig, silent


class SoftSharingConfig(DeepConfig):
    """Everything that decides a run with networks that are held together besides data and seed.

    Attributes:
        strength: of the penalty; 0 leaves the networks to themselves.
        weighting: of the tasks' losses: ``equal``, or by their learned ``uncertainty``.
    """

    strength: float = Field(default=0.03, ge=0)
    weighting: Weighting = "equal"


def distance(modules: Sequence[nn.Module]) -> Tensor:
    r"""Return the sum of the squared distances of T modules of one architecture from their mean.

    .. math:: \sum_t \lVert \theta_t - \bar\theta \rVert^2

    over all parameters, with the mean :math:`\bar\theta` of all.

    Args:
        modules: at least one.
    """
    total = torch.zeros((), device=next(modules[0].parameters()).device)
    for same in zip(*(module.parameters() for module in modules), strict=True):
        stacked = torch.stack(same)  # (T, ...)
        total = total + (stacked - stacked.mean(dim=0)).square().sum()
    return total


def train(
    config: SoftSharingConfig,
    data: ImageTaskData,
    seed: int,
    runtime: RuntimeConfig | None = None,
    progress: Progress = silent,
) -> tuple[TaskNetworks, TaskWeights]:
    """Learn a network for each task, all of which start from one encoder and stay near each other.

    Args:
        config: the recipe.
        data: square images, with visible labels of at least two classes of each task.
        seed: decides initial weights and batches; torch's global generator is left as it was found.
        runtime: device and precision; by default what suits the machine.
        progress: called after each step with the number of steps done, and the losses with the
            penalty.

    Returns:
        The networks, and what their losses counted.

    Raises:
        ValueError: the images are not square, or a task has labels of fewer than two classes.
    """
    check_tasks(config, data)
    runtime = (runtime or RuntimeConfig()).resolve()
    device = runtime.device
    images, labels = data.train_images.to(device), training_labels(config, data).to(device)
    with seeded(seed):
        networks = [Classifier(config.encoder, len(c), runtime) for c in data.task_classes]
        for network in networks[1:]:
            network.encoder = deepcopy(networks[0].encoder)
        together = TaskNetworks(networks).to(device).to(memory_format=torch.channels_last)
        weights = TaskWeights(config.weighting, len(networks)).to(device)
        optimisation = Optimisation(config.optimizer, [together, weights], config.steps, progress)
        for x, y in task_batches(images, labels, config.batch_size, config.steps):
            losses = [
                F.cross_entropy(*known(network, x, label))
                for network, label in zip(networks, y.T, strict=True)
            ]
            apart = distance([network.encoder for network in networks])
            optimisation.step(weights(torch.stack(losses)) + config.strength / 2 * apart)
    return together, weights


def run(
    config: SoftSharingConfig,
    data: ImageTaskData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Train on the labelled images, then evaluate."""
    networks, weights = train(config, data, seed, runtime, progress)
    return evaluate(networks, data, weights.curve())


METHOD = Method(
    config=SoftSharingConfig,
    data=ImageTaskData,
    metrics=METRICS,
    run=run,
    curves=CURVES,
    check=check_tasks,
    build=build,
)
