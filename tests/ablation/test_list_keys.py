"""Keys into lists in a study: crop strength as a factor, and what is refused."""

import re

import pytest
from fake_study import replaced

from lelkern.ablation.run.experiment import prepare
from lelkern.config import ConfigError
from lelkern.methods.contrastive.simclr import SimCLRConfig

CROPS = """
title = "Crops"
method = "simclr"
metric = "knn"
base = { encoder = { width = 8 } }
[[factor]]
key = "augment.crop.min_scale"
label = "smallest crop"
values = [0.2, 1.0]
scale = "linear"
[[claim]]
says = "So it is."
shape = "increasing"
[[plot]]
"""
FACTOR = CROPS[CROPS.index("[[factor]]") : CROPS.index("[[claim]]")]
SCALES = [0.2, 1.0]
BASE_LIST = 'augment = [{ name = "crop", max_aspect = 3.0 }, { name = "color", p = 0.1 }]'


@pytest.fixture
def crops(tmp_path):
    """Prepares a study whose factor is the strength of the crop."""

    def crops(*replacements, **changes):
        path = tmp_path / "own.toml"
        path.write_text(replaced(CROPS, *replacements))
        return prepare(str(path), seeds=1, **changes)

    return crops


def parts(experiment):
    """The augmentations of every arm, as plain data."""
    return [[part.model_dump() for part in t.config.augment] for t in experiment.trials]


@pytest.mark.parametrize("key", ["augment.crop.min_scale", "augment.0.min_scale"])
def test_a_key_into_a_list_may_be_a_factor(crops, key):
    experiment = crops(("augment.crop.min_scale", key))
    crop, color = (part.model_dump() for part in SimCLRConfig().augment)
    assert parts(experiment) == [[{**crop, "min_scale": scale}, color] for scale in SCALES]
    assert [trial.arm for trial in experiment.trials] == ["0.2", "1"]


def test_keys_into_a_list_change_the_list_below(crops):
    base = '[base]\nencoder.width = 8\naugment = ["flip", "crop", "blur"]\n'
    own = ("base = { encoder = { width = 8 } }\n", base)
    found = crops(own, settings={"augment": {"blur": {"p": 0.25}}})
    for scale, (flip, crop, blur) in zip(SCALES, parts(found), strict=True):
        assert (flip["name"], crop["min_scale"], blur["p"]) == ("flip", scale, 0.25)


@pytest.mark.parametrize(
    "base",
    ["augment.crop.max_aspect = 3.0\naugment.color.p = 0.1", BASE_LIST],
    ids=["the method's list", "the base's list"],
)
def test_the_short_form_and_the_base_change_parts_of_lists(crops, base):
    own = ("base = { encoder = { width = 8 } }\n", f"[base]\n{base}\n")
    short = ("[[plot]]\n", "[[plot]]\n[quick]\nbase = { augment.color.p = 0.25 }\n")
    for quick, p in ((False, 0.1), (True, 0.25)):
        for crop, color in parts(crops(own, short, quick=quick)):
            assert (crop["max_aspect"], color["p"]) == (3.0, p)


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({"0": {"min_scale": 0.1}}, "augment.0.min_scale: augment.crop.min_scale is"),
        ({"crop": {"min_scale": 0.1}}, "augment.crop.min_scale: this is"),
        ({"0": "flip"}, "augment.0: augment.crop.min_scale is"),
        ({"crop": "crop"}, "augment.crop: augment.crop.min_scale is"),
        (["crop"], "augment: augment.crop.min_scale is"),
    ],
)
def test_a_part_of_a_list_that_is_varied_is_not_set(crops, settings, culprit):
    with pytest.raises(ConfigError, match=f"--set {culprit} what the study varies"):
        crops(settings={"augment": settings})
    number = ("augment.crop.min_scale", "augment.0.min_scale")
    with pytest.raises(ConfigError, match="what the study varies"):
        crops(number, settings={"augment": settings})


def test_an_arm_sets_a_part_of_a_list_that_set_then_does_not(tmp_path):
    arms = """[[arm]]
label = "plain"
[[arm]]
label = "grey"
set = { augment.1.grey_p = 1.0 }
"""
    path = tmp_path / "own.toml"
    path.write_text(replaced(CROPS, (FACTOR, arms), ('"increasing"', '"best"\narm = "grey"')))
    plain, grey = parts(prepare(str(path), seeds=1, settings={"augment": {"color": {"p": 0.5}}}))
    assert [part["grey_p"] for part in (plain[1], grey[1])] == [0.5, 1.0]
    assert {part["p"] for part in (plain[1], grey[1])} == {0.5}
    message = "--set augment.color.grey_p: augment.1.grey_p of arm 'grey' is what the study varies"
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(str(path), settings={"augment": {"color": {"grey_p": 0.1}}})


THERE = "augment has 2: crop (0), color (1)"


@pytest.mark.parametrize(
    ("replacements", "settings", "message"),
    [
        ([], {"augment": {"2": "flip"}}, f"--set: augment.2: no such part; {THERE}"),
        ([], {"augment": {"blur": {"p": 1.0}}}, f"--set: augment.blur: no such part; {THERE}"),
        ([], {"min_scale": 0.1}, "'min_scale'; did you mean 'augment.crop.min_scale'?"),
        ([], {"crop": {"min_scale": 0.1}}, "unknown key 'crop'; did you mean 'augment.crop'?"),
        (
            [("crop.min_scale", "7.min_scale")],
            {},
            f"own.toml: arm '0.2': augment.7: no such part; {THERE}",
        ),
        (
            [("crop.min_scale", "min_scale")],
            {},
            f"augment.min_scale: no such part; {THERE}; did you mean 'augment.crop.min_scale'?",
        ),
        (
            [("base = {", "base = { augment = [],")],
            {},
            "own.toml: arm '0.2': augment.crop: no such part; augment is empty",
        ),
        (
            [("[[claim]]", FACTOR.replace("augment.crop", "augment.0") + "[[claim]]")],
            {},
            "augment.crop and augment.0 are the same part",
        ),
        (
            [("[[claim]]", FACTOR.replace("augment.crop.min", "augment.0.max") + "[[claim]]")],
            {},
            "augment.crop and augment.0 are the same part",
        ),
    ],
)
def test_a_part_that_a_list_does_not_have(crops, replacements, settings, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        crops(*replacements, settings=settings)
    assert "\n" not in str(error.value)
