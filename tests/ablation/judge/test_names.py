import pytest
from simulated_results import factor

from lelkern.ablation.grid import ARM, Axis
from lelkern.ablation.judge.names import Grid
from lelkern.ablation.study.factor import Factor


def axis(**settings):
    f = Factor.parse(factor(**settings), "test")
    return Axis(f.key, f.label, f.levels(), f.labels(), f.scale)


ARMS = Axis(ARM, "arm", ("new", "old"), ("new", "old"), "category")
LABELS = axis(values=[4, 100, 10], key="data.labels", scale="log")
WIDTH, DEPTH = axis(values=[1, 2], key="net.width"), axis(values=[2, 3], key="net.depth")
BOTH = Grid([ARMS, LABELS], ["raw"])
ONE = Grid([LABELS], ["raw"])


def compared(grid, *args, **settings):
    return [(pair.left, pair.right) for pair in grid.pairs(*args, **settings)]


def test_a_level_is_compared_at_every_level_of_the_other_axis():
    assert compared(BOTH, "new", "old") == [
        (f"new, labels={n}", f"old, labels={n}") for n in (4, 100, 10)
    ]
    assert compared(BOTH, 100, "labels=4") == [
        (f"{arm}, labels=100", f"{arm}, labels=4") for arm in ("new", "old")
    ]


def test_a_comparison_may_be_restricted():
    assert compared(BOTH, "new", "old", at=10) == [("new, labels=10", "old, labels=10")]
    assert len(compared(BOTH, "new", "old", at=(10, "4"))) == 2
    (pair,) = BOTH.pairs("new", "old", at=10)
    assert (pair.names, pair.where) == (("new", "old"), "at labels=10")
    (pair,) = BOTH.pairs(4, 10, at="new")
    assert (pair.names, pair.where) == (("labels=4", "labels=10"), "for new")


def test_baselines_and_single_arms_are_the_same_everywhere():
    assert compared(BOTH, "new", "raw", at=4) == [("new, labels=4", "raw")]
    assert compared(BOTH, "raw", "new", at=4) == [("raw", "new, labels=4")]
    assert compared(BOTH, "new, labels=4", "old", at=100) == [("new, labels=4", "old, labels=100")]
    assert compared(BOTH, "new, labels=4", "raw") == [("new, labels=4", "raw")]
    assert compared(BOTH, "new", "new, labels=10") == [
        (f"new, labels={n}", "new, labels=10") for n in (4, 100)
    ]


def test_without_a_name_every_arm_is_meant():
    assert compared(ONE, None, "raw") == [(n, "raw") for n in ("4", "100", "10")]
    assert compared(ONE, None, 4) == [("100", "4"), ("10", "4")]
    assert len(compared(BOTH, None, "raw")) == 6
    assert compared(BOTH, None, "old", at=4) == [("new, labels=4", "old, labels=4")]
    assert compared(ONE, None, None) == [(n, n) for n in ("4", "100", "10")]
    assert compared(ONE, None, None, at=4) == [("4", "4")]
    assert compared(BOTH, "new", None, at=4) == [("new, labels=4", "new, labels=4")]


def test_several_names_are_each_compared():
    assert compared(ONE, (4, 10), (100, "raw")) == [
        ("4", "100"), ("4", "raw"), ("10", "100"), ("10", "raw"),
    ]  # fmt: skip


def test_a_level_of_two_axes_needs_the_axis():
    grid = Grid([WIDTH, DEPTH])
    with pytest.raises(ValueError, match=r"arm = 2 is a level of two axes; write 'width=2' or"):
        grid.pairs(2, 1)
    assert compared(grid, "width=2", 1, at=3) == [("width=2, depth=3", "width=1, depth=3")]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("newer", "old"), r"arm = 'newer' is no arm, level or baseline; did you mean 'new'\?"),
        (("new", "rew"), r"over = 'rew' is no arm, level or baseline; did you mean 'raw'\?"),
        (("new", 4), "arm = 'new' and over = 'labels=4' are levels of different axes"),
        (("new", "new"), "over = 'new' is the same as arm"),
        (("new", "old", 5), "at = 5 is no level of 'data.labels'; valid: 4, 100, 10"),
        (("new, labels=4", "raw", 4), "at = 4: there is no other axis"),
        (("new", ("old", "new")), "over = 'new' is the same as arm"),
    ],
)
def test_errors_name_field_and_value(args, message):
    with pytest.raises(ValueError, match=message):
        BOTH.pairs(*args)


def test_true_is_not_one():
    grid = Grid([axis(values=[False, True], key="flip", scale="category")])
    assert compared(grid, True, False) == [("true", "false")]
    with pytest.raises(ValueError, match="arm = 1 is no arm"):
        grid.pairs(1, False)


def test_a_track_is_sorted_and_has_a_row_a_level_of_the_other_axis():
    track = BOTH.track(1)
    assert track.levels == ("4", "10", "100")
    assert track.arms[1] == ("old, labels=4", "old, labels=10", "old, labels=100")
    assert track.others == ("for new", "for old")
    assert BOTH.track(1, "old").arms == track.arms[1:]
    assert BOTH.track(0, 10).arms == (("new, labels=10", "old, labels=10"),)
    assert ONE.track(0).others == ("",)
    with pytest.raises(ValueError, match="of = 'older' is no level of 'arm'; did you mean 'old'"):
        BOTH.track(1, "older")
    with pytest.raises(ValueError, match=r"of = 4: the study varies nothing but 'data.labels'"):
        ONE.track(0, 4)


def test_a_series_is_sorted_along_its_axis():
    (series,) = BOTH.series("new", "old", 1)
    assert series.levels == ("4", "10", "100")
    assert [pair.left for pair in series.pairs] == [
        "new, labels=4",
        "new, labels=10",
        "new, labels=100",
    ]
    assert len(BOTH.series(None, "raw", 1)) == 2
    assert [series.where for series in BOTH.series(None, None, 1)] == ["for new", "for old"]
    with pytest.raises(ValueError, match=r"along = 'data.labels': arm and over do not vary along"):
        BOTH.series(4, 10, 1)
    with pytest.raises(ValueError, match=r"along = 'data.labels': arm and over do not vary along"):
        BOTH.series("new, labels=4", "raw", 1)


@pytest.mark.parametrize("key", ["data.labels", "labels"])
def test_an_axis_is_found_by_its_key_or_the_end_of_it(key):
    assert BOTH.axis("along", key) == 1


def test_an_axis_that_is_not_there():
    with pytest.raises(ValueError, match=r"along = 'labl' is not .* did you mean 'data.labels'\?"):
        BOTH.axis("along", "labl")
    with pytest.raises(ValueError, match=r"along is missing; valid: arm, data.labels"):
        BOTH.only_axis("along", None)
    assert BOTH.only_axis("along", None, numeric=True) == 1
    with pytest.raises(ValueError, match="along = 'arm' needs a factor of numbers"):
        BOTH.only_axis("along", "arm", numeric=True)
    with pytest.raises(ValueError, match="shape needs a factor of numbers with a scale; 'arm' has"):
        Grid([ARMS]).only_axis("along", None, numeric=True)
