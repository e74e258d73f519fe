"""Keys into lists: which part they change, and what they say where there is none."""

import re

import pytest

from lelkern.ablation.layers import numbered, with_whole_lists
from lelkern.config import ConfigError, nest

CROP = {"name": "crop", "scale": 0.5}
COLOR = {"name": "color", "p": 1.0, "hue": {"most": 0.1}}
BELOW = {
    "augment": [CROP, COLOR, "blur", "flip", "flip"],
    "sizes": (3, 4, 5),
    "grid": [[1, 2], [3]],
    "tables": [{"rate": 1}, {"rate": 2}],
    "none": [],
    "deep": {"name": "net", "layers": [{"name": "conv", "width": 8}]},
    "steps": 7,
}


@pytest.mark.parametrize(
    ("key", "value", "place", "part"),
    [
        ("augment.0.scale", 0.2, 0, {"name": "crop", "scale": 0.2}),
        ("augment.crop.scale", 0.2, 0, {"name": "crop", "scale": 0.2}),
        ("augment.color.hue.most", 0.2, 1, {**COLOR, "hue": {"most": 0.2}}),
        ("augment.blur.p", 0.2, 2, {"name": "blur", "p": 0.2}),
        ("augment.4.p", 0.2, 4, {"name": "flip", "p": 0.2}),
        ("augment.0", "flip", 0, "flip"),
        ("augment.0.name", "flip", 0, {"name": "flip"}),
        ("augment.crop", {"name": "crop", "scale": 1}, 0, {"name": "crop", "scale": 1}),
        ("sizes.1", 9, 1, 9),
        ("grid.0.1", 9, 0, [1, 9]),
        ("tables.1.rate", 9, 1, {"rate": 9}),
    ],
)
def test_one_part_changes_and_the_rest_stays(key, value, place, part):
    first = key.split(".")[0]
    before = [*BELOW[first]]
    expected = [*before[:place], part, *before[place + 1 :]]
    assert with_whole_lists(nest(key, value), BELOW, "--set") == {first: expected}
    assert [*BELOW[first]] == before


def test_several_keys_into_one_list():
    layer = with_whole_lists(
        {"augment": {"crop": {"scale": 1}, "3": "blur"}, "steps": 8}, BELOW, "--set"
    )
    assert layer["augment"] == [{"name": "crop", "scale": 1}, COLOR, "blur", "blur", "flip"]
    assert layer["steps"] == 8


def test_a_list_in_a_part_changes_unless_the_part_is_another():
    changed = with_whole_lists(nest("deep.layers.conv.width", 4), BELOW, "--set")
    assert changed == {"deep": {"layers": [{"name": "conv", "width": 4}]}}
    another = {"deep": {"name": "tree", "layers": {"0": 4}}}
    assert with_whole_lists(another, BELOW, "--set") == another


@pytest.mark.parametrize("layer", [{}, {"new": {"0": 1}}, {"steps": {"0": 1}}, {"augment": []}])
def test_what_is_no_key_into_a_list_stays(layer):
    assert with_whole_lists(layer, BELOW, "--set") == layer


LISTED = "augment has 5: crop (0), color (1), blur (2), flip (3), flip (4)"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("augment.5.p", f"augment.5: no such part; {LISTED}"),
        ("augment.-1.p", f"augment.-1: no such part; {LISTED}"),
        ("augment.00.p", f"augment.00: no such part; {LISTED}"),
        ("augment.rotation", f"augment.rotation: no such part; {LISTED}"),
        (
            "augment.flip.p",
            "augment.flip: augment has 2 of that name: write augment.3 or augment.4",
        ),
        ("augment.p", f"augment.p: no such part; {LISTED}; did you mean 'augment.color.p'?"),
        ("sizes.3", "sizes.3: no such part; sizes has 3: 0 to 2"),
        ("grid.1.1", "grid.1.1: no such part; grid.1 has 1: 0"),
        (
            "tables.rate",
            "tables.rate: no such part; tables has 2: 0 to 1; did you mean 'tables.0.rate' or "
            "'tables.1.rate'?",
        ),
        ("none.0", "none.0: no such part; none is empty"),
        ("deep.layers.1", "deep.layers.1: no such part; deep.layers has 1: conv (0)"),
    ],
)
def test_a_part_that_is_not_there(key, message):
    with pytest.raises(ConfigError, match=f"^here: {re.escape(message)}$"):
        with_whole_lists(nest(key, 1), BELOW, "here")


def test_a_part_called_in_two_ways():
    layer = {"augment": {"crop": {"scale": 1}, "0": {"name": "crop"}}}
    with pytest.raises(ConfigError, match=r"--set: augment\.crop and augment\.0 are the same part"):
        with_whole_lists(layer, BELOW, "--set")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("augment.crop.scale", "augment.0.scale"),
        ("augment.4.p", "augment.4.p"),
        ("augment.flip.p", "augment.flip.p"),
        ("augment.none.p", "augment.none.p"),
        ("augment", "augment"),
        ("deep.layers.conv.width", "deep.layers.0.width"),
        ("grid.0.1.a", "grid.0.1.a"),
        ("steps.0", "steps.0"),
        ("new.key", "new.key"),
    ],
)
def test_names_of_parts_are_numbers(key, expected):
    assert numbered(key, BELOW) == expected
