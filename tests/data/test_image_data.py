from dataclasses import replace

import pytest
import torch

from lelkern.data import DataError, ImageData


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return ImageData(
        name="toy",
        train_images=torch.randint(256, (5, 3, 4, 6), generator=generator).to(torch.uint8),
        train_labels=torch.tensor([0, 1, 2, 0, 1]),
        test_images=torch.randint(256, (2, 3, 4, 6), generator=generator).to(torch.uint8),
        test_labels=torch.tensor([2, 0]),
        classes=("a", "b", "c"),
        unlabeled_images=torch.zeros(7, 3, 4, 6, dtype=torch.uint8),
    )


@pytest.mark.parametrize("unlabeled", [True, False])
def test_a_saved_data_set_comes_back_whole(data, tmp_path, unlabeled):
    if not unlabeled:
        data = replace(data, unlabeled_images=None)
    file = tmp_path / "new" / "folder" / "toy.pt"
    data.save(file)
    back = ImageData.load(file)
    assert (back.name, back.classes) == (data.name, data.classes)
    for field in ("train_images", "train_labels", "test_images", "test_labels"):
        assert torch.equal(getattr(back, field), getattr(data, field))
    if unlabeled:
        assert torch.equal(back.unlabeled_images, data.unlabeled_images)
    else:
        assert back.unlabeled_images is None


def test_saving_leaves_nothing_but_the_file(data, tmp_path):
    data.save(tmp_path / "toy.pt")
    data.save(tmp_path / "toy.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["toy.pt"]


def test_an_interrupted_save_keeps_the_old_file(data, tmp_path, monkeypatch):
    file = tmp_path / "toy.pt"
    data.save(file)

    def write_half(content, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(KeyboardInterrupt):
        replace(data, name="other").save(file)
    assert [path.name for path in tmp_path.iterdir()] == ["toy.pt"]
    assert ImageData.load(file).name == "toy"


def test_loading_says_what_is_wrong_with_the_file(tmp_path):
    with pytest.raises(DataError, match=r"missing\.pt: no such file"):
        ImageData.load(tmp_path / "missing.pt")
    for name, content in (("text.pt", b"not torch"), ("empty.pt", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: not a data set written by ImageData\.save"):
            ImageData.load(tmp_path / name)
    torch.save({"weights": torch.zeros(3)}, tmp_path / "weights.pt")
    with pytest.raises(DataError, match=r"weights\.pt: not a data set"):
        ImageData.load(tmp_path / "weights.pt")
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    with pytest.raises(DataError, match=r"tensor\.pt: not a data set"):
        ImageData.load(tmp_path / "tensor.pt")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("train_images", torch.zeros(5, 3, 4, 6), r"train_images must be uint8 .* torch.float32"),
        ("train_images", torch.zeros(5, 1, 4, 6, dtype=torch.uint8), r"got .*\(5, 1, 4, 6\)"),
        ("test_images", torch.zeros(2, 3, 4, 5, dtype=torch.uint8), r"test_images are \(3, 4, 5\)"),
        ("test_images", torch.zeros(0, 3, 4, 6, dtype=torch.uint8), r"test_images is empty"),
        ("unlabeled_images", torch.zeros(2, 3, 4, 5, dtype=torch.uint8), r"unlabeled_images are"),
        ("train_labels", torch.zeros(4, dtype=torch.int64), r"train_labels must be int64 \(5,\)"),
        ("test_labels", torch.zeros(2, dtype=torch.int32), r"test_labels .* got torch.int32"),
        ("test_labels", torch.tensor([0, 3]), r"test_labels must be in 0\.\.2, got 0\.\.3"),
        ("test_labels", torch.tensor([0, -1]), r"test_labels must be in 0\.\.2, got -1\.\.0"),
        ("train_labels", torch.tensor([0, -2, 0, 0, 0]), r"train_labels .* got -2\.\.0"),
    ],
)
def test_what_does_not_fit_together_is_refused(data, field, value, message):
    with pytest.raises(DataError, match="^toy: .*" + message):
        replace(data, **{field: value})
