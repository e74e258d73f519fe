"""Labels longer than their axes are broken into lines, once it is known how long that is."""

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text

from lelkern.ablation.plot.style import wrapped

_ROUNDS = 3  # a label of more lines makes its axes smaller
_LEAST = 8  # characters a line
_BEYOND = 1.25  # as long as its axes a label may be


def fit_labels(figure: Figure, body: SubFigure) -> None:
    """Break titles and labels of axes that do not fit.

    Args:
        figure: as it is drawn, in the style in which it was.
        body: the part with the axes.
    """
    for _ in range(_ROUNDS):
        figure.draw_without_rendering()
        long = [
            (text, room / length)
            for axes in body.axes
            for text, length, room in _lengths(axes, body)
            if length > room
        ]
        if not long:
            return
        for text, share in long:
            lines = text.get_text().split("\n")
            width = int(share * max(map(len, lines)))
            text.set_text(wrapped(" ".join(lines), max(_LEAST, width)))


def fits(figure: Figure) -> bool:
    """Return whether nothing is drawn beyond the edges of a figure."""
    figure.draw_without_rendering()
    drawn = figure.get_tightbbox()  # in inches
    width, height = figure.get_size_inches()
    pixel = 1 / figure.dpi
    return bool(
        drawn.x0 > -pixel
        and drawn.y0 > -pixel
        and drawn.x1 < width + pixel
        and drawn.y1 < height + pixel
    )


def _lengths(axes: Axes, body: SubFigure) -> Iterator[tuple[Text, float, float]]:
    """Yield titles and labels, their lengths and the room that they have, in pixels."""
    box, whole = axes.bbox, body.bbox
    middle, centre = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    width = min(2 * (middle - whole.x0), 2 * (whole.x1 - middle), _BEYOND * box.width)
    height = min(2 * (centre - whole.y0), 2 * (whole.y1 - centre), _BEYOND * box.height)
    for text, room in ((axes.title, width), (axes.xaxis.label, width)):
        if text.get_text():
            yield text, text.get_window_extent().width, room
    if axes.yaxis.label.get_text():
        yield axes.yaxis.label, axes.yaxis.label.get_window_extent().height, height
