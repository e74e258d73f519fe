"""Data of every kind with which a run takes no time, and data that is awkward for methods."""

from dataclasses import replace

import numpy as np
import torch

from lelkern.data import FunctionFamily, ImageData, ImageTaskData, TableData, Task, TaskData
from lelkern.data.sine_waves import sine_waves

CLASSES = ("a", "b", "c")


def tiny_images(train=30, test=60, height=16, width=16):
    """Images of three classes in turn, each a shade of its own colour, under noise."""
    generator = torch.Generator().manual_seed(0)

    def images(n):
        tint = torch.randint(0, 60, (n, 3, 1, 1), generator=generator)
        noise = torch.randint(0, 150, (n, 3, height, width), generator=generator)
        labels = torch.arange(n) % 3
        tint[torch.arange(n), labels] += 40
        return (tint + noise).to(torch.uint8), labels

    return ImageData("tiny", *images(train), *images(test), CLASSES)


def tiny_image_tasks(**sizes):
    """The same images, and as further tasks their mean brightness and which half is brighter."""
    data = tiny_images(**sizes)

    def further(images):
        mean = images.double().mean(dim=(1, 2, 3))
        halves = images[..., : images.shape[-1] // 2], images[..., images.shape[-1] // 2 :]
        left, right = (half.double().sum(dim=(1, 2, 3)) for half in halves)
        return torch.stack([(mean > mean.median()).long(), (left > right).long()], dim=1)

    return ImageTaskData(
        **vars(data),
        task="colour",
        further=("brightness", "half"),
        further_classes=(("dark", "bright"), ("right", "left")),
        train_further=further(data.train_images),
        test_further=further(data.test_images),
    )


def tiny_table(train=30, test=60, features=4):
    """Three classes in turn, whose means differ."""
    generator = np.random.default_rng(0)

    def samples(n):
        labels = np.arange(n) % 3
        return generator.normal(size=(n, features)) + labels[:, None], labels

    names = tuple(f"x{i}" for i in range(features))
    return TableData("tiny", *samples(train), *samples(test), CLASSES, names)


def tiny_tasks(train=30, test=20, features=6, tasks=3, validation=0, noise=0.3):
    """Linear tasks that all use the first two features, and of these one a bit less each time."""
    generator = np.random.default_rng(0)
    coefficients = np.zeros((features, tasks))
    coefficients[:2] = [np.ones(tasks), np.linspace(1, 0.5, tasks)][:features]

    def samples(n, w):
        x = generator.normal(size=(n, features))
        return x, x @ w + noise * generator.normal(size=n)

    names = tuple(f"x{i}" for i in range(features))
    parts = [train, test, *[validation] * bool(validation)]
    every = [
        Task(str(i), *(array for n in parts for array in samples(n, w)))
        for i, w in enumerate(coefficients.T)
    ]
    return TaskData("tiny", tuple(every), names, coefficients, np.arange(tasks) % 2)


def flat_functions(inputs=1, outputs=1):
    """Functions that are 0 everywhere."""

    def draw(tasks, shots, generator):
        x = torch.rand(tasks, shots, inputs, generator=generator)
        return x, torch.zeros(tasks, shots, outputs)

    return FunctionFamily("flat", "y = 0", inputs, outputs, draw)


def validated(data):
    """The data with validation samples, all different from those of the other splits."""
    if isinstance(data, TaskData):
        tasks = tuple(replace(t, val_x=t.train_x + 0.1, val_y=t.train_y) for t in data.tasks)
        return replace(data, tasks=tasks)
    if isinstance(data, TableData):
        return replace(data, val_x=data.train_x + 0.1, val_y=data.train_y)
    if isinstance(data, ImageData):
        val = {"val_images": data.train_images.flip(-1), "val_labels": data.train_labels}
        if isinstance(data, ImageTaskData):
            val["val_further"] = data.train_further
        return replace(data, **val)
    return data


def tested_otherwise(data):
    """The data with other test samples, labels and targets; None if none belong to the data."""
    if isinstance(data, TaskData):
        tasks = tuple(replace(t, test_x=1 - 2 * t.test_x, test_y=3 - t.test_y) for t in data.tasks)
        return replace(data, tasks=tasks)
    if isinstance(data, TableData):
        y = (data.test_y + 1) % len(data.classes) if data.classes else 3 - data.test_y
        return replace(data, test_x=1 - 2 * data.test_x, test_y=y)
    if isinstance(data, ImageData):
        labels = (data.test_labels + 1) % len(data.classes)
        test = {"test_images": 255 - data.test_images, "test_labels": labels}
        if isinstance(data, ImageTaskData):
            test["test_further"] = 1 - data.test_further
        return replace(data, **test)
    return None


def hidden(data, visible=0.6):
    """The data with the labels of the last samples hidden."""
    labels = data.labels().clone()
    labels[round(visible * len(labels)) :] = -1
    return data.with_labels(labels)


def unlabelled(data):
    """The same data, its last samples having no labels rather than hidden ones.

    Tables have no place for samples without labels, so there they are gone; and so are images of
    which the labels of other tasks are known.
    """
    visible = int((data.labels() >= 0).sum())
    if isinstance(data, ImageTaskData):
        return replace(
            data,
            train_images=data.train_images[:visible],
            train_labels=data.train_labels[:visible],
            train_further=data.train_further[:visible],
        )
    if isinstance(data, TableData):
        return replace(data, train_x=data.train_x[:visible], train_y=data.train_y[:visible])
    return replace(
        data,
        train_images=data.train_images[:visible],
        train_labels=data.train_labels[:visible],
        unlabeled_images=data.train_images[visible:],
    )


def labelled(data, labels):
    """The data with these labels first, and all others hidden."""
    return data.with_labels(torch.tensor(labels + [-1] * (len(data.labels()) - len(labels))))


def changed_tasks(change, **fields):
    """The tasks, each changed by a function of its number and itself, and other fields replaced."""
    data = tiny_tasks()
    tasks = tuple(change(i, task) for i, task in enumerate(data.tasks))
    return replace(data, tasks=tasks, **fields)


def without_labels(data, column):
    """The data without any training label of a further task."""
    further = data.train_further.clone()
    further[:, column] = -1
    return replace(data, train_further=further)


TINY = {
    ImageData: tiny_images,
    ImageTaskData: tiny_image_tasks,
    TableData: tiny_table,
    TaskData: tiny_tasks,
    FunctionFamily: sine_waves,
}

AWKWARD = {
    ImageData: {
        "one training sample": lambda: tiny_images(train=1),
        "two training samples": lambda: tiny_images(train=2),
        "one test sample": lambda: tiny_images(test=1),
        "two test samples": lambda: tiny_images(test=2),
        "not square": lambda: tiny_images(width=12),
        "one pixel": lambda: tiny_images(height=1, width=1),
        "two pixels": lambda: tiny_images(height=2, width=2),
        "black": lambda: replace(tiny_images(), train_images=torch.zeros(30, 3, 16, 16).byte()),
        "no label": lambda: labelled(tiny_images(), []),
        "labels of one class": lambda: labelled(tiny_images(), [1, 1, 1]),
        "one label in each of two classes": lambda: labelled(tiny_images(), [1, 0]),
    },
    ImageTaskData: {
        "one training sample": lambda: tiny_image_tasks(train=1),
        "two training samples": lambda: tiny_image_tasks(train=2),
        "one test sample": lambda: tiny_image_tasks(test=1),
        "not square": lambda: tiny_image_tasks(width=12),
        "two pixels": lambda: tiny_image_tasks(height=2, width=2),
        "no label": lambda: labelled(tiny_image_tasks(), []),
        "labels of one class": lambda: labelled(tiny_image_tasks(), [1, 1, 1]),
        "one label in each of two classes": lambda: labelled(tiny_image_tasks(), [1, 0]),
        "no label of one task": lambda: without_labels(tiny_image_tasks(), column=1),
    },
    TableData: {
        "one training sample": lambda: tiny_table(train=1),
        "two training samples": lambda: tiny_table(train=2),
        "one test sample": lambda: tiny_table(test=1),
        "one column": lambda: tiny_table(features=1),
        "constant": lambda: replace(tiny_table(), train_x=np.zeros((30, 4))),
        "no label": lambda: labelled(tiny_table(), []),
        "labels of one class": lambda: labelled(tiny_table(), [1, 1, 1]),
        "one label in each of two classes": lambda: labelled(tiny_table(), [1, 0]),
        "targets": lambda: replace(
            tiny_table(), train_y=np.arange(30.0), test_y=np.arange(60.0), classes=()
        ),
    },
    TaskData: {
        "one training sample": lambda: tiny_tasks(train=1),
        "one training sample and validation samples": lambda: tiny_tasks(train=1, validation=2),
        "two training samples": lambda: tiny_tasks(train=2),
        "one test sample": lambda: tiny_tasks(test=1),
        "validation samples": lambda: tiny_tasks(validation=5),
        "one task": lambda: tiny_tasks(tasks=1),
        "one column": lambda: tiny_tasks(features=1),
        "three columns": lambda: tiny_tasks(features=3),
        "more columns than samples": lambda: tiny_tasks(train=5, features=12),
        "no noise": lambda: tiny_tasks(noise=0.0),
        "no truth": lambda: replace(tiny_tasks(), coefficients=None, clusters=None),
        "truth of zeros": lambda: replace(tiny_tasks(), coefficients=np.zeros((6, 3))),
        "the same task twice": lambda: changed_tasks(lambda i, task: tiny_tasks().tasks[0]),
        "constant features": lambda: changed_tasks(
            lambda i, task: replace(task, train_x=np.ones_like(task.train_x))
        ),
        "constant targets": lambda: changed_tasks(
            lambda i, task: replace(
                task, train_y=np.ones_like(task.train_y), test_y=np.ones_like(task.test_y)
            )
        ),
        "targets of zeros": lambda: changed_tasks(
            lambda i, task: replace(task, train_y=np.zeros_like(task.train_y))
        ),
        "tasks of different sizes": lambda: changed_tasks(
            lambda i, task: replace(
                task, train_x=task.train_x[: 3 + i], train_y=task.train_y[: 3 + i]
            )
        ),
        "tasks over the same samples": lambda: changed_tasks(
            lambda i, task: replace(task, train_x=tiny_tasks().tasks[0].train_x)
        ),
        "tasks with different features": lambda: changed_tasks(
            lambda i, task: replace(
                task, train_x=task.train_x[:, : 6 - i], test_x=task.test_x[:, : 6 - i]
            ),
            features=None,
            coefficients=None,
        ),
        "validation samples of one task": lambda: changed_tasks(
            lambda i, task: task if i else replace(task, val_x=task.test_x, val_y=task.test_y)
        ),
    },
    FunctionFamily: {
        "flat": flat_functions,
        "two inputs": lambda: flat_functions(inputs=2),
        "two outputs": lambda: flat_functions(outputs=2),
    },
}
