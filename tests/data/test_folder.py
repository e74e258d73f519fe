import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lelkern.data import DataError, load
from lelkern.data.folder import IMAGE_EXTENSIONS


@pytest.fixture
def split_folder(tmp_path, write_image):
    """Two classes, train/ and val/; the colour's red tells the file."""
    for red, name in enumerate(
        [
            "train/cat/1.png",
            "train/cat/b/2.png",
            "train/dog/3.png",
            "val/cat/4.png",
            "val/dog/5.png",
        ]
    ):
        write_image(tmp_path / "pets" / name, (red, 100, 200))
    return tmp_path / "pets"


@pytest.fixture
def flat_folder(tmp_path, write_image):
    """Two classes, ten and four images, no split; the colour's red tells the file."""
    for i in range(10):
        write_image(tmp_path / f"pets/cat/{i:02}.png", (i, 0, 0))
    for i in range(4):
        write_image(tmp_path / f"pets/dog/{i:02}.png", (100 + i, 0, 0))
    return tmp_path / "pets"


def reds(images):
    return images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("test", ["val", "test"])
def test_a_given_split_is_kept(split_folder, test):
    (split_folder / "val").rename(split_folder / test)
    data = load(str(split_folder))
    assert data.name == "pets"
    assert data.classes == ("cat", "dog")
    assert data.train_images.shape == (3, 3, 4, 4)
    assert data.train_images[0, :, 1, 2].tolist() == [0, 100, 200]
    assert reds(data.train_images) == [0, 1, 2]
    assert data.train_labels.tolist() == [0, 0, 1]
    assert reds(data.test_images) == [3, 4]
    assert data.test_labels.tolist() == [0, 1]


def test_val_wins_over_test(split_folder, write_image):
    write_image(split_folder / "test" / "unknown" / "9.png")
    assert reds(load(str(split_folder)).test_images) == [3, 4]


def test_a_split_is_drawn_class_by_class(flat_folder):
    data = load(str(flat_folder), test_fraction=0.3, seed=5)
    assert data.train_labels.bincount().tolist() == [7, 3]
    assert data.test_labels.bincount().tolist() == [3, 1]
    everything = reds(data.train_images) + reds(data.test_images)
    assert sorted(everything) == [*range(10), *range(100, 104)]
    for images, labels in (
        (data.train_images, data.train_labels),
        (data.test_images, data.test_labels),
    ):
        assert [red >= 100 for red in reds(images)] == labels.bool().tolist()


def test_the_seed_decides_the_split(flat_folder):
    before = torch.get_rng_state()
    splits = [reds(load(str(flat_folder), seed=seed).test_images) for seed in (0, 0, 1, 2, 3)]
    assert torch.equal(torch.get_rng_state(), before)
    assert splits[0] == splits[1]
    assert len({tuple(split) for split in splits}) > 1


@pytest.mark.parametrize(("fraction", "expected"), [(0.001, [1, 1]), (0.999, [9, 3])])
def test_both_sides_of_a_split_have_every_class(flat_folder, fraction, expected):
    data = load(str(flat_folder), test_fraction=fraction)
    assert data.test_labels.bincount().tolist() == expected


def test_a_class_may_be_called_train(tmp_path, write_image):
    for name in ("bus/1.png", "bus/2.png", "train/1.png", "train/2.png"):
        write_image(tmp_path / name)
    assert load(str(tmp_path)).classes == ("bus", "train")


def test_hidden_files_and_other_files_are_passed_over(split_folder, write_image):
    write_image(split_folder / "train/cat/.hidden.png")
    write_image(split_folder / "train/cat/.thumbs/1.png")
    write_image(split_folder / "train/.cache/1.png")
    (split_folder / "train/cat/readme.txt").write_text("no image")
    (split_folder / "train/labels.csv").write_text("no class")
    assert reds(load(str(split_folder)).train_images) == [0, 1, 2]


def test_the_order_of_the_file_system_does_not_matter(split_folder, write_image, monkeypatch):
    write_image(split_folder / "train/cat/0.png", (9, 0, 0))
    walk = os.walk
    for backwards in (False, True):
        monkeypatch.setattr(
            os,
            "walk",
            lambda top, backwards=backwards: [
                (parent, folders, sorted(names, reverse=backwards))
                for parent, folders, names in sorted(walk(top), reverse=backwards)
            ],
        )
        assert reds(load(str(split_folder)).train_images) == [9, 0, 1, 2]


def test_extensions_are_those_of_torchvision():
    from torchvision.datasets.folder import IMG_EXTENSIONS

    assert sorted(IMAGE_EXTENSIONS) == sorted(IMG_EXTENSIONS)


def test_upper_case_extensions_count(split_folder):
    (split_folder / "train/dog/3.png").rename(split_folder / "train/dog/3.PNG")
    assert reds(load(str(split_folder)).train_images) == [0, 1, 2]


def test_all_modes_become_rgb(tmp_path):
    pixels = np.array([[0, 255], [128, 64]], dtype=np.uint8)
    grey = Image.fromarray(pixels)
    for i, image in enumerate(
        (grey, grey.convert("P"), grey.convert("RGBA"), grey.convert("LA"), grey.convert("CMYK"))
    ):
        for name in "ab":
            path = tmp_path / name / f"{i}.{'tif' if image.mode == 'CMYK' else 'png'}"
            path.parent.mkdir(exist_ok=True)
            image.save(path)
    data = load(str(tmp_path))
    for image in torch.cat([data.train_images, data.test_images]):
        assert torch.equal(image, torch.tensor(pixels).expand(3, 2, 2))


def test_photographs_are_turned_upright(tmp_path):
    pixels = np.zeros((2, 3, 3), dtype=np.uint8)
    pixels[0] = 255
    turned = Image.Exif()
    turned[0x0112] = 6  # shown rotated by 90 degrees: the first row becomes the right column
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name, exif=turned)
    data = load(str(tmp_path))
    assert data.train_images[0, 0].tolist() == [[0, 255]] * 3


def test_image_size_resizes_the_short_side_and_crops_the_centre(tmp_path):
    pixels = np.zeros((4, 12, 3), dtype=np.uint8)
    pixels[:, 4:8] = 200  # the centre
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name)
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "b/2.png")
    data = load(str(tmp_path), image_size=4)
    for images in (data.train_images, data.test_images):
        assert images.shape[1:] == (3, 4, 4)
        assert (images == 200).all()
    assert load(str(tmp_path), image_size=7).train_images.shape[1:] == (3, 7, 7)


def test_different_sizes_name_the_first_odd_file(split_folder, write_image):
    write_image(split_folder / "train/dog/3.png", size=(8, 5))
    write_image(split_folder / "val/cat/4.png", size=(9, 9))
    with pytest.raises(
        DataError, match=r"dog/3\.png is 8x5, but .*cat/1\.png is 4x4; set image_size"
    ):
        load(str(split_folder))
    assert load(str(split_folder), image_size=4).train_images.shape == (3, 3, 4, 4)


def test_an_unreadable_image_is_named(split_folder):
    file = split_folder / "train/cat/b/2.png"
    whole = file.read_bytes()
    for content in (b"", b"no image", whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"cat/b/2\.png: cannot be read as an image"):
            load(str(split_folder))


def break_nothing_there(folder: Path) -> None:
    shutil.rmtree(folder)


def break_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


def break_no_classes(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(folder / "1.png")


def break_empty_class(folder: Path) -> None:
    (folder / "val/dog/5.png").unlink()


def break_missing_in_val(folder: Path) -> None:
    shutil.rmtree(folder / "val/dog")
    shutil.copytree(folder / "val/cat", folder / "val/cow")


def break_extra_in_val(folder: Path) -> None:
    shutil.copytree(folder / "val/cat", folder / "val/cow")


def break_single_class(folder: Path) -> None:
    shutil.rmtree(folder / "train/dog")


def break_no_val(folder: Path) -> None:
    shutil.rmtree(folder / "val")


def break_too_small(folder: Path) -> None:
    for name in ("train/dog", "train/cat"):
        (folder / name).rename(folder / Path(name).name)
    shutil.rmtree(folder / "train")
    shutil.rmtree(folder / "val")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_nothing_there, r"pets: no such folder"),
        (break_file, r"pets: neither a folder nor a file that ends in \.csv, \.mat, \.npz"),
        (break_no_classes, r"pets: no class folders; expected one folder of images per class"),
        (break_empty_class, r"class 'dog' has no images in .*val/dog"),
        (break_missing_in_val, r"class 'cow' is in .*val but not in .*train"),
        (break_extra_in_val, r"class 'cow' is in .*val but not in .*train"),
        (break_single_class, r"train: at least two classes are needed, found only 'cat'"),
        (break_no_val, r"pets: has train/ but neither val/ nor test/"),
        (break_too_small, r"class 'dog' has 1 image in .*pets/dog; a split needs at least 2"),
    ],
)
def test_every_error_names_its_culprit(split_folder, damage, message):
    damage(split_folder)
    with pytest.raises(DataError, match=message) as caught:
        load(str(split_folder))
    assert "\n" not in str(caught.value)


def test_a_class_missing_from_val_is_named(split_folder, write_image):
    write_image(split_folder / "train/cow/6.png")
    with pytest.raises(DataError, match=r"class 'cow' is in .*train but not in .*val"):
        load(str(split_folder))


def test_real_photographs(cifar_folder):
    start = time.process_time()
    data = load(str(cifar_folder))
    assert time.process_time() - start < 30  # 3 s as a rule
    assert data.train_images.shape == (10000, 3, 32, 32)
    assert data.test_images.shape == (2000, 3, 32, 32)
    assert data.train_labels.bincount().tolist() == [1000] * 10
    assert data.test_labels.bincount().tolist() == [200] * 10
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    first = sorted((cifar_folder / "val/airplane").iterdir())[0]
    expected = torch.from_numpy(np.array(Image.open(first).convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(data.test_images[0], expected)
