import os
import shutil
import sys
import time
from contextlib import nullcontext
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


@pytest.mark.parametrize(
    ("train", "test"),
    [("Train", "Val"), ("training", "testing"), ("TRAIN", "valid"), ("train", "Validation")],
)
def test_a_split_may_be_called_otherwise(split_folder, train, test):
    expected = load(str(split_folder))
    (split_folder / "val").rename(split_folder / test)
    (split_folder / "train").rename(split_folder / train)
    data = load(str(split_folder))
    assert data.describe() == expected.describe()
    assert reds(data.test_images) == reds(expected.test_images)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/1.png", "train/2.png", "val/cat/3.png", "val/dog/4.png"], "train: looks like a"),
        (["train/a/1.png", "train/b/2.png", "val/3.png", "val/4.png"], "val: looks like a split"),
        (["train/1.png", "train/2.png", "test/3.png", "test/4.png"], "train: looks like a split"),
        (["Val/a/1.png", "Val/b/2.png", "Test/a/3.png", "Test/b/4.png"], "neither train/ nor"),
        (["cat/1.png", "cat/2.png", "dog/3.png", "Test/4.png"], "has Test/ but neither train/ nor"),
        (["train/a/1.png", "training/b/2.png", "val/a/3.png"], "has both train/ and training/"),
        (["train/a/1.png", "train/b/2.png", "Val/a/3.png", "val/b/4.png"], "both Val/ and val/"),
        (["train2017/a/1.png", "val2017/a/2.png"], "train2017, val2017, which look like splits"),
        (
            ["one/train/a/1.png", "one/test/a/2.png", "two/a/1.png", "two/b/2.png"],
            "'one' would be a class, but is split itself into test, train",
        ),
        (["cat/Train/1.png", "cat/Val/2.png", "dog/Train/3.png", "dog/Val/4.png"], "'cat' would"),
        (["TrainImages/a/1.png", "TestImages/a/2.png"], "TestImages, TrainImages, which look like"),
        (["trainset/a/1.png", "testset/a/2.png"], "testset, trainset, which look like splits"),
        (["train_1/a/1.png", "eval_1/a/2.png"], "eval_1, train_1, which look like splits"),
        (["images/train/a/1.png", "images/val/a/2.png"], "only 'images'; did you mean .*/images?"),
    ],
)
def test_splits_are_not_taken_for_classes(tmp_path, write_image, files, message):
    for name in files:
        write_image(tmp_path / name)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path))


def test_classes_may_be_called_nearly_like_splits(tmp_path, write_image):
    for name in ("bullet train", "test tube", "cup"):
        for i in range(2):
            write_image(tmp_path / name / f"{i}.png", (i, len(name), 0))
    assert load(str(tmp_path)).classes == ("bullet train", "cup", "test tube")


def test_folders_beside_splits_are_remarked_on(split_folder, write_image):
    write_image(split_folder / "test/cat/5.png")
    with pytest.warns(UserWarning, match="1 file or folder is passed over, such as test/"):
        load(str(split_folder))


def test_files_that_are_no_images_of_a_class_are_remarked_on(flat_folder, write_image):
    write_image(flat_folder / "cat/moving.gif")
    write_image(flat_folder / "loose.png")
    for name in ("README.txt", "cat/.hidden", "cat/Thumbs.db", "notes.gif"):  # of no account
        (flat_folder / name).touch()
    remark = "2 files or folders are passed over, such as cat/moving.gif"
    with pytest.warns(UserWarning, match=remark):
        assert load(str(flat_folder)).remarks[0] == remark


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "lost+found"])
def test_what_systems_put_into_folders_is_no_class_and_no_image(flat_folder, write_image, name):
    expected = load(str(flat_folder))
    for path in (f"{name}/1.png", f"{name}/2.png", f"cat/{name}/00.png/small.png"):
        write_image(flat_folder / path, (9, 9, 9))
    data = load(str(flat_folder))
    assert data.describe() == expected.describe()
    assert reds(data.train_images) == reds(expected.train_images)


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_data_are_kept_under_names_that_are_no_text(flat_folder, tmp_path):
    data, path = load(str(flat_folder)), Path(f"{tmp_path}/gr\udcf6\udcdfe.pt")
    data.save(path)
    assert torch.equal(type(data).load(path).train_images, data.train_images)


def test_data_sets_side_by_side_are_remarked_on(tmp_path, write_image):
    for i, name in enumerate(["one/a/1.png", "one/b/2.png", "two/c/3.png", "two/d/4.png"]):
        write_image(tmp_path / name, (i, 0, 0))
    with pytest.warns(UserWarning, match="classes, one, two, lie in .* such as one/a and one/b"):
        assert load(str(tmp_path)).classes == ("one", "two")
    write_image(tmp_path / "two/5.png", (5, 0, 0))
    assert load(str(tmp_path)).remarks == ()


def test_images_that_are_trained_and_tested_on_are_counted(split_folder):
    shutil.copy(split_folder / "train/cat/b/2.png", split_folder / "val/cat/0.png")
    shutil.copy(split_folder / "train/dog/3.png", split_folder / "val/cat/9.png")
    remark = (
        "2 test images are training images as well, such as val/cat/0.png, "
        "which is train/cat/b/2.png"
    )
    with pytest.warns(UserWarning, match=remark) as caught:
        data = load(str(split_folder))
    assert caught[0].filename == __file__
    assert data.describe() == f"2 classes, 3 training and 4 test images, 4x4; {remark}"


def test_an_image_in_two_formats_is_one_image(split_folder):
    with Image.open(split_folder / "train/dog/3.png") as image:
        image.save(split_folder / "val/cat/9.bmp")
    with pytest.warns(UserWarning, match="such as val/cat/9.bmp, which is train/dog/3.png"):
        load(str(split_folder))


def test_a_drawn_split_may_part_copies(flat_folder):
    for i in range(1, 10):
        shutil.copy(flat_folder / "cat/00.png", flat_folder / f"cat/{i:02}.png")
    with pytest.warns(UserWarning, match="2 test images are training images as well"):
        load(str(flat_folder))


def test_linked_folders_are_read_as_torchvision_does(flat_folder, tmp_path, write_image):
    from torchvision.datasets import ImageFolder

    for i in range(3):
        write_image(tmp_path / f"elsewhere/birds/{i}.png", (200 + i, 0, 0))
    (flat_folder / "cat/more").symlink_to(tmp_path / "elsewhere/birds")
    (flat_folder / "bird").symlink_to(tmp_path / "elsewhere")
    data = load(str(flat_folder))
    theirs = ImageFolder(str(flat_folder))
    assert data.classes == tuple(theirs.classes)
    number = data.train_labels.bincount() + data.test_labels.bincount()
    assert number.tolist() == [theirs.targets.count(i) for i in range(3)]


def test_a_link_to_a_folder_above_it_is_no_endless_search(flat_folder):
    (flat_folder / "cat/all").symlink_to(flat_folder / "cat")
    data = load(str(flat_folder))
    assert len(data.train_images) + len(data.test_images) == 14


def test_hidden_files_and_other_files_are_passed_over(split_folder, write_image):
    write_image(split_folder / "train/cat/.hidden.png")
    write_image(split_folder / "train/cat/.thumbs/1.png")
    write_image(split_folder / "train/.cache/1.png")
    (split_folder / "train/cat/readme.txt").write_text("no image")
    (split_folder / "train/labels.csv").write_text("no class")
    with pytest.warns(UserWarning, match="is passed over, such as train/cat/readme.txt"):
        assert reds(load(str(split_folder)).train_images) == [0, 1, 2]


def test_the_order_of_the_file_system_does_not_matter(split_folder, write_image, monkeypatch):
    write_image(split_folder / "train/cat/0.png", (9, 0, 0))
    scan = os.scandir
    for backwards in (False, True):
        monkeypatch.setattr(
            os,
            "scandir",
            lambda top, backwards=backwards: nullcontext(
                sorted(scan(top), key=lambda entry: entry.name, reverse=backwards)
            ),
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
