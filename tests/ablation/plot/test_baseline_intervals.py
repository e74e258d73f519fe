"""Intervals of baselines, at the right ends of their lines."""

import numpy as np
import pytest
from pictures import BASELINES, LINE, changed, draw, panels

from lelkern.ablation.judge.statistics import estimate
from lelkern.ablation.study import Plot

PUBLISHED = LINE.plot[0].published


def beyond_the_axes(axes):
    """The marks that stand outside: (points, 2) each, x as a share of the axis."""
    outside = [
        line for line in axes.lines if not line.get_clip_on() and line.get_marker() != "None"
    ]
    for line in outside:
        assert (line.get_transform().transform(line.get_xydata())[:, 0] > axes.bbox.x1).all()
    return [line.get_xydata() for line in outside]


@pytest.mark.parametrize("kind", ["line", "points"])
def test_they_stand_side_by_side_and_one_seed_has_none(kind):
    bars = {"kind": kind, "baseline_intervals": True, "published": None}
    axes = panels(draw(changed(LINE, plot=bars), baselines=BASELINES))[0]
    pixels, encoder, bar = beyond_the_axes(axes)
    assert pixels == pytest.approx(np.array([[1.015, 61]]))
    assert encoder == pytest.approx(np.array([[1.035, 80]]))
    half = 100 * estimate([0.7, 0.8, 0.9]).half_width
    assert bar == pytest.approx(np.array([[1.035, 80 - half], [1.035, 80 + half]]))


def test_they_leave_x_alone_and_are_within_y():
    alone = changed(LINE, plot={"published": None})
    plain = panels(draw(alone, baselines=BASELINES))[0]
    axes = panels(draw(changed(alone, plot={"baseline_intervals": True}), baselines=BASELINES))[0]
    assert not beyond_the_axes(plain)
    assert axes.get_xlim() == plain.get_xlim()
    assert axes.get_ylim()[0] < 80 - 100 * estimate([0.7, 0.8, 0.9]).half_width


def test_they_need_a_place():
    with pytest.raises(ValueError, match=r"baseline_intervals is for .*, got kind = 'heatmap'"):
        Plot(kind="heatmap", baseline_intervals=True)
    with pytest.raises(ValueError, match=r"needs published\.same_unit = true"):
        Plot(baseline_intervals=True, published=PUBLISHED)
    same_unit = PUBLISHED.model_copy(update={"same_unit": True})
    assert Plot(baseline_intervals=True, published=same_unit).baseline_intervals
