"""One line along an axis of numbers: positions, means, intervals, seeds."""

from dataclasses import replace

import numpy as np
import pytest
from pictures import (
    LINE,
    MOMENTUM,
    POINTS,
    changed,
    draw,
    foot,
    intervals,
    legend,
    means,
    panels,
    rows_of,
    seed_dots,
    ticks,
    values_of,
)

from lelkern.ablation.judge.statistics import estimate
from lelkern.ablation.study import Plot


def with_factor(study, **fields):
    return changed(study, factor=(study.factor[0].model_copy(update=fields),))


def test_axes():
    axes, twin = panels(draw(LINE))
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "temperature τ (log scale)"
    assert axes.get_ylabel() == "linear probe (%)"
    assert ticks(axes) == {arm.values["temperature"]: arm.label for arm in LINE.arms()}
    assert axes.get_xlim() == twin.get_xlim()


def test_a_level_without_a_result_has_its_place():
    last = LINE.arms()[-1]
    axes = panels(draw(LINE, rows_of(LINE, without=(last.label,))))[0]
    assert axes.get_xlim()[1] > last.values["temperature"]


def test_linear_scale_is_linear():
    assert panels(draw(with_factor(LINE, scale="linear")))[0].get_xscale() == "linear"


LOG_Y = changed(LINE, plot={"y_scale": "log"})


def with_values(*values):
    """The rows of a study of one line, in each arm with these values, one a seed."""
    return [
        replace(row, metrics={"linear_probe": values[row.seed]})
        for row in rows_of(LOG_Y, seeds=len(values))
    ]


def labels_in_view(axes):
    low, high = axes.get_ylim()
    return [
        tick.get_text() for tick in axes.get_yticklabels() if low <= tick.get_position()[1] <= high
    ]


def test_y_may_be_logarithmic():
    study = changed(LOG_Y, plot={"reference": {"a third": 1 / 3}})
    axes, twin = panels(draw(study))
    assert (axes.get_yscale(), twin.get_yscale()) == ("log", "linear")
    assert axes.get_ylabel() == "linear probe (%) (log scale)"
    low, high = axes.get_ylim()
    drawn = [*seed_dots(axes)[:, 1], 100 / 3]
    assert 0 < low < min(drawn)
    assert max(drawn) < high <= 102
    assert len(labels_in_view(axes)) >= 3


@pytest.mark.parametrize(
    ("values", "some"),
    [
        ((0.6, 0.7, 0.9), {"60", "80"}),
        ((0.003, 0.1, 0.9), {"1", "10"}),
        ((0.71, 0.711, 0.712), {"71.2"}),
    ],
)
def test_a_logarithmic_y_has_labels_whatever_it_spans(values, some):
    axes = panels(draw(LOG_Y, with_values(*values)))[0]
    assert axes.get_yscale() == "log"
    assert some <= set(labels_in_view(axes))
    assert axes.get_ylim()[0] >= 100 * min(values) / 2  # whatever intervals reach to


@pytest.mark.parametrize("band", [False, True])
def test_a_logarithmic_y_has_room_for_zero(band):
    study = changed(LOG_Y, plot={"band": band})
    axes = panels(draw(study, with_values(0.0, 0.5, 0.9)))[0]
    assert axes.get_yscale() == "symlog"
    assert axes.get_ylim()[0] <= 0
    assert "0" in labels_in_view(axes)


@pytest.mark.parametrize("kind", ["heatmap", "metrics"])
def test_only_lines_and_points_have_a_scale_along_y(kind):
    with pytest.raises(ValueError, match=f"y_scale is for .*, got kind = '{kind}'"):
        Plot(kind=kind, y_scale="log")


def test_momenta_are_spaced_by_how_far_they_are_from_one():
    axes, twin = panels(draw(MOMENTUM))
    assert axes.get_xlabel() == f"{MOMENTUM.factor[0].label} (log scale of 1 − value)"
    marks = ticks(axes)
    assert marks == {arm.values["momentum"]: arm.label for arm in MOMENTUM.arms()}
    for drawn in (axes, twin):
        places = drawn.transData.transform([(m, 0) for m in (0, 0.9, 0.99, 0.999, 0.9999)])[:, 0]
        assert np.diff(places) == pytest.approx(np.diff(places)[0])
    left, right = axes.transAxes.transform([(0, 0), (1, 0)])[:, 0]
    assert left < places[0] < places[-1] < right
    assert list(means(axes)[:, 0]) == list(marks)
    assert len(intervals(axes)) == len(marks)


@pytest.mark.parametrize("study", [LINE, POINTS], ids=["line", "points"])
def test_every_mean_interval_and_seed_is_drawn(study):
    rows = rows_of(study)
    axes = panels(draw(study, rows))[0]
    bars, points, dots = intervals(axes), means(axes), seed_dots(axes)
    arms = study.arms()
    assert len(bars) == len(points) == len(arms)
    assert len(dots) == len(rows)
    for i, arm in enumerate(arms):
        e = estimate(values_of(rows, arm.label))
        x = arm.values["temperature"] if study is LINE else i
        assert points[i] == pytest.approx((x, e.mean))
        assert bars[i] == pytest.approx((x, e.mean - e.half_width, e.mean + e.half_width))
        here = dots[dots[:, 0] == x][:, 1]
        assert sorted(here) == pytest.approx(sorted(values_of(rows, arm.label)))
        low, high = axes.get_ylim()
        assert low < bars[i][1] < bars[i][2] < high


@pytest.mark.parametrize("study", [LINE, POINTS], ids=["line", "points"])
def test_no_seed_is_beyond_the_axis(study):
    first = study.arms()[0].label
    # Of ten seeds one is far from the mean, 2.8 standard deviations; the interval is 0.7 of them.
    apart = [
        replace(row, metrics={"linear_probe": 0.99 if row.seed == 0 else 0.2})
        if row.arm == first
        else row
        for row in rows_of(study, seeds=10)
    ]
    axes = panels(draw(study, apart))[0]
    low, high = axes.get_ylim()
    dots = seed_dots(axes)[:, 1]
    assert dots.max() == pytest.approx(99)
    assert low < dots.min() <= dots.max() < high


def test_intervals_can_be_a_band():
    rows = rows_of(LINE)
    figure = draw(changed(LINE, plot={"band": True}), rows)
    axes = panels(figure)[0]
    assert intervals(axes) == []
    (band,) = axes.collections[:1]
    outline = band.get_paths()[0].vertices
    for arm in LINE.arms():
        e = estimate(values_of(rows, arm.label))
        here = outline[outline[:, 0] == arm.values["temperature"]][:, 1]
        assert here.min() == pytest.approx(e.mean - e.half_width)
        assert here.max() == pytest.approx(e.mean + e.half_width)
    assert "Bands: 95 % Student t interval over 3 seeds." in foot(figure)
    assert "Bars: 95 % Student t interval over 3 seeds." in foot(draw(LINE, rows))


def test_one_seed_has_points_without_intervals_and_says_so():
    figure = draw(LINE, rows_of(LINE, seeds=1))
    axes = panels(figure)[0]
    assert len(means(axes)) == len(LINE.arms())
    assert intervals(axes) == []
    assert "One seed an arm: no interval." in foot(figure)
    assert not any("interval" in text for text in legend(figure))


def test_the_line_is_broken_where_an_arm_is_missing():
    axes = panels(draw(LINE, rows_of(LINE, without=("0.1",))))[0]
    line = axes.containers[0][0]
    assert np.isnan(line.get_ydata()[3])
    assert len(means(axes)) == len(LINE.arms()) - 1
    assert 0.1 in axes.get_xticks()  # its place stays


def test_points_of_unsorted_values_are_joined_along_the_axis():
    axes = panels(draw(with_factor(LINE, values=(0.5, 0.1, 1.0))))[0]
    assert list(axes.containers[0][0].get_xdata()) == [0.1, 0.5, 1.0]


def test_published_figures_have_their_own_axis_positions_and_colour():
    published = LINE.plot[0].published
    figure = draw(LINE)
    axes, twin = panels(figure)
    (curve,) = twin.lines
    assert tuple(curve.get_xdata()) == published.x
    assert tuple(curve.get_ydata()) == published.y
    assert twin.get_ylabel() == published.label
    assert twin.yaxis.label.get_color() == curve.get_color() != axes.lines[0].get_color()
    assert twin.spines["right"].get_visible()
    assert any(published.source in text for text in legend(figure))
    assert published.note in foot(figure)


def test_published_figures_in_the_same_unit_are_on_the_same_axis():
    far = tuple(y / 4 for y in LINE.plot[0].published.y)
    published = LINE.plot[0].published.model_copy(update={"same_unit": True, "y": far})
    figure = draw(changed(LINE, plot={"published": published}))
    (axes,) = panels(figure)
    low, high = axes.get_ylim()
    assert all(low < y < high for y in (*published.y, *means(axes)[:, 1]))
    (curve,) = [line for line in axes.lines if line.get_label() == published.source]
    assert tuple(curve.get_ydata()) == published.y
    assert axes.get_ylabel() == "linear probe (%)"
    assert published.source in legend(figure)
    assert published.note in foot(figure)


def test_published_places_beyond_the_levels_have_ticks():
    published = LINE.plot[0].published
    x = (0.1, 0.001, 1e-5, 100.0)
    levels = {arm.values["temperature"]: arm.label for arm in LINE.arms()}
    close = 1.05 * max(levels)  # whose label would lie on another
    further = published.model_copy(update={"x": (*x, close), "y": (60.0,) * 5})
    axes, _ = panels(draw(changed(LINE, plot={"published": further})))
    assert ticks(axes) == levels | {0.001: "0.001", 1e-5: "1e-05", 100.0: "100"}


def test_no_second_axis_without_published_figures():
    assert len(panels(draw(changed(LINE, plot={"published": None})))) == 1


def test_zero_has_a_place_on_a_logarithmic_axis():
    study = changed(LINE, plot={"published": None})
    (axes,) = panels(draw(with_factor(study, values=(0, 1e-4, 1e-3, 1e-2))))
    assert axes.get_xlabel() == "temperature τ (log scale)"
    assert ticks(axes) == {0: "0", 1e-4: "0.0001", 1e-3: "0.001", 1e-2: "0.01"}
    places = axes.transData.transform([(x, 0) for x in ticks(axes)])[:, 0]
    assert np.diff(places) == pytest.approx(np.diff(places)[0])
    assert len(means(axes)) == 4
    left, right = axes.transAxes.transform([(0, 0), (1, 0)])[:, 0]
    assert left < places[0] < places[-1] < right


def test_one_has_a_place_on_the_scale_of_what_is_left_to_one():
    axes, _ = panels(draw(with_factor(MOMENTUM, values=(0.9, 0.99, 0.999, 1.0))))
    places = axes.transData.transform([(x, 0) for x in (0.9, 0.99, 0.999, 1)])[:, 0]
    assert np.diff(places) == pytest.approx(np.diff(places)[0])
    inverted = axes.transData.inverted().transform([(x, 0) for x in places])[:, 0]
    assert inverted == pytest.approx([0.9, 0.99, 0.999, 1])
    left, right = axes.transAxes.transform([(0, 0), (1, 0)])[:, 0]
    assert left < places[0] < places[-1] < right
