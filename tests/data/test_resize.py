import pytest
import torch
from largest_tensor import LargestTensor
from PIL import Image

from lelkern.data.resize import resize_and_crop, target_size


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (4, 4, 8, (8, 8)),
        (4, 6, 8, (8, 12)),
        (6, 4, 8, (12, 8)),
        (300, 200, 20, (30, 20)),
        (1, 1000, 3, (3, 3000)),
        (7, 5, 3, (4, 3)),
    ],
)
def test_the_short_side_gets_the_size(height, width, size, expected):
    assert target_size(height, width, size) == expected


def test_images_of_the_size_are_left_alone():
    images = torch.zeros(2, 3, 5, 5, dtype=torch.uint8)
    assert resize_and_crop(images, 5) is images


def test_the_centre_is_kept():
    images = torch.zeros(1, 3, 4, 8, dtype=torch.uint8)
    images[..., 2:6] = 200
    assert torch.equal(resize_and_crop(images, 4), torch.full((1, 3, 4, 4), 200).to(torch.uint8))


@pytest.mark.parametrize("size", [8, 13, 40])
def test_tensors_and_files_are_resized_alike(size):
    """PIL, which resizes folders, rounds between its two passes: a difference of a level or two."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (3, 3, 24, 24), generator=generator).to(torch.uint8)
    ours = resize_and_crop(images, size)
    for image, resized in zip(images, ours, strict=True):
        pil = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((size, size), 2)
        pixels = torch.frombuffer(bytearray(pil.tobytes()), dtype=torch.uint8).view(size, size, 3)
        difference = pixels.permute(2, 0, 1).double() - resized.double()
        assert difference.abs().max() <= 2
        assert difference.mean().abs() < 0.2  # cut off instead of rounded, it would be 0.5


def test_chunks_do_not_show(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (7, 3, 9, 6), generator=generator).to(torch.uint8)
    whole = resize_and_crop(images, 4)
    monkeypatch.setattr("lelkern.data.resize._NUMBERS", 3 * 3 * 9 * 6)
    assert torch.equal(resize_and_crop(images, 4), whole)


@pytest.mark.parametrize(("side", "size"), [(40, 8), (8, 40)])
def test_memory_does_not_grow_with_the_number_or_the_size_of_images(monkeypatch, side, size):
    monkeypatch.setattr("lelkern.data.resize._NUMBERS", 2 * 3 * 40 * 40)
    images = torch.zeros(12, 3, side, side, dtype=torch.uint8)
    with LargestTensor(floating=True) as largest:
        resize_and_crop(images, size)
    assert 0 < largest.numel <= 2 * 3 * 40 * 40
