"""Matrices of means: of a factor's pairs, and of two axes."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from pictures import (
    BASELINES,
    GRID,
    HEATMAP,
    cells,
    changed,
    draw,
    foot,
    panels,
    rows_of,
    values_of,
)

from lelkern.ablation.judge.statistics import estimate
from lelkern.ablation.study import Published

OURS_ONLY = changed(HEATMAP, plot={"published": None})


def names(labels):
    return [t.get_text() for t in labels]


def test_pairs_are_symmetric_with_single_parts_on_the_diagonal():
    rows = rows_of(HEATMAP)
    axes, bar = panels(draw(OURS_ONLY, rows))
    parts = names(axes.get_xticklabels())
    assert parts == names(axes.get_yticklabels()) == ["crop", "color", "blur", "rotation"]
    text = cells(axes)
    assert len(text) == 16
    for i, j in np.ndindex(4, 4):
        arm = parts[i] if i == j else "+".join(parts[k] for k in sorted((i, j)))
        e = estimate(values_of(rows, arm))
        assert text[i, j] == f"{e.mean:.1f}\n± {e.half_width:.1f}"
        assert axes.images[0].get_array()[i, j] == pytest.approx(e.mean)
    assert bar.get_ylabel() == "linear probe (%)"


def test_of_ordered_pairs_rows_come_first():
    factor = HEATMAP.factor[0].model_copy(update={"ordered": True})
    study = changed(OURS_ONLY, factor=(factor,))
    rows = rows_of(study)
    axes, _ = panels(draw(study, rows))
    parts = names(axes.get_xticklabels())
    for i, j in np.ndindex(len(parts), len(parts)):
        arm = parts[i] if i == j else f"{parts[i]}+{parts[j]}"
        assert cells(axes)[i, j].startswith(f"{estimate(values_of(rows, arm)).mean:.1f}")
    assert axes.get_ylabel().endswith(", applied first")
    assert axes.get_xlabel().endswith(", applied second")


def test_two_axes_are_rows_and_columns_in_their_order():
    rows = rows_of(GRID)
    axes, _ = panels(draw(GRID, rows))
    assert names(axes.get_yticklabels()) == ["slow", "fast"]
    assert names(axes.get_xticklabels()) == ["10", "100", "1000"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("labels", "arm")
    text = cells(axes)
    assert len(text) == 6
    for (i, j), cell in text.items():
        e = estimate(values_of(rows, f"{['slow', 'fast'][i]}, labels={10 ** (j + 1)}"))
        assert cell == f"{e.mean:.1f}\n± {e.half_width:.1f}"


@pytest.mark.parametrize("study", [OURS_ONLY, GRID], ids=["pairs", "grid"])
def test_text_stands_out_from_its_cell(study):
    axes, _ = panels(draw(study))
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


def test_one_seed_has_no_half_width_and_a_missing_arm_says_so():
    figure = draw(HEATMAP, rows_of(HEATMAP, seeds=1, without=("color+blur",)), BASELINES)
    text = cells(panels(figure)[0])
    assert text[1, 2] == text[2, 1] == "no data"
    assert not any("±" in value for value in text.values())
    assert "For comparison: raw pixels (61.0 %); random encoder (80.0 %)." in foot(figure)


def test_the_foot_says_what_the_second_number_is():
    assert "Mean ± half-width: 95 % Student t interval over 3 seeds." in foot(draw(GRID))


def test_published_pairs_are_a_second_matrix_whichever_order_they_name():
    source = Published(source="A paper", label="top-1 (%)", x=("crop", "color+crop"), y=(33.1, 56))
    ours, theirs, *bars = panels(draw(changed(HEATMAP, plot={"published": source})))
    text = cells(theirs)
    assert text[0, 0] == "33.1"
    assert text[0, 1] == text[1, 0] == "56.0"  # as many digits as any
    assert list(text.values()).count("no data") == 13
    assert (ours.get_title(), theirs.get_title()) == ("this study", "A paper")
    assert [bar.get_ylabel() for bar in bars] == ["linear probe (%)", "top-1 (%)"]


def test_parts_that_differ_in_one_key_have_cells_of_their_own():
    crops = ({"name": "crop", "min_scale": 0.2}, {"name": "crop", "min_scale": 0.5}, "blur")
    factor = HEATMAP.factor[0].model_copy(update={"pairs_of": crops})
    study = changed(OURS_ONLY, factor=(factor,))
    rows = rows_of(study)
    axes, _ = panels(draw(study, rows))
    assert names(axes.get_xticklabels()) == ["crop(min_scale=0.2)", "crop(min_scale=0.5)", "blur"]
    mean = estimate(values_of(rows, "crop(min_scale=0.2)+crop(min_scale=0.5)")).mean
    assert cells(axes)[0, 1].startswith(f"{mean:.1f}")
    assert "no data" not in cells(axes).values()


def test_pairs_with_names_of_their_own_have_their_cells():
    labels = tuple("abcdefghij")
    study = changed(OURS_ONLY, factor=(HEATMAP.factor[0].model_copy(update={"names": labels}),))
    rows = rows_of(study)
    text = cells(panels(draw(study, rows))[0])
    assert "no data" not in text.values()
    assert text[0, 1].startswith(f"{estimate(values_of(rows, 'e')).mean:.1f}")
