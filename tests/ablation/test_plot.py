import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from lelkern.ablation.plot import draw_study, plot_study
from lelkern.ablation.plot_style import SERIES, count_text
from lelkern.ablation.statistics import Baseline, Row, estimate
from lelkern.ablation.study import Published, load_study

LINE = load_study("temperature")
CATEGORY = load_study("projection-head")
HEATMAP = load_study("augmentation")
OURS_ONLY = HEATMAP.model_copy(update={"published": None})
PARAMETERS = load_study("model-size")
MOMENTUM = load_study("momentum")
STUDIES = {"line": LINE, "category": CATEGORY, "heatmap": HEATMAP, "parameters": PARAMETERS}
each_kind = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)


def rows_of(study, seeds=3, without=(), low=0.6, high=0.9):
    """Made-up results: (arm, seed) or a whole arm can be left out."""
    arms = [arm.label for arm in study.arms()]
    means = np.random.default_rng(0).permutation(np.linspace(low, high, len(arms)))
    noise = np.random.default_rng(1).normal(0, 0.01, (len(arms), seeds))
    return [
        Row(arm, s, {study.metric: means[i] + noise[i, s], "parameters": 1000.0 * 2**i})
        for i, arm in enumerate(arms)
        for s in range(seeds)
        if arm not in without and (arm, s) not in without
    ]


def values_of(rows, arm):
    return [100 * row.metrics["linear_probe"] for row in rows if row.arm == arm]


BASELINES = [
    Baseline("raw pixels", (Row("raw pixels", 0, {"linear_probe": 0.61}),)),
    Baseline(
        "random encoder",
        tuple(Row("random encoder", s, {"linear_probe": 0.7 + s / 10}) for s in range(3)),
    ),
]


def panels(figure):
    """Axes in the order drawn, colour bars included."""
    figure.canvas.draw()
    return figure.get_axes()


def intervals(axes):
    """Every error bar drawn: (x, low, high)."""
    return [
        (x0, low, high)
        for container in axes.containers
        if isinstance(container, ErrorbarContainer)
        for segment in container[2][0].get_segments()
        if len(segment)  # matplotlib drops the ends of a bar without width
        for (x0, low), (_, high) in [segment]
    ]


def means(axes):
    """Every mean drawn: x and y."""
    found = [np.column_stack(c[0].get_data()).astype(float) for c in axes.containers]
    points = np.concatenate(found)
    return points[np.isfinite(points).all(axis=1)]


def seed_dots(axes):
    small = [line for line in axes.lines if line.get_markersize() < 5 and line.get_marker() == "o"]
    return np.concatenate([np.column_stack(line.get_data()) for line in small])


def texts(figure):
    return [t.get_text() for part in figure.subfigs for t in part.texts]


def legend(figure):
    return [
        t.get_text() for part in figure.subfigs for key in part.legends for t in key.get_texts()
    ]


# --- files ----------------------------------------------------------------------------------


@each_kind
def test_both_files_are_written_and_nothing_else(study, tmp_path):
    png, svg = plot_study(study, rows_of(study), BASELINES, tmp_path / "new" / "plot-0.5")
    assert (png.name, svg.name) == ("plot-0.5.png", "plot-0.5.svg")
    assert sorted(p.name for p in png.parent.iterdir()) == ["plot-0.5.png", "plot-0.5.svg"]
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert png.stat().st_size > 20_000
    assert svg.read_text(encoding="utf-8").rstrip().endswith("</svg>")


@each_kind
def test_the_same_data_give_the_same_picture_whatever_the_users_settings(study, tmp_path):
    first = plot_study(study, rows_of(study), BASELINES, tmp_path / "a")
    before = dict(rcParams)
    try:
        rcParams.update({"font.size": 20, "axes.grid": True, "savefig.dpi": 30})
        changed = dict(rcParams)
        second = plot_study(study, rows_of(study), BASELINES, tmp_path / "b")
        assert dict(rcParams) == changed
    finally:
        rcParams.update(before)
    # Not the SVG: the last digit of a coordinate depends on whether fonts were measured before.
    assert first[0].read_bytes() == second[0].read_bytes()
    assert b"<dc:date>" not in first[1].read_bytes()


def test_a_failed_plot_leaves_the_old_one(tmp_path, monkeypatch):
    png, _ = plot_study(LINE, rows_of(LINE), (), tmp_path / "plot")
    before = png.read_bytes()

    def fail(figure, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("lelkern.ablation.plot._save", fail)
    with pytest.raises(OSError, match="disk full"):
        plot_study(LINE, rows_of(LINE), (), tmp_path / "plot")
    assert png.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plot.png", "plot.svg"]


def test_png_has_150_dots_an_inch(tmp_path):
    png, _ = plot_study(LINE, rows_of(LINE), (), tmp_path / "plot")
    width = int.from_bytes(png.read_bytes()[16:20], "big")
    assert width == 150 * draw_study(LINE, rows_of(LINE), ()).get_size_inches()[0]


# --- every kind -----------------------------------------------------------------------------


@each_kind
def test_title_and_sentence(study):
    drawn = texts(draw_study(study, rows_of(study), (), "a verdict with p = 0.01"))
    assert study.title in drawn
    assert "a verdict with p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.01" in drawn
    by_default = texts(draw_study(study, rows_of(study), ()))
    assert study.claim in [text.replace("\n", " ") for text in by_default]


@each_kind
def test_text_is_legible_and_title_plot_and_foot_do_not_overlap(study):
    long = study.model_copy(update={"title": "A long title " * 8, "claim": "long words " * 40})
    figure = draw_study(long, rows_of(study, without=(study.arms()[0].label,)), BASELINES)
    figure.canvas.draw()
    for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")):
        assert text.get_fontsize() >= 9
    for part in figure.subfigs:
        drawn = part.get_tightbbox()  # in pixels
        assert drawn.x0 >= part.bbox.x0
        assert drawn.x1 <= part.bbox.x1
        assert drawn.y0 >= part.bbox.y0
        assert drawn.y1 <= part.bbox.y1


@each_kind
def test_nothing_at_all_finished_still_draws(study, tmp_path):
    figure = draw_study(study, [], ())
    assert "No trial has a result." in texts(figure)[-1]
    plot_study(study, [], (), tmp_path / "plot")


def test_the_foot_says_what_is_missing():
    first, second, *_ = (arm.label for arm in LINE.arms())
    figure = draw_study(LINE, rows_of(LINE, without=(first, (second, 1))), ())
    foot = texts(figure)[-1]
    assert f"Incomplete: {first} (0 of 3 seeds); {second} (2 of 3 seeds)." in foot
    assert "interval over 2 to 3 seeds" in foot
    assert "Incomplete" not in texts(draw_study(LINE, rows_of(LINE), ()))[-1]


# --- line -----------------------------------------------------------------------------------


def test_line_axes():
    axes, twin = panels(draw_study(LINE, rows_of(LINE), ()))
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "temperature τ (log scale)"
    assert axes.get_ylabel() == "linear probe (%)"
    ticks = dict(
        zip(axes.get_xticks(), (t.get_text() for t in axes.get_xticklabels()), strict=True)
    )
    assert ticks == {arm.values["temperature"]: arm.label for arm in LINE.arms()}
    assert twin.get_ylabel() == LINE.published.label
    assert axes.get_xlim() == twin.get_xlim()


def test_linear_scale_is_linear():
    factor = LINE.factor[0].model_copy(update={"scale": "linear"})
    study = LINE.model_copy(update={"factor": (factor,)})
    assert panels(draw_study(study, rows_of(study), ()))[0].get_xscale() == "linear"


def test_momenta_are_spaced_by_how_far_they_are_from_one():
    axes, twin = panels(draw_study(MOMENTUM, rows_of(MOMENTUM), ()))
    assert axes.get_xlabel() == f"{MOMENTUM.factor[0].label} (log scale of 1 − value)"
    ticks = dict(
        zip(axes.get_xticks(), (t.get_text() for t in axes.get_xticklabels()), strict=True)
    )
    assert ticks == {arm.values["momentum"]: arm.label for arm in MOMENTUM.arms()}
    for drawn in (axes, twin):
        places = drawn.transData.transform([(m, 0) for m in (0, 0.9, 0.99, 0.999, 0.9999)])[:, 0]
        assert np.diff(places) == pytest.approx(np.diff(places)[0])
    left, right = axes.transAxes.transform([(0, 0), (1, 0)])[:, 0]
    assert left < places[0] < places[-1] < right
    points = means(axes)
    assert list(points[:, 0]) == list(ticks)
    assert len(intervals(axes)) == len(ticks)


@pytest.mark.parametrize("study", [LINE, CATEGORY], ids=["line", "category"])
def test_every_mean_interval_and_seed_is_drawn(study):
    rows = rows_of(study)
    axes = panels(draw_study(study, rows, ()))[0]
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


def test_one_seed_has_points_without_intervals_and_says_so():
    figure = draw_study(LINE, rows_of(LINE, seeds=1), ())
    axes = panels(figure)[0]
    assert len(means(axes)) == len(LINE.arms())
    assert intervals(axes) == []
    assert "One seed an arm: no interval." in texts(figure)[-1]
    assert not any("interval" in text for text in legend(figure))


def test_the_line_is_broken_where_an_arm_is_missing():
    axes = panels(draw_study(LINE, rows_of(LINE, without=("0.1",)), ()))[0]
    line = axes.containers[0][0]
    assert np.isnan(line.get_ydata()[3])
    assert len(means(axes)) == len(LINE.arms()) - 1
    assert 0.1 in axes.get_xticks()  # its place stays


def test_points_of_unsorted_values_are_joined_along_the_axis():
    factor = LINE.factor[0].model_copy(update={"values": (0.5, 0.1, 1.0)})
    study = LINE.model_copy(update={"factor": (factor,)})
    axes = panels(draw_study(study, rows_of(study), ()))[0]
    assert list(axes.containers[0][0].get_xdata()) == [0.1, 0.5, 1.0]


def test_published_curve_has_its_own_axis_positions_and_colour():
    figure = draw_study(LINE, rows_of(LINE), ())
    axes, twin = panels(figure)
    (curve,) = twin.lines
    assert tuple(curve.get_xdata()) == LINE.published.x
    assert tuple(curve.get_ydata()) == LINE.published.y
    assert twin.yaxis.label.get_color() == curve.get_color() != axes.lines[0].get_color()
    assert twin.spines["right"].get_visible()
    assert any(LINE.published.source in text for text in legend(figure))
    assert LINE.published.note in texts(figure)[-1]


def test_no_second_axis_without_a_published_curve():
    study = LINE.model_copy(update={"published": None})
    assert len(panels(draw_study(study, rows_of(study), ()))) == 1


@pytest.mark.parametrize("study", [LINE, CATEGORY, PARAMETERS], ids=lambda study: study.plot)
def test_baselines_are_dashed_lines_named_with_their_value(study):
    figure = draw_study(study, rows_of(study), BASELINES)
    axes = panels(figure)[0]
    flat = [line for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert [line.get_ydata()[0] for line in flat] == pytest.approx([61, 80])
    assert len({line.get_linestyle() for line in flat} - {"-"}) == 2
    assert {"raw pixels (61.0 %)", "random encoder (80.0 %)"} <= set(legend(figure))


def test_a_baseline_without_this_metric_is_left_out():
    nothing = Baseline("raw pixels", (Row("raw pixels", 0, {"knn": 0.5}),))
    for study in STUDIES.values():
        figure = draw_study(study, rows_of(study), [nothing])
        assert "raw pixels" not in " ".join([*legend(figure), *texts(figure)])


def test_percent_axes_end_at_what_is_possible():
    rows = rows_of(LINE, seeds=2, low=0.9, high=0.98)
    rows[0] = Row(rows[0].arm, rows[0].seed, {"linear_probe": 0.7})
    low, high = panels(draw_study(LINE, rows, ()))[0].get_ylim()
    assert high == 102
    assert low == -2


# --- category -------------------------------------------------------------------------------


def test_categories_are_the_arms_and_are_not_joined():
    axes, twin = panels(draw_study(CATEGORY, rows_of(CATEGORY), ()))
    assert [t.get_text() for t in axes.get_xticklabels()] == ["none", "linear", "nonlinear"]
    assert axes.containers[0][0].get_linestyle() == "None"
    (marks,) = twin.lines
    assert marks.get_linestyle() == "None"
    assert list(np.round(marks.get_xdata())) == [0, 1, 2]
    assert tuple(marks.get_ydata()) == (-10, -3, 0)


def test_published_values_of_arms_that_are_left_out_are_not_drawn():
    factor = CATEGORY.factor[0].model_copy(update={"values": ("nonlinear", "none")})
    study = CATEGORY.model_copy(update={"factor": (factor,)})
    _, twin = panels(draw_study(study, rows_of(study), ()))
    places = np.round(twin.lines[0].get_xdata())
    assert dict(zip(places, twin.lines[0].get_ydata(), strict=True)) == {0: 0, 1: -10}


def test_long_arm_labels_are_turned():
    names = [f"nonlinear with {n} hidden layers and batch norm" for n in range(6)]
    factor = CATEGORY.factor[0].model_copy(update={"values": tuple(names)})
    study = CATEGORY.model_copy(update={"factor": (factor,), "published": None})
    labels = panels(draw_study(study, rows_of(study), ()))[0].get_xticklabels()
    assert {label.get_rotation() for label in labels} == {25}


# --- heat map -------------------------------------------------------------------------------


def cells(axes):
    return {
        (round(y), round(x)): text.get_text()
        for text in axes.texts
        for x, y in [text.get_position()]
    }


def test_heatmap_cells_are_symmetric_with_single_parts_on_the_diagonal():
    rows = rows_of(HEATMAP)
    axes, bar = panels(draw_study(OURS_ONLY, rows, ()))
    names = [t.get_text() for t in axes.get_xticklabels()]
    assert names == [t.get_text() for t in axes.get_yticklabels()]
    assert names == ["crop", "color", "blur", "rotation"]
    text = cells(axes)
    assert len(text) == 16
    for i, j in np.ndindex(4, 4):
        arm = names[i] if i == j else "+".join(names[k] for k in sorted((i, j)))
        e = estimate(values_of(rows, arm))
        assert text[i, j] == f"{e.mean:.1f}\n± {e.half_width:.1f}"
        assert axes.images[0].get_array()[i, j] == pytest.approx(e.mean)
    assert bar.get_ylabel() == "linear probe (%)"


def test_heatmap_text_stands_out_from_its_cell():
    axes, _ = panels(draw_study(OURS_ONLY, rows_of(HEATMAP), ()))
    image = axes.images[0]
    for text in axes.texts:
        x, y = text.get_position()
        color = image.to_rgba(image.get_array()[round(y), round(x)])[:3]
        luminance = sum(
            weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
            for weight, c in zip((0.2126, 0.7152, 0.0722), color, strict=True)
        )
        white = to_hex(text.get_color()) == "#ffffff"
        contrast = 1.05 / (luminance + 0.05) if white else (luminance + 0.05) / 0.05
        assert contrast >= 4.5  # WCAG 2, level AA


def test_heatmap_of_one_seed_has_no_half_width_and_a_missing_arm_says_so():
    figure = draw_study(HEATMAP, rows_of(HEATMAP, seeds=1, without=("color+blur",)), BASELINES)
    text = cells(panels(figure)[0])
    assert text[1, 2] == text[2, 1] == "no data"
    assert not any("±" in value for value in text.values())
    foot = texts(figure)[-1].replace("\N{NO-BREAK SPACE}", " ")
    assert "For comparison: raw pixels 61.0 %; random encoder 80.0 %." in foot


def test_published_pairs_are_a_second_matrix_whichever_order_they_name():
    source = Published(source="A paper", label="top-1 (%)", x=("crop", "color+crop"), y=(33.1, 56))
    study = HEATMAP.model_copy(update={"published": source})
    ours, theirs, *bars = panels(draw_study(study, rows_of(study), ()))
    text = cells(theirs)
    assert text[0, 0] == "33.1"
    assert text[0, 1] == text[1, 0] == "56"
    assert list(text.values()).count("no data") == 13
    assert (ours.get_title(), theirs.get_title()) == ("this study", "A paper")
    assert [bar.get_ylabel() for bar in bars] == ["linear probe (%)", "top-1 (%)"]


# --- parameters -----------------------------------------------------------------------------


def test_parameters_has_a_line_of_widths_for_each_depth():
    rows = rows_of(PARAMETERS)
    figure = draw_study(PARAMETERS, rows, ())
    axes = panels(figure)[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "encoder parameters (log scale)"
    assert {"depth 1", "depth 2", "depth 3"} <= set(legend(figure))
    assert len(axes.containers) == 3
    assert len({c[0].get_marker() for c in axes.containers}) == 3
    sizes = {row.arm: row.metrics["parameters"] for row in rows}
    for depth, container in zip((1, 2, 3), axes.containers, strict=True):
        arms = [f"width={width}, depth={depth}" for width in (4, 8, 16, 32)]
        x, y = container[0].get_data()
        assert list(x) == [sizes[arm] for arm in arms]
        assert list(y) == pytest.approx([estimate(values_of(rows, arm)).mean for arm in arms])
    assert len(intervals(axes)) == 12
    assert len(seed_dots(axes)) == 36


def test_parameters_leaves_out_a_missing_arm():
    rows = rows_of(PARAMETERS, without=("width=8, depth=2",))
    axes = panels(draw_study(PARAMETERS, rows, ()))[0]
    assert len(means(axes)) == 11


def test_published_sizes_have_their_own_panel():
    _, beside = panels(draw_study(PARAMETERS, rows_of(PARAMETERS), ()))
    assert beside.get_xscale() == "log"
    assert [t.get_text() for t in beside.get_xticklabels()] == ["24M", "94M", "375M"]
    assert tuple(beside.lines[0].get_ydata()) == PARAMETERS.published.y
    assert beside.get_ylabel().replace("\n", " ") == PARAMETERS.published.label
    assert beside.get_title() == PARAMETERS.published.source


@pytest.mark.parametrize(
    ("count", "text"), [(300, "300"), (3e3, "3k"), (25_500, "25.5k"), (375e6, "375M"), (2e9, "2G")]
)
def test_counts(count, text):
    assert count_text(count) == text


def test_series_differ_in_greyscale():
    assert len({marker for _, marker in SERIES}) == len(SERIES)
