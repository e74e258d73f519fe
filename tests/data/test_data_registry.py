from pathlib import Path

import pytest
import torch

from lelkern.data import DATA_SETS, DataError, ImageData, TableData, fingerprint, load, register


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("cifar-10", "cifar10"),
        ("CIFAR10", "cifar10"),
        ("cifar_100", "cifar100"),
        ("color_digits", "color-digits"),
        ("colour-digits", "color-digits"),
        ("FashionMNIST", "fashion-mnist"),
        ("stl-10", "stl10"),
        ("MNIST", "mnist"),
    ],
)
@pytest.mark.parametrize("function", [load, fingerprint])
def test_a_near_miss_is_answered_with_the_name(function, wrong, right):
    with pytest.raises(DataError, match=rf"'{wrong}' is neither .*; did you mean '{right}'\?"):
        function(wrong)


def test_an_unknown_name_is_answered_with_all_names():
    with pytest.raises(DataError, match="'kinetics-400' is neither a data set nor a f") as caught:
        load("kinetics-400")
    assert all(name in str(caught.value) for name in DATA_SETS)


@pytest.mark.parametrize("path", ["no/such", "./none", "/nowhere/at/all"])
def test_a_path_is_not_taken_for_a_name(path):
    with pytest.raises(DataError, match="no such folder"):
        load(path)


def test_a_folder_may_be_called_nearly_as_a_data_set(tmp_path, monkeypatch, write_image):
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        write_image(tmp_path / "cifar-10" / name)
    monkeypatch.chdir(tmp_path)
    assert load("cifar-10").classes == ("a", "b")


@pytest.mark.parametrize("function", [load, fingerprint])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"test_fraction": 0.0}, "test_fraction must be between 0 and 1, got 0.0"),
        ({"test_fraction": 1.0}, "test_fraction must be between 0 and 1, got 1.0"),
        ({"test_fraction": float("nan")}, "test_fraction must be between 0 and 1, got nan"),
    ],
)
def test_arguments_are_checked(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function("color-digits", **arguments)


def test_color_digits_can_be_resized():
    data = load("color-digits", image_size=32)
    assert data.train_images.shape == (1297, 3, 32, 32)
    assert data.test_images.shape == (500, 3, 32, 32)


def test_fingerprints_of_names():
    everything = [fingerprint(name) for name, found in DATA_SETS.items() if found.kind is ImageData]
    assert len(set(everything)) == 7
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in everything)
    assert fingerprint("color-digits") == everything[0]
    assert fingerprint("color-digits", seed=1) != everything[0]
    assert fingerprint("color-digits", image_size=32) != everything[0]
    assert fingerprint("color-digits", test_fraction=0.5) == everything[0]
    assert fingerprint("cifar10", seed=1) == fingerprint("cifar10")


@pytest.mark.parametrize("split", [True, False])
def test_fingerprints_of_folders(tmp_path, write_image, split):
    folders = ("train/a", "train/b", "val/a", "val/b") if split else ("a", "b")
    for copy in ("one", "two/deeper"):
        for folder in folders:
            for name in ("1.bmp", "2.bmp"):
                write_image(tmp_path / copy / folder / name)
    one, two = str(tmp_path / "one"), str(tmp_path / "two/deeper")
    value = fingerprint(one)
    assert fingerprint(two) == value  # where the folder lies does not matter
    assert fingerprint(one + "/") == value
    assert fingerprint(one, image_size=2) != value
    assert (fingerprint(one, seed=1) == value) == split
    assert (fingerprint(one, test_fraction=0.5) == value) == split

    file = tmp_path / "two/deeper" / folders[0] / "1.bmp"
    size = file.stat().st_size
    write_image(file, color=(1, 1, 1))
    assert file.stat().st_size == size
    assert fingerprint(two) != value
    write_image(file, size=(5, 4))
    assert fingerprint(two) != value
    write_image(file)
    assert fingerprint(two) == value
    file.rename(file.with_name("3.bmp"))
    assert fingerprint(two) != value


def test_what_has_one_fingerprint_is_one_data_set(tmp_path, write_image):
    for i in range(20):
        write_image(tmp_path / f"{'ab'[i % 2]}/{i}.png", (i, 0, 0))
    one, two = load(str(tmp_path)), load(str(tmp_path))
    assert torch.equal(one.train_images, two.train_images)
    assert torch.equal(one.test_images, two.test_images)


@pytest.mark.parametrize("function", [load, fingerprint])
def test_what_is_no_images_is_refused_by_the_short_way(function):
    with pytest.raises(DataError, match=r"'iris' is not images \(table\); .*DataSource"):
        function("iris")


def never(**options):
    raise AssertionError("nothing is read on registration")


@pytest.mark.parametrize("name", ["Iris", "my_set", "a/b", "photos.csv", "", "-", "a--b"])
def test_a_name_that_could_be_a_path_is_refused(name):
    with pytest.raises(ValueError, match=f"a data set can't be called '{name}'"):
        register(name, TableData, summary="", version=1)(lambda seed: never())
    assert name not in DATA_SETS


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="a data set is called 'iris' already"):
        register("iris", TableData, summary="", version=1)(lambda seed: never())


def test_a_reader_can_take_only_what_a_study_can_say():
    def read(*, seed: int, colour: str) -> TableData:
        return never()

    with pytest.raises(TypeError, match=r"data set 'toy': its reader takes colour, but .*seed"):
        register("toy", TableData, summary="", version=1)(read)
    assert "toy" not in DATA_SETS


def test_a_reader_is_given_what_it_asks_for(tmp_path):
    given = {}

    def read(root: Path, download: bool, seed: int) -> TableData:
        given.update(root=root, download=download, seed=seed)
        return never

    try:
        register("toy", TableData, summary="", version=1)(read)
        found = DATA_SETS["toy"]
        options = {"seed": 7, "image_size": None, "val_fraction": 0.0}
        assert found.load(options, tmp_path, True) is never
    finally:
        DATA_SETS.pop("toy", None)
    assert given == {"root": tmp_path, "download": True, "seed": 7}
    assert found.options == TableData.options | {"seed"}


def test_the_version_of_a_reader_is_part_of_its_identity(tmp_path):
    options = {"seed": 0, "val_fraction": 0.0, "samples_per_task": None}
    found = []
    for version in (1, 2):
        register("toy", TableData, summary="", version=version)(lambda seed: never())
        found.append(DATA_SETS.pop("toy"))
    assert found[0].identity(options, tmp_path) != found[1].identity(options, tmp_path)
