"""Lines beside each other: named arms along a factor."""

import numpy as np
import pytest
from pictures import ARMS, BUDGETS, SEVERAL, draw, legend, panels, rows_of, study, values_of

from lelkern.ablation.judge.statistics import estimate

SWITCH = {"key": "head.kind", "label": "head", "values": ["none", "linear", "nonlinear"]}


def drawn(axes):
    return {c.get_label(): c[0] for c in axes.containers}


def test_every_level_of_lines_is_a_line_from_the_smallest_x():
    rows = rows_of(SEVERAL)
    figure = draw(SEVERAL, rows)
    lines = drawn(panels(figure)[0])
    assert list(lines) == ["slow", "fast"]
    assert {"slow", "fast"} <= set(legend(figure))
    for arm, line in lines.items():
        x, y = line.get_data()
        assert list(x) == [10, 100, 1000]
        expected = [estimate(values_of(rows, f"{arm}, labels={n}")).mean for n in (10, 100, 1000)]
        assert list(y) == pytest.approx(expected)


def test_lines_differ_in_colour_and_mark():
    lines = drawn(panels(draw(SEVERAL))[0]).values()
    assert len({line.get_color() for line in lines}) == 2
    assert len({line.get_marker() for line in lines}) == 2


def test_without_being_told_the_last_axis_lies_along_x():
    plain = study(arms=ARMS, factors=[BUDGETS], plot={"kind": "line"})
    assert list(drawn(panels(draw(plain))[0])) == ["slow", "fast"]
    along_arms = study(arms=ARMS, factors=[BUDGETS], plot={"lines": "data.labels"})
    axes = panels(draw(along_arms))[0]
    assert list(drawn(axes)) == ["labels 100", "labels 10", "labels 1000"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["slow", "fast"]


def test_lines_over_categories_stand_side_by_side():
    plain = study(arms=ARMS, factors=[SWITCH], plot={"kind": "points", "x": "head.kind"})
    slow, fast = drawn(panels(draw(plain))[0]).values()
    left, right = (np.array(line.get_xdata(), dtype=float) for line in (slow, fast))
    assert (left < right).all()
    assert list(np.round(left)) == list(np.round(right)) == [0, 1, 2]
    assert slow.get_linestyle() == "None"


@pytest.mark.parametrize("x", ["data.labels", "loss"])
@pytest.mark.parametrize("lengths", [[35] * 9, [17, 34, 12, 12, 25, 36], [36, 5], [60, 60]])
def test_names_of_many_lines_stay_within_the_figure(x, lengths):
    arms = [{"label": f"{i} {'name ' * 20}"[:length].strip()} for i, length in enumerate(lengths)]
    figure = draw(study(arms=arms, factors=[BUDGETS], plot={"x": x, "lines": "arm"}))
    figure.canvas.draw()
    (key,) = [key for part in figure.subfigs for key in part.legends]
    extent = key.get_window_extent()
    assert extent.x0 >= figure.bbox.x0
    assert extent.x1 <= figure.bbox.x1
    assert len(key.get_texts()) == len(arms)
