"""Series that trials report: means over seeds with bands."""

from dataclasses import replace

import numpy as np
import pytest
from pictures import (
    ARMS,
    BUDGETS,
    CURVE,
    bands,
    changed,
    draw,
    foot,
    legend,
    panels,
    rows_of,
    study,
)

from lelkern.ablation.judge.statistics import estimate
from lelkern.ablation.plot.curve import common_grid
from lelkern.ablation.results import Row
from lelkern.ablation.study import Published
from lelkern.config import ConfigError


def test_a_line_an_arm_with_its_mean_and_its_band():
    rows = rows_of(CURVE)
    figure = draw(CURVE, rows)
    (axes,) = panels(figure)
    assert [line.get_label() for line in axes.lines] == ["slow", "fast"]
    assert {"slow", "fast"} <= set(legend(figure))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps", "training loss")
    for line, outline in zip(axes.lines, bands(axes), strict=True):
        own = [row.curves["loss"] for row in rows if row.arm == line.get_label()]
        assert list(line.get_xdata()) == [1, 2, 4]
        for i, x in enumerate((1, 2, 4)):
            e = estimate([points[i][1] for points in own])
            assert line.get_ydata()[i] == pytest.approx(e.mean)
            here = outline[outline[:, 0] == x][:, 1]
            assert here.min() == pytest.approx(e.mean - e.half_width)
            assert here.max() == pytest.approx(e.mean + e.half_width)
    assert "Bands: 95 % Student t interval over 3 seeds." in foot(figure)


def test_y_may_be_logarithmic():
    (axes,) = panels(draw(changed(CURVE, plot={"y_scale": "log"}), rows_of(CURVE)))
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "training loss (log scale)"
    drawn = [y for line in axes.lines for y in line.get_ydata()]
    low, high = axes.get_ylim()
    assert 0 < low <= min(drawn) < max(drawn) <= high
    labels = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert len(labels) >= 3


def test_panels_share_a_logarithmic_y():
    study = changed(CURVE, plot={"y_scale": "log", "panels": "arm", "lines": None})
    rows = rows_of(CURVE)
    zero = [
        replace(row, curves={"loss": [(x, 0.0) for x, _ in row.curves["loss"]]})
        if row.arm == "slow"
        else row
        for row in rows
    ]
    scales = {axes.get_yscale() for axes in panels(draw(study, zero))}
    assert scales == {"symlog"}


def test_one_seed_has_no_band():
    (axes,) = panels(draw(CURVE, rows_of(CURVE, seeds=1)))
    assert len(axes.lines) == 2
    assert bands(axes) == []


def test_the_other_axis_is_averaged_within_each_seed():
    """So that an interval is over seeds, as the foot says, and not over levels."""
    both = study(arms=ARMS, factors=[BUDGETS], plot={"x": "loss", "lines": "arm"})
    level = {100: 0.0, 10: 1.0, 1000: 5.0}
    rows = [
        Row(f"{arm}, labels={n}", s, {"linear_probe": 0.5}, {"loss": [(1.0, offset + s)]})
        for arm in ("slow", "fast")
        for n, offset in level.items()
        for s in range(3)
    ]
    (axes,) = panels(draw(both, rows))
    e = estimate([2.0, 3.0, 4.0])
    assert [line.get_ydata()[0] for line in axes.lines] == pytest.approx([3.0, 3.0])
    for outline in bands(axes):
        assert outline[:, 1].max() == pytest.approx(e.mean + e.half_width)


def test_a_baseline_is_a_line_of_its_own():
    base = [{"label": "random encoder"}]
    with_baseline = study(arms=ARMS, baselines=base, plot={"x": "loss"})
    rows = [Row("random encoder", 0, {}, {"loss": [(1.0, 9.0), (4.0, 8.0)]})]
    (axes,) = panels(draw(with_baseline, baselines=rows))
    line = axes.lines[-1]
    assert line.get_label() == "random encoder"
    assert line.get_linestyle() != "-"
    assert list(line.get_ydata()) == [9, 8]


def test_trials_without_the_curve_are_left_out():
    rows = [Row(row.arm, row.seed, row.metrics, {"loss": []}) for row in rows_of(CURVE)]
    (axes,) = panels(draw(CURVE, rows))
    assert axes.lines[:] == []


def test_percentages_references_published_figures_and_a_log_scale():
    published = Published(source="A paper", label="their accuracy", x=(10.0, 20.0), y=(40, 60))
    plot = {"x": "bought", "scale": "log", "reference": {"all labels": 0.9}, "published": published}
    bought = study(arms=ARMS, plot={"x": "bought"})
    rows = [
        Row(a, s, {"linear_probe": 0.5}, {"bought": [(10.0, 0.5), (100.0, 0.75)]})
        for a in ("slow", "fast")
        for s in range(2)
    ]
    figure = draw(changed(bought, plot=plot), rows)
    (axes,) = panels(figure)
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["slow"].get_ydata()) == [50, 75]
    assert list(lines["all labels"].get_ydata()) == [90, 90]
    assert tuple(lines["A paper: their accuracy"].get_ydata()) == (40, 60)
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "labels bought (log scale)")
    assert axes.get_ylabel() == "accuracy (%)"
    assert axes.get_ylim()[1] <= 102


def test_a_panel_a_level_has_a_line_a_level_of_the_other_axis():
    both = study(
        arms=ARMS,
        factors=[BUDGETS],
        baselines=[{"label": "random encoder"}],
        plot={"x": "loss", "lines": "arm", "panels": "data.labels"},
    )
    level = {100: 0.0, 10: 1.0, 1000: 5.0}
    rows = [
        Row(f"{arm}, labels={n}", s, {"linear_probe": 0.5}, {"loss": [(1.0, y + own), (2.0, y)]})
        for own, arm in enumerate(("slow", "fast"))
        for n, y in level.items()
        for s in range(3)
    ]
    baseline = [Row("random encoder", 0, {}, {"loss": [(1.0, 9.0), (2.0, 8.0)]})]
    figure = draw(both, rows, baseline)
    found = panels(figure)
    assert [axes.get_title() for axes in found] == ["labels 10", "labels 100", "labels 1000"]
    for axes, n in zip(found, (10, 100, 1000), strict=True):
        slow, fast, random = axes.lines
        assert list(slow.get_ydata()) == [level[n], level[n]]
        assert list(fast.get_ydata()) == [level[n] + 1, level[n]]
        assert list(random.get_ydata()) == [9, 8]
        assert axes.get_ylim() == found[0].get_ylim()
    assert [axes.get_ylabel() for axes in found] == ["training loss", "", ""]
    assert sorted(legend(figure)) == ["fast", "random encoder", "slow"]  # each once


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        ({"x": "loss", "panels": "lables"}, "panels = 'lables' is no axis"),
        ({"x": "loss", "lines": "arm", "panels": "arm"}, "lines and panels must differ, got 'arm'"),
        (
            {"x": "arm", "panels": "data.labels"},
            "'data.labels' is for a curve, got x = 'arm'",
        ),
        ({"panels": "data.labels"}, "panels = 'data.labels' is for a curve, got x = None"),
        ({"kind": "heatmap", "panels": "arm"}, "panels = 'arm' is for a curve"),
    ],
)
def test_panels_that_do_not_fit(plot, message):
    with pytest.raises(ConfigError, match=message):
        study(arms=ARMS, factors=[BUDGETS], plot=plot)


def test_curves_are_brought_to_the_x_that_all_of_them_cover():
    x, y = common_grid([[(0, 0.0), (2, 4.0), (4, 4.0)], [(1, 1.0), (3, 3.0), (9, 9.0)]])
    assert list(x) == [1, 2, 3, 4]
    assert np.allclose(y, [[2, 4, 4, 4], [1, 2, 3, 4]])


def test_zero_has_a_place_on_a_logarithmic_axis():
    study_ = changed(CURVE, plot={"scale": "log"})
    rows = [
        Row(a, 0, {"linear_probe": 0.5}, {"loss": [(0, 1.0), (10, 0.5)]}) for a in ("slow", "fast")
    ]
    (axes,) = panels(draw(study_, rows))
    places = axes.transData.transform([(0, 0), (10, 0)])[:, 0]
    assert np.isfinite(places).all()
    assert axes.get_window_extent().x0 < places[0] < places[1]
    assert all("$" not in tick.get_text() for tick in axes.get_xticklabels())
