"""One small data set of every kind, as the tests of what all kinds can do use them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from lelkern.data import (
    Data,
    DataConfig,
    DataSource,
    ImageData,
    ImageTaskData,
    TableData,
    TaskData,
)


def images() -> ImageData:
    generator = torch.Generator().manual_seed(0)
    return ImageData(
        name="toy",
        train_images=torch.randint(256, (6, 3, 4, 6), generator=generator).to(torch.uint8),
        train_labels=torch.tensor([0, 1, 2, 0, 1, 2]),
        test_images=torch.randint(256, (2, 3, 4, 6), generator=generator).to(torch.uint8),
        test_labels=torch.tensor([2, 0]),
        classes=("a", "b", "c"),
        unlabeled_images=torch.zeros(7, 3, 4, 6, dtype=torch.uint8),
    )


def image_tasks() -> ImageTaskData:
    return ImageTaskData(
        **vars(images()),
        task="letter",
        further=("size", "ink"),
        further_classes=(("small", "large"), ("red", "green", "blue", "black")),
        train_further=torch.tensor([[0, 3], [1, -1], [0, 1], [1, 0], [-1, 2], [-1, -1]]),
        test_further=torch.tensor([[1, 0], [0, 3]]),
    )


def table() -> TableData:
    x = np.random.default_rng(0).normal(size=(20, 3))
    return TableData.from_arrays(
        "toy",
        x,
        np.arange(20) % 2,
        test_fraction=0.3,
        seed=0,
        classes=("no", "yes"),
        features=("height", "width", "depth"),
    )


def regression() -> TableData:
    x = np.random.default_rng(0).normal(size=(20, 3))
    return TableData.from_arrays("toy", x, x.sum(axis=1), test_fraction=0.3, seed=0)


def tasks() -> TaskData:
    generator = np.random.default_rng(0)
    x = [generator.normal(size=(n, 3)) for n in (5, 8, 3)]
    return TaskData.from_arrays("toy", x, [part[:, 0] for part in x], test_fraction=0.3, seed=0)


def shared_tasks() -> TaskData:
    x = np.random.default_rng(0).normal(size=(10, 3))
    return TaskData.from_arrays("toy", x, [x[:, 0], x[:, 1]], test_fraction=0.3, seed=0)


def planted_tasks() -> Data:
    data = DataSource(DataConfig(name="planted-clusters", samples_per_task=5)).load()
    assert isinstance(data, TaskData)
    return replace(data, name="toy")


def functions() -> Data:
    return DataSource(DataConfig(name="sine-waves")).load()


KINDS: dict[str, Callable[[], Data]] = {
    "images": images,
    "image tasks": image_tasks,
    "table": table,
    "regression": regression,
    "tasks": tasks,
    "shared tasks": shared_tasks,
    "planted tasks": planted_tasks,
    "functions": functions,
}
