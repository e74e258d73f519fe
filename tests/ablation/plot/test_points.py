"""Means of categories, beside each other."""

import numpy as np
from pictures import POINTS, changed, draw, panels


def with_values(*values):
    return changed(
        POINTS,
        plot={"published": POINTS.plot[0].published} if "none" in values else {"published": None},
        factor=(POINTS.factor[0].model_copy(update={"values": values}),),
    )


def test_categories_are_the_arms_and_are_not_joined():
    axes, twin = panels(draw(POINTS))
    assert [t.get_text() for t in axes.get_xticklabels()] == ["none", "linear", "nonlinear"]
    assert axes.containers[0][0].get_linestyle() == "None"
    (marks,) = twin.lines
    assert marks.get_linestyle() == "None"
    assert list(np.round(marks.get_xdata())) == [0, 1, 2]
    assert tuple(marks.get_ydata()) == (-10, -3, 0)


def test_published_values_of_arms_that_are_left_out_are_not_drawn():
    _, twin = panels(draw(with_values("nonlinear", "none")))
    places = np.round(twin.lines[0].get_xdata())
    assert dict(zip(places, twin.lines[0].get_ydata(), strict=True)) == {0: 0, 1: -10}


def test_long_labels_are_turned():
    names = [f"nonlinear with {n} hidden layers and batch norm" for n in range(6)]
    labels = panels(draw(with_values(*names)))[0].get_xticklabels()
    assert {label.get_rotation() for label in labels} == {25}
    assert {t.get_rotation() for t in panels(draw(POINTS))[0].get_xticklabels()} == {0}
