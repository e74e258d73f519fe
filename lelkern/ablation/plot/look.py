"""How a plot is drawn, whatever it shows: its size, its fonts, and with which text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

USUAL_FONT_SIZE = 10.0  # points


@dataclass(frozen=True)
class Look:
    """How a plot is drawn.

    Attributes:
        size: width and height of the whole picture in inches; by default what its kind of plot and
            its text need.
        font_size: of axis labels, in points; all other text is in proportion.
        bare: without title, claims, verdicts and notes.
        words: text in place of what the plot would say, by :meth:`Words.find`'s keys.
    """

    size: tuple[float, float] | None = None
    font_size: float = USUAL_FONT_SIZE
    bare: bool = False
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """How large text is, compared to usual."""
        return self.font_size / USUAL_FONT_SIZE


class Words:
    """What a plot calls things: as the study and its methods do, unless told otherwise.

    Attributes:
        asked: every key that was looked for.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self.asked: dict[str, None] = {}
        self._given = given

    def find(self, text: str, name: str = "") -> str:
        """Return the words that stand for a text.

        Args:
            text: what the plot would say; a key.
            name: another key for it: that of an axis, a metric or a curve.
        """
        self.asked |= dict.fromkeys(filter(None, (name, text)))
        return self._given.get(name, self._given.get(text, text))
