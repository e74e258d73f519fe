"""The index is the table of contents: each of its lists of links is a part of the navigation.

On a forge it is a page of links like any other.
"""

import re

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

SECTION = re.compile(r"^## (?P<caption>[^\n]+)$(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<page>[^)#:]+)\.md\)", re.MULTILINE)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Append the table of contents to the index when it is read."""
    app.connect("source-read", _with_contents)
    return {"parallel_read_safe": True}


def _with_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == app.config.root_doc:
        source[0] += "".join(_contents(match) for match in SECTION.finditer(source[0]))


def _contents(section: re.Match[str]) -> str:
    links = LINK.finditer(section["body"])
    lines = [f"{link['title']} <{link['page']}>" for link in links]
    return "\n".join(
        ["", "", "```{toctree}", ":hidden:", f":caption: {section['caption']}", "", *lines, "```"]
    )
