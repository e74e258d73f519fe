from dataclasses import replace

import pytest
import torch
from kinds import images

from lelkern.data import DataConfig, DataError, ImageData


@pytest.fixture
def data():
    return images()


def test_images_may_come_without_unlabelled_ones(data, tmp_path):
    replace(data, unlabeled_images=None).save(tmp_path / "toy.pt")
    assert ImageData.load(tmp_path / "toy.pt").unlabeled_images is None


def test_all_images_are_resized(data):
    small = data.prepare(DataConfig(val_fraction=0.5)).resized(2)
    for part in ("train", "val", "test", "unlabeled"):
        assert getattr(small, f"{part}_images").shape[1:] == (3, 2, 2)
    assert torch.equal(data.resized(2).train_labels, data.train_labels)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("train_images", torch.zeros(6, 3, 4, 6), r"train_images must be uint8 .* torch.float32"),
        ("train_images", torch.zeros(6, 1, 4, 6, dtype=torch.uint8), r"got .*\(6, 1, 4, 6\)"),
        ("test_images", torch.zeros(2, 3, 4, 5, dtype=torch.uint8), r"test_images are \(3, 4, 5\)"),
        ("test_images", torch.zeros(0, 3, 4, 6, dtype=torch.uint8), r"test_images is empty"),
        ("unlabeled_images", torch.zeros(2, 3, 4, 5, dtype=torch.uint8), r"unlabeled_images are"),
        ("train_labels", torch.zeros(4, dtype=torch.int64), r"train_labels must be int64 \(6,\)"),
        ("test_labels", torch.zeros(2, dtype=torch.int32), r"test_labels .* got torch.int32"),
        ("test_labels", torch.tensor([0, 3]), r"test_labels must be in 0\.\.2, got 0\.\.3"),
        ("test_labels", torch.tensor([0, -1]), r"test_labels must be in 0\.\.2, got -1\.\.0"),
        ("train_labels", torch.tensor([0, -2, 0, 0, 0, 0]), r"train_labels .* got -2\.\.0"),
        ("val_labels", torch.tensor([0]), "val_images and val_labels go together"),
    ],
)
def test_what_does_not_fit_together_is_refused(data, field, value, message):
    with pytest.raises(DataError, match="^toy: .*" + message):
        replace(data, **{field: value})
