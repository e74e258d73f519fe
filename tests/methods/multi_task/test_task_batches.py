"""Which images a step learns from where labels are missing."""

from dataclasses import replace

import pytest
import torch
from tiny_data import hidden, tiny_image_tasks

from lelkern.methods.multi_task._deep_config import DeepConfig, training_labels
from lelkern.methods.multi_task._task_batches import task_batches


@pytest.fixture
def data():
    """30 images: the first label is known of 6, the second of the 20 last, the third of all."""
    data = hidden(tiny_image_tasks(), visible=0.2)
    further = data.train_further.clone()
    further[:10, 0] = -1
    return replace(data, train_further=further)


def index(images):
    """The number of each image by its bytes."""
    return {bytes(image.numpy()): i for i, image in enumerate(images)}


def test_every_task_has_its_labels_in_every_batch_all_of_them_equally_often(data):
    labels = training_labels(DeepConfig(others="all"), data)
    number, counts = index(data.train_images), torch.zeros(3, 30, dtype=torch.int64)
    for x, y in task_batches(data.train_images, labels, 5, 12):
        assert x.shape == (15, 3, 16, 16)
        drawn = [number[bytes((image * 255).round().byte().numpy())] for image in x]
        assert torch.equal(y, labels[drawn])
        for task in range(3):
            own = drawn[5 * task : 5 * task + 5]
            assert (labels[own, task] >= 0).all()
            counts[task] += torch.tensor(own).bincount(minlength=30)
    # 60 draws of 6, 20 and 30 images.
    assert counts[0, :6].tolist() == [10] * 6
    assert counts[1, 10:].tolist() == [3] * 20
    assert counts[2].tolist() == [2] * 30


def test_other_tasks_learn_from_the_images_of_the_budget_unless_asked_for_all(data):
    everything = training_labels(DeepConfig(others="all"), data)
    budget = training_labels(DeepConfig(), data)
    assert torch.equal(everything[:, 1:], data.train_further)
    assert torch.equal(budget[:6], everything[:6])
    assert (budget[6:] == -1).all()
