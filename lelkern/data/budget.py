"""The label budget: which training labels a method may see."""

import torch
from torch import Tensor

from lelkern.config import ConfigError
from lelkern.data.config import DataConfig
from lelkern.data.draw import stream
from lelkern.data.kind import Data
from lelkern.torch_settings import usual_settings


def check_budget(data: Data, config: DataConfig) -> None:
    """Check that data has as many labels as the label budget wants.

    Args:
        data: with all of its labels.
        config: its label budget.

    Raises:
        ConfigError: there are fewer, or the data has no classes; names the key, its value and how
            many there are.
    """
    labels = data.labels()
    if labels is not None:
        _budget(labels, config)
    elif config.labels_per_class is not None:
        raise ConfigError(_no_classes("labels_per_class", config.labels_per_class, data))
    elif config.labels is not None:
        raise ConfigError(_no_classes("labels", config.labels, data))


@usual_settings()
def visible_labels(labels: Tensor, config: DataConfig, seed: int) -> Tensor:
    """Return the training labels with -1 where the label budget hides them.

    The labels of each class are put in a random order, and the orders are dealt out in turns, one
    of each class that has any left, the classes of a turn in random order. A budget of n takes the
    first n of all, so that a smaller budget is a part of a larger one for the same seed, no class
    has two labels more than another that has some left, and k of each of C classes are the same
    labels as k*C in number.

    Args:
        labels: (N,) int64, all of them; what is -1 already stays so and does not count.
        config: its label budget; without one all labels are visible.
        seed: decides the draw, by a generator of its own, and nothing else does: trials with one
            seed see the same labels, whatever else differs.

    Returns:
        (N,) int64; ``labels`` itself is not changed.

    Raises:
        ConfigError: there are fewer labels; names the key, its value and how many there are.
    """
    budget = _budget(labels, config)
    visible = torch.full_like(labels, -1)
    chosen = _order(labels, seed)[:budget]
    visible[chosen] = labels[chosen]
    return visible


def _budget(labels: Tensor, config: DataConfig) -> int:
    """Return the number of visible labels; an error where there are fewer."""
    labelled = labels[labels >= 0]
    if config.labels_per_class is not None:
        counts = labelled.bincount()
        fewest = int(counts.argmin())
        if counts[fewest] < config.labels_per_class:
            raise ConfigError(
                f"data.labels_per_class: {config.labels_per_class} is more than there are: "
                f"class {fewest} has {counts[fewest]} training samples"
            )
        return config.labels_per_class * len(counts)
    if isinstance(config.labels, float):
        number = round(config.labels * len(labelled))
        if number == 0:
            raise ConfigError(
                f"data.labels: {config.labels} is less than one of {len(labelled)} training labels"
            )
        return number
    if config.labels is not None and config.labels > len(labelled):
        raise ConfigError(
            f"data.labels: {config.labels} is more than there are: "
            f"{len(labelled)} training samples with a label"
        )
    return len(labelled) if config.labels is None else config.labels


def _order(labels: Tensor, seed: int) -> Tensor:
    """Return the indices of all labelled samples, dealt out class by class in random turns."""
    generator = stream("labels", seed)
    turn = torch.zeros(len(labels), dtype=torch.float64)
    for label in labels[labels >= 0].unique().tolist():
        members = torch.nonzero(labels == label)[:, 0]
        order = torch.randperm(len(members), generator=generator)
        turn[members[order]] = torch.arange(len(members), dtype=torch.float64)
    # The part after the point orders the classes within a turn.
    turn += torch.rand(len(labels), dtype=torch.float64, generator=generator)
    labelled = torch.nonzero(labels >= 0)[:, 0]
    return labelled[turn[labelled].argsort(stable=True)]


def _no_classes(key: str, value: float, data: Data) -> str:
    return f"data.{key}: '{data.name}' has targets rather than classes, got {value!r}"
