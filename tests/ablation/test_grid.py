import pytest

from lelkern.ablation.grid import ARM, Axis, cell_labels

LEVELS = Axis("level", "level", (4.0, 1.0, 0.5), ("4", "1", "0.5"), "linear")
NAMED = Axis(ARM, "arm", ("slow", "fast"), ("slow", "fast"), "category")
SWITCH = Axis("head.on", "head", (True, 1), ("true", "1"), "category")
OTHER = Axis("encoder.on", "encoder", (1, 2), ("one", "two"), "category")


def test_numbers_are_ordered_and_names_stand_as_they_are():
    assert [LEVELS.names[i] for i in LEVELS.order] == ["0.5", "1", "4"]
    assert [NAMED.names[i] for i in NAMED.order] == ["slow", "fast"]
    assert LEVELS.is_numeric
    assert not NAMED.is_numeric


@pytest.mark.parametrize(
    ("axis", "level", "index"),
    [(LEVELS, 1, 1), (LEVELS, "0.5", 2), (NAMED, "fast", 1), (SWITCH, True, 0), (SWITCH, 1, 1)],
)
def test_a_level_is_found_by_its_value_or_its_label(axis, level, index):
    assert axis.find(level) == index


def test_a_level_that_is_not_there():
    with pytest.raises(ValueError, match="'fats' is no value of arm; did you mean 'fast'"):
        NAMED.find("fats")


def test_cells_of_one_axis_are_called_by_their_level():
    assert cell_labels([LEVELS]) == {(0,): "4", (1,): "1", (2,): "0.5"}


def test_cells_of_named_arms_along_a_factor():
    labels = cell_labels([NAMED, LEVELS])
    assert list(labels.values())[:4] == [
        "slow, level=4",
        "slow, level=1",
        "slow, level=0.5",
        "fast, level=4",
    ]
    assert list(labels)[3] == (1, 0)


def test_cells_of_two_factors_have_keys_that_tell_them_apart():
    assert cell_labels([SWITCH, OTHER])[1, 0] == "head.on=1, encoder.on=one"
