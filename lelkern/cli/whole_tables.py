"""Tables for terminals of any width, in which nothing is cut off and no number is broken.

Where a table is too wide its headings take several lines first; then text is folded, or columns go
into further tables with the same first column, whichever takes fewer lines.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from lelkern.cli.output import Console, out

_HEADING = 8  # characters below which a heading is not folded for the sake of a narrower column
_FRAME = 5  # lines of a table beside its rows, about

Widths = Mapping[int, int]
"""Of a table: which columns it has, by their places, and how wide each is."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        heading: what stands above it.
        cells: one a row.
        whole: whether its cells are never folded, as those of numbers; else they may be.
        right: whether cells end at its right edge.
        repeated: whether every table has it where one is not enough; the first column always is.
    """

    heading: str
    cells: Sequence[str]
    whole: bool = False
    right: bool = False
    repeated: bool = False

    @property
    def natural(self) -> int:
        """The width at which nothing is folded."""
        return _widest((self.heading, *self.cells))

    def least(self, fold: int) -> int:
        """Return the width below which a number would be broken, or a word.

        Args:
            fold: how wide a word of text may be, such as a path, that is never broken.
        """
        heading = max(_widest(_folded(self.heading, 1)), min(_HEADING, cell_len(self.heading)))
        if self.whole:
            return max(heading, _widest(self.cells))
        words = {word for cell in self.cells for word in cell.split()}
        numbers = (word for word in words if not re.search("[^\\W\\d]{2}", word))
        return max(heading, min(_widest(words), fold), _widest(numbers))


def columns_of(
    headings: Sequence[str], rows: Sequence[Sequence[str]], whole: Sequence[str] = ()
) -> list[Column]:
    """Return the columns of a table that is given by its rows.

    Args:
        headings: one a column.
        rows: one text a column.
        whole: headings of the columns whose cells are never folded.
    """
    return [
        Column(heading, [row[i] for row in rows], whole=heading in whole)
        for i, heading in enumerate(headings)
    ]


def show_whole(
    columns: Sequence[Column], *, title: str = "", caption: str = "", apart: int = 0
) -> None:
    """Print columns as one table or, where that is too wide for the terminal, as several.

    A terminal without room for a single number beside the first column gets longer lines than its
    own.

    Args:
        columns: of the same number of rows.
        title: stands above the first table.
        caption: stands below the last.
        apart: number of rows at the end that stand apart, as baselines do.
    """
    console = out()
    layout = _layout(columns, console)
    apart_from = len(columns[0].cells) - apart
    for place, widths in enumerate(layout):
        table = Table(
            title=title if place == 0 else None,
            caption=caption if place == len(layout) - 1 else None,
            width=_width(widths),
        )
        shown = [columns[i] for i in widths]
        for column, width in zip(shown, widths.values(), strict=True):
            table.add_column(
                "\n".join(_folded(column.heading, width)),
                width=width,
                overflow="fold",
                justify="right" if column.right else "left",
            )
        for number, row in enumerate(zip(*(column.cells for column in shown), strict=True)):
            style = "" if number < apart_from else "dim"
            table.add_row(*row, style=style, end_section=number + 1 == apart_from)
        console.print(table, crop=False)


def _layout(columns: Sequence[Column], console: Console) -> list[Widths]:
    """Return the tables: one at its natural width if that fits, else those of the fewest lines."""
    natural = {i: column.natural for i, column in enumerate(columns)}
    if _width(natural) <= console.width:
        return [natural]
    first = columns[0]
    narrowest = natural[0] if first.whole else first.least(console.width // 3)
    least = {i: column.least(console.width // 4) for i, column in enumerate(columns)}

    def cost(tables: Sequence[Widths]) -> tuple[int, int]:
        excess = max(0, max(map(_width, tables)) - console.width)
        return excess, sum(_FRAME + _height(columns, widths, console) for widths in tables)

    return min(
        (
            [
                _grown(columns, widths, console.width)
                for widths in _packed(columns, least | {0: width}, console.width)
            ]
            for width in range(natural[0], min(narrowest, natural[0]) - 1, -1)
        ),
        key=cost,
    )


def _packed(columns: Sequence[Column], widths: Widths, line: int) -> Iterator[Widths]:
    """Yield tables, each with as many of the columns that are left as a line has room for."""
    repeated = {i for i, column in enumerate(columns) if column.repeated or i == 0}
    table = repeated
    for i in widths:
        wider = table | {i}
        if table > repeated and _width({j: widths[j] for j in wider}) > line:
            yield {j: widths[j] for j in sorted(table)}
            wider = repeated | {i}
        table = wider
    yield {j: widths[j] for j in sorted(table)}


def _grown(columns: Sequence[Column], widths: Widths, line: int) -> Widths:
    """Give what a line has left to headings, if that is enough for all, else to text."""
    natural = {i: widths[i] if i == 0 else columns[i].natural for i in widths}
    if _width(natural) <= line:
        return natural
    grown = dict(widths)
    for _ in range(line - _width(widths)):
        narrow = [i for i in grown if not columns[i].whole and grown[i] < natural[i]]
        if not narrow:
            break
        grown[min(narrow, key=lambda i: grown[i])] += 1
    return grown


def _width(widths: Widths) -> int:
    """Return the width of a table, with its lines and the spaces beside them."""
    return sum(widths.values()) + 3 * len(widths) + 1


def _height(columns: Sequence[Column], widths: Widths, console: Console) -> int:
    """Return the lines that the rows of a table take."""
    folded = [
        [
            1 if cell_len(cell) <= width else len(Text(cell).wrap(console, width, overflow="fold"))
            for cell in columns[i].cells
        ]
        for i, width in widths.items()
    ]
    return sum(map(max, zip(*folded, strict=True)))


def _folded(heading: str, width: int) -> list[str]:
    return textwrap.wrap(heading, width, break_long_words=False)


def _widest(texts: Iterable[str]) -> int:
    return max((1, *map(cell_len, texts)))
