"""Images with labels of several tasks."""

from dataclasses import replace

import pytest
import torch
from kinds import image_tasks, images

from lelkern.data import DataConfig, DataError, ImageData, visible_labels


@pytest.fixture
def data():
    return image_tasks()


def test_the_labels_of_all_tasks_stand_side_by_side(data):
    assert data.tasks == ("letter", "size", "ink")
    assert [len(classes) for classes in data.task_classes] == [3, 2, 4]
    labels = data.task_labels("train")
    assert labels.shape == (6, 3)
    assert torch.equal(labels[:, 0], data.train_labels)
    assert torch.equal(labels[:, 1:], data.train_further)
    assert data.task_labels("test").tolist() == [[2, 1, 0], [0, 0, 3]]


def test_it_is_images_to_whoever_knows_one_task(data):
    assert isinstance(data, ImageData)
    assert torch.equal(data.labels(), images().labels())


def test_a_label_budget_hides_labels_of_the_first_task_only(data):
    visible = visible_labels(data.labels(), DataConfig(labels_per_class=1), seed=0)
    hidden = data.with_labels(visible)
    assert (hidden.task_labels("train")[:, 0] == -1).sum() == 3
    assert torch.equal(hidden.train_further, data.train_further)


def test_all_labels_go_with_an_image_that_is_set_aside(data):
    """The same images as without further tasks, and each with its own labels."""
    alone = images().prepare(DataConfig(val_fraction=0.5, image_size=8, seed=3))
    split = data.prepare(DataConfig(val_fraction=0.5, image_size=8, seed=3))
    whole = data.resized(8)
    of = {
        bytes(image.numpy()): labels.tolist()
        for image, labels in zip(whole.train_images, whole.task_labels("train"), strict=True)
    }
    assert torch.equal(split.val_images, alone.val_images)
    for part in ("train", "val"):
        pictures, labels = getattr(split, f"{part}_images"), split.task_labels(part)
        for image, row in zip(pictures, labels, strict=True):
            assert of.pop(bytes(image.numpy())) == row.tolist()
    assert not of


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("task", "ink", r"tasks must have different names, got \('ink', 'size', 'ink'\)"),
        ("further", ("size",), r"1 further tasks and classes of 2 don't fit together"),
        ("train_further", torch.zeros(6, 2), r"must be int64 \(6, 2\), got torch.float32 \(6, 2\)"),
        ("test_further", torch.zeros(2, 1).long(), r"test_further must be .* got .* \(2, 1\)"),
        (
            "test_further",
            torch.tensor([[0, 0], [2, 0]]),
            r"task 'size' must be in -1\.\.1, got 0\.\.2",
        ),
        ("test_further", torch.tensor([[0, 0], [0, -2]]), r"'ink' must be in -1\.\.3, got -2\.\.0"),
        ("train_further", torch.full((6, 2), -2), r"'size' must be in -1\.\.1, got -2\.\.-2"),
        ("val_further", torch.zeros(2, 2).long(), r"val_images and val_further go together"),
    ],
)
def test_what_does_not_fit_together_is_refused(data, field, value, message):
    with pytest.raises(DataError, match="^toy: .*" + message):
        replace(data, **{field: value})
