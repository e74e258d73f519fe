"""Fonts for what the font of the plots lacks, such as Chinese titles."""

from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.font_manager import findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from lelkern.ablation.plot.style import FONT


@dataclass(frozen=True)
class Fonts:
    """What a text is drawn with.

    Attributes:
        families: the font of the plots, and after it those that have what it lacks.
        lacking: the characters that no installed font has, which are drawn as boxes.
    """

    families: tuple[str, ...]
    lacking: str


def fonts_for(texts: Iterable[Text]) -> Fonts:
    """Return the fonts for some texts; others than that of the plots only where it is not enough.

    Args:
        texts: of a figure.
    """
    characters = {c for text in texts for c in text.get_text() if c.isprintable()}
    lacking = characters - _characters(findfont(FONT))
    families = [FONT]
    for font in sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        if not lacking:
            break
        # The last resort has a box for every character there is.
        if font.name not in families and not font.name.startswith("Last Resort"):
            found = lacking & _characters(font.fname)
            if found:
                families.append(font.name)
                lacking -= found
    return Fonts(tuple(families), "".join(sorted(lacking)))


def _characters(file: str) -> set[str]:
    try:
        return set(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):  # removed since matplotlib listed it, or no font
        return set()
