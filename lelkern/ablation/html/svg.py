"""Drawings inside a page of HTML."""

import re
from xml.etree import ElementTree

from markupsafe import Markup

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_HREFS = ("href", f"{{{_XLINK}}}href")


def inlined(text: str, *, prefix: str, title: str, description: str) -> Markup:
    """Return a drawing as an element of a page, where others may use the same names.

    Sizes go, so that it is as wide as its place; what it shows is said for who cannot see it.

    Args:
        text: an SVG document.
        prefix: of the names of its parts, which no other drawing of the page has.
        title: a few words.
        description: what it shows.

    Raises:
        ValueError: it is not SVG.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"text must be SVG: {error}") from None
    if root.tag != f"{{{_SVG}}}svg":
        raise ValueError(f"text must be SVG, got a document of {root.tag!r}")
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        _rename(element, prefix)
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    names = f"{prefix}title", f"{prefix}description"
    root.attrib |= {"role": "img", "aria-labelledby": " ".join(names)}
    for i, (tag, name, words) in enumerate(
        (("title", names[0], title), ("desc", names[1], description))
    ):
        said = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": name})
        said.text = words
        root.insert(i, said)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _rename(element: ElementTree.Element, prefix: str) -> None:
    """Give the names that an element has or refers to a prefix."""
    for key, value in element.attrib.items():
        if key == "id":
            element.set(key, prefix + value)
        elif key in _HREFS and value.startswith("#"):
            element.set(key, f"#{prefix}{value[1:]}")
        elif "url(#" in value:
            element.set(key, re.sub(r"url\(#", f"url(#{prefix}", value))
