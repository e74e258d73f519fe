"""What all kinds of plot have in common: the files, the text around them, and what is missing."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text
from pictures import (
    BASELINES,
    CURVE,
    HEATMAP,
    LINE,
    OVER_METRIC,
    POINTS,
    SEVERAL,
    STUDIES,
    cells,
    changed,
    draw,
    drawing,
    foot,
    legend,
    panels,
    rows_of,
    texts,
    ticks,
    write,
)

from lelkern.ablation.plot import fonts as fonts_module
from lelkern.ablation.plot.look import Look
from lelkern.ablation.plot.style import SERIES, count_text, wrapped
from lelkern.ablation.results import Row
from lelkern.ablation.study import Baseline, load_study
from lelkern.ablation.study.files import shipped_studies
from lelkern.config import ConfigError

pytestmark = pytest.mark.slow

each_kind = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
# What is around a plot: of those that one piece of code draws, one.
FRAMED = {name: STUDIES[name] for name in ("line", "heatmap", "over metric", "curve", "metrics")}
each_frame = pytest.mark.parametrize("study", FRAMED.values(), ids=FRAMED)


# --- files ----------------------------------------------------------------------------------


@each_frame
def test_both_files_are_written_and_are_the_same_whatever_the_users_settings(study, tmp_path):
    png, svg, _ = write(study, tmp_path / "new" / "plot-0.5", baselines=BASELINES)
    assert (png.name, svg.name) == ("plot-0.5.png", "plot-0.5.svg")
    assert sorted(p.name for p in png.parent.iterdir()) == ["plot-0.5.png", "plot-0.5.svg"]
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert svg.read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert b"<dc:date>" not in svg.read_bytes()

    before = dict(rcParams)
    try:
        rcParams.update({"font.size": 20, "axes.grid": True, "savefig.dpi": 30})
        user = dict(rcParams)
        again, *_ = write(study, tmp_path / "again", baselines=BASELINES)
        assert dict(rcParams) == user
    finally:
        rcParams.update(before)
    # Not the SVG: the last digit of a coordinate depends on whether fonts were measured before.
    assert again.read_bytes() == png.read_bytes()


def test_a_failed_plot_leaves_the_old_one(tmp_path, monkeypatch):
    png, *_ = write(LINE, tmp_path / "plot")
    before = png.read_bytes()

    def fail(drawing, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("lelkern.ablation.plot.Drawing._save", fail)
    with pytest.raises(OSError, match="disk full"):
        write(LINE, tmp_path / "plot")
    assert png.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plot.png", "plot.svg"]


def test_png_has_150_dots_an_inch(tmp_path):
    png, *_ = write(LINE, tmp_path / "plot")
    width = int.from_bytes(png.read_bytes()[16:20], "big")
    assert width == 150 * draw(LINE).get_size_inches()[0]


# --- text -----------------------------------------------------------------------------------


@each_frame
def test_title_and_sentence(study):
    drawn = texts(draw(study, says=["a verdict with p = 0.01"]))
    assert study.title in drawn
    assert "a verdict with p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.01" in drawn
    by_default = texts(draw(study))
    claims = " ".join(claim.says for claim in study.claim)
    plain = [t.replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ") for t in by_default]
    assert claims in plain


@each_frame
def test_without_a_claim_a_plot_says_that_there_is_none(study):
    drawn = texts(draw(changed(study, claim=())))
    assert "exploratory: no claim was stated before the data were seen" in drawn


@each_kind
def test_text_is_legible_and_title_plot_and_foot_do_not_overlap(study):
    claim = study.claim[0].model_copy(update={"says": "long words " * 40})
    long = changed(study, title="A long title " * 8, claim=(claim,))
    rows = rows_of(study, without=(study.arms()[0].label,))
    figure = draw(long, rows, BASELINES, small="What was measured, in small type. " * 8)
    figure.canvas.draw()
    for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")):
        assert text.get_fontsize() >= (7.5 if "small type" in text.get_text() else 9)
    for part in figure.subfigs:
        drawn = part.get_tightbbox()  # in pixels
        assert drawn.x0 >= part.bbox.x0
        assert drawn.x1 <= part.bbox.x1
        assert drawn.y0 >= part.bbox.y0
        assert drawn.y1 <= part.bbox.y1


@each_kind
def test_nothing_at_all_finished_still_draws(study):
    figure = draw(study, [])
    assert "No trial has a result." in foot(figure)
    assert panels(figure)


def test_the_foot_says_what_is_missing():
    first, second, *_ = (arm.label for arm in LINE.arms())
    figure = draw(LINE, rows_of(LINE, without=(first, (second, 1))), BASELINES)
    assert f"Incomplete: {first} (0 of 3 seeds); {second} (2 of 3 seeds)." in foot(figure)
    assert "interval over 2 to 3 seeds" in foot(figure)
    assert "Incomplete" not in foot(draw(LINE, baselines=BASELINES))


def test_what_no_arm_has_is_missing_all_the_same():
    """As where a study was interrupted after its first seed."""
    figure = draw(POINTS, rows_of(POINTS, seeds=1), BASELINES[:1])
    arms = [arm.label for arm in POINTS.arms()]
    missing = "; ".join([f"{arm} (1 of 3 seeds)" for arm in arms])
    assert f"Incomplete: {missing}; random encoder (0 of 3 seeds)." in foot(figure)
    many = foot(draw(LINE, [], BASELINES))
    assert f"(0 of 3 seeds); {len(LINE.arms()) - 6} more." in many


def test_what_was_measured_stands_in_small_type_below_the_notes():
    figure = draw(LINE, small="Data: many images.")
    assert texts(figure)[-1] == "Data: many images."
    note, small = figure.subfigs[-1].texts
    assert small.get_fontsize() < note.get_fontsize()
    figure.canvas.draw()
    assert small.get_window_extent().y1 <= note.get_window_extent().y0


def test_a_claim_stands_above_its_verdict():
    figure = draw(LINE, says=["Claim: an optimum.", "Verdict: supported. So it is."])
    assert "Claim: an optimum.\nVerdict: supported. So it is." in texts(figure)


# --- looks ------------------------------------------------------------------------------------


@each_frame
def test_a_bare_plot_has_nothing_but_the_plot(study):
    figure = draw(study, says=["a verdict"], small="measured", look=Look(bare=True))
    assert [text for text in texts(figure) if text] == []
    whole = draw(study, says=["a verdict"], small="measured")
    assert figure.get_size_inches()[1] < whole.get_size_inches()[1]
    assert legend(figure) == legend(whole)


LOOKS = (Look((9, 7)), Look((6.3, 3.9), bare=True), Look((8, 9), 14))


@pytest.mark.parametrize(
    ("look", "study"),
    [
        pytest.param(LOOKS[i % 3], study, id=f"{name}-{i % 3}")
        for i, (name, study) in enumerate([*STUDIES.items(), *list(STUDIES.items())[:2]])
    ],
)
def test_a_plot_has_the_size_that_is_asked_for_and_nothing_is_cut_off(study, look):
    figure = draw(study, baselines=BASELINES, small="What was measured. " * 20, look=look)
    figure.canvas.draw()
    assert list(figure.get_size_inches()) == pytest.approx(look.size)
    drawn, (width, height) = figure.get_tightbbox(), look.size  # in inches
    assert min(drawn.x0, drawn.y0) >= -0.02
    assert drawn.x1 <= width + 0.02
    assert drawn.y1 <= height + 0.02
    header, body, footer = (part.get_tightbbox() for part in figure.subfigs)
    assert look.bare or header.y0 > body.y1 > body.y0 > footer.y1


@each_frame
def test_all_text_grows_with_the_font_size(study):
    def sizes(look):
        figure = draw(study, baselines=BASELINES, small="measured", look=look)
        figure.canvas.draw()
        return [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]

    large, usual = sizes(Look(font_size=15)), sizes(Look())
    assert sorted(set(large)) == pytest.approx([1.5 * size for size in sorted(set(usual))])


@pytest.mark.parametrize(
    "look", [Look((8, 2)), Look((1, 8)), Look((8, 5), 40), Look((2, 1.5), bare=True)]
)
def test_a_size_without_room_is_refused(look, tmp_path):
    with pytest.raises(ConfigError, match="size: must leave room for the plot") as error:
        drawing(SEVERAL, small="What was measured. " * 20, look=look).write(tmp_path / "plot.png")
    assert "got " in str(error.value)
    assert not list(tmp_path.iterdir())


@each_frame
def test_every_text_of_a_plot_can_be_replaced(study):
    rows = [row for row in rows_of(study) if row.arm != study.arms()[-1].label]
    plain = drawing(study, rows, BASELINES, says=["verdict"], small="measured")
    words = {key: f"W{i}" for i, key in enumerate(plain.texts)}
    figure = draw(study, rows, BASELINES, says=["verdict"], small="m", look=Look(words=words))
    figure.canvas.draw()
    before = {text.get_text() for text in plain.figure.findobj(Text) if text.get_visible()}
    kept = before & {text.get_text() for text in figure.findobj(Text) if text.get_visible()}
    names = [text for text in kept if not set(text) <= set("0123456789.,±kM \n−")]
    assert [n for n in names if n not in ("verdict", texts(plain.figure)[-2])] == []
    assert "W" in figure.subfigs[0].texts[0].get_text()


def test_labels_are_replaced_by_name_or_by_what_they_say():
    look = Look(words={"temperature": "Temperatur", "raw pixels": "Rohe Pixel", "title": "Titel"})
    figure = draw(LINE, baselines=BASELINES, look=look)
    assert panels(figure)[0].get_xlabel() == "Temperatur"
    assert "Rohe Pixel (61.0 %)" in legend(figure)
    assert texts(figure)[0] == "Titel"
    look = Look(words={"linear probe (%)": "Genauigkeit (%)"})
    assert panels(draw(LINE, look=look))[0].get_ylabel() == "Genauigkeit (%)"


def test_baselines_of_one_label_are_both_drawn():
    look = Look(words={"raw pixels": "same", "random encoder": "same"})
    figure = draw(LINE, baselines=BASELINES, look=look)
    assert [line.get_ydata()[0] for line in flat(panels(figure)[0])] == pytest.approx([61, 80])


def test_a_pdf_has_its_text_as_text_and_no_date(tmp_path):
    path = tmp_path / "plot.pdf"
    drawing(LINE).write(path)
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert b"CreationDate" not in content
    assert b"/FontFile2" in content  # TrueType


# --- baselines and references -----------------------------------------------------------------


def flat(axes):
    return [line for line in axes.lines if list(line.get_xdata()) == [0, 1]]


@pytest.mark.parametrize("study", [LINE, POINTS, OVER_METRIC], ids=lambda study: study.title)
def test_baselines_are_dashed_lines_named_with_their_value(study):
    figure = draw(study, baselines=BASELINES)
    lines = flat(panels(figure)[0])
    assert [line.get_ydata()[0] for line in lines] == pytest.approx([61, 80])
    assert len({line.get_linestyle() for line in lines} - {"-"}) == 2
    assert {"raw pixels (61.0 %)", "random encoder (80.0 %)"} <= set(legend(figure))


@each_kind
def test_what_a_baseline_ran_with_is_said_with_it(study):
    rows = [replace(BASELINES[0], curves={"loss": [(1.0, 0.5), (2.0, 0.4)]}), *BASELINES[1:]]
    label = study.baseline[0].label if study.baseline else "raw pixels"
    named = study.model_copy(update={"baseline": (Baseline(label=label, method="raw-pixels"),)})
    figure = draw(named, baselines=rows, remarks={label: " at width=16, 1 seed"})
    titles = [axes.get_title() for axes in panels(figure)]
    assert "raw pixels at width=16, 1 seed" in " ".join([*legend(figure), *titles, foot(figure)])


def test_references_are_lines_named_with_their_value():
    figure = draw(changed(LINE, plot={"reference": {"chance": 0.1}}), baselines=BASELINES)
    lines = flat(panels(figure)[0])
    assert [line.get_ydata()[0] for line in lines] == pytest.approx([61, 80, 10])
    assert "chance (10.0 %)" in legend(figure)


@each_kind
def test_a_baseline_without_this_metric_is_left_out(study):
    figure = draw(study, baselines=[Row("raw pixels", 0, {"bias": 0.5})])
    assert "raw pixels" not in [axes.get_title() for axes in panels(figure)]
    assert "raw pixels" not in " ".join([*legend(figure), *texts(figure)])


# --- numbers and colours ----------------------------------------------------------------------


def test_percent_axes_end_at_what_is_possible():
    rows = rows_of(LINE, seeds=2, low=0.9, high=0.98)
    rows[0] = Row(rows[0].arm, rows[0].seed, {"linear_probe": 0.7})
    low, high = panels(draw(LINE, rows))[0].get_ylim()
    assert high == 102
    assert low == -2


def test_a_signed_percentage_may_be_below_0():
    study = changed(LINE, plot={"y": "bias"})
    rows = [Row(row.arm, row.seed, {"bias": -0.3 - 0.1 * row.seed}) for row in rows_of(LINE)]
    low, high = panels(draw(study, rows))[0].get_ylim()
    assert -102 <= low < -40
    assert high <= 102


def test_another_metric_can_be_drawn():
    figure = draw(changed(SEVERAL, plot={"y": "parameters"}))
    assert panels(figure)[0].get_ylabel() == "encoder parameters"


@pytest.mark.parametrize(
    ("count", "text"), [(300, "300"), (3e3, "3k"), (25_500, "25.5k"), (375e6, "375M"), (2e9, "2G")]
)
def test_counts(count, text):
    assert count_text(count) == text


def test_series_differ_in_greyscale():
    assert len({marker for _, marker in SERIES}) == len(SERIES)


@pytest.mark.parametrize("name", shipped_studies())
def test_no_two_arms_of_a_shipped_study_look_alike(name):
    study = load_study(name)
    assert len(study.arm) <= len(SERIES) or all(plot.lines != "arm" for plot in study.plot)


# --- trials that diverged -----------------------------------------------------------------------


def diverging(rows, arm):
    """Rows of which the first two of an arm have diverged."""
    return [
        replace(row, metrics={"linear_probe": math.nan}, diverged_at=30 + row.seed)
        if row.arm == arm and row.seed < 2
        else row
        for row in rows
    ]


@pytest.mark.parametrize("name", STUDIES)
def test_what_diverged_is_named_at_the_foot(name):
    study = STUDIES[name]
    arm = study.arms()[0].label
    text = foot(draw(study, diverging(rows_of(study), arm), BASELINES))
    assert f"Diverged: {arm} (2 seeds at steps 30 to 31)." in text
    assert "Incomplete" not in text
    assert "Diverged" not in foot(draw(study))


@pytest.mark.parametrize("study", [LINE, POINTS, SEVERAL], ids=lambda study: study.title)
def test_what_diverged_is_marked_where_its_value_would_be(study):
    arm = study.arms()[1]
    axes = panels(draw(study, diverging(rows_of(study, seeds=2), arm.label)))[0]
    (mark,) = [line for line in axes.lines if line.get_marker() == "x"]
    where = list(ticks(axes).values()).index(arm.label.split("=")[-1])
    assert list(mark.get_xdata()) == [list(ticks(axes))[where]]
    drawn = mark.get_transform().transform(mark.get_xydata())
    ((_, height),) = axes.transAxes.inverted().transform(drawn)
    assert 0 < height < 0.1


def test_a_cell_that_diverged_says_so():
    axes = panels(draw(HEATMAP, diverging(rows_of(HEATMAP, seeds=2), "crop+color")))[0]
    assert cells(axes)[0, 1] == cells(axes)[1, 0] == "diverged"


def test_the_curve_of_a_trial_that_diverged_ends_where_it_did():
    rows = [
        replace(row, curves={"loss": row.curves["loss"][:2]}) if row.diverged_at else row
        for row in diverging(rows_of(CURVE), "slow")
    ]
    (axes,) = panels(draw(CURVE, rows))
    ends = [line for line in axes.lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in ends] == [[2], [2]]
    assert ends[0].get_label() == "slow: diverged"
    (mean,) = [line for line in axes.lines if line.get_label() == "slow"]
    assert list(mean.get_xdata()) == [1, 2, 4]


# --- text in any language -----------------------------------------------------------------------


def test_dollars_are_dollars(tmp_path):
    """An unbalanced brace in mathematics is an error after all trials."""
    title = "Costs $5 {or} $\\frac{1$ at x_1"
    study = changed(LINE, title=title)
    assert title in texts(draw(study))
    png, *_ = write(study, tmp_path / "plot")
    assert png.stat().st_size > 10_000


@pytest.fixture
def installed(monkeypatch):
    """Says which fonts are installed beside that of the plots, and what each has."""

    def installed(**fonts):
        own = fonts_module._characters

        def characters(file):
            return set(fonts[file]) if file in fonts else own(file)

        listed = [SimpleNamespace(name=f"Font {file}", fname=file) for file in fonts]
        monkeypatch.setattr(fonts_module.fontManager, "ttflist", listed)
        monkeypatch.setattr(fonts_module, "_characters", characters)

    return installed


def test_what_the_font_of_plots_lacks_comes_from_one_that_has_it(installed):
    installed(a="\u6e29", b="xyz", c="\u6e29\u5ea6")
    figure = Figure()
    text = figure.text(0, 0, "lr \u6e29\u5ea6")
    assert fonts_module.fonts_for([text]) == fonts_module.Fonts(
        ("DejaVu Sans", "Font a", "Font c"), ""
    )
    figure.texts[0].set_text("plain")
    assert fonts_module.fonts_for([text]) == fonts_module.Fonts(("DejaVu Sans",), "")


def test_what_no_font_has_is_said_and_is_text_in_the_svg(installed, tmp_path, recwarn):
    installed()
    _, svg, lacking = write(changed(LINE, title="Title \u6e29\u5ea6"), tmp_path / "plot")
    assert lacking == "\u5ea6\u6e29"
    assert "\u6e29\u5ea6" in svg.read_text(encoding="utf-8")
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


def test_wide_characters_are_wrapped_by_their_width():
    lines = wrapped("\u6e29" * 30, 20).split("\n")
    assert [len(line) for line in lines] == [10, 10, 10]
    assert "".join(lines) == "\u6e29" * 30
