"""Each arm at the mean of another metric of its own: accuracy over parameters."""

import pytest
from pictures import (
    OVER_METRIC,
    changed,
    draw,
    foot,
    intervals,
    legend,
    means,
    panels,
    rows_of,
    seed_dots,
    study,
    values_of,
)

from lelkern.ablation.judge.statistics import estimate


def test_one_line_a_level_of_lines_through_the_other_axis():
    rows = rows_of(OVER_METRIC)
    figure = draw(OVER_METRIC, rows)
    axes = panels(figure)[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "encoder parameters (log scale)"
    assert {"depth 1", "depth 2", "depth 3"} <= set(legend(figure))
    assert len({c[0].get_marker() for c in axes.containers}) == 3
    sizes = {row.arm: row.metrics["parameters"] for row in rows}
    for depth, container in zip((1, 2, 3), axes.containers, strict=True):
        arms = [f"width={width}, depth={depth}" for width in (4, 8, 16, 32)]
        x, y = container[0].get_data()
        assert list(x) == [sizes[arm] for arm in arms]
        assert list(y) == pytest.approx([estimate(values_of(rows, arm)).mean for arm in arms])
    assert len(intervals(axes)) == 12
    assert len(seed_dots(axes)) == 36
    assert "Dots beside a mean: its seeds." in foot(figure)


def test_a_missing_arm_is_left_out():
    axes = panels(draw(OVER_METRIC, rows_of(OVER_METRIC, without=("width=8, depth=2",))))[0]
    assert len(means(axes)) == 11


def test_one_factor_is_one_line():
    width = {"key": "encoder.width", "label": "width", "scale": "log", "values": [4, 16, 8]}
    single = study(factors=[width], plot={"x": "parameters", "scale": "log"})
    axes = panels(draw(single))[0]
    (line,) = axes.containers
    assert list(line[0].get_xdata()) == [1000, 4000, 2000]  # by width: 4, 8, 16


def test_a_linear_scale_is_linear():
    axes = panels(draw(changed(OVER_METRIC, plot={"scale": "linear"})))[0]
    assert axes.get_xscale() == "linear"
    assert axes.get_xlabel() == "encoder parameters"


def test_published_figures_have_their_own_panel():
    published = OVER_METRIC.plot[0].published
    _, beside = panels(draw(OVER_METRIC))
    assert beside.get_xscale() == "log"
    assert [t.get_text() for t in beside.get_xticklabels()] == ["24M", "94M", "375M"]
    assert tuple(beside.lines[0].get_ydata()) == published.y
    assert beside.get_ylabel().replace("\n", " ") == published.label
    assert beside.get_title() == published.source
