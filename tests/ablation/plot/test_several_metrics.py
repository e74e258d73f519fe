"""Metrics beside each other: where each one is, and what a plot of them must say."""

import re

import pytest
from pictures import ARMS, BASELINES, METRICS, METRICS_BESIDE, draw, legend, means, panels, ticks
from pictures import study as small_study

from lelkern.ablation.declared import check_names
from lelkern.ablation.plot.style import VERMILION
from lelkern.ablation.results import Row
from lelkern.ablation.study import Published, load_study
from lelkern.config import ConfigError

PLOT = METRICS_BESIDE.plot[0].model_dump(exclude_defaults=True)
ROWS = [
    Row(arm, seed, {"linear_probe": high + seed / 10, "knn": high - 0.3})
    for arm, high in (("slow", 0.5), ("fast", 0.7))
    for seed in (0, 1)
]


def test_every_arm_has_a_panel_with_each_series_at_every_name():
    figure = draw(METRICS_BESIDE, ROWS)
    slow, fast = panels(figure)
    assert (slow.get_title(), fast.get_title()) == ("slow", "fast")
    assert list(ticks(slow).values()) == list(ticks(fast).values()) == ["first", "second"]
    one, other = means(slow)[:2], means(slow)[2:]
    assert one[:, 1] == pytest.approx([55, 20])
    assert other[:, 1] == pytest.approx([20, 55])
    assert (one[:, 0] < [0, 1]).all()
    assert (other[:, 0] > [0, 1]).all()
    assert means(fast)[:2, 1] == pytest.approx([75, 40])
    assert legend(figure) == ["of one", "of other"]


def test_a_baseline_has_a_panel_of_its_own():
    named = METRICS_BESIDE.model_copy(update={"baseline": load_study("projection-head").baseline})
    axes = panels(draw(named, ROWS, BASELINES))[-1]
    assert axes.get_title() == "random encoder"
    assert means(axes)[:, 1] == pytest.approx([80, 80])


def test_published_figures_lie_at_their_name_in_every_panel():
    published = Published(
        source="Somebody", label="%", x=("second", "second"), y=(80, 70), same_unit=True
    )
    plot = METRICS_BESIDE.plot[0].model_copy(update={"published": published})
    figure = draw(METRICS_BESIDE.model_copy(update={"plot": (plot,)}), ROWS)
    for axes in panels(figure):
        (marks,) = (line for line in axes.lines if line.get_color() == VERMILION)
        assert marks.get_xydata().tolist() == [[1, 80], [1, 70]]
    assert legend(figure).count("Somebody") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"series": {}}, "kind = 'metrics' needs series, and names"),
        ({"names": ["first"]}, "series 'of one' has 2 metrics but there are 1 names"),
        ({"x": "arm"}, "x = 'arm' means nothing for kind = 'metrics'"),
        ({"kind": "points"}, "series is for kind = 'metrics', got kind = 'points'"),
        (
            {"published": {"source": "s", "label": "l", "x": ["third"], "y": [1]}},
            "published.x must be among names, got 'third'",
        ),
        (
            {"published": {"source": "s", "label": "l", "x": ["first"], "y": [1]}},
            "published of kind = 'metrics' must have same_unit = true",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        small_study(arms=ARMS, plot=PLOT | change)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("knnn", "plot.0.series: of other: no metric 'knnn'"),
        ("parameters", "series must be metrics of one unit, got 'linear_probe' in '%'"),
    ],
)
def test_metrics_must_be_reported_in_one_unit(name, message):
    series = {"of one": ["linear_probe", "knn"], "of other": ["knn", name]}
    study = small_study(arms=ARMS, plot=PLOT | {"series": series})
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_names(study, METRICS, {}, "small.toml")
